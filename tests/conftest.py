"""What all tests share, what is told at the end of a run, and who runs what."""

from __future__ import annotations

import gc
import os
from pathlib import PurePosixPath
from zlib import crc32

# First of all: what is imported after it reads variables.
import environment  # noqa: F401
import pytest
from xdist.scheduler import LoadFileScheduling

# Where several processes test (pytest-xdist), the one that tells reads no folder's conftest.
pytest_plugins = ["builds", "mutation.summary", "reliability.summary"]


PARTS_OF_MUTANTS = 16


class _ByFile(LoadFileScheduling):
    """Gives a process a file at a time: one of them all that is tried on one stage, each some of
    the mutants.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = PurePosixPath(super()._split_scope(nodeid))
        if file.parent.name == "reliability":
            return str(file.parent)
        if file.name == "test_mutants.py":
            return f"{file} {crc32(nodeid.encode()) % PARTS_OF_MUTANTS}"
        return str(file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _ByFile:
    return _ByFile(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Test in one process more than there are cores: one waits for a server, or on purpose."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_finish() -> None:
    """Look for garbage in what tests make alone, not again and again in all that was imported."""
    gc.collect()
    gc.freeze()


# What is given to processes first, where several test: what takes long. Mutants, which are many and
# short, come last, so that no process is alone with the rest at the end.
ORDER = {"reliability": 0, "shop": 0, "project": 1, "mutation": 3}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: ORDER.get(item.path.parent.name, 2))
