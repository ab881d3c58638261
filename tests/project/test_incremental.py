"""An incremental build gives what a build from nothing gives, whatever a load brings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from company import Rows, business_week, small_company, sold_at
from dbt_project import BUILD, WITHOUT_TESTS, DbtProject
from marts import differences, rows

# A Friday. The look-back of the next load reaches from its night to the Saturday before.
UNTIL = date(2017, 6, 30)
NEXT_DAYS = [date(2017, 7, day) for day in (1, 2, 3)]
LATE, CHANGED, LEFT, ENTERED, EMPTIED = (date(2017, 6, day) for day in (24, 25, 26, 28, 29))
REBRANDED, CATALOGED, DELISTED = (date(2017, 2, day) for day in (1, 2, 3))
# Promotions of these weeks come after their sales; there are none of the weeks of the look-back.
LATE_WEEKS, LOOKED_BACK_WEEKS = (24, 25), (26, 27)
PROMOTED_LATE = [date(2017, 6, 5) + timedelta(days=offset) for offset in range(14)]

INCREMENTAL = ("fct_sales_lines", "fct_baskets", "fct_promotion_weeks")
# How far a row that was there before is put into the future.
MARK = "interval 1000 years"


def basket(basket_id: int, day: date, *product_ids: int) -> Rows:
    return [
        {
            "household_id": 101,
            "store_id": 1,
            "basket_id": basket_id,
            "product_id": product_id,
            "quantity": 1,
            "sales_value": 2.5,
            "retail_disc": 0.0,
            "coupon_disc": 0.0,
            "coupon_match_disc": 0.0,
            "week": business_week(day),
            "transaction_timestamp": sold_at(day, 12),
        }
        for product_id in product_ids
    ]


def product(product_id: int, brand: str) -> dict[str, object]:
    return small_company()["products"][0] | {"product_id": product_id, "brand": brand}


def company_until() -> dict[str, Rows]:
    """The small company, with products that are sold on one day alone."""
    company = small_company()
    company["transactions"] += basket(9002, LEFT, 3, 4)
    company["transactions"] += basket(9003, REBRANDED, 40) + basket(9004, CATALOGED, 41)
    company["transactions"] += basket(9005, DELISTED, 42)
    company["products"] += [product(42, "Private"), product(40, "National")]
    company["promotions"] = [row for row in company["promotions"] if row["week"] < LATE_WEEKS[0]]
    return company


def with_news() -> dict[str, Rows]:
    """What the source has later: every piece of news is about dates of its own."""
    company = company_until()
    company["transactions"] = [
        line | {"sales_value": line["sales_value"] + 1}
        if line["transaction_timestamp"] == sold_at(CHANGED, 23, 30)
        else line
        for line in company["transactions"]
        if line["basket_id"] != 9002
    ]
    company["transactions"] += basket(9001, LATE, 5) + basket(9002, ENTERED, 3, 4)
    company["products"] = [row for row in company["products"] if row["product_id"] not in (40, 42)]
    company["products"] += [product(40, "Private"), product(41, "Private")]
    company["promotions"] = [
        row for row in small_company()["promotions"] if row["week"] not in LOOKED_BACK_WEEKS
    ]
    return company


@pytest.fixture(scope="module")
def first_build(workbench: DbtProject) -> Path:
    """The warehouse after a first load and build."""
    workbench.restore(None)
    workbench.write(company_until())
    workbench.load("--until", str(UNTIL))
    workbench.dbt(*BUILD, *WITHOUT_TESTS)
    return workbench.keep("first_build")


@dataclass(frozen=True)
class Builds:
    """Warehouses of the same raw data, built in one way and the other."""

    incremental: Path
    full: Path


@dataclass(frozen=True)
class News(Builds):
    """And the dates of each table that the incremental build wrote."""

    written: dict[str, set[date]]


def mark(warehouse: Path) -> None:
    """Mark every row of the facts, in a column that is not compared with their input."""
    with duckdb.connect(warehouse) as connection:
        for table in ("fct_sales_lines", "fct_baskets"):
            connection.execute(f"update marts.{table} set sold_at = sold_at + {MARK}")


def unmark(warehouse: Path) -> dict[str, set[date]]:
    """Take the mark off where it still is; give the dates where it is not."""
    written = {}
    with duckdb.connect(warehouse) as connection:
        for table in ("fct_sales_lines", "fct_baskets"):
            marked = f"sold_at > business_date + {MARK} / 2"
            dates = connection.execute(
                f"select distinct business_date from marts.{table} where not ({marked})"
            ).fetchall()
            written[table] = {day for (day,) in dates}
            connection.execute(
                f"update marts.{table} set sold_at = sold_at - {MARK} where {marked}"
            )
    return written


@pytest.fixture(scope="module")
def news(workbench: DbtProject, first_build: Path) -> News:
    workbench.restore(first_build)
    workbench.write(with_news())
    workbench.load("--until", str(NEXT_DAYS[0]))
    mark(workbench.warehouse)
    workbench.dbt("run")
    written = unmark(workbench.warehouse)
    incremental = workbench.keep("news_incremental")
    workbench.dbt("run", "--full-refresh")
    return News(incremental, workbench.keep("news_full"), written)


def test_incremental_build_of_news_equals_a_build_from_nothing(news: News):
    assert differences(news.incremental, news.full) == []


NEWS = {
    "late_line": [LATE],
    "changed_amount": [CHANGED],
    "day_that_a_basket_left": [LEFT],
    "day_that_a_basket_moved_to": [ENTERED],
    "promotions_of_an_older_week": PROMOTED_LATE,
    "new_day": [NEXT_DAYS[0]],
}
# Baskets say nothing of products.
NEWS_OF_PRODUCTS = {
    "product_of_another_brand": [REBRANDED],
    "product_that_entered_the_catalog": [CATALOGED],
    "product_that_left_the_catalog": [DELISTED],
}


@pytest.mark.parametrize(
    ("table", "days"),
    [
        pytest.param(table, days, id=f"{table}-{name}")
        for table, news in (
            ("fct_sales_lines", NEWS | NEWS_OF_PRODUCTS),
            ("fct_baskets", NEWS),
        )
        for name, days in news.items()
    ],
)
def test_news_reaches_its_dates(news: News, first_build: Path, table: str, days: list[date]):
    listed = ", ".join(f"date '{day}'" for day in days)
    before, after, full = (
        rows(warehouse, table, f"business_date in ({listed})")
        for warehouse in (first_build, news.incremental, news.full)
    )
    assert before != after
    assert after == full != []


def test_dates_without_news_are_not_written(news: News):
    dates_with_news = {LATE, CHANGED, LEFT, ENTERED, NEXT_DAYS[0]}
    of_products = {REBRANDED, CATALOGED, DELISTED}
    assert news.written["fct_sales_lines"] == dates_with_news | of_products | {*PROMOTED_LATE}
    # Baskets take nothing of promotions but the load id: only where a line was promoted.
    baskets = news.written["fct_baskets"]
    assert dates_with_news <= baskets <= dates_with_news | {*PROMOTED_LATE}


def test_data_tests_do_not_take_news_for_a_fault(workbench: DbtProject, news: News):
    workbench.restore(news.incremental)
    workbench.dbt(*BUILD)


@pytest.fixture(scope="module")
def day_by_day(workbench: DbtProject, news: News) -> Builds:
    """The days after the news, each loaded and built on its own."""
    workbench.restore(news.incremental)
    workbench.write(with_news())
    for day in NEXT_DAYS[1:]:
        workbench.load("--until", str(day))
        workbench.dbt("run")
    incremental = workbench.keep("day_by_day_incremental")
    workbench.dbt("run", "--full-refresh")
    return Builds(incremental, workbench.keep("day_by_day_full"))


def test_builds_day_by_day_equal_one_build(day_by_day: Builds):
    assert differences(day_by_day.incremental, day_by_day.full) == []
    for day in NEXT_DAYS:
        for table in ("fct_sales_lines", "fct_baskets"):
            assert rows(day_by_day.incremental, table, f"business_date = date '{day}'") != []


def row_numbers(warehouse: Path, table: str) -> list[tuple]:
    """DuckDB's number of each row and the row: one that is written again gets another number."""
    with duckdb.connect(warehouse, read_only=True) as connection:
        return connection.execute(f"select rowid, * from marts.{table} order by rowid").fetchall()


def test_build_after_a_load_without_news_writes_no_row(workbench: DbtProject, day_by_day: Builds):
    workbench.restore(day_by_day.incremental)
    workbench.write(with_news())
    loads = workbench.fetch("select count(*) from raw_retail_db._dlt_loads")
    workbench.load("--until", str(NEXT_DAYS[-1]))
    assert workbench.fetch("select count(*) from raw_retail_db._dlt_loads") != loads

    workbench.dbt("run", "--select", *INCREMENTAL)

    for table in INCREMENTAL:
        before, after = (
            row_numbers(warehouse, table)
            for warehouse in (day_by_day.incremental, workbench.warehouse)
        )
        assert before == after != []


def test_day_that_loses_its_last_line_is_empty(workbench: DbtProject, first_build: Path):
    company = company_until()
    shift = timedelta(days=1)
    company["transactions"] = [
        line | {"transaction_timestamp": line["transaction_timestamp"] + shift}
        if sold_at(EMPTIED, 0) <= line["transaction_timestamp"] < sold_at(EMPTIED + shift, 0)
        else line
        for line in company["transactions"]
    ]
    workbench.restore(first_build)
    workbench.write(company)
    workbench.load("--until", str(UNTIL))
    workbench.dbt("run")
    incremental = workbench.keep("emptied_incremental")
    workbench.dbt("run", "--full-refresh")
    assert differences(incremental, workbench.warehouse) == []
    for table in ("fct_sales_lines", "fct_baskets"):
        emptied = f"business_date = date '{EMPTIED}'"
        assert rows(first_build, table, emptied) != []
        assert rows(incremental, table, emptied) == []


def test_dates_and_weeks_of_other_variables_are_built_as_from_nothing(
    workbench: DbtProject, first_build: Path
):
    variables = ("--vars", "{first_business_week_start_date: '2016-12-19'}")
    selected = ("--select", "int_sales__lines_priced", "fct_sales_lines", "fct_baskets")
    workbench.restore(first_build)
    workbench.dbt("run", *selected, *variables)
    incremental = workbench.keep("other_variables")
    workbench.dbt("run", "--full-refresh", *selected, *variables)
    assert differences(incremental, workbench.warehouse) == []
    week = business_week(UNTIL)
    for table in ("fct_sales_lines", "fct_baskets"):
        before, after = (
            rows(build, table, f"business_week >= {week}") for build in (first_build, incremental)
        )
        assert len(after) > len(before) > 0


def test_week_that_the_feed_takes_back_promotes_nothing(workbench: DbtProject, first_build: Path):
    company = company_until()
    (taken_back, *_) = sorted({row["week"] for row in company["promotions"]}, reverse=True)
    company["promotions"] = [row for row in company["promotions"] if row["week"] != taken_back]
    workbench.restore(first_build)
    workbench.write(company)
    workbench.load("--until", str(UNTIL), "--reconcile")
    workbench.dbt("run")
    incremental = workbench.keep("taken_back_incremental")
    workbench.dbt("run", "--full-refresh")
    assert differences(incremental, workbench.warehouse) == []
    of_week = f"business_week = {taken_back}"
    assert rows(first_build, "fct_sales_lines", f"{of_week} and is_promoted") != []
    assert rows(incremental, "fct_sales_lines", f"{of_week} and is_promoted") == []
    assert rows(incremental, "fct_promotion_weeks", of_week) == []
