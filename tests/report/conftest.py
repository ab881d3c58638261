from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from dbt_project import DbtProject, succeeded
from published import change_published

from publishing.report import write

Alter = Callable[..., Path]


@pytest.fixture(scope="session")
def published(small_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small company's published file; for reading only."""
    project = DbtProject(tmp_path_factory.mktemp("published"), None)
    serving = project.folder / "serving"
    project.copy(small_build)
    succeeded(project.run("python", "-m", "publishing", "publish", TALLY_SERVING=str(serving)))
    return serving / "tally.duckdb"


@pytest.fixture(scope="session")
def reports(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small company's reports; for reading only."""
    folder = tmp_path_factory.mktemp("reports")
    write(published.parent, folder)
    return folder


@pytest.fixture
def alter(published: Path, tmp_path: Path) -> Alter:
    """Makes published KPIs that are other ones in what some statements change."""

    def make(*statements: str) -> Path:
        serving = tmp_path / "altered"
        shutil.copytree(published.parent, serving, symlinks=True)
        change_published(serving, *statements)
        return serving / "kpis.duckdb"

    return make


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium with a profile of its own."""
    if not CHROMIUM:
        pytest.skip("chromium is not installed: the report is not looked at in a browser")
    started = Browser(tmp_path_factory.mktemp("chromium"))
    yield started
    started.close()
