from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers import DatabaseShop, MariaDbShop, PostgresShop, open_folder
from storefront import Storefront

SHOPS = {"postgresql": PostgresShop, "mysql": MariaDbShop}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes more than some seconds")


@pytest.fixture(scope="session", params=SHOPS)
def shop(request: pytest.FixtureRequest) -> Iterator[DatabaseShop]:
    """Each of the servers, with empty tables at first; a test loads what it needs."""
    with SHOPS[request.param]() as shop:
        yield shop


@pytest.fixture
def storefront() -> Iterator[Storefront]:
    """The command, with a folder of its own; no server is left running."""
    with open_folder() as folder:
        front = Storefront(folder)
        try:
            yield front
        finally:
            front.end()
