"""Loads the company's tables into the warehouse, with dlt."""

import os
from pathlib import Path

# dlt finds its configuration (`.dlt/`) there, wherever the load is started.
os.environ.setdefault("DLT_PROJECT_DIR", str(Path(__file__).resolve().parent.parent))
