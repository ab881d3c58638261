"""What all tests share, what is told at the end of a run, and who runs what."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from xdist.scheduler import LoadFileScheduling

# Where several processes test (pytest-xdist), the one that tells reads no folder's conftest.
pytest_plugins = ["builds", "mutation.summary", "reliability.summary"]


class _ByFile(LoadFileScheduling):
    """Gives a process a file at a time, and one of them all that is tried on one stage."""

    def _split_scope(self, nodeid: str) -> str:
        file = PurePosixPath(super()._split_scope(nodeid))
        return str(file.parent if file.parent.name == "reliability" else file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _ByFile:
    return _ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest where several processes test: at the end none is alone with them."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.path.parent.name not in ("reliability", "shop"))
