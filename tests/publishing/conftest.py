from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from company import small_company
from dbt_project import BUILD, DbtProject
from project.online_shop import BOTH, load_online_shop, online_shop
from synthetic import Shop, is_whole


@pytest.fixture(scope="session")
def project(small_build: Path, tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """The small company, loaded and built, where dbt itself runs."""
    project = DbtProject(tmp_path_factory.mktemp("project"), small_company())
    project.copy(small_build)
    return project


@pytest.fixture
def shop(small_build: Path, tmp_path: Path) -> Shop:
    """The small company, built and not published yet, to go on from."""
    return Shop(tmp_path, small_build)


@pytest.fixture(scope="session")
def traced(small_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The small company, built and published; for reading only."""
    shop = Shop(tmp_path_factory.mktemp("traced"), small_build)
    shop.publish()
    return shop


@pytest.fixture(scope="session")
def both(small_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The small company and the online shop beside it, both built; for reading only."""
    project = DbtProject(tmp_path_factory.mktemp("project_of_both"), None)
    project.restore(small_build / "warehouse" / "tally.duckdb")
    load_online_shop(project.warehouse, online_shop())
    project.dbt(*BUILD, *BOTH)
    return Shop(tmp_path_factory.mktemp("both"), project.folder)


@pytest.fixture
def open_shop(traced: Shop, tmp_path: Path) -> Shop:
    """The small company, built and published, to go on from."""
    return Shop(tmp_path, traced.folder)


@pytest.fixture
def published(open_shop: Shop) -> Iterator[Shop]:
    """A published version, which must stay, and a build after it."""
    yield from _must_stay(open_shop)


@pytest.fixture
def dbt_shop(project: DbtProject, traced: Shop) -> Iterator[Shop]:
    """As `published`, where dbt itself runs."""
    shutil.rmtree(project.folder / "serving", ignore_errors=True)
    yield from _must_stay(Shop(project.folder, traced.folder))


def _must_stay(shop: Shop) -> Iterator[Shop]:
    version, inode = shop.version_id(), shop.served.stat().st_ino
    shop.build_again()
    yield shop
    assert (shop.version_id(), shop.served.stat().st_ino) == (version, inode)
    assert is_whole(shop.served)
    assert shop.leftovers() == [] and len(shop.kept()) == 1
