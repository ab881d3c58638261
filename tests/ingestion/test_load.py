"""What one load, and the next, bring into the warehouse."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import duckdb
import pytest
from bench import BY_NAME, TABLES, TIMEZONE, Bench, raw
from company import at_midnight, business_week, sold_at

from ingestion.sample import Sample
from ingestion.tables import LATE_ROWS

MERGED = [table.name for table in TABLES if table.mode == "merge"]
REPLACED = [table.name for table in TABLES if table.mode == "replace"]


def rows_of(table: list[dict[str, object]], name: str) -> Counter[tuple]:
    return Counter(tuple(row[column] for column in BY_NAME[name].columns) for row in table)


# A first load


@pytest.mark.parametrize("name", BY_NAME)
def test_first_load_gives_exactly_the_rows_of_the_source(loaded_once: Bench, name: str):
    assert loaded_once.rows(name) == loaded_once.source_rows(name)
    assert loaded_once.rows(name) == rows_of(loaded_once.company[name], name)


@pytest.mark.parametrize("name", BY_NAME)
def test_first_load_keeps_the_types_of_the_source(loaded_once: Bench, name: str):
    with duckdb.connect() as connection:
        file = connection.sql(f"from read_parquet('{loaded_once.file(name)}')")
        expected = dict(zip(file.columns, map(str, file.types), strict=True))

    found = dict(
        loaded_once.query(
            "select column_name, data_type from duckdb_columns()"
            f" where schema_name || '.' || table_name = '{raw(name)}'"
        )
    )
    assert found == {**expected, "_dlt_load_id": "VARCHAR"}


@pytest.mark.parametrize("name", [*BY_NAME, "load_control_totals"])
def test_every_row_says_which_completed_load_brought_it(loaded_once: Bench, name: str):
    sources = [BY_NAME[name].source] if name in BY_NAME else ["retail_db", "promotion_feed"]
    for source in sources:
        (load_id,) = loaded_once.query(
            f"select load_id from raw_{source}._dlt_loads where status = 0"
        )
        found = loaded_once.query(f"select distinct _dlt_load_id from raw_{source}.{name}")
        assert found == [load_id]


def test_an_empty_source_gives_empty_tables_with_all_columns(bench: Bench, loaded_once: Bench):
    bench.company = {name: [] for name in bench.company}
    bench.write_source()
    written = bench.load()

    assert {item.in_warehouse for item in written.values()} == {0}
    columns = (
        "select schema_name, table_name, column_name, data_type from duckdb_columns()"
        " where starts_with(schema_name, 'raw_') and not starts_with(table_name, '_dlt')"
        " order by all"
    )
    assert bench.query(columns) == loaded_once.query(columns)
    assert bench.totals("promotions") == [
        {("row_count", None): "0", ("cursor_min", "week"): None, ("cursor_max", "week"): None}
    ]


def test_rows_arrive_in_tables_that_were_empty_at_first(bench: Bench, loaded_once: Bench):
    company, bench.company = bench.company, {name: [] for name in bench.company}
    bench.write_source()
    bench.load()

    bench.company = company
    bench.write_source()
    bench.load()
    assert bench.contents() == loaded_once.contents()


def test_outcome_counts_what_was_read_and_written(bench: Bench):
    sizes = {name: len(rows) for name, rows in bench.company.items()}
    loaded = bench.load()
    assert {name: item.at_source for name, item in loaded.items()} == sizes
    assert {name: item.written for name, item in loaded.items()} == sizes
    assert {name: item.in_warehouse for name, item in loaded.items()} == sizes


# Control totals


def test_control_totals_say_what_the_source_counted(loaded_once: Bench):
    lines = loaded_once.company["transactions"]
    (totals,) = loaded_once.totals("transactions")
    times = [line["transaction_timestamp"] for line in lines]
    assert totals.pop(("cursor_min", "transaction_timestamp")) == min(times).isoformat()
    assert totals.pop(("cursor_max", "transaction_timestamp")) == max(times).isoformat()
    assert totals.pop(("row_count", None)) == str(len(lines))
    assert {column: Decimal(value) for (measure, column), value in totals.items()} == {
        column: sum((Decimal(str(line[column])) for line in lines), Decimal(0))
        for column in ("quantity", "sales_value", "retail_disc", "coupon_disc", "coupon_match_disc")
    }
    assert {measure for measure, _ in totals} == {"amount_sum"}


def test_amounts_add_up_exactly_where_doubles_do_not(bench: Bench):
    line = bench.company["transactions"][0]
    bench.company["transactions"] = [
        line | {"basket_id": number, "sales_value": 0.1} for number in range(1000)
    ]
    bench.write_source()
    bench.load(tables=[BY_NAME["transactions"]])
    (totals,) = bench.totals("transactions")
    assert Decimal(totals["amount_sum", "sales_value"]) == Decimal(100)


def test_control_totals_of_tables_without_cursor_and_amounts_are_their_rows(loaded_once: Bench):
    assert loaded_once.totals("coupons") == [{("row_count", None): "41"}]
    assert loaded_once.totals("promotions") == [
        {
            ("row_count", None): str(len(loaded_once.company["promotions"])),
            ("cursor_min", "week"): "1",
            ("cursor_max", "week"): "53",
        }
    ]


def test_every_load_adds_its_control_totals(loaded: Bench):
    loaded.company["products"].append(loaded.company["products"][0] | {"product_id": 900})
    loaded.write_source()
    loaded.load()
    counts = [totals["row_count", None] for totals in loaded.totals("products")]
    assert counts == ["30", "31"]


# The next load


def test_second_load_without_news_writes_no_row(loaded: Bench):
    before = {name: loaded.load_ids(name) for name in BY_NAME}
    outcome = loaded.load()
    assert {name: item.written for name, item in outcome.items()} == dict.fromkeys(BY_NAME, 0)
    assert {name: loaded.load_ids(name) for name in BY_NAME} == before
    # It is a load all the same: freshness and control totals know of it.
    assert len(loaded.query("from raw_retail_db._dlt_loads where status = 0")) == 2
    assert len(loaded.totals("transactions")) == 2


def test_new_rows_arrive_and_all_others_keep_their_load(loaded: Bench):
    before = {name: loaded.load_ids(name) for name in MERGED}
    last = loaded.company["transactions"][-1]
    new = last | {"basket_id": 9001, "transaction_timestamp": sold_at(date(2018, 1, 1), 9)}
    loaded.company["transactions"].append(new)
    loaded.write_source()
    outcome = loaded.load()

    assert outcome["transactions"].written == 1
    assert loaded.rows("transactions") == rows_of(loaded.company["transactions"], "transactions")
    after = {name: loaded.load_ids(name) for name in MERGED}
    (new_row,) = rows_of([new], "transactions")
    assert after["transactions"].pop(new_row) > max(before["transactions"].values())
    assert after == before


def test_no_copy_of_merged_rows_stays_behind(loaded: Bench):
    loaded.company["products"][0]["brand"] = "changed"
    loaded.write_source()
    assert loaded.load()["products"].written == 1
    assert loaded.query("select distinct schema_name from duckdb_tables() order by all") == [
        ("raw_promotion_feed",),
        ("raw_retail_db",),
    ]


def test_late_rows_within_the_lookback_arrive(loaded: Bench):
    lines = loaded.company["transactions"]
    newest = max(line["transaction_timestamp"] for line in lines)
    lines.append(
        lines[0] | {"basket_id": 9001, "transaction_timestamp": newest - timedelta(days=3)}
    )
    # The look-back's first moment is part of it.
    lines.append(lines[0] | {"basket_id": 9002, "transaction_timestamp": newest - LATE_ROWS})
    loaded.write_source()
    assert loaded.load()["transactions"].written == 2
    assert loaded.rows("transactions") == rows_of(lines, "transactions")


def test_rows_later_than_the_lookback_stay_out_and_the_control_totals_show_it(loaded: Bench):
    lines = loaded.company["transactions"]
    newest = max(line["transaction_timestamp"] for line in lines)
    too_late = newest - LATE_ROWS - timedelta(minutes=1)
    lines.append(lines[0] | {"basket_id": 9001, "transaction_timestamp": too_late})
    loaded.write_source()
    outcome = loaded.load()["transactions"]

    assert (outcome.written, outcome.at_source - outcome.in_warehouse) == (0, 1)
    totals = loaded.totals("transactions")[-1]
    counted, total = loaded.query(
        "select count(*), sum(cast(sales_value as decimal(18, 2))) from raw_retail_db.transactions"
    )[0]
    assert int(totals["row_count", None]) == counted + 1
    assert Decimal(totals["amount_sum", "sales_value"]) == total + Decimal(
        str(lines[0]["sales_value"])
    )


def test_changed_row_within_the_lookback_replaces_the_old_one(loaded: Bench):
    lines = loaded.company["transactions"]
    before = loaded.load_ids("transactions")
    (old,) = rows_of([lines[-1]], "transactions")
    lines[-1]["sales_value"] += 1
    (new,) = rows_of([lines[-1]], "transactions")
    loaded.write_source()

    assert loaded.load()["transactions"].written == 1
    assert loaded.rows("transactions") == rows_of(lines, "transactions")
    after = loaded.load_ids("transactions")
    assert after.pop(new) > before.pop(old)
    assert after == before


@pytest.mark.parametrize("was, becomes", [("12 OZ", None), (None, "12 OZ")])
def test_a_value_that_appears_or_disappears_is_a_change(loaded: Bench, was, becomes):
    product = next(row for row in loaded.company["products"] if row["package_size"] == was)
    product["package_size"] = becomes
    loaded.write_source()
    assert loaded.load()["products"].written == 1
    assert loaded.rows("products") == rows_of(loaded.company["products"], "products")


@pytest.mark.parametrize("name", ["products", "demographics", "campaigns"])
def test_tables_without_cursor_take_new_rows_only(loaded: Bench, name: str):
    key = BY_NAME[name].primary_key[0]
    loaded.company[name].insert(0, loaded.company[name][0] | {key: 9001})
    loaded.write_source()
    assert loaded.load()[name].written == 1
    assert loaded.rows(name) == rows_of(loaded.company[name], name)


def test_new_promotion_weeks_are_appended(loaded: Bench):
    before = loaded.load_ids("promotions")
    promotions = loaded.company["promotions"]
    new = [row | {"week": 54} for row in promotions if row["week"] == 53]
    promotions.extend(new)
    loaded.write_source()
    assert loaded.load()["promotions"].written == len(new)
    assert loaded.rows("promotions") == rows_of(promotions, "promotions")
    assert before.items() <= loaded.load_ids("promotions").items()


def test_late_promotions_of_a_loaded_week_stay_out_and_the_control_totals_show_it(loaded: Bench):
    promotions = loaded.company["promotions"]
    promotions.append(promotions[-1] | {"product_id": 9001})
    loaded.write_source()
    outcome = loaded.load()["promotions"]
    assert (outcome.written, outcome.at_source - outcome.in_warehouse) == (0, 1)
    assert loaded.totals("promotions")[-1]["row_count", None] == str(len(promotions))


def test_a_replaced_table_is_taken_over_as_a_whole_when_a_row_has_changed(loaded: Bench):
    before = loaded.load_ids("coupons")
    loaded.company["coupons"][7]["product_id"] = 900
    loaded.write_source()
    outcome = loaded.load()
    assert (outcome["coupons"].written, outcome["campaign_descriptions"].written) == (41, 0)
    assert loaded.rows("coupons") == rows_of(loaded.company["coupons"], "coupons")
    assert min(loaded.load_ids("coupons").values()) > max(before.values())


def test_a_replaced_table_keeps_count_of_exact_duplicates(loaded: Bench):
    coupons = loaded.company["coupons"]
    # As many rows as before, none that was not there before: only how often differs.
    coupons[-1] = coupons[-2]
    loaded.write_source()
    assert loaded.load()["coupons"].written == 41
    assert loaded.rows("coupons") == rows_of(coupons, "coupons")


def test_a_replaced_table_loses_the_rows_that_the_source_lost(loaded: Bench):
    del loaded.company["coupons"][:3]
    loaded.write_source()
    assert loaded.load()["coupons"].in_warehouse == 38
    assert loaded.rows("coupons") == rows_of(loaded.company["coupons"], "coupons")


def test_a_new_column_at_the_source_is_reported_and_not_loaded(loaded: Bench):
    loaded.rewrite("products", "select *, 'red' as colour from source")
    outcome = loaded.load()
    assert outcome["products"].undeclared == ("colour",)
    assert outcome["products"].written == 0
    assert not loaded.query("from duckdb_columns() where column_name = 'colour'")


def test_an_excluded_column_is_neither_loaded_nor_reported(loaded: Bench):
    loaded.rewrite("products", "select *, 'red' as colour from source")
    products = replace(BY_NAME["products"], excluded_columns=("colour",))
    assert loaded.load(tables=[products])["products"].undeclared == ()


# Business dates

# Winter time, summer time, and the days on which one becomes the other.
DAYS = [
    date(2017, 1, 15),
    date(2017, 7, 1),
    date(2017, 3, 11),
    date(2017, 3, 12),
    date(2017, 11, 4),
    date(2017, 11, 5),
]


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_until_ends_the_day_at_midnight_in_the_shop(bench: Bench, day: date):
    line = bench.company["transactions"][0]
    next_day = day + timedelta(days=1)
    inside = [
        line | {"basket_id": 1, "transaction_timestamp": sold_at(day, 0, 0)},
        line | {"basket_id": 2, "transaction_timestamp": sold_at(day, 23, 30)},
    ]
    outside = [
        line | {"basket_id": 3, "transaction_timestamp": sold_at(next_day, 0, 0)},
        line | {"basket_id": 4, "transaction_timestamp": sold_at(next_day, 0, 10)},
    ]
    bench.company["transactions"] = inside + outside
    bench.write_source()
    bench.load(day, [BY_NAME["transactions"]])
    assert bench.rows("transactions") == rows_of(inside, "transactions")


def test_the_time_zone_decides_where_a_day_ends(bench: Bench):
    line = bench.company["transactions"][0]
    bench.company["transactions"] = [
        line | {"transaction_timestamp": sold_at(date(2017, 7, 1), 23, 30)}
    ]
    bench.write_source()
    transactions, day = BY_NAME["transactions"], date(2017, 7, 1)
    counts = {
        zone: Sample(zone, day, bench.source).control_totals(transactions).row_count
        for zone in (TIMEZONE, "UTC", "America/Los_Angeles")
    }
    assert counts == {TIMEZONE: 1, "UTC": 0, "America/Los_Angeles": 1}


def test_until_takes_what_the_company_had_on_that_day(bench: Bench):
    # The day on which campaign 3 starts and business week 24 begins; 4 has not started.
    day = date(2017, 6, 5)
    bench.company["coupon_redemptions"] += [
        bench.company["coupon_redemptions"][0] | {"redemption_date": at_midnight(redeemed)}
        for redeemed in (day, day + timedelta(days=1))
    ]
    bench.write_source()
    bench.load(day)
    for name, condition in {
        "campaign_descriptions": lambda row: row["campaign_id"] in (1, 2, 3),
        "campaigns": lambda row: row["campaign_id"] in (1, 2, 3),
        "coupons": lambda row: row["campaign_id"] in (1, 2, 3),
        "coupon_redemptions": lambda row: row["redemption_date"].date() <= day,
        "promotions": lambda row: row["week"] <= business_week(day),
        "products": lambda row: True,
        "demographics": lambda row: True,
    }.items():
        expected = [row for row in bench.company[name] if condition(row)]
        assert bench.rows(name) == rows_of(expected, name), name


# Full refresh


def test_full_refresh_loads_all_rows_anew(loaded: Bench):
    before = {name: loaded.load_ids(name) for name in BY_NAME}
    outcome = loaded.load(full_refresh=True)
    assert all(item.written == item.at_source for item in outcome.values())
    for name in BY_NAME:
        assert loaded.rows(name) == loaded.source_rows(name)
        assert min(loaded.load_ids(name).values()) > max(before[name].values())


def test_full_refresh_of_one_table_leaves_the_others(loaded: Bench):
    before = {name: loaded.load_ids(name) for name in BY_NAME}
    loaded.load(tables=[BY_NAME["coupons"]], full_refresh=True)
    after = {name: loaded.load_ids(name) for name in BY_NAME}
    assert after.pop("coupons") != before.pop("coupons")
    assert after == before


def test_full_refresh_keeps_the_control_totals_of_earlier_loads(loaded: Bench):
    earlier = {name: loaded.totals(name) for name in BY_NAME}
    loaded.load(tables=[BY_NAME["coupons"]], full_refresh=True)
    assert loaded.totals("coupons") == earlier["coupons"] * 2
    assert loaded.totals("transactions") == earlier["transactions"]


def test_full_refresh_goes_back_to_an_earlier_day_and_on_from_there(loaded: Bench, loaded_once):
    loaded.load(date(2017, 6, 30), full_refresh=True)
    (newest,) = loaded.query("select max(transaction_timestamp) from raw_retail_db.transactions")
    assert newest == (sold_at(date(2017, 6, 30), 23, 30),)

    loaded.load()
    assert loaded.contents() == loaded_once.contents()


def test_full_refresh_of_an_emptied_table_leaves_it_empty(loaded: Bench):
    loaded.company["coupons"] = []
    loaded.company["transactions"] = []
    loaded.write_source()
    loaded.load(full_refresh=True)
    assert (loaded.rows("coupons"), loaded.rows("transactions")) == (Counter(), Counter())


def test_full_refresh_takes_over_a_declared_change(loaded: Bench):
    loaded.rewrite(
        "products",
        "select * replace (cast(product_id as varchar) as product_id), 'red' as colour from source",
    )
    columns = {**BY_NAME["products"].columns, "product_id": "text", "colour": "text"}
    loaded.load(tables=[replace(BY_NAME["products"], columns=columns)], full_refresh=True)
    assert loaded.query(
        "select distinct typeof(product_id), colour from raw_retail_db.products"
    ) == [("VARCHAR", "red")]


# One table of all


def test_a_load_of_some_tables_leaves_the_others(loaded: Bench):
    loaded.company["products"][0]["brand"] = "Private label"
    loaded.company["coupons"].append(loaded.company["coupons"][0])
    loaded.write_source()
    loaded.load(tables=[BY_NAME["products"]])
    assert loaded.rows("products") == rows_of(loaded.company["products"], "products")
    assert len(loaded.query("from raw_retail_db.coupons")) == 41


def test_a_table_loaded_alone_first_is_found_by_the_load_of_all(bench: Bench, loaded_once: Bench):
    bench.load(date(2017, 6, 30), [BY_NAME["transactions"]])
    bench.load()
    assert bench.contents() == loaded_once.contents()
