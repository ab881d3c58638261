"""What many modules start from, made once for all of a run's processes."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from company import small_company
from dbt_project import BUILD, DbtProject


@pytest.fixture(scope="session")
def small_build(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The small company, loaded, built and documented: a folder to take copies of.

    The first process that asks for it builds it, and every other one waits (pytest-xdist has a
    session in each).
    """
    of_process = tmp_path_factory.getbasetemp()
    of_run = of_process if worker_id == "master" else of_process.parent
    folder = of_run / "small_build"
    with (of_run / "small_build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            project = DbtProject(tmp_path_factory.mktemp("small_build"), small_company())
            project.load()
            project.dbt(*BUILD)
            project.dbt("docs", "generate", "--no-compile")
            project.folder.rename(folder)
    return folder
