"""The whole real sample: every measured fact of it comes out of the models."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from dbt_project import ROOT, DbtProject

FIGURES = [row["figure"] for row in csv.DictReader((ROOT / "seeds/sample_figures.csv").open())]
INCREMENTAL = ("fct_sales_lines", "fct_baskets", "fct_promotion_weeks")


def test_whole_sample_builds_without_a_warning(sample: DbtProject):
    results = json.loads((sample.target / "run_results.json").read_text())["results"]
    # Exposures build nothing.
    assert {result["status"] for result in results} == {"success", "pass", "no-op"}
    assert "test.tally.assert_sample_figures" in {result["unique_id"] for result in results}


def findings(sample: DbtProject, change: str, *values: str) -> list[tuple]:
    """Give what the test of the figures finds after a change, which is taken back."""
    compiled = sample.target / "compiled/tally/tests/dbt/assert_sample_figures.sql"
    with duckdb.connect(sample.warehouse) as connection:
        connection.begin()
        connection.execute(change, values)
        found = connection.execute(compiled.read_text()).fetchall()
        connection.rollback()
    return found


@pytest.mark.parametrize("figure", FIGURES)
def test_sample_figures_are_all_compared(sample: DbtProject, figure: str):
    ((name, expected, actual, finding),) = findings(
        sample,
        "update seeds.sample_figures set expected_value = expected_value + 0.01 where figure = ?",
        figure,
    )
    assert (name, finding) == (figure, "the models give another")
    assert expected == actual + Decimal("0.01")


@pytest.mark.parametrize(
    ("table", "figure"),
    [("coupons", "coupon_duplicates"), ("promotions", "promotion_second_places")],
)
def test_table_that_is_not_whole_beside_whole_sales_is_found(
    sample: DbtProject, table: str, figure: str
):
    """A figure of another number of rows is left out of a part of the sample alone."""
    held = "update seeds.sample_figures set row_count = row_count + 1 where table_name = ?"
    assert [(name, finding) for name, *_, finding in findings(sample, held, table)] == [
        (figure, "its table has not the rows of the sample, and the sales lines have")
    ]
    assert findings(sample, "update seeds.sample_figures set row_count = row_count + 1") == []


def test_sales_are_exact_by_line_and_by_basket(sample: DbtProject):
    total = Decimal("4596039.58")
    assert sample.fetch("select count(*), sum(net_sales_usd) from marts.fct_sales_lines") == [
        (1_469_307, total)
    ]
    assert sample.fetch(
        "select count(*), sum(line_count), sum(net_sales_usd) from marts.fct_baskets"
    ) == [(155_848, 1_469_307, total)]
    assert sample.fetch("select sum(net_sales_usd) from marts.fct_household_months") == [(total,)]


def test_promotions_are_one_row_a_product_store_and_week(sample: DbtProject):
    assert sample.fetch("select count(*) from marts.fct_promotion_weeks") == [(20_927_744,)]
    assert sample.fetch("select count(*) from raw_promotion_feed.promotions") == [(20_940_529,)]


def written(project: DbtProject, table: str) -> list[tuple]:
    """Rows, and a sum over DuckDB's number of each, which changes when rows are written again."""
    return project.fetch(f"select count(*), bit_xor(hash(rowid, t)) from marts.{table} as t")


def test_second_build_writes_no_row(sample: DbtProject, tmp_path: Path):
    before = [written(sample, table) for table in INCREMENTAL]
    # What dbt said of the first one is for others to read.
    target = str(tmp_path)
    sample.dbt("--warn-error", "run", "--select", *INCREMENTAL, DBT_TARGET_PATH=target)
    assert [written(sample, table) for table in INCREMENTAL] == before
