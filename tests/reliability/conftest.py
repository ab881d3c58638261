"""One stage for all faults, and a note of what was tried and what became of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import FULL, LAST_FAULT_SECONDS, SEED
from stage import Stage

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Kill first: where time is short, the other faults are those that are left out."""
    here = [number for number, item in enumerate(items) if item.path.parent == FOLDER]
    ordered = sorted(
        (items[number] for number in here), key=lambda item: item.path.name != "test_kill.py"
    )
    for number, item in zip(here, ordered, strict=True):
        items[number] = item


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    yield Stage(folder)
    # A third of a GB of copies.
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def born() -> float:
    """When the tests of this folder began."""
    return time.monotonic()


Tried = dict[str, object]


@pytest.fixture
def tried(born: float, record_property: Callable[[str, object], None]) -> Callable[..., Tried]:
    """Note what is tried; what recovered how is filled in when it has."""
    if FULL and time.monotonic() - born > LAST_FAULT_SECONDS:
        pytest.skip("time is up")

    def note(command: str, fault: str, situation: str, times: int = 1) -> Tried:
        row: Tried = {
            "command": command,
            "fault": fault,
            "situation": situation,
            "times": times,
            "recovered": "",
            "seed": SEED,
        }
        record_property("tried", row)
        return row

    return note
