"""Rows that break a rule of their table: set aside, never loaded and never lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta

import duckdb
import pytest
from bench import BY_NAME, ROOT, Bench, raw

from ingestion.__main__ import main
from ingestion.errors import LoadError
from ingestion.tables import FIRST_WEEK_STARTS, Table

# The small company's tables are small: one row is more than a hundredth of them.
LENIENT = {name: replace(table, quarantine_limit=0.5) for name, table in BY_NAME.items()}
TABLES = tuple(LENIENT.values())


def with_rules(name: str, rules: Mapping[str, str], **changes: object) -> Table:
    return replace(LENIENT[name], rules=rules, **changes)


def quarantine(bench: Bench, source: str = "retail_db") -> list[tuple[str, str, dict]]:
    """Table, rule and values of what is in quarantine."""
    return [
        (table, rule, json.loads(row))
        for table, rule, row in bench.query(
            f"select table_name, rule, row_values from raw_{source}.quarantine order by all"
        )
    ]


def load_ids(bench: Bench, source: str = "retail_db") -> list[str]:
    return [
        load_id
        for (load_id,) in bench.query(
            f"select _dlt_load_id from raw_{source}.quarantine order by row_values::varchar"
        )
    ]


def latest_line(bench: Bench) -> dict[str, object]:
    """A line within every look-back."""
    return max(bench.company["transactions"], key=lambda line: line["transaction_timestamp"])


def assert_nothing_lost(bench: Bench, loaded: Mapping[str, object]) -> None:
    """Rows at the source are rows in the table and rows in quarantine."""
    for name, item in loaded.items():
        (rows,) = bench.query(f"select count(*) from {raw(name)}")[0]
        (set_aside,) = bench.query(
            f"select count(*) from raw_{BY_NAME[name].source}.quarantine"
            f" where table_name = '{name}'"
        )[0]
        assert (item.in_warehouse, item.quarantined) == (rows, set_aside)
        assert item.at_source == rows + set_aside, name


# Which rows


@pytest.mark.parametrize(
    "change, rule",
    [
        ({"sales_value": -0.01}, "no amount is negative"),
        ({"coupon_disc": -5.0}, "no amount is negative"),
        ({"sales_value": None}, "no amount is negative"),
        ({"quantity": -1}, "the quantity is not negative"),
        ({"quantity": None}, "the quantity is not negative"),
        ({"product_id": None}, "the primary key is not null"),
        ({"basket_id": None}, "the primary key is not null"),
    ],
    ids=str,
)
def test_a_row_that_breaks_a_rule_of_the_company_is_set_aside(
    bench: Bench, change: dict[str, object], rule: str
):
    line = latest_line(bench)
    line.update(change)
    bench.write_source()
    outcome = bench.load(tables=TABLES)
    ((table, broken, values),) = quarantine(bench)
    assert (table, broken) == ("transactions", rule)
    for column, value in change.items():
        assert values[column] == (None if value is None else str(value))
    assert outcome["transactions"].quarantined == 1
    assert_nothing_lost(bench, outcome)


def test_a_row_that_lost_its_key_is_set_aside_and_the_one_held_is_named(loaded: Bench):
    line = latest_line(loaded)
    day = line["transaction_timestamp"].date()
    line["product_id"] = None
    loaded.write_source()
    outcome = loaded.load(tables=TABLES)["transactions"]
    assert outcome.quarantined == 1
    assert [(found.day, found.held - found.at_source) for found in outcome.differing] == [(day, 1)]
    reconciled = loaded.load(tables=TABLES, reconcile=True)
    assert reconciled["transactions"].differing == ()
    assert_nothing_lost(loaded, reconciled)


@pytest.mark.parametrize("days", [-365 * 20, 365 * 20])
@pytest.mark.parametrize(
    ("name", "column", "rule"),
    [
        (
            "transactions",
            "transaction_timestamp",
            "it was sold in this century, and not after tomorrow",
        ),
        (
            "coupon_redemptions",
            "redemption_date",
            "it was redeemed in this century, and not after tomorrow",
        ),
        (
            "campaign_descriptions",
            "start_date",
            "it starts in this century and ends later, in it",
        ),
    ],
)
def test_a_date_out_of_range_is_set_aside(
    bench: Bench, name: str, column: str, rule: str, days: int
):
    bench.company[name][0][column] += timedelta(days=days)
    bench.write_source()
    outcome = bench.load(tables=[replace(BY_NAME[name], quarantine_limit=1.0)])
    assert [(table, broken) for table, broken, _ in quarantine(bench)] == [(name, rule)]
    assert_nothing_lost(bench, outcome)


def test_a_date_out_of_range_leaves_the_cursor_where_it_is(loaded: Bench):
    line = latest_line(loaded)
    loaded.company["transactions"].append(
        line
        | {
            "basket_id": 777_777,
            "transaction_timestamp": line["transaction_timestamp"] + timedelta(days=365 * 20),
        }
    )
    loaded.write_source()
    assert loaded.load(tables=TABLES)["transactions"].quarantined == 1
    later = line["transaction_timestamp"] + timedelta(days=1)
    loaded.company["transactions"].append(
        line | {"basket_id": 888_888, "transaction_timestamp": later}
    )
    loaded.write_source()
    outcome = loaded.load(tables=TABLES)
    assert outcome["transactions"].written == 1
    assert_nothing_lost(loaded, outcome)


@pytest.mark.parametrize(
    "rule, value, is_set_aside",
    [
        (
            "try_cast(package_size as decimal(9, 2)) is not null or package_size is null",
            "12",
            False,
        ),
        (
            "try_cast(package_size as decimal(9, 2)) is not null or package_size is null",
            "12 OZ",
            True,
        ),
        ("brand in ('USD', 'EUR')", "EUR", False),
        ("brand in ('USD', 'EUR')", "XYZ", True),
        # What is not known is not true.
        ("brand in ('USD', 'EUR')", None, True),
        ("package_size >= '5'", None, True),
        ("package_size is null or package_size >= '5'", None, False),
    ],
)
def test_a_row_is_set_aside_where_a_declared_rule_is_not_true(
    bench: Bench, rule: str, value: str | None, is_set_aside: bool
):
    for product in bench.company["products"]:
        product.update(brand="EUR", package_size="7")
    bench.company["products"][3].update({"brand" if "brand" in rule else "package_size": value})
    bench.write_source()
    table = with_rules("products", {"it is one of those known": rule})
    outcome = bench.load(tables=[table])
    found = quarantine(bench)
    assert [(name, rule) for name, rule, _ in found] == (
        [("products", "it is one of those known")] if is_set_aside else []
    )
    assert_nothing_lost(bench, outcome)


def test_all_rows_of_a_key_that_is_there_twice_are_set_aside(bench: Bench):
    target = bench.company["campaigns"][0]
    bench.company["campaigns"] += [dict(target), dict(target)]
    bench.write_source()
    outcome = bench.load(tables=TABLES)
    assert [(name, rule) for name, rule, _ in quarantine(bench)] == [
        ("campaigns", "the primary key is unique")
    ] * 3
    assert_nothing_lost(bench, outcome)
    assert tuple(target.values()) not in bench.rows("campaigns")


def test_a_rule_that_its_columns_cannot_be_asked_is_one_line(bench: Bench):
    table = with_rules("products", {"it is red": "colour = 'red'"})
    with pytest.raises(LoadError) as error:
        bench.load(tables=[table])
    (line,) = str(error.value).splitlines()
    assert "retail_db.products" in line
    assert "colour" in line
    assert "ingestion/tables.py" in line
    assert not bench.warehouse.exists()


# What is kept of them


def test_quarantine_keeps_every_value_exactly(bench: Bench):
    name = 'Ünï "quoted" \'x\', ₿ 漢字 \\ \n {"a": 1}'
    bench.company["products"][2].update(
        department=name, brand=None, product_category="", package_size="bad"
    )
    bench.write_source()
    bench.load(
        tables=[with_rules("products", {"no size is bad": "package_size is distinct from 'bad'"})]
    )
    ((_, _, values),) = quarantine(bench)
    assert values == {
        column: None if value is None else str(value)
        for column, value in bench.company["products"][2].items()
    }


def test_control_totals_say_how_much_is_in_quarantine(bench: Bench):
    bench.company["transactions"][5].update(sales_value=-2.5, retail_disc=1.25)
    bench.write_source()
    bench.load(tables=TABLES)
    found = bench.query(
        "select measure, column_name, cast(value as decimal(9, 2))::varchar"
        " from raw_retail_db.load_control_totals"
        " where table_name = 'transactions' and starts_with(measure, 'quarantined') order by all"
    )
    assert len(found) == 6
    assert ("quarantined_amount_sum", "sales_value", "-2.50") in found
    assert ("quarantined_amount_sum", "retail_disc", "1.25") in found
    assert ("quarantined_row_count", None, "1.00") in found


# How they leave and come


def test_a_row_that_is_still_wrong_keeps_the_load_that_found_it(loaded: Bench):
    line = latest_line(loaded)
    line["quantity"] = -1
    loaded.write_source()
    loaded.load(tables=TABLES)
    (first,) = load_ids(loaded)
    assert loaded.load(tables=TABLES)["transactions"].quarantined == 1
    assert load_ids(loaded) == [first]
    line["quantity"] = -2
    loaded.write_source()
    loaded.load(tables=TABLES)
    (later,) = load_ids(loaded)
    assert later > first


def test_a_row_that_went_bad_leaves_the_table_and_a_mended_one_comes_back(loaded: Bench):
    before = loaded.rows("transactions")
    line = latest_line(loaded)
    quantity, line["quantity"] = line["quantity"], -1
    loaded.write_source()
    bad = loaded.load(tables=TABLES)
    assert bad["transactions"].deleted == 1
    assert sum(loaded.rows("transactions").values()) == sum(before.values()) - 1
    assert_nothing_lost(loaded, bad)

    line["quantity"] = quantity
    loaded.write_source()
    mended = loaded.load(tables=TABLES)
    assert mended["transactions"].written == 1
    assert quarantine(loaded) == []
    assert loaded.rows("transactions") == before
    assert_nothing_lost(loaded, mended)


def test_a_bad_row_outside_the_look_back_stays_in_quarantine(bench: Bench):
    bench.company["transactions"][0]["quantity"] = -1
    bench.write_source()
    bench.load(tables=TABLES)
    again = bench.load(tables=TABLES)
    assert again["transactions"].quarantined == 1
    assert again["transactions"].differing == ()
    assert_nothing_lost(bench, again)


def test_a_row_outside_the_look_back_that_is_mended_comes_back_by_a_reconciliation(bench: Bench):
    line = bench.company["transactions"][0]
    line["quantity"] = -1
    bench.write_source()
    bench.load(tables=TABLES)
    # Rows and amounts are as before.
    line["quantity"] = 1
    bench.write_source()
    assert bench.load(tables=TABLES)["transactions"].quarantined == 1
    mended = bench.load(tables=TABLES, reconcile=True)
    assert mended["transactions"].quarantined == 0
    assert_nothing_lost(bench, mended)
    assert bench.rows("transactions") == bench.source_rows("transactions")


def test_a_late_row_that_breaks_a_rule_goes_to_the_quarantine_by_a_reconciliation(loaded: Bench):
    line = min(loaded.company["transactions"], key=lambda line: line["transaction_timestamp"])
    loaded.company["transactions"].append(line | {"basket_id": 777_777, "quantity": -1})
    loaded.write_source()
    assert len(loaded.load(tables=TABLES)["transactions"].differing) == 1
    for _ in range(2):
        reconciled = loaded.load(tables=TABLES, reconcile=True)
        assert reconciled["transactions"].differing == ()
        assert reconciled["transactions"].quarantined == 1
        assert_nothing_lost(loaded, reconciled)


def double(bench: Bench, place: int) -> tuple[dict[str, object], dict[str, object]]:
    """Let the key of a line be there twice before the first load; give both lines."""
    line = sorted(bench.company["transactions"], key=lambda line: line["transaction_timestamp"])[
        place
    ]
    copy = line | {"transaction_timestamp": line["transaction_timestamp"] - timedelta(days=9)}
    bench.company["transactions"].append(copy)
    bench.write_source()
    assert bench.load(tables=TABLES)["transactions"].quarantined == 2
    return line, copy


@pytest.mark.parametrize("way", ["lost", "mended"])
def test_a_key_that_is_not_duplicate_any_more_comes_in_before_the_look_back(bench: Bench, way: str):
    line, copy = double(bench, 300)
    if way == "lost":
        bench.company["transactions"].remove(copy)
    else:
        # Rows and amounts of both days are as before.
        copy["basket_id"] = 888_888
    # What is new comes in, too.
    lines = bench.company["transactions"]
    latest = max(row["transaction_timestamp"] for row in lines)
    changed = next(row for row in lines if row["transaction_timestamp"] == latest)
    changed["quantity"] += 1
    lines.append(line | {"basket_id": 999_999, "transaction_timestamp": latest + timedelta(days=2)})
    bench.write_source()
    said = bench.load(tables=TABLES, dry_run=True)["transactions"]
    outcome = bench.load(tables=TABLES)
    assert outcome["transactions"].quarantined == said.quarantined == 0
    assert outcome["transactions"].differing == ()
    assert_nothing_lost(bench, outcome)
    assert bench.rows("transactions") == bench.source_rows("transactions")
    # It is read as ever after that.
    assert bench.load(tables=TABLES)["transactions"].written == 0


def test_a_key_that_becomes_duplicate_across_the_look_back_loses_no_row(loaded: Bench):
    lines = loaded.company["transactions"]
    early = min(lines, key=lambda line: line["transaction_timestamp"])
    latest = max(line["transaction_timestamp"] for line in lines)
    lines.append(early | {"transaction_timestamp": latest})
    loaded.write_source()
    outcome = loaded.load(tables=TABLES)
    assert [rule for _, rule, _ in quarantine(loaded)] == ["the primary key is unique"] * 2
    assert outcome["transactions"].differing == ()
    assert_nothing_lost(loaded, outcome)


def test_no_other_day_is_reconciled_with_a_key_that_is_not_duplicate_any_more(bench: Bench):
    _, copy = double(bench, 300)
    early = min(bench.company["transactions"], key=lambda row: row["transaction_timestamp"])
    early["sales_value"] += 1
    copy["basket_id"] = 888_888
    bench.write_source()
    outcome = bench.load(tables=TABLES)["transactions"]
    assert outcome.quarantined == 0
    assert [day.day for day in outcome.differing] == [early["transaction_timestamp"].date()]


def test_a_key_that_is_duplicate_still_stays_with_its_day_unread(bench: Bench):
    double(bench, 300)
    ids = bench.load_ids("transactions")
    again = bench.load(tables=TABLES)["transactions"]
    assert (again.quarantined, again.written) == (2, 0)
    assert bench.load_ids("transactions") == ids


def test_a_replaced_table_with_a_bad_row_is_left_alone_while_nothing_changes(bench: Bench):
    table = with_rules("campaign_descriptions", {"it is of type A": "campaign_type <> 'X'"})
    bench.company["campaign_descriptions"][0]["campaign_type"] = "X"
    bench.write_source()
    assert_nothing_lost(bench, bench.load(tables=[table]))
    ids = bench.load_ids("campaign_descriptions")
    again = bench.load(tables=[table])
    assert again["campaign_descriptions"].written == 0
    assert bench.load_ids("campaign_descriptions") == ids
    assert_nothing_lost(bench, again)
    # Only what is in quarantine changed.
    bench.company["campaign_descriptions"][0]["campaign_type"] = "A"
    bench.write_source()
    mended = bench.load(tables=[table])
    assert quarantine(bench) == []
    assert_nothing_lost(bench, mended)


def test_bad_promotions_are_set_aside_week_by_week(loaded: Bench):
    table = with_rules("promotions", {"a place is known": "display_location <> '?'"})
    last = max(row["week"] for row in loaded.company["promotions"])
    good = loaded.company["promotions"][0] | {"week": last + 1}
    loaded.company["promotions"] += [good, good | {"display_location": "?"}]
    loaded.write_source()
    outcome = loaded.load(tables=[table])
    assert outcome["promotions"].written == 1
    assert len(quarantine(loaded, "promotion_feed")) == 1
    assert_nothing_lost(loaded, outcome)
    assert_nothing_lost(loaded, loaded.load(tables=[table]))


def test_a_week_that_has_not_begun_is_set_aside(bench: Bench):
    promotion = bench.company["promotions"][0]
    this_week = (date.today() - FIRST_WEEK_STARTS).days // 7 + 1
    weeks = [0, this_week, this_week + 2, 2**62]
    bench.company["promotions"] += [promotion | {"week": week} for week in weeks]
    bench.write_source()
    outcome = bench.load()
    assert_nothing_lost(bench, outcome)
    rule = "the week is one that has begun by tomorrow"
    assert sorted(
        (told, int(row["week"])) for _, told, row in quarantine(bench, "promotion_feed")
    ) == [(rule, 0), (rule, this_week + 2), (rule, 2**62)]


# The limit


@pytest.mark.parametrize("limit, is_refused", [(0.2, False), (0.15, True), (0.0, True)])
def test_more_than_the_declared_share_refuses_the_load(
    loaded: Bench, limit: float, is_refused: bool
):
    products = loaded.company["products"]
    bad = len(products) // 5
    for product in products[:bad]:
        product["brand"] = "?"
    loaded.write_source()
    table = with_rules("products", {"the brand is known": "brand <> '?'"}, quarantine_limit=limit)
    fingerprint = loaded.fingerprint()
    if not is_refused:
        assert loaded.load(tables=[table])["products"].quarantined == bad
        return
    with pytest.raises(LoadError) as error:
        loaded.load(tables=[table])
    (line,) = str(error.value).splitlines()
    assert "retail_db.products" in line
    assert f"at most {limit:.1%}" in line
    assert f"{bad} of {len(products)}" in line
    assert f"the brand is known: {bad}" in line
    assert loaded.fingerprint() == fingerprint


def test_one_row_alone_is_no_share(loaded: Bench):
    """Else a small table, or a load with little news, could set nothing aside."""
    line = latest_line(loaded)
    later = line["transaction_timestamp"] + timedelta(hours=1)
    bad = line | {"basket_id": 999, "quantity": -1, "transaction_timestamp": later}
    loaded.company["transactions"].append(bad)
    loaded.company["campaign_descriptions"][0]["end_date"] = None
    loaded.write_source()
    outcome = loaded.load()
    assert outcome["transactions"].quarantined == 1
    assert outcome["campaign_descriptions"].quarantined == 1
    assert_nothing_lost(loaded, outcome)
    loaded.company["transactions"].append(bad | {"basket_id": 998})
    loaded.write_source()
    with pytest.raises(LoadError, match=r"expected at most 1\.0% of the rows .* found 2 of"):
        loaded.load()


def test_a_column_may_be_called_as_a_rule_is_inside(bench: Bench):
    products = BY_NAME["products"]
    bench.rewrite("products", "select *, 'x' as broken_rule from source")
    table = replace(
        products,
        columns={**products.columns, "broken_rule": "text"},
        rules={"the product is not the second": "product_id <> 2"},
    )
    outcome = bench.load(tables=[table])["products"]
    assert (outcome.quarantined, outcome.differing) == (1, ())
    ((_, _, row),) = quarantine(bench)
    assert row["broken_rule"] == "x"


# The command


def test_command_shows_what_is_in_quarantine(loaded: Bench):
    assert loaded.command("--quarantine").stdout == "no row is in quarantine\n"
    lines = loaded.company["transactions"]
    # One in more than a hundred of those that the look-back reads again.
    line = latest_line(loaded)
    new = [line | {"basket_id": 900_000 + number, "quantity": 1} for number in range(200)]
    lines += new
    new[7]["quantity"] = -1
    loaded.write_source()
    run = loaded.command()
    assert run.returncode == 0, run.stderr
    assert "make quarantine shows them" in run.stdout
    fingerprint = loaded.fingerprint()
    shown = loaded.command("--quarantine")
    (told,) = shown.stdout.splitlines()
    assert told.startswith("retail_db.transactions  the quantity is not negative  (load ")
    assert '"basket_id":"900007"' in told
    assert shown.returncode == 0
    assert loaded.fingerprint() == fingerprint


def test_quarantine_is_shown_beside_a_reader_and_whichever_systems_are_configured(loaded: Bench):
    with duckdb.connect(loaded.warehouse) as connection:
        connection.execute("create schema if not exists raw_online_shop")
        connection.execute(
            "create table raw_online_shop.quarantine as select 'orders' as table_name,"
            " 'a rule' as rule, '{}' as row_values, '1.0' as _dlt_load_id"
        )
    reader = (
        "import duckdb, subprocess, sys; held = duckdb.connect(sys.argv[1], read_only=True);"
        " sys.exit(subprocess.run([sys.executable, '-m', 'ingestion', '--quarantine']).returncode)"
    )
    run = subprocess.run(
        [sys.executable, "-c", reader, str(loaded.warehouse)],
        cwd=ROOT,
        env=loaded.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == "online_shop.orders  a rule  (load 1.0)  {}\n"


def test_a_table_that_is_asked_for_twice_is_shown_once(loaded: Bench):
    loaded.company["products"][0]["product_id"] = None
    loaded.write_source()
    loaded.load()
    asked = ("--table", "products")
    once = loaded.command("--quarantine", *asked)
    assert len(once.stdout.splitlines()) == 1
    assert loaded.command("--quarantine", *asked, *asked).stdout == once.stdout


def test_a_block_that_cannot_be_read_is_one_line(monkeypatch, capsys, loaded: Bench):
    def shown(*_: object) -> list[str]:
        raise duckdb.IOException("Corrupt database file: computed checksum does not match")

    monkeypatch.setattr("ingestion.quarantine.shown", shown)
    monkeypatch.setenv("TALLY_WAREHOUSE", str(loaded.warehouse))
    monkeypatch.setattr("sys.argv", ["ingestion", "--quarantine"])
    assert main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: warehouse {loaded.warehouse}: expected a DuckDB file that can")
    assert "Corrupt database file" in line


def test_quarantine_without_a_warehouse_is_one_line(bench: Bench):
    run = bench.command("--quarantine")
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert "expected a DuckDB file, found none" in line
    assert not bench.warehouse.exists()
