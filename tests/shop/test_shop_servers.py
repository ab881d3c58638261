"""The servers: what they hold, who may do what, and where they listen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pymysql
import pytest
import servers
import sqlalchemy as sa
from company import small_company
from servers import DatabaseShop, MariaDbShop, PostgresShop

import shop.mysql

TABLES = {
    "transactions",
    "products",
    "demographics",
    "campaigns",
    "campaign_descriptions",
    "coupons",
    "coupon_redemptions",
}

INTEGER, TEXT = "bigint", "text"
MONEY = {"postgresql": "numeric(12,2)", "mysql": "decimal(12,2)"}
MOMENT = {"postgresql": "timestamp without time zone", "mysql": "datetime(6)"}


def columns(kind: str) -> dict[str, dict[str, str]]:
    """What a shop's own database would have."""
    return {
        "transactions": {
            **dict.fromkeys(
                ("household_id", "store_id", "basket_id", "product_id", "quantity"), INTEGER
            ),
            **dict.fromkeys(
                ("sales_value", "retail_disc", "coupon_disc", "coupon_match_disc"), MONEY[kind]
            ),
            "week": INTEGER,
            "transaction_timestamp": MOMENT[kind],
        },
        "products": {
            **dict.fromkeys(("product_id", "manufacturer_id"), INTEGER),
            **dict.fromkeys(
                ("department", "brand", "product_category", "product_type", "package_size"), TEXT
            ),
        },
        "demographics": {
            "household_id": INTEGER,
            **dict.fromkeys(
                (
                    "age",
                    "income",
                    "home_ownership",
                    "marital_status",
                    "household_size",
                    "household_comp",
                    "kids_count",
                ),
                TEXT,
            ),
        },
        "campaigns": dict.fromkeys(("campaign_id", "household_id"), INTEGER),
        "campaign_descriptions": {
            "campaign_id": INTEGER,
            "campaign_type": TEXT,
            "start_date": MOMENT[kind],
            "end_date": MOMENT[kind],
        },
        "coupons": dict.fromkeys(("coupon_upc", "product_id", "campaign_id"), INTEGER),
        "coupon_redemptions": {
            **dict.fromkeys(("household_id", "coupon_upc", "campaign_id"), INTEGER),
            "redemption_date": MOMENT[kind],
        },
    }


PRIMARY_KEYS = {
    "transactions": ["basket_id", "product_id"],
    "products": ["product_id"],
    "demographics": ["household_id"],
    "campaigns": ["campaign_id", "household_id"],
    "campaign_descriptions": ["campaign_id"],
    "coupons": [],
    "coupon_redemptions": ["household_id", "coupon_upc", "campaign_id", "redemption_date"],
}

TYPES_IN_CATALOG = {
    "postgresql": "select relname, attname, format_type(atttypid, atttypmod)"
    " from pg_attribute join pg_class on pg_class.oid = attrelid"
    " where relnamespace = 'public'::regnamespace and relkind = 'r' and attnum > 0"
    " order by attrelid, attnum",
    "mysql": "select table_name, column_name, regexp_replace(column_type, '^bigint.*', 'bigint')"
    " from information_schema.columns where table_schema = 'retail_db'"
    " order by table_name, ordinal_position",
}


def test_tables_are_those_of_a_shop(shop: DatabaseShop):
    shop.load({})
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in shop.execute(TYPES_IN_CATALOG[shop.kind]):
        found.setdefault(table, {})[column] = kind
    assert found == columns(shop.kind)
    assert set(servers.TABLES) == set(PRIMARY_KEYS)

    inspected = sa.inspect(sa.create_engine(shop.owner_url))
    for table, key in PRIMARY_KEYS.items():
        assert inspected.get_pk_constraint(table)["constrained_columns"] == key
    indexed = [index["column_names"] for index in inspected.get_indexes("transactions")]
    assert ["transaction_timestamp"] in indexed


def test_mysql_text_takes_every_character():
    with MariaDbShop() as shop:
        assert shop.execute(
            "select distinct character_set_name from information_schema.columns"
            " where table_schema = 'retail_db' and character_set_name is not null"
        ) == [("utf8mb4",)]


# Who may do what


def reader(shop: DatabaseShop, writes: bool = True) -> Any:
    """The reader's connection; in PostgreSQL, with what it can lift itself."""
    connection = shop.server.connect("tally_reader")
    if shop.kind == "postgresql":
        connection.autocommit = True
        if writes:
            connection.execute("set default_transaction_read_only = off")
    return connection


def test_reader_reads_the_seven_tables(shop: DatabaseShop):
    company = small_company()
    shop.load(company)
    with closing(reader(shop, writes=False)) as connection, connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"select count(*) from {table}")
            assert cursor.fetchone() == (len(company[table]),)


FORBIDDEN = {
    "insert": "insert into products (product_id) values (77)",
    "update": "update products set brand = 'x'",
    "delete": "delete from products",
    "truncate": "truncate table products",
    "drop": "drop table products",
    "alter": "alter table products add column colour text",
    "index": "create index by_brand on campaigns (household_id)",
    "create": "create table notes (note text)",
    "temporary": "create temporary table notes (note text)",
    "view": "create view seen as select * from products",
    "other table": "select * from salaries",
    "schema": "create schema notes",
    "user": "create user friend",
    "grant": "grant select on salaries to tally_reader",
}

FORBIDDEN_OF = {
    "postgresql": {
        "lock": "select * from products for update",
        "function": "create function f() returns int language sql as 'select 1'",
        "large object": "select lo_create(0)",
        "other large object": "select lo_from_bytea(0, 'x')",
        "file": "copy products to '/tmp/tally-products'",
        "program": "copy products to program 'cat'",
        "read file": "select pg_read_file('postgresql.conf')",
        "passwords": "select rolpassword from pg_authid",
        "setting": "alter system set work_mem = '1GB'",
        "owner": "set role shop_owner",
    },
    "mysql": {
        "procedure": "create procedure p() select 1",
        "file": "select * from products into outfile '/tmp/tally-products'",
        "read file": "load data infile '/etc/hostname' into table products",
        "passwords": "select * from mysql.global_priv",
        "setting": "set global max_connections = 1000",
        "lock": "lock tables products write",
        "other database": "create table mysql.notes (note text)",
        "test database": "create table test.notes (note text)",
    },
}

# "Access denied" and "command denied": to a database, a table, or for want of a right.
DENIED_IN_MYSQL = {1044, 1045, 1142, 1227, 1370}


def is_denied(error: Exception) -> bool:
    if isinstance(error, psycopg.Error):
        return isinstance(error, psycopg.errors.InsufficientPrivilege)
    return error.args[0] in DENIED_IN_MYSQL


@pytest.fixture
def filled(shop: DatabaseShop) -> Iterator[DatabaseShop]:
    """The server with a company, and a table that is none of ingestion's business."""
    shop.load(small_company())
    shop.execute("create table salaries (person text, salary numeric(12, 2))")
    shop.execute("insert into salaries values ('Ann', 1)")
    yield shop
    shop.execute("drop table salaries")


def test_reader_can_do_nothing_else(filled: DatabaseShop):
    outcomes = {}
    with closing(reader(filled)) as connection, connection.cursor() as cursor:
        for attempt, statement in {**FORBIDDEN, **FORBIDDEN_OF[filled.kind]}.items():
            try:
                cursor.execute(statement)
                outcomes[attempt] = "allowed"
            except (psycopg.Error, pymysql.Error) as error:
                outcomes[attempt] = "denied" if is_denied(error) else str(error)
    assert {attempt: found for attempt, found in outcomes.items() if found != "denied"} == {}
    assert len(outcomes) >= 21


def test_reader_of_postgresql_is_read_only_besides():
    with PostgresShop() as shop:
        shop.execute("grant insert on products to tally_reader")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            shop.execute_as_reader("insert into products (product_id) values (1)")


def test_reader_gets_to_this_database_alone(filled: DatabaseShop):
    if filled.kind == "postgresql":
        for database in ("postgres", "template1"):
            with pytest.raises(psycopg.OperationalError, match="no pg_hba"):
                filled.server.connect("tally_reader", database)
        rights = filled.execute(
            "select has_database_privilege('tally_reader', datname, right_of)"
            " from pg_database, unnest(array['connect', 'create', 'temporary']) as right_of"
            " where datname <> 'retail_db' and datname <> 'template0'"
        )
        assert len(rights) == 6 and set(rights) == {(False,)}
    else:
        seen = filled.execute_as_reader(
            "select table_schema, table_name from information_schema.tables"
            " where table_schema not in ('information_schema', 'performance_schema')"
        )
        assert sorted(seen) == sorted(("retail_db", table) for table in TABLES)


def connection_without_password(shop: DatabaseShop, user: str, password: str) -> Any:
    place = {"host": "127.0.0.1", "port": shop.port, "user": user, "password": password}
    if shop.kind == "postgresql":
        return psycopg.connect(**place, dbname="retail_db")
    return pymysql.connect(**place)


@pytest.mark.parametrize(
    "user", ["tally_reader", "shop_owner", "postgres", "root", "mysql", "mariadb.sys", ""]
)
def test_nobody_gets_in_without_the_password(shop: DatabaseShop, user: str):
    for password in ("", "tally_reader"):
        with pytest.raises((psycopg.OperationalError, pymysql.OperationalError)):
            connection_without_password(shop, user, password).close()


def test_it_listens_on_this_machine_only(shop: DatabaseShop):
    process = shop.server.running()
    listening = {
        tuple(connection.laddr)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {("127.0.0.1", shop.port)}
    sockets = [
        Path(connection.laddr)
        for connection in process.net_connections("unix")
        if connection.laddr and not connection.raddr
    ]
    # A relative path is one in the data folder, which is the server's alone.
    assert all(not path.is_absolute() for path in sockets)
    assert shop.server.data.stat().st_mode & 0o077 == 0


# What comes through

TEXTS = [
    "naïve café",
    "牛乳 1リットル",
    "حليب",
    "молоко",
    "🥛🧀 👩‍👩‍👧 🇨🇭",
    "e\u0301 combining",
    'it\'s "quoted"',
    '"',
    '""',
    "comma, semicolon; tab\tline\nreturn\r\nend",
    "back\\slash \\N \\n \\",
    "\\N",
    "\\.",
    "NULL",
    "null",
    "",
    " ",
    " blanks around ",
    "100% {curly} $1 %s",
    "x" * 10_000,
    None,
]

MOMENTS = [
    datetime(2017, 6, 1, 12, 34, 56, 123456),
    datetime(2017, 6, 1, 12, 34, 56, 999999),
    datetime(2017, 6, 1, 12, 34, 56),
    datetime(2017, 6, 1),
    # In no hour of New York's, and in two.
    datetime(2017, 3, 12, 2, 30),
    datetime(2017, 11, 5, 1, 30),
    datetime(1999, 12, 31, 23, 59, 59, 1),
    datetime(2038, 1, 19, 3, 14, 8),
    datetime(2999, 12, 31),
]


def read_through_sqlalchemy(shop: DatabaseShop, query: str, *before: str) -> list[tuple]:
    with sa.create_engine(shop.reader_url).connect() as connection:
        for statement in before:
            connection.exec_driver_sql(statement)
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def test_text_comes_through(shop: DatabaseShop):
    products = [
        {
            "product_id": number,
            "manufacturer_id": None,
            "department": text,
            "brand": text,
            "product_category": None,
            "product_type": "",
            "package_size": text,
        }
        for number, text in enumerate(TEXTS)
    ]
    shop.load({"products": products})
    query = (
        "select product_id, manufacturer_id, department, brand, product_category, product_type,"
        " package_size from products order by product_id"
    )
    expected = [tuple(row.values()) for row in products]
    assert shop.execute_as_reader(query) == expected
    assert read_through_sqlalchemy(shop, query) == expected


@pytest.mark.parametrize("timezone", ["+00:00", "-05:00", "+13:00"])
def test_timestamps_are_not_shifted(shop: DatabaseShop, timezone: str):
    shop.load(
        {
            "campaign_descriptions": [
                {"campaign_id": number, "campaign_type": None, "start_date": moment}
                for number, moment in enumerate(MOMENTS)
            ]
        }
    )
    found = read_through_sqlalchemy(
        shop,
        "select start_date, end_date from campaign_descriptions order by campaign_id",
        f"set time_zone = '{timezone}'"
        if shop.kind == "mysql"
        else f"set time zone interval '{timezone}' hour to minute",
    )
    assert found == [(moment, None) for moment in MOMENTS]


def test_amounts_are_decimals_to_the_cent(shop: DatabaseShop):
    amounts = [0.1 + 0.2, 0.29, 1.1 * 3, -0.1 - 0.7, 9_999_999_999.99, 0.0, None]
    largest = 2**63 - 1
    shop.load(
        {
            "transactions": [
                {
                    "basket_id": number,
                    "product_id": largest,
                    "household_id": -largest,
                    "sales_value": amount,
                    "retail_disc": 0.1,
                }
                for number, amount in enumerate(amounts)
            ]
        }
    )
    cents = ["0.30", "0.29", "3.30", "-0.80", "9999999999.99", "0.00"]
    found = shop.execute_as_reader(
        "select product_id, household_id, sales_value, retail_disc, coupon_disc"
        " from transactions order by basket_id"
    )
    assert found == [
        (largest, -largest, cent and Decimal(cent), Decimal("0.10"), None)
        for cent in (*cents, None)
    ]
    assert [str(row[2]) for row in found[:-1]] == cents


def test_row_that_the_database_would_not_hold_as_it_is_is_refused(shop: DatabaseShop):
    # DuckDB's decimals are checked first; a date that no database has gets as far as the server.
    rows = [{"campaign_id": 1, "household_id": 1}, {"campaign_id": 1, "household_id": 1}]
    with pytest.raises(Exception, match=r"(?i)duplicate"):
        shop.load({"campaigns": rows})


def test_small_company_is_there_row_by_row(shop: DatabaseShop):
    company = small_company()
    shop.load(company)
    for table in TABLES:
        expected = [
            tuple(
                Decimal(f"{value:.2f}") if isinstance(value, float) else value
                for value in (row.get(column) for column in columns(shop.kind)[table])
            )
            for row in company[table]
        ]
        found = shop.execute_as_reader(f"select * from {table}")
        assert sorted(found, key=repr) == sorted(expected, key=repr)
    shop.load({"products": company["products"][:3]})
    assert shop.execute("select count(*) from transactions") == [(0,)]
    assert shop.execute("select count(*) from products") == [(3,)]


# The process


def test_it_keeps_its_data_from_one_start_to_the_next(shop: DatabaseShop):
    shop.load(small_company())
    query = "select count(*), sum(sales_value) from transactions"
    before, port = shop.execute_as_reader(query), shop.port

    shop.stop()
    with pytest.raises((psycopg.OperationalError, pymysql.OperationalError)):
        shop.execute(query)
    shop.restart()
    assert (shop.execute_as_reader(query), shop.port) == (before, port)

    process = shop.server.running()
    children = process.children(recursive=True)
    process.kill()
    process.wait(10)
    psutil.wait_procs(children, 10)
    assert shop.server.running() is None
    shop.restart()
    assert shop.execute_as_reader(query) == before


@pytest.mark.parametrize("kind", [PostgresShop, MariaDbShop])
def test_nothing_is_left_when_the_test_fails(kind: type[DatabaseShop]):
    shop = kind()
    with pytest.raises(ZeroDivisionError), shop:
        process, folder = shop.server.running(), shop.server.folder
        assert process.is_running() and folder.exists()
        raise ZeroDivisionError
    assert not process.is_running()
    assert not folder.exists()


def test_without_mariadb_its_tests_are_skipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(shop.mysql, "FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match="MariaDB"), MariaDbShop():
        pass
