"""Faults of a load from a database server: what is half read is never there.

The models and what is published do not know where the rows came from: from there on, the faults of
the other modules are the same.
"""

from __future__ import annotations

import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from company import Rows, small_company
from dbt_project import DbtProject
from faults import FULL, chance
from servers import DatabaseShop, MariaDbShop, PostgresShop
from stage import (
    COMMANDS,
    OF_EVERY_LOAD,
    UNTIL,
    Ended,
    Process,
    company_with_news,
    copied,
    differing,
    empty,
    error_line,
    first_company,
    run_to_the_end,
    warehouse_contents,
    without,
)

# MariaDB, and more than one of each, in the full form.
SERVERS = [PostgresShop, MariaDbShop] if FULL else [PostgresShop]
NUMBERS = range(4 if FULL else 1)

GOODBYE = "FATAL:  terminating connection due to administrator command\n"
# It was committed before the fault, or is committed by the run after it: there is one load more.
APART = ("_staging.", *OF_EVERY_LOAD)


def company_before_the_news() -> dict[str, Rows]:
    """Give what the server has at first: the days until `UNTIL`."""
    company = first_company()
    for table, moment in (
        ("transactions", "transaction_timestamp"),
        ("coupon_redemptions", "redemption_date"),
    ):
        company[table] = [row for row in company[table] if row[moment].date() <= UNTIL]
    return company


class Loads:
    """A server with news, and the warehouse that was loaded from it before there were any."""

    def __init__(self, shop: DatabaseShop, folder: Path):
        """Load before and after the news undisturbed."""
        self.shop = shop
        self.folder = folder
        self.output = folder / "output"
        self.output.mkdir()
        self.project = DbtProject(folder / "work", small_company())
        self.warehouse = self.project.warehouse
        self._environment = self.project.environment | shop.environment
        assert self.run().code == 0
        shutil.copytree(self.warehouse.parent, folder / "before")
        self.before = self.held()
        shop.load(company_with_news())
        with self.start() as process:
            assert process.wait() == 0, process.err
            self.seconds = time.monotonic() - process.started
        self.after = self.held()

    def restore(self) -> None:
        """Put the warehouse into the state before the news."""
        empty(self.warehouse.parent)
        shutil.copytree(self.folder / "before", self.warehouse.parent, dirs_exist_ok=True)

    def start(self, **environment: str) -> Process:
        """Start a load."""
        return Process(COMMANDS["ingestion"], self._environment | environment, self.output)

    def run(self, **environment: str) -> Ended:
        """Load to the end."""
        return run_to_the_end(COMMANDS["ingestion"], self._environment | environment)

    def held(self) -> dict[str, tuple]:
        """Sum up what the warehouse holds."""
        return without(
            warehouse_contents(copied(self.warehouse, self.folder / "looked_at")), *APART
        )

    def finish(self) -> str:
        """Load once more: all must be as without the fault, and nothing lies about."""
        came_to = self.run()
        assert came_to.code == 0, came_to
        assert differing(self.held(), self.after) == []
        assert {path.name for path in self.warehouse.parent.iterdir()} == {self.warehouse.name}
        return "next run"


@pytest.fixture(scope="module", params=SERVERS, ids=lambda server: server.kind)
def loads(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Loads]:
    with request.param(company_before_the_news()) as shop:
        yield Loads(shop, tmp_path_factory.mktemp("loads"))


@pytest.mark.parametrize("number", NUMBERS)
def test_a_killed_load_from_a_server_leaves_nothing_half(loads: Loads, number: int, tried):
    row = tried("ingestion", "SIGKILL", f"while {loads.shop.kind} is read", times=0)
    share = (number + chance(f"{loads.shop.kind} {number}").random()) / len(NUMBERS)
    while not row["times"]:
        loads.restore()
        with loads.start() as process:
            time.sleep(share * loads.seconds)
            process.signal(signal.SIGKILL)
            row["times"] = int(process.wait() == -signal.SIGKILL)
        # It was faster than when it was measured.
        share *= 0.7
    assert loads.held() in (loads.before, loads.after)
    row["recovered"] = loads.finish()


@pytest.mark.parametrize("number", NUMBERS)
def test_a_server_that_restarts_during_a_load_leaves_nothing_half(loads: Loads, number: int, tried):
    row = tried("ingestion", "the server restarts", f"while {loads.shop.kind} is read")
    share = (number + chance(f"restart {loads.shop.kind} {number}").random()) / len(NUMBERS)
    loads.restore()
    with loads.start() as process:
        assert process.wait_for(lambda it: "Counting " in it.err)
        time.sleep(share * loads.seconds / 2)
        loads.shop.restart()
        code = process.wait()
        # PostgreSQL's library prints by itself what the server says to a connection that waits.
        err = process.err.replace(GOODBYE, "", 1)
        came_to = Ended("ingestion", code, process.out, err)
    if code:
        error_line(came_to)
        assert loads.held() == loads.before
    else:
        assert loads.held() == loads.after
    row["recovered"] = loads.finish()


def stopped(shop: DatabaseShop) -> Callable[[], None]:
    shop.stop()
    return shop.restart


def without_a_grant(shop: DatabaseShop) -> Callable[[], None]:
    shop.execute(f"revoke select on coupons from {shop.account}")
    return lambda: shop.execute(f"grant select on coupons to {shop.account}")


@pytest.mark.skipif(not FULL, reason="in the full form: make reliability")
@pytest.mark.parametrize("disturb", [stopped, without_a_grant], ids=lambda it: it.__name__)
def test_a_server_that_refuses_costs_nothing(
    loads: Loads, disturb: Callable[[DatabaseShop], Callable[[], None]], tried
):
    fault = disturb.__name__.replace("_", " ")
    row = tried("ingestion", f"the server is {fault}", loads.shop.kind)
    loads.restore()
    mend = disturb(loads.shop)
    try:
        error_line(loads.run())
    finally:
        mend()
    assert loads.held() == loads.before
    row["recovered"] = loads.finish()


@pytest.mark.skipif(not FULL, reason="in the full form: make reliability")
def test_a_wrong_password_costs_nothing(loads: Loads, tried):
    row = tried("ingestion", "wrong password", loads.shop.kind)
    loads.restore()
    wrong = re.sub(":[^:@]+@", ":wrong@", loads.shop.reader_url)
    error_line(loads.run(SOURCES__RETAIL_DB__CREDENTIALS=wrong))
    assert loads.held() == loads.before
    row["recovered"] = loads.finish()
