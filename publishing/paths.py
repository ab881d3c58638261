"""Where the warehouse, dbt's record and the published file are."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from publishing.errors import PublishingError

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
    """Give the variables of the dbt project, such as published_files.

    Raises:
        PublishingError: the project's file cannot be read, or has none.
    """
    path = ROOT / "dbt_project.yml"
    try:
        project = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        found = " ".join(str(error).split())
    else:
        if isinstance(project, dict) and isinstance(project.get("vars"), dict):
            return project["vars"]
        found = "none"
    raise PublishingError(f"{path}: expected the project's vars, found: {found}; mend the file")
