"""How late rows come is measured by every load, and held against the look-backs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from bench import BY_NAME, Bench

from ingestion import lateness
from ingestion.tables import LATE_ROWS, Table
from ingestion.warehouse import open_warehouse

LINES = [BY_NAME["transactions"]]
DAY = 24 * 60


def greatest(bench: Bench) -> datetime:
    return max(line["transaction_timestamp"] for line in bench.company["transactions"])


def add(bench: Bench, *lates: timedelta) -> None:
    """Add lines that are so late, each a basket of its own, against the latest one there is."""
    latest, lines = greatest(bench), bench.company["transactions"]
    for late in lates:
        lines.append(
            lines[0] | {"basket_id": 700_000 + len(lines), "transaction_timestamp": latest - late}
        )
    bench.write_source()


def measured(bench: Bench) -> list[tuple[int, int]]:
    """Lateness in minutes and rows, over all loads."""
    return bench.query(
        "select lateness_minutes, sum(row_count)::bigint from raw_retail_db._load_lateness"
        " where table_name = 'transactions' group by all order by all"
    )


def shown(bench: Bench, tables: Sequence[Table] = LINES) -> list[str]:
    with open_warehouse(bench.warehouse) as connection:
        return lateness.shown(connection, tables)


def test_new_and_changed_rows_are_measured_against_what_was_held(loaded: Bench):
    add(loaded, timedelta(days=2, minutes=30))
    loaded.load(tables=LINES)
    loaded.company["transactions"][-1]["sales_value"] += 1
    # Of one load none makes another late. A begun minute counts.
    hour = timedelta(hours=1)
    add(loaded, -hour, -2 * hour, 2 * hour, timedelta(days=3, seconds=1))
    loaded.load(tables=LINES)
    assert measured(loaded) == [(0, 2), (120, 1), (2 * DAY + 30, 2), (3 * DAY + 1, 1)]
    # Rows that are read again and are as they were arrive once.
    loaded.load(tables=LINES)
    assert len(measured(loaded)) == 4
    told, *verdicts = shown(loaded)[1:]
    assert told.split() == [
        *("retail_db.transactions", "2", "6", "4", "66.7%"),
        *("3", "d", "1", "min", "3", "d", "1", "min", "7", "d"),
    ]
    assert verdicts == [
        "retail_db.transactions: the look-back covers what was seen",
        lateness.EXPLAINED,
    ]


def test_a_day_that_is_read_whole_makes_no_row_late_that_was_there(loaded: Bench):
    add(loaded, timedelta(days=100))
    assert loaded.load(tables=LINES)["transactions"].written == 0
    written = loaded.load(tables=LINES, reconcile=True)["transactions"].written
    assert written > 1
    assert measured(loaded) == [(100 * DAY, 1)]


@pytest.mark.parametrize(
    "late, is_covered", [(LATE_ROWS, True), (LATE_ROWS + timedelta(seconds=1), False)]
)
def test_the_verdict_says_whether_the_look_back_reaches(
    loaded: Bench, late: timedelta, is_covered: bool
):
    add(loaded, late)
    # The rows beside it are those of a look-back that is read without a difference.
    loaded.load(tables=LINES)
    loaded.load(tables=LINES, reconcile=True)
    run = loaded.command("--lateness", "--table", "transactions")
    assert run.returncode == 0, run.stderr
    (verdict,) = [line for line in run.stdout.splitlines() if ": " in line]
    assert verdict == (
        "retail_db.transactions: the look-back covers what was seen"
        if is_covered
        else "retail_db.transactions: rows came up to 7 d 1 min late, which is more than the"
        " look-back: a load alone misses such rows until --reconcile; declare a longer one in"
        " ingestion/tables.py"
    )


@pytest.mark.parametrize("late_rows, within", [(1, ["0"]), (3, ["5", "h"])])
def test_the_share_within_is_of_all_rows(loaded: Bench, late_rows: int, within: list[str]):
    latest = greatest(loaded)
    add(loaded, *[-timedelta(minutes=number) for number in range(1, 198)])
    lines = loaded.company["transactions"]
    for number in range(late_rows):
        lines.append(
            lines[0]
            | {
                "basket_id": 800_000 + number,
                "transaction_timestamp": latest - timedelta(hours=5),
            }
        )
    loaded.write_source()
    loaded.load(tables=LINES)
    assert shown(loaded)[1].split()[7:-2] == within


def test_a_full_refresh_is_a_first_load_and_what_was_measured_stays(loaded: Bench):
    nothing = (
        "retail_db.transactions: nothing is measured yet: a load after the first one must bring"
        " rows"
    )
    assert shown(loaded) == [nothing, lateness.EXPLAINED]
    add(loaded, timedelta(days=1))
    for options in ({"dry_run": True}, {"full_refresh": True}):
        loaded.load(tables=LINES, **options)
        assert shown(loaded) == [nothing, lateness.EXPLAINED]
    add(loaded, timedelta(days=2))
    loaded.load(tables=LINES)
    loaded.load(tables=LINES, full_refresh=True)
    assert measured(loaded) == [(2 * DAY, 1)]


def test_tables_that_are_read_whole_or_appended_have_no_lateness(loaded: Bench):
    late = loaded.company["promotions"][0] | {"week": 54}
    loaded.company["promotions"].append(late)
    loaded.company["products"][0]["brand"] = "changed"
    loaded.write_source()
    loaded.load()
    for source in ("retail_db", "promotion_feed"):
        assert loaded.query(f"from raw_{source}._load_lateness") == []
    appended = replace(LINES[0], mode="append", lookback=timedelta(0))
    tables = [BY_NAME["promotions"], BY_NAME["products"], appended]
    assert shown(loaded, tables) == [lateness.EXPLAINED]


def test_lateness_without_a_warehouse_is_one_line(bench: Bench):
    run = bench.command("--lateness")
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert "expected a DuckDB file, found none" in line
    assert not bench.warehouse.exists()
