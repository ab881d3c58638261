"""A small online shop beside the small company: its raw tables, as dlt would leave them.

Its numbers are those of the company: customers 101 and 102 are households 101 and 102 there, order
1001 is a basket and item 31 a product. It has orders at night around both daylight-saving changes,
cancelled and refunded ones, one without a customer, an item on two lines of one order, and an item
that the catalog lacks.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb

BOTH = ("--vars", "{source_systems: [retail_db, online_shop]}")
ALONE = ("--vars", "{source_systems: [online_shop]}")

Shop = dict[str, list[tuple]]

COLUMNS = {
    "customers": "id bigint, email text, created_at text",
    "items": "id bigint, title text, category text, own_brand bool",
    "orders": "id bigint, customer_id bigint, placed_at text, status text",
    "order_items": (
        "order_id bigint, line_number bigint, item_id bigint, quantity bigint,"
        " list_price_cents bigint, discount_cents bigint"
    ),
}
CONTROLS = """
    table_name text, measure text, column_name text, value text, counted_at timestamptz,
    _dlt_load_id text, _dlt_id text
"""
LOADS = "load_id text, schema_name text, status bigint, inserted_at timestamptz"
# How many of the first columns are the key.
KEYS = {"customers": 1, "items": 1, "orders": 1, "order_items": 2}

# Of orders that are sales: date in New York to (net, gross) in dollars.
SALES = {
    "2017-03-04": ("31.99", "34.49"),
    "2017-03-12": ("3.10", "3.10"),
    "2017-03-13": ("5.00", "5.00"),
    "2017-06-15": ("9.99", "9.99"),
    "2017-11-05": ("1.00", "1.25"),
}


def online_shop() -> Shop:
    """Give the rows of the four tables."""
    return {
        "customers": [
            (number, f"c{number}@example.com", "2016-11-20T10:00:00Z")
            for number in (101, 102, 103, 104)
        ],
        "items": [
            (1, "Oat bar", "GROCERY", False),
            (2, "Soap", "BEAUTY", True),
            (3, "Surprise", None, True),
            (4, "Never sold", "GROCERY", False),
        ],
        "orders": [
            # 21:14 on the evening before, in New York.
            (1001, 101, "2017-03-05T02:14:09Z", "paid"),
            # The last second before the clocks go forward; nobody's account.
            (1002, None, "2017-03-12T06:59:59Z", "paid"),
            # Half an hour past midnight, in summer time.
            (1003, 102, "2017-03-13T04:30:00Z", "paid"),
            (1004, 102, "2017-03-20T15:00:00Z", "cancelled"),
            (1005, 101, "2017-06-15T12:00:00Z", "paid"),
            # The last night of summer time.
            (1006, 101, "2017-11-05T04:30:00Z", "paid"),
            (1007, 103, "2017-11-06T04:30:00Z", "refunded"),
        ],
        "order_items": [
            (1001, 1, 1, 2, 1999, 200),
            (1001, 2, 1, 1, 1000, 0),
            (1001, 3, 2, 1, 450, 50),
            (1002, 1, 31, 1, 310, 0),
            (1003, 1, 2, 1, 500, 0),
            (1004, 1, 1, 5, 5000, 500),
            (1005, 1, 1, 1, 999, 0),
            (1006, 1, 3, 1, 125, 25),
            (1007, 1, 2, 1, 500, 0),
        ],
    }


def load_online_shop(warehouse: Path, shop: Shop, load_id: str | None = None) -> None:
    """Load as dlt does: rows are added and replaced by key, and name the load that brought them."""
    load_id = load_id or str(time.time())
    now = datetime.now(UTC)
    with duckdb.connect(warehouse) as connection:
        connection.execute("create schema if not exists raw_online_shop")
        create = "create table if not exists raw_online_shop."
        connection.execute(f"{create}_dlt_loads ({LOADS})")
        connection.execute(f"{create}load_control_totals ({CONTROLS})")
        for table, columns in COLUMNS.items():
            relation = f"raw_online_shop.{table}"
            connection.execute(f"{create}{table} ({columns}, _dlt_load_id text, _dlt_id text)")
            names = [column.split()[0] for column in columns.split(", ")]
            listed = ", ".join(names)
            held = set(connection.execute(f"select {listed} from {relation}").fetchall())
            key = " and ".join(f"{name} = ?" for name in names[: KEYS[table]])
            for row in [row for row in shop[table] if row not in held]:
                connection.execute(f"delete from {relation} where {key}", row[: KEYS[table]])
                marks = ", ".join("?" for _ in [*names, load_id, "id"])
                connection.execute(f"insert into {relation} values ({marks})", [*row, load_id, "x"])
            counts = [("row_count", None, "count(*)")]
            if table == "order_items":
                counts += [("amount_sum", name, f"sum({name})") for name in names[3:]]
            for measure, column, expression in counts:
                (value,) = connection.execute(f"select {expression} from {relation}").fetchone()
                connection.execute(
                    "insert into raw_online_shop.load_control_totals values (?, ?, ?, ?, ?, ?, ?)",
                    [table, measure, column, str(value), now, load_id, "x"],
                )
        connection.execute(
            "insert into raw_online_shop._dlt_loads values (?, 'online_shop', 0, ?)",
            [load_id, now],
        )
