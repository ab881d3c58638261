"""What is told at the end of a test run."""

from __future__ import annotations

# Where several processes test (pytest-xdist), the one that tells reads no folder's conftest.
pytest_plugins = ["mutation.summary", "reliability.summary"]
