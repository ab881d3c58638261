"""Loads the company's tables into the warehouse, with dlt."""

import gc
import os
from pathlib import Path

# dlt finds its configuration (`.dlt/`) there, wherever the load is started.
os.environ.setdefault("DLT_PROJECT_DIR", str(Path(__file__).resolve().parent.parent))

# What is imported stays. Python looks through it for garbage after every 700 objects, unless told
# otherwise, and takes a fifth of a second for it.
gc.set_threshold(50_000)
