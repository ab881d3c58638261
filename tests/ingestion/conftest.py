from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """The small company, not loaded yet."""
    return Bench(tmp_path)


@pytest.fixture(scope="session")
def loaded_once(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The small company, loaded; for reading only."""
    bench = Bench(tmp_path_factory.mktemp("loaded"))
    bench.load()
    return bench


@pytest.fixture
def loaded(bench: Bench, loaded_once: Bench) -> Bench:
    """The small company, loaded, to go on from."""
    bench.warehouse.parent.mkdir()
    shutil.copy(loaded_once.warehouse, bench.warehouse)
    return bench
