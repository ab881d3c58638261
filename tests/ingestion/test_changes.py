"""Updates, deletes and late rows at the source: merged, deleted, or named until they are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import BY_NAME, Bench

from ingestion import reconciliation
from ingestion.errors import LoadError
from ingestion.tables import Table

LINES = [BY_NAME["transactions"]]
# What makes another row.
KEYS = {
    "transactions": "basket_id",
    "coupon_redemptions": "household_id",
    "promotions": "product_id",
}


def dated(bench: Bench, day: date) -> list[dict[str, object]]:
    """The lines of a date in UTC."""
    return [
        line
        for line in bench.company["transactions"]
        if line["transaction_timestamp"].date() == day
    ]


def early_day(bench: Bench) -> date:
    """A date with several lines, long before the look-back."""
    counts: dict[date, int] = {}
    for line in bench.company["transactions"]:
        day = line["transaction_timestamp"].date()
        counts[day] = counts.get(day, 0) + 1
    return next(day for day in sorted(counts) if counts[day] >= 4 and day > date(2017, 2, 1))


def told(bench: Bench, tables: Sequence[Table] = LINES, **options: bool) -> list[tuple]:
    """Load, and give the days that differ after it."""
    differing = bench.load(tables=tables, **options)["transactions"].differing
    return [(day.day, day.at_source, day.held) for day in differing]


# What is missed is named


def test_late_and_changed_and_lost_rows_are_named_by_day_until_they_are_reconciled(loaded: Bench):
    day = early_day(loaded)
    lines = dated(loaded, day)
    late = lines[0] | {"basket_id": 777_777}
    loaded.company["transactions"].append(late)
    changed = dated(loaded, day + timedelta(days=30))[0]
    changed["sales_value"] += 0.01
    lost = dated(loaded, day + timedelta(days=60))[0]
    loaded.company["transactions"].remove(lost)
    loaded.write_source()

    rows = [len(dated(loaded, day + timedelta(days=days))) for days in (0, 30, 60)]
    expected = [
        (day, rows[0], rows[0] - 1),
        (day + timedelta(days=30), rows[1], rows[1]),
        (day + timedelta(days=60), rows[2], rows[2] + 1),
    ]
    assert told(loaded) == expected
    assert told(loaded) == expected

    assert told(loaded, reconcile=True) == []
    assert loaded.rows("transactions") == loaded.source_rows("transactions")
    assert told(loaded) == []


def test_command_names_the_days_and_exits_with_1_until_they_are_reconciled(loaded: Bench):
    day = early_day(loaded)
    loaded.company["transactions"].append(dated(loaded, day)[0] | {"basket_id": 777_777})
    loaded.company["products"][0]["brand"] = "changed"
    loaded.write_source()
    run = loaded.command()
    assert run.returncode == 1
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    rows = len(dated(loaded, day))
    assert "retail_db.transactions" in line
    assert f"{day} ({rows} rows at the source, {rows - 1} here)" in line
    assert "--reconcile" in line
    # Everything else is loaded.
    assert loaded.rows("products") == loaded.source_rows("products")

    run = loaded.command("--reconcile")
    assert run.returncode == 0, run.stderr
    assert loaded.rows("transactions") == loaded.source_rows("transactions")
    assert loaded.command().returncode == 0


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("transactions", "household_id"),
        ("transactions", "store_id"),
        ("coupon_redemptions", "household_id"),
        ("promotions", "product_id"),
        ("promotions", "mailer_location"),
    ],
)
def test_a_correction_that_no_count_and_amount_shows_is_reconciled(
    loaded: Bench, name: str, column: str
):
    tables, rows = [BY_NAME[name]], loaded.company[name]
    earliest = min(rows, key=lambda row: row[BY_NAME[name].cursor])
    earliest[column] = next(row[column] for row in rows if row[column] != earliest[column])
    loaded.write_source()
    assert loaded.load(tables=tables)[name].differing == ()
    before = loaded.load_ids(name)
    outcome = loaded.load(tables=tables, reconcile=True)[name]
    assert outcome.differing == ()
    assert loaded.rows(name) == loaded.source_rows(name)
    assert loaded.load_ids(name) != before
    # Then there is nothing left to reconcile.
    assert loaded.load(tables=tables, reconcile=True)[name].written == 0


def test_reconciled_days_count_as_loaded_anew_and_others_keep_their_load(loaded: Bench):
    before = loaded.load_ids("transactions")
    day = early_day(loaded)
    loaded.company["transactions"].append(dated(loaded, day)[0] | {"basket_id": 777_777})
    loaded.write_source()
    told(loaded, reconcile=True)
    place = list(BY_NAME["transactions"].columns).index("transaction_timestamp")
    # The look-back is read in the same way.
    recent = max(row[place] for row in before).date() - timedelta(days=7)
    for row, load_id in loaded.load_ids("transactions").items():
        is_read = row[place].date() == day or row[place].date() >= recent
        assert (load_id != before.get(row)) == is_read, row


def test_new_rows_are_found_after_a_reconciliation(loaded: Bench):
    day = early_day(loaded)
    loaded.company["transactions"].append(dated(loaded, day)[0] | {"basket_id": 777_777})
    loaded.write_source()
    told(loaded, reconcile=True)
    last = max(line["transaction_timestamp"] for line in loaded.company["transactions"])
    loaded.company["transactions"].append(
        loaded.company["transactions"][0]
        | {"basket_id": 888_888, "transaction_timestamp": last + timedelta(hours=1)}
    )
    loaded.write_source()
    assert told(loaded) == []
    assert loaded.rows("transactions") == loaded.source_rows("transactions")


def test_late_promotions_are_named_by_week_and_reconciled(loaded: Bench):
    tables = [BY_NAME["promotions"]]
    late = loaded.company["promotions"][0] | {"product_id": 4_711}
    loaded.company["promotions"].append(late)
    loaded.write_source()
    (week,) = loaded.load(tables=tables)["promotions"].differing
    assert (week.day, week.at_source - week.held) == (late["week"], 1)
    before = loaded.load_ids("promotions")
    assert loaded.load(tables=tables, reconcile=True)["promotions"].differing == ()
    assert loaded.rows("promotions") == loaded.source_rows("promotions")
    place = list(BY_NAME["promotions"].columns).index("week")
    after = loaded.load_ids("promotions")
    assert {row[place] for row, load_id in after.items() if before.get(row) != load_id} == {
        late["week"]
    }


def test_changes_that_cancel_out_over_the_table_are_named(loaded: Bench):
    """Rows and amounts of the whole table are what they were."""
    day = early_day(loaded)
    moved = dated(loaded, day)[0]
    moved["transaction_timestamp"] -= timedelta(days=5)
    loaded.write_source()
    assert {day_told for day_told, *_ in told(loaded)} == {day, day - timedelta(days=5)}
    assert told(loaded, reconcile=True) == []
    assert loaded.rows("transactions") == loaded.source_rows("transactions")


def test_a_reconciliation_reads_the_look_back_too(loaded: Bench):
    latest = max(loaded.company["transactions"], key=lambda line: line["transaction_timestamp"])
    dated(loaded, early_day(loaded))[0]["sales_value"] += 1
    # Nothing that is counted.
    latest["household_id"] = 999
    loaded.write_source()
    assert told(loaded, reconcile=True) == []
    assert loaded.rows("transactions") == loaded.source_rows("transactions")


@pytest.mark.parametrize("name", ["transactions", "coupon_redemptions", "promotions"])
def test_a_full_refresh_after_a_reconciliation_holds_every_row_once(loaded: Bench, name: str):
    tables, rows = [BY_NAME[name]], loaded.company[name]
    earliest = min(rows, key=lambda row: row[BY_NAME[name].cursor])
    rows.append(earliest | {KEYS[name]: 4_711})
    loaded.write_source()
    loaded.load(tables=tables, reconcile=True)
    outcome = loaded.load(tables=tables, full_refresh=True)[name]
    assert (outcome.written, outcome.differing) == (len(rows), ())
    assert loaded.rows(name) == loaded.source_rows(name)


def test_a_retyped_column_is_taken_over_by_a_full_refresh_after_a_reconciliation(bench: Bench):
    lines = BY_NAME["transactions"]
    table = replace(lines, columns={**lines.columns, "sales_value": "decimal"})

    def write(digits: str) -> None:
        bench.write_source()
        bench.rewrite(
            "transactions",
            f"select * replace (cast(sales_value + 0.0036 as decimal({digits})) as sales_value)"
            " from source",
        )

    write("12,2")
    bench.load(tables=[table])
    bench.company["transactions"][0]["sales_value"] += 1
    write("12,2")
    bench.load(tables=[table], reconcile=True)
    write("14,4")
    assert bench.load(tables=[table], full_refresh=True)["transactions"].differing == ()
    assert bench.rows("transactions") == bench.source_rows("transactions")


@pytest.mark.parametrize(
    ("name", "value"), [("transactions", datetime(2099, 1, 1)), ("promotions", 530)]
)
def test_a_cursor_that_ran_too_far_comes_back_with_its_row(loaded: Bench, name: str, value: object):
    """One typing error, mended later, must not keep what comes after it out."""
    table, rows = replace(BY_NAME[name], rules={}), loaded.company[name]
    latest = max(rows, key=lambda row: row[table.cursor])
    rows.append(latest | {KEYS[name]: 4_711, table.cursor: value})
    loaded.write_source()
    assert loaded.load(tables=[table])[name].written == 1
    rows.pop()
    loaded.write_source()
    assert loaded.load(tables=[table], reconcile=True)[name].differing == ()
    step = 1 if table.cursor == "week" else timedelta(hours=1)
    rows.append(latest | {table.cursor: latest[table.cursor] + step, KEYS[name]: 4_712})
    loaded.write_source()
    outcome = loaded.load(tables=[table])[name]
    assert (outcome.written, outcome.differing) == (1, ())
    assert loaded.rows(name) == loaded.source_rows(name)


@pytest.mark.parametrize("way", ["keys", "reconciliation"])
def test_the_latest_row_may_be_deleted(loaded: Bench, way: str):
    lines = loaded.company["transactions"]
    lines.remove(max(lines, key=lambda line: line["transaction_timestamp"]))
    loaded.write_source()
    table = BY_NAME["transactions"]
    if way == "keys":
        outcome = loaded.load(tables=[replace(table, deletes="keys")])
    else:
        with pytest.raises(LoadError, match="load with --reconcile if rows were deleted there"):
            loaded.load(tables=[table])
        outcome = loaded.load(tables=[table], reconcile=True)
    assert outcome["transactions"].differing == ()
    assert loaded.rows("transactions") == loaded.source_rows("transactions")


def test_a_key_that_is_used_again_after_a_soft_delete_stays(bench: Bench):
    survey = BY_NAME["demographics"]
    table = replace(survey, columns={**survey.columns, "is_deleted": "bool"}, deletes="is_deleted")
    answers = bench.company["demographics"]
    answers.append(answers[0] | {"age": "65+"})
    flags = [True, *[False] * (len(answers) - 1)]
    write_with(bench, "is_deleted", pa.bool_(), flags)
    for _ in range(2):
        outcome = bench.load(tables=[table])["demographics"]
        assert (outcome.in_warehouse, outcome.differing) == (len(answers) - 1, ())


def test_reconciliation_without_differences_writes_nothing(loaded: Bench):
    outcome = loaded.load(reconcile=True)
    assert {item.written for item in outcome.values()} == {0}


def test_a_bad_row_of_a_day_is_reconciled(loaded: Bench):
    table = replace(BY_NAME["transactions"], quarantine_limit=0.9)
    day = early_day(loaded)
    dated(loaded, day)[0]["quantity"] = -1
    dated(loaded, day)[1]["sales_value"] += 1
    loaded.write_source()
    outcome = loaded.load(tables=[table], reconcile=True)["transactions"]
    assert (outcome.quarantined, outcome.differing) == (1, ())
    assert outcome.in_warehouse + 1 == outcome.at_source
    again = loaded.load(tables=[table], reconcile=True)["transactions"]
    assert (again.quarantined, again.differing) == (1, ())


# Deletes


@pytest.mark.parametrize("name", ["products", "demographics", "campaigns"])
def test_rows_whose_key_is_gone_at_the_source_are_deleted(loaded: Bench, name: str):
    before = loaded.load_ids(name)
    gone = loaded.company[name].pop(3)
    loaded.write_source()
    outcome = loaded.load()[name]
    assert (outcome.deleted, outcome.written) == (1, 0)
    assert outcome.in_warehouse == outcome.at_source
    assert loaded.rows(name) == loaded.source_rows(name)
    after = loaded.load_ids(name)
    assert set(before.items()) - set(after.items()) == {
        (tuple(gone.values()), before[tuple(gone.values())])
    }


def test_a_column_may_be_called_as_what_duckdb_calls_a_place(bench: Bench):
    products = BY_NAME["products"]
    table = replace(products, columns={**products.columns, "rowid": "bigint"})

    def write() -> None:
        bench.write_source()
        bench.rewrite("products", "select *, 1::bigint as rowid from source")

    write()
    bench.load(tables=[table])
    gone = bench.company["products"].pop(3)
    write()
    outcome = bench.load(tables=[table])["products"]
    assert (outcome.deleted, outcome.differing) == (1, ())
    assert tuple(gone.values()) not in bench.rows("products")


def test_keys_are_compared_for_a_table_with_a_cursor_too(loaded: Bench):
    table = replace(BY_NAME["transactions"], deletes="keys")
    day = early_day(loaded)
    before = loaded.load_ids("transactions")
    gone = dated(loaded, day)[0]
    loaded.company["transactions"].remove(gone)
    loaded.write_source()
    outcome = loaded.load(tables=[table])["transactions"]
    assert (outcome.deleted, outcome.differing) == (1, ())
    assert loaded.rows("transactions") == loaded.source_rows("transactions")
    assert loaded.load_ids("transactions").items() < before.items()


def test_a_row_that_is_gone_without_a_declared_way_is_told(loaded: Bench):
    table = replace(BY_NAME["demographics"], deletes=None)
    gone = loaded.company["demographics"].pop(3)
    loaded.write_source()
    (whole,) = loaded.load(tables=[table])["demographics"].differing
    assert (whole.at_source, whole.held) == (
        len(loaded.company["demographics"]),
        whole.at_source + 1,
    )
    line = reconciliation.told(table, [whole])
    assert "retail_db.demographics: expected the warehouse to hold" in line
    assert "--table retail_db.demographics --full-refresh" in line
    assert tuple(gone.values()) in loaded.rows("demographics")
    assert loaded.load(tables=[table], full_refresh=True)["demographics"].differing == ()
    assert loaded.rows("demographics") == loaded.source_rows("demographics")


def write_with(bench: Bench, column: str, data_type: pa.DataType, values: list[object]) -> None:
    """Write the survey's answers with one more column."""
    bench.write_source()
    table = pq.read_table(bench.file("demographics"))
    pq.write_table(
        table.append_column(column, pa.array(values, data_type)), bench.file("demographics")
    )


@pytest.mark.parametrize(
    "column, declared, data_type, deleted, live",
    [
        ("is_deleted", "bool", pa.bool_(), True, False),
        ("is_deleted", "bool", pa.bool_(), True, None),
        ("deleted_at", "timestamp", pa.timestamp("us"), datetime(2017, 5, 1), None),
    ],
)
def test_soft_deletes_are_deleted_here(
    bench: Bench, column: str, declared: str, data_type: pa.DataType, deleted: object, live: object
):
    survey = BY_NAME["demographics"]
    table = replace(survey, columns={**survey.columns, column: declared}, deletes=column)
    answers = bench.company["demographics"]
    households = [answer["household_id"] for answer in answers]

    def held() -> set[int]:
        found = bench.query("select household_id from raw_retail_db.demographics")
        assert len(found) == len(set(found))
        return {household for (household,) in found}

    flags = [live] * len(answers)
    # Deleted before the first load.
    flags[0] = deleted
    write_with(bench, column, data_type, flags)
    outcome = bench.load(tables=[table])["demographics"]
    assert held() == set(households[1:])
    assert outcome.at_source == outcome.in_warehouse == len(answers) - 1
    # Deleted later.
    flags[1] = deleted
    write_with(bench, column, data_type, flags)
    outcome = bench.load(tables=[table])["demographics"]
    assert held() == set(households[2:])
    assert (outcome.deleted, outcome.at_source) == (1, outcome.in_warehouse)
    # And there again.
    flags[0] = flags[1] = live
    write_with(bench, column, data_type, flags)
    bench.load(tables=[table])
    assert held() == set(households)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"mode": "replace", "cursor": None, "lookback": timedelta(0)}, "deletes need mode merge"),
        ({"deletes": "quantity"}, "neither bool nor a time"),
        ({"deletes": "removed_at"}, "not among the declared columns"),
    ],
)
def test_deletes_that_cannot_be_are_refused(changes: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        replace(BY_NAME["transactions"], **({"deletes": "keys"} | changes))


@pytest.mark.parametrize("share, is_refused", [(0.5, True), (0.2, False)])
def test_a_table_that_shrinks_below_the_declared_share_is_refused(
    loaded: Bench, share: float, is_refused: bool
):
    table = replace(BY_NAME["coupons"], smallest_share=share)
    coupons = loaded.company["coupons"]
    loaded.company["coupons"] = coupons[: len(coupons) * 3 // 10]
    loaded.write_source()
    if is_refused:
        with pytest.raises(Exception, match="load with --full-refresh if that is all there is"):
            loaded.load(tables=[table])
        assert sum(loaded.rows("coupons").values()) == len(coupons)
    loaded.load(tables=[table], full_refresh=is_refused)
    assert loaded.rows("coupons") == loaded.source_rows("coupons")


@pytest.mark.parametrize("deletes, is_refused", [(None, False), ("keys", True)])
def test_a_reconciliation_goes_on_past_a_table_of_which_it_deletes_nothing(
    loaded: Bench, deletes: str | None, is_refused: bool
):
    table = replace(BY_NAME["demographics"], deletes=deletes)
    answers = len(loaded.company["demographics"])
    del loaded.company["demographics"][answers // 3 :]
    loaded.write_source()
    tables = [table, BY_NAME["products"]]
    if is_refused:
        with pytest.raises(LoadError, match=f"about the {answers} rows"):
            loaded.load(tables=tables, reconcile=True)
    else:
        demographics = loaded.load(tables=tables, reconcile=True)["demographics"]
        # They are named, and stay.
        assert demographics.in_warehouse == answers
        assert [day.at_source for day in demographics.differing] == [answers // 3]


def test_most_rows_deleted_softly_are_refused(bench: Bench):
    survey = BY_NAME["demographics"]
    table = replace(survey, columns={**survey.columns, "is_deleted": "bool"}, deletes="is_deleted")
    answers = len(bench.company["demographics"])
    write_with(bench, "is_deleted", pa.bool_(), [False] * answers)
    bench.load(tables=[table])
    write_with(bench, "is_deleted", pa.bool_(), [True] * (answers - 1) + [False])
    with pytest.raises(LoadError, match=f"found {answers - 1} of {answers}; say in .* which"):
        bench.load(tables=[table], full_refresh=True)
    table = replace(table, smallest_share=0.1)
    assert bench.load(tables=[table])["demographics"].in_warehouse == 1


def test_a_reconciliation_that_would_delete_most_rows_is_refused(loaded: Bench):
    lines = loaded.company["transactions"]
    before = len(lines)
    del lines[: before * 2 // 3]
    loaded.write_source()
    with pytest.raises(LoadError, match=f"about the {before} rows"):
        loaded.load(tables=LINES, reconcile=True)
    assert sum(loaded.rows("transactions").values()) == before
