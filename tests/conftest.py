"""What all tests share, and what is told at the end of a run."""

from __future__ import annotations

# Where several processes test (pytest-xdist), the one that tells reads no folder's conftest.
pytest_plugins = ["builds", "mutation.summary", "reliability.summary"]
