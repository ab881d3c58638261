from __future__ import annotations

import pytest
from company import small_company
from dbt_project import DbtProject


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """The small company, loaded, built and documented; for reading only."""
    project = DbtProject(tmp_path_factory.mktemp("built"), small_company())
    project.load()
    project.dbt("build")
    project.dbt("docs", "generate", "--no-compile")
    return project
