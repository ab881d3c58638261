"""Where the servers keep their data, and where dlt looks for credentials."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def shop_folder() -> Path:
    """Give the folder of the servers' data, passwords and logs."""
    return (ROOT / (os.environ.get("TALLY_SHOP") or ".shop")).resolve()


def secrets_file() -> Path:
    """Give the file in which dlt finds the credentials that it reads a source with."""
    return ROOT / os.environ.get("DLT_PROJECT_DIR", "") / ".dlt" / "secrets.toml"
