"""What many modules start from, made once for all of a run's processes."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest
from company import small_company
from dbt_project import BUILD, DbtProject

Once = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Once:
    """Make a folder that is taken copies of, once a run.

    The first process that asks for it makes it, and every other one waits (pytest-xdist has a
    session in each).
    """
    of_process = tmp_path_factory.getbasetemp()
    of_run = of_process if worker_id == "master" else of_process.parent

    def make(name: str, fill: Callable[[Path], None]) -> Path:
        folder = of_run / name
        with (of_run / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                begun = tmp_path_factory.mktemp(name)
                fill(begun)
                begun.rename(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def small_build(once: Once) -> Path:
    """The small company, loaded, built and documented."""
    return once("small_build", build_small_company)


def build_small_company(folder: Path) -> None:
    project = DbtProject(folder, small_company())
    project.load()
    project.dbt(*BUILD)
    project.dbt("docs", "generate", "--no-compile")
