from __future__ import annotations

from pathlib import Path

import pytest
from company import small_company
from dbt_project import BUILD, DbtProject


@pytest.fixture(scope="session")
def built(small_build: Path, tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """The small company, loaded, built and documented; for reading only."""
    project = DbtProject(tmp_path_factory.mktemp("built"), small_company())
    project.copy(small_build)
    return project


@pytest.fixture(scope="session")
def workbench(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """A project to work on; dbt parses it once. Every user says what it starts from."""
    return DbtProject(tmp_path_factory.mktemp("workbench"), small_company())


@pytest.fixture
def rebuilt(built: DbtProject, workbench: DbtProject) -> DbtProject:
    """The small company, loaded and built, to go on from."""
    workbench.write(small_company())
    workbench.restore(built.warehouse)
    return workbench


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """The whole real sample, loaded and built without a warning; for reading only."""
    project = DbtProject(tmp_path_factory.mktemp("sample"), None)
    project.load()
    project.dbt("--warn-error", *BUILD)
    return project
