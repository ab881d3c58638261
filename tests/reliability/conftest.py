"""One stage for all faults, and a note of what was tried and what became of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from faults import SEED
from stage import Stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    yield Stage(folder)
    # A third of a GB of copies.
    shutil.rmtree(folder, ignore_errors=True)


Tried = dict[str, object]


@pytest.fixture
def tried(record_property: Callable[[str, object], None]) -> Callable[..., Tried]:
    """Note what is tried; what recovered how is filled in when it has."""

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
