"""Where the warehouse, dbt's record and the published file are."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent


def warehouse_path() -> Path:
    """Give the warehouse file, which dbt builds in."""
    return ROOT / os.environ.get("TALLY_WAREHOUSE", "warehouse/tally.duckdb")


def serving_folder() -> Path:
    """Give the folder of the published file and its versions."""
    return ROOT / os.environ.get("TALLY_SERVING", "serving")


def reports_folder() -> Path:
    """Give the folder that the report is written to."""
    return ROOT / os.environ.get("TALLY_REPORTS", "reports")


def target_folder() -> Path:
    """Give the folder that dbt writes its record to."""
    return ROOT / os.environ.get("DBT_TARGET_PATH", "target")


def project_variables() -> dict[str, object]:
    """Give the variables of the dbt project, such as id_ranges."""
    return yaml.safe_load((ROOT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
