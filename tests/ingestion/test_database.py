"""Loads from real servers: PostgreSQL, and MariaDB where it is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import duckdb
import pytest
import sqlalchemy as sa
from bench import BY_NAME, ROOT, Bench, raw
from dlt.common.configuration.specs import ConnectionStringCredentials
from environment import ENVIRONMENT
from servers import DatabaseShop, MariaDbShop, PostgresShop

from ingestion.configuration import open_sources
from ingestion.database import LOCK_TIMEOUT, REMEDIES, SECONDS_FOR_A_LOCK, Database
from ingestion.errors import LoadError, remedy
from ingestion.load import load
from ingestion.tables import Table

RETAIL = [table for table in BY_NAME.values() if table.source == "retail_db"]
MONEY = set(BY_NAME["transactions"].amounts) - {"quantity"}

# What every error, log and file is searched for.
MARK = "p4ss-MARK-word"


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresShop]:
    with PostgresShop() as shop:
        yield shop


@pytest.fixture(scope="module")
def mysql() -> Iterator[MariaDbShop]:
    with MariaDbShop() as shop:
        yield shop


@pytest.fixture(params=["postgresql", "mysql"])
def shop(request: pytest.FixtureRequest) -> DatabaseShop:
    """Each kind of server with the small company, whatever a test before it did."""
    return request.getfixturevalue(request.param)


@dataclass
class Loader:
    """Loads a server's tables into the warehouse of a bench."""

    bench: Bench
    shop: DatabaseShop

    def command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.bench.command(*arguments, **{**self.shop.environment, **environment})

    def load(self, tables: list[Table] = RETAIL, **options: bool) -> dict[str, object]:
        with self.sources() as sources:
            outcome = load(tables, sources, self.bench.warehouse, **options)
        return {item.table.name: item for item in outcome}

    def sources(self):
        return _configured(self.shop.environment)

    def refused(self, tables: list[Table] = RETAIL) -> str:
        fingerprint = self.bench.fingerprint()
        with pytest.raises(LoadError) as error:
            self.load(tables)
        (line,) = str(error.value).splitlines()
        assert self.bench.fingerprint() == fingerprint
        return line


class _configured:
    """Opens `retail_db` as environment variables configure it."""

    def __init__(self, environment: dict[str, str]):
        self._environment = environment
        self._opened = open_sources({"retail_db"}, "America/New_York", None)

    def __enter__(self):
        kept = {name: os.environ.get(name) for name in self._environment}
        os.environ.update(self._environment)
        try:
            return self._opened.__enter__()
        finally:
            for name, value in kept.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})

    def __exit__(self, *error: object):
        return self._opened.__exit__(*error)


@pytest.fixture
def loader(bench: Bench, shop: DatabaseShop) -> Loader:
    shop.load(bench.company)
    return Loader(bench, shop)


def money_as_decimal(bench: Bench, name: str) -> Counter[tuple]:
    columns = ", ".join(
        f"cast({column} as decimal(12, 2))" if column in MONEY else column
        for column in BY_NAME[name].columns
    )
    return Counter(bench.query(f"select {columns} from {raw(name)}"))


# The same from everywhere


def test_a_server_gives_the_rows_that_the_sample_gives(loader: Loader, loaded_once: Bench):
    run = loader.command()
    assert run.returncode == 0, run.stderr
    for name in BY_NAME:
        assert money_as_decimal(loader.bench, name) == money_as_decimal(loaded_once, name), name
    types = dict(
        loader.bench.query(
            "select column_name, data_type from duckdb_columns()"
            " where schema_name = 'raw_retail_db' and table_name = 'transactions'"
        )
    )
    assert {types[name] for name in MONEY} == {"DECIMAL(12,2)"}
    assert types["transaction_timestamp"] == "TIMESTAMP"
    # Nothing new: nothing is written.
    assert {item.written for item in loader.load().values()} == {0}


def test_changes_at_the_server_arrive(loader: Loader):
    loader.load()
    last = max(line["transaction_timestamp"] for line in loader.bench.company["transactions"])
    loader.shop.execute(
        "update transactions set sales_value = sales_value + 1 where transaction_timestamp ="
        " (select m from (select max(transaction_timestamp) as m from transactions) as latest)"
    )
    loader.shop.execute(
        "delete from products where product_id = (select m from"
        " (select max(product_id) as m from products) as latest)"
    )
    outcome = loader.load()
    (count,) = loader.bench.query(
        f"select count(*) from {raw('transactions')} where transaction_timestamp = '{last}'"
    )[0]
    assert outcome["transactions"].written == count
    assert outcome["products"].deleted == 1
    # Too late for the look-back.
    ((early,),) = loader.shop.execute("select min(basket_id) from transactions")
    loader.shop.execute(f"update transactions set sales_value = 99 where basket_id = {early}")
    (day, *_) = loader.load()["transactions"].differing
    assert day.at_source == day.held
    assert loader.load(reconcile=True)["transactions"].differing == ()
    assert {
        value
        for (value,) in loader.bench.query(
            f"select sales_value from {raw('transactions')} where basket_id = {early}"
        )
    } == {Decimal(99)}


# Types

TYPED = {
    "postgresql": (
        "id bigint primary key, exact numeric(38, 9), free numeric,"
        " flag boolean, noted text, day date, at timestamp, at_zone timestamptz, weight float8"
    ),
    "mysql": (
        "id bigint primary key, exact decimal(38, 9), free decimal(20, 9),"
        " flag boolean, noted text, day date, at datetime(6), at_zone timestamp(6) null,"
        " weight double"
    ),
}
TYPED_TABLE = Table(
    source="retail_db",
    name="typed",
    columns={
        "id": "bigint",
        "exact": "decimal",
        "free": "decimal",
        "flag": "bool",
        "noted": "text",
        "day": "date",
        "at": "timestamp",
        "at_zone": "timestamp with time zone",
        "weight": "double",
    },
    mode="merge",
    primary_key=("id",),
)


@contextmanager
def table_typed(shop: DatabaseShop, columns: str) -> Iterator[None]:
    """Have an empty table `typed` with these columns."""
    shop.execute(f"create table typed ({columns})")
    try:
        shop.execute(f"grant select on typed to {shop.account}")
        yield
    finally:
        shop.execute("drop table typed")


@pytest.fixture
def typed(loader: Loader) -> Iterator[Loader]:
    with table_typed(loader.shop, TYPED[loader.shop.kind]):
        yield loader


def insert(shop: DatabaseShop, *values: object) -> None:
    shop.execute(f"insert into typed values ({', '.join(['%s'] * len(values))})", values)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_types_survive_exactly_in_any_time_zone(
    typed: Loader, zone: str, monkeypatch: pytest.MonkeyPatch
):
    greatest = "12345678901234567890123456789.123456789"
    text = 'Grüße 漢字 Ω 🛒 "quoted" \\ \n\t'
    insert(
        typed.shop,
        1,
        greatest,
        "0.000000001",
        True,
        text,
        "2017-02-28",
        "2017-03-12 02:30:00.123456",
        "2017-11-05 05:59:59.999999",
        0.1,
    )
    insert(
        typed.shop,
        2,
        "-0.5",
        "-1",
        False,
        "",
        "1999-12-31",
        "1999-12-31 23:59:59",
        "2000-01-01 00:00:00",
        -1e300,
    )
    insert(typed.shop, 2**63 - 1, *[None] * 8)
    insert(typed.shop, -(2**63), *[None] * 8)
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        typed.load([TYPED_TABLE])
    finally:
        monkeypatch.undo()
        time.tzset()
    found = typed.bench.query(
        'select id, exact::varchar, free::varchar, flag, noted, day::varchar, "at"::varchar,'
        " timezone('UTC', at_zone)::varchar, weight from raw_retail_db.typed order by id"
    )
    assert found == [
        (-(2**63), *[None] * 8),
        (
            1,
            greatest,
            "0.000000001",
            True,
            text,
            "2017-02-28",
            "2017-03-12 02:30:00.123456",
            "2017-11-05 05:59:59.999999",
            0.1,
        ),
        (
            2,
            "-0.500000000",
            "-1.000000000",
            False,
            "",
            "1999-12-31",
            "1999-12-31 23:59:59",
            "2000-01-01 00:00:00",
            -1e300,
        ),
        (2**63 - 1, *[None] * 8),
    ]
    # A second load sees that they are the same.
    assert typed.load([TYPED_TABLE])["typed"].written == 0


def one_column(data_type: str) -> Table:
    amounts = ("held",) if data_type == "double" else ()
    return replace(TYPED_TABLE, columns={"id": "bigint", "held": data_type}, amounts=amounts)


@pytest.mark.parametrize(
    ("kind", "column", "value", "data_type", "expected"),
    [
        ("postgresql", "uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "text",
         "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("postgresql", "mood", "sad", "text", "sad"),
        ("postgresql", "usd", "12.34", "decimal", Decimal("12.34")),
        ("postgresql", "real", "16777217", "double", 16777216.0),
        ("postgresql", "real", "1234567.1", "double", 1234567.125),
        ("postgresql", "double precision", "1234567890.1234567", "double", 1234567890.1234567),
        ("postgresql", "numeric(50, 2)", "9" * 36 + ".99", "decimal", Decimal("9" * 36 + ".99")),
        ("postgresql", "timestamp", "9999-12-31 23:59:59.999999", "timestamp",
         datetime(9999, 12, 31, 23, 59, 59, 999999)),
        ("postgresql", "date", "0001-01-01", "date", date(1, 1, 1)),
        ("mysql", "float", "16777217", "double", 16777216.0),
        ("mysql", "float", "1234567.1", "double", 1234567.125),
        ("mysql", "double", "1234567890.1234567", "double", 1234567890.1234567),
        ("mysql", "set('b', 'a', 'c')", "c,a,b", "text", "b,a,c"),
        ("mysql", "enum('a', 'b')", "b", "text", "b"),
        ("mysql", "decimal(65, 2)", "9" * 36 + ".99", "decimal", Decimal("9" * 36 + ".99")),
        ("mysql", "bigint unsigned", str(2**63 - 1), "bigint", 2**63 - 1),
        ("mysql", "tinyint(1)", "1", "bool", True),
        ("mysql", "tinyint(1)", "0", "bool", False),
        ("mysql", "tinyint(1)", "-2", "bigint", -2),
        ("mysql", "varchar(9) character set latin1", "Grüße", "text", "Grüße"),
    ],
)  # fmt: skip
def test_types_of_a_servers_own_come_as_they_are_held(
    bench: Bench, request: pytest.FixtureRequest, kind: str, column: str, value: str,
    data_type: str, expected: object,
):  # fmt: skip
    shop = request.getfixturevalue(kind)
    if kind == "postgresql":
        shop.execute("drop type if exists mood")
        shop.execute("create type mood as enum ('sad', 'ok')")
        shop.execute("drop domain if exists usd")
        shop.execute("create domain usd as numeric(12, 2)")
    loader, table = Loader(bench, shop), one_column(data_type)
    with table_typed(shop, f"id bigint primary key, held {column}"):
        shop.execute("insert into typed values (1, %s), (2, null)", [value])
        loader.load([table])
        found = bench.query("select held from raw_retail_db.typed order by id")
        # The warehouse holds what the server does: nothing is written again.
        again = loader.load([table])["typed"]
    assert found == [(expected,), (None,)]
    assert (again.written, again.differing) == (0, ())


# Columns of texts as real schemas have them, each with a value, by table: MariaDB's rows have room
# for 65,535 bytes.
MANY_LABELS = ", ".join(f"'label number {number:05d}'" for number in range(300))
FLAGS = [f"flag {number:02d} of many" for number in range(64)]
LONG = "ü" * 65_535
TEXTS = {
    "postgresql": [
        [
            *((f"{kind}({length})", "x" * length)
              for kind in ("char", "varchar") for length in (1, 2, 37, 38, 39, 255, 65_535)),
            ("varchar", LONG),
            ("text", LONG),
            ("many_labels", "label number 00299"),
            ("one_long_label", "x" * 63),
            ("address", "x" * 77),
        ],
    ],
    "mysql": [
        [
            *((f"char({length})", "x" * length) for length in (1, 2, 37, 38, 39, 255)),
            *((f"varchar({length})", "x" * length) for length in (1, 38, 39, 255, 2_000)),
            ("tinytext", "x" * 255),
            ("text character set latin1", "x" * 65_535),
            ("text(65535)", LONG),
            ("mediumtext", LONG),
            ("longtext", LONG),
            (f"enum({MANY_LABELS})", "label number 00299"),
            (f"enum('{'x' * 255}', 'y')", "x" * 255),
            (f"set({', '.join(map(repr, FLAGS))})", ",".join(FLAGS)),
        ],
        [("varchar(16381)", LONG[:16_381])],
        [("varchar(65524) character set latin1", "x" * 65_524)],
    ],
}  # fmt: skip
NEW_TYPES = (
    "drop type if exists many_labels, one_long_label",
    "drop domain if exists address",
    f"create type many_labels as enum ({MANY_LABELS})",
    f"create type one_long_label as enum ('{'x' * 63}')",
    "create domain address as varchar(77)",
)


@pytest.mark.parametrize(
    ("kind", "texts"), [(kind, texts) for kind, tables in TEXTS.items() for texts in tables]
)
def test_texts_of_every_length_come_as_they_are_and_stop_no_load(
    bench: Bench, request: pytest.FixtureRequest, kind: str, texts: list[tuple[str, str]]
):
    shop = request.getfixturevalue(kind)
    if kind == "postgresql":
        for statement in NEW_TYPES:
            shop.execute(statement)
    names = [f"held_{number}" for number in range(len(texts))]
    columns = [f"{name} {column}" for name, (column, _) in zip(names, texts, strict=True)]
    alone = replace(TYPED_TABLE, columns={"id": "bigint"})
    table = replace(alone, columns={"id": "bigint"} | dict.fromkeys(names, "text"))
    loader, values = Loader(bench, shop), tuple(value for _, value in texts)
    with table_typed(shop, f"id bigint primary key, {', '.join(columns)}"):
        insert(shop, 1, *values)
        insert(shop, 2, *[None] * len(values))
        assert loader.load([alone])["typed"].undeclared == tuple(names)
        loader.load([table], full_refresh=True)
        found = bench.query(f"select {', '.join(names)} from raw_retail_db.typed order by id")
        again = loader.load([table])["typed"]
    assert found == [values, (None,) * len(values)]
    assert (again.written, again.differing) == (0, ())


@pytest.mark.parametrize(
    ("kind", "column", "value", "data_type"),
    [
        ("postgresql", "numeric", "0.0000000001", "decimal"),
        ("postgresql", "numeric", "NaN", "decimal"),
        ("postgresql", "numeric", "1e30", "decimal"),
        ("postgresql", "numeric(50, 2)", "9" * 37 + ".99", "decimal"),
        ("postgresql", "numeric", "9" * 44, "decimal"),
        ("postgresql", "numeric", "9" * 200, "decimal"),
        ("mysql", "decimal(65, 2)", "9" * 37 + ".99", "decimal"),
        ("mysql", "bigint unsigned", str(2**63), "bigint"),
        # A number in a column that is declared as bool.
        ("mysql", "tinyint(1)", "2", "bool"),
        ("mysql", "tinyint(1)", "-1", "bool"),
        # Arrow has a number for each of them, and some date.
        ("postgresql", "date", "infinity", "date"),
        ("postgresql", "date", "0001-12-31 BC", "date"),
        ("postgresql", "timestamp", "infinity", "timestamp"),
        ("postgresql", "timestamp", "-infinity", "timestamp"),
        ("postgresql", "timestamp", "10000-01-01", "timestamp"),
        ("postgresql", "timestamptz", "infinity", "timestamp with time zone"),
        ("mysql", "date", "0000-00-00", "date"),
        ("mysql", "date", "2017-02-00", "date"),
        ("mysql", "datetime", "0000-00-00", "timestamp"),
        ("mysql", "timestamp null", "0000-00-00", "timestamp with time zone"),
    ],
)
def test_a_value_that_has_no_place_is_refused_and_not_changed(
    bench: Bench, request: pytest.FixtureRequest, kind: str, column: str, value: str, data_type: str
):
    shop = request.getfixturevalue(kind)
    lax = "set statement sql_mode = '' for " if kind == "mysql" else ""
    with table_typed(shop, f"id bigint primary key, held {column}"):
        shop.execute(f"{lax}insert into typed values (1, %s), (2, null)", [value])
        line = Loader(bench, shop).refused([one_column(data_type)])
    assert line.startswith("table retail_db.typed: column held: expected values of type")
    assert re.search(r"where id 1[ ;]", line)
    assert "mend it at the source" in line


def one_cursor(data_type: str, lookback: timedelta) -> Table:
    columns = {"id": "bigint", "held": data_type}
    return replace(TYPED_TABLE, columns=columns, cursor="held", lookback=lookback)


def test_a_cursor_with_a_time_zone_goes_on_where_it_was(loader: Loader):
    table = one_cursor("timestamp with time zone", timedelta(days=1))
    kind = "timestamptz" if loader.shop.kind == "postgresql" else "timestamp(6) null"
    with table_typed(loader.shop, f"id bigint primary key, held {kind}"):
        loader.shop.execute("insert into typed values (1, '2017-03-01 12:00'), (2, '2017-03-09')")
        assert loader.load([table])["typed"].written == 2
        loader.shop.execute("insert into typed values (3, '2017-03-09 00:00:00.5')")
        outcome = loader.load([table])["typed"]
        assert (outcome.written, outcome.differing) == (1, ())
        loader.shop.execute("insert into typed values (4, '2017-03-02')")
        (day,) = loader.load([table])["typed"].differing
        assert (day.day, day.at_source, day.held) == (date(2017, 3, 2), 1, 0)
        assert loader.load([table], reconcile=True)["typed"].differing == ()
    # Half a second after 7 days is 7 days and a begun minute.
    assert loader.bench.query(
        "select lateness_minutes, row_count from raw_retail_db._load_lateness order by all"
    ) == [(0, 1), (7 * 24 * 60 + 1, 1)]


def test_a_look_back_begins_no_earlier_than_time_does(loader: Loader):
    table = one_cursor("timestamp", timedelta(days=7))
    kind = "timestamp" if loader.shop.kind == "postgresql" else "datetime(6)"
    with table_typed(loader.shop, f"id bigint primary key, held {kind}"):
        loader.shop.execute("insert into typed values (1, '0001-01-05')")
        loader.load([table])
        loader.shop.execute("insert into typed values (2, '0001-01-02')")
        outcome = loader.load([table])["typed"]
    assert (outcome.written, outcome.differing) == (1, ())


@pytest.mark.parametrize(
    "option", ["nonsense=1", "ssl=true", "read_timeout=abc", "connect_timeout=0", "port=abc"]
)
def test_an_option_that_the_driver_does_not_take_is_one_line(option: str):
    with pytest.raises(LoadError, match=r"^source retail_db: credentials: query: .*; correct"):
        Database("retail_db", ConnectionStringCredentials(f"mysql://u:secret@127.0.0.1/d?{option}"))


def test_an_unknown_option_of_the_url_is_one_line(bench: Bench, postgresql: PostgresShop):
    url = f"{postgresql.reader_url}?nonsense=1"
    run = bench.command(SOURCES__RETAIL_DB__TYPE="postgresql", SOURCES__RETAIL_DB__CREDENTIALS=url)
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert "nonsense" in line


def test_counts_are_of_a_time_before_the_snapshot_that_they_are_made_in(loader: Loader):
    """What is sold while the source is counted is not in it, and must not seem to be."""
    with loader.sources() as sources:
        opened = datetime.now(UTC)
        time.sleep(0.01)
        load([BY_NAME["products"]], sources, loader.bench.warehouse)
    query = "select max(counted_at) < ? from raw_retail_db.load_control_totals"
    with duckdb.connect(loader.bench.warehouse, read_only=True) as connection:
        assert connection.execute(query, [opened]).fetchall() == [(True,)]


def test_what_the_url_says_of_the_connection_is_kept(loader: Loader):
    query = {
        "postgresql": "connect_timeout=5&application_name=mine&options=-c%20geqo%3Doff",
        "mysql": "read_timeout=60",
    }[loader.shop.kind]
    url = f"{loader.shop.reader_url}?{query}"
    run = loader.command("--table", "products", SOURCES__RETAIL_DB__CREDENTIALS=url)
    assert run.returncode == 0, run.stderr


def test_options_of_the_url_hold_beside_those_of_the_load(
    bench: Bench, postgresql: PostgresShop, monkeypatch: pytest.MonkeyPatch
):
    """The rows are counted on one connection and read on another."""
    url = (
        f"{postgresql.reader_url}?application_name=mine"
        "&options=-c%20geqo%3Doff%20-c%20timezone%3DAsia/Tokyo"
    )
    monkeypatch.setenv("SOURCES__RETAIL_DB__TYPE", "postgresql")
    monkeypatch.setenv("SOURCES__RETAIL_DB__CREDENTIALS", url)
    settings = " || ' ' || ".join(
        f"current_setting('{name}')" for name in ("geqo", "timezone", "application_name")
    )
    postgresql.execute(
        f"create view typed as select 1::bigint as id, {settings} as held"
        " where current_setting('geqo') = 'off'"
    )
    try:
        postgresql.execute(f"grant select on typed to {postgresql.account}")
        with open_sources({"retail_db"}, "America/New_York", None) as sources:
            (outcome,) = load([one_column("text")], sources, bench.warehouse)
    finally:
        postgresql.execute("drop view typed")
    assert (outcome.at_source, outcome.written) == (1, 1)
    assert bench.query("select held from raw_retail_db.typed") == [("off UTC mine",)]


def test_a_cursor_without_a_date_is_refused(bench: Bench, postgresql: PostgresShop):
    table = replace(
        TYPED_TABLE, columns={"id": "bigint", "held": "timestamp"}, mode="append", cursor="held"
    )
    with table_typed(postgresql, "id bigint primary key, held timestamp"):
        postgresql.execute("insert into typed values (1, 'infinity')")
        line = Loader(bench, postgresql).refused([table])
    assert "column held: expected values of type timestamp" in line
    assert "infinity" in line


def test_a_column_that_gets_more_digits_is_refused_and_not_rounded(loader: Loader):
    """The warehouse's column would take what fits and round the rest."""
    table = one_column("decimal")
    wider = "alter column held type" if loader.shop.kind == "postgresql" else "modify held"
    with table_typed(loader.shop, "id bigint primary key, held numeric(12, 2)"):
        loader.shop.execute("insert into typed values (1, 1.25)")
        loader.load([table])
        loader.shop.execute(f"alter table typed {wider} numeric(14, 4)")
        loader.shop.execute("insert into typed values (2, 1.2367)")
        line = loader.refused([table])
        assert "column held: expected decimal(14,4)" in line
        assert "found decimal(12,2); load the table whole with" in line
        loader.load([table], full_refresh=True)
    assert loader.bench.query("select held from raw_retail_db.typed order by id") == [
        (Decimal("1.2500"),),
        (Decimal("1.2367"),),
    ]


def test_texts_that_a_server_takes_for_equal_are_keys_of_their_own(loader: Loader):
    table = Table(
        source="retail_db",
        name="typed",
        columns={"code": "text", "at": "bigint"},
        mode="merge",
        primary_key=("code", "at"),
        quarantine_limit=0.5,
    )
    with table_typed(loader.shop, "code varchar(9), at bigint"):
        loader.shop.execute(
            "insert into typed values ('abc', 1), ('ABC', 1), ('abc ', 1), ('äbc', 1), ('x', 1),"
            " ('x', 2), ('twice', 1), ('twice', 1)"
        )
        outcome = loader.load([table])["typed"]
    assert (outcome.in_warehouse, outcome.quarantined) == (6, 2)
    assert {code for (code,) in loader.bench.query("select code from raw_retail_db.typed")} == {
        "abc", "ABC", "abc ", "äbc", "x",
    }  # fmt: skip


def test_keys_that_are_uuids_are_compared(bench: Bench, postgresql: PostgresShop):
    first, second = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12"
    table = replace(one_column("text"), primary_key=("held",), deletes="keys", quarantine_limit=1.0)
    with table_typed(postgresql, "id bigint, held uuid"):
        postgresql.execute(f"insert into typed values (1, '{first}'), (2, '{second}')")
        loader = Loader(bench, postgresql)
        loader.load([table])
        postgresql.execute(f"insert into typed values (3, '{first}')")
        outcome = loader.load([table])["typed"]
    assert (outcome.in_warehouse, outcome.quarantined) == (1, 2)
    assert bench.query("select held from raw_retail_db.typed") == [(second,)]


# One moment


def test_a_basket_that_is_written_during_the_load_is_never_half_there(loader: Loader):
    stop = threading.Event()
    failed: list[BaseException] = []
    columns = list(BY_NAME["transactions"].columns)
    line = max(loader.bench.company["transactions"], key=lambda row: row["transaction_timestamp"])

    def write() -> None:
        connection = loader.shop.connect()
        try:
            basket = 5_000_000
            while not stop.is_set():
                basket += 1
                with connection.cursor() as cursor:
                    for product in range(1, 6):
                        row = line | {"basket_id": basket, "product_id": product}
                        cursor.execute(
                            f"insert into transactions ({', '.join(columns)}) values"
                            f" ({', '.join(['%s'] * len(columns))})",
                            [row[column] for column in columns],
                        )
                connection.commit()
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(4):
            outcome = loader.load()["transactions"]
            assert outcome.at_source == outcome.in_warehouse
            assert outcome.differing == ()
            counts = loader.bench.query(
                f"select count(*) from {raw('transactions')} where basket_id > 5000000"
                " group by basket_id"
            )
            assert {count for (count,) in counts} <= {5}
    finally:
        stop.set()
        writer.join(30)
    assert not failed
    assert len(counts) > 1


# What drifts


def test_a_new_column_is_reported_and_not_loaded(loader: Loader):
    loader.load()
    loader.shop.execute("alter table products add column colour varchar(9)")
    outcome = loader.load()["products"]
    assert outcome.undeclared == ("colour",)
    assert "colour" not in {
        name
        for (name,) in loader.bench.query(
            "select column_name from duckdb_columns() where table_name = 'products'"
        )
    }


@pytest.mark.parametrize(
    "statement, expected",
    [
        (
            "alter table products drop column brand",
            "column brand: expected text, found no such column",
        ),
        (
            "alter table products rename column brand to label",
            "column brand: expected text, found no",
        ),
        ("alter table coupons add column x int; drop table coupons", "expected it at the source"),
        ("alter table demographics rename to answers", "retail_db.demographics: expected it"),
    ],
)
def test_a_column_or_table_that_is_gone_is_refused(loader: Loader, statement: str, expected: str):
    loader.load()
    for part in statement.split("; "):
        loader.shop.execute(part)
    try:
        assert expected in loader.refused()
    finally:
        loader.shop.execute("drop table if exists answers")


def test_a_column_of_a_type_that_nobody_knows_is_left_there_without_a_warning(loader: Loader):
    with table_typed(loader.shop, "id bigint primary key, place point, held bigint"):
        table = "SOURCES__RETAIL_DB__CREDENTIALS"
        script = (
            "import os; from ingestion.database import Database; from ingestion.tables import"
            " Table; from dlt.common.configuration.specs import ConnectionStringCredentials as C;"
            f" print(Database('retail_db', C(os.environ['{table}'])).columns(Table("
            "source='retail_db', name='typed', columns={'id': 'bigint'}, mode='replace')))"
        )
        run = subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**ENVIRONMENT, **loader.shop.environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (run.returncode, run.stderr) == (0, "")
    assert "'id': 'bigint', 'place': " in run.stdout


def test_a_retyped_column_is_refused(loader: Loader):
    loader.load()
    alter = "alter column quantity type" if loader.shop.kind == "postgresql" else "modify quantity"
    loader.shop.execute(f"alter table transactions {alter} double precision")
    line = loader.refused()
    assert "retail_db.transactions: column quantity: expected bigint, found double" in line


def test_tables_of_another_schema_are_read_where_it_is_configured(loader: Loader):
    loader.shop.execute("create schema elsewhere")
    try:
        loader.shop.execute("create table elsewhere.products as select * from products limit 3")
        configured = {"SOURCES__RETAIL_DB__SCHEMA": "elsewhere"}
        run = loader.command("--table", "products", **configured)
        assert run.returncode == 1
        assert "elsewhere" in run.stderr
        to_do = {"postgresql": "grant usage on schema", "mysql": "grant select on TABLE"}
        assert f"nothing was loaded: grant it (`{to_do[loader.shop.kind]}" in run.stderr
        for what in {"postgresql": ["usage on schema elsewhere", "select on elsewhere.products"],
                     "mysql": ["select on elsewhere.products"]}[loader.shop.kind]:  # fmt: skip
            loader.shop.execute(f"grant {what} to {loader.shop.account}")
        run = loader.command("--table", "products", **configured)
        assert run.returncode == 0, run.stderr
        assert len(loader.bench.query("from raw_retail_db.products")) == 3
    finally:
        cascade = " cascade" if loader.shop.kind == "postgresql" else ""
        loader.shop.execute(f"drop schema elsewhere{cascade}")


# What fails


def test_connection_refused_is_tried_again_and_then_one_line(loader: Loader):
    loader.load()
    loader.shop.stop()
    started = time.monotonic()
    try:
        run = loader.command("--table", "products")
    finally:
        loader.shop.restart()
    assert time.monotonic() - started > 6
    assert run.returncode == 1
    (line,) = [line for line in run.stderr.splitlines() if "error" in line]
    assert re.match(r"error: source retail_db: expected to read .*127\.0\.0\.1:\d+", line)
    assert "nothing was loaded" in line
    assert loader.command("--table", "products").returncode == 0


def test_a_server_that_comes_back_is_waited_for(loader: Loader):
    loader.shop.stop()
    back = threading.Timer(2, loader.shop.restart)
    back.start()
    try:
        assert loader.load()["products"].written == len(loader.bench.company["products"])
    finally:
        back.join()


@pytest.mark.parametrize(
    "change, found",
    [
        ((r":[^:@]+@", f":{MARK}@"), "correct user and password"),
        ((r"/[^/]+$", "/nowhere"), "(nowhere|[Aa]ccess denied)"),
    ],
    ids=["password", "database"],
)
def test_wrong_credentials_are_one_line_that_does_not_tell_them(
    loader: Loader, change: tuple[str, str], found: str
):
    url = re.sub(*change, loader.shop.reader_url)
    started = time.monotonic()
    run = loader.command(SOURCES__RETAIL_DB__CREDENTIALS=url)
    assert time.monotonic() - started < 6
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.startswith("error: source retail_db: expected to read")
    assert re.search(found, line)
    assert MARK not in run.stdout + run.stderr
    assert loader.shop.credentials["password"] not in run.stdout + run.stderr


@pytest.mark.parametrize(
    "url, expected",
    [
        (
            "postgresql://u@nowhere.invalid/d",
            "postgresql nowhere.invalid/d as u, .*correct the host",
        ),
        ("mysql://u@nowhere.invalid/d", "mysql nowhere.invalid/d as u, .*correct the host"),
        ("postgresql://{reader}/postgres", "as tally_reader, .*let the user in from here"),
        ("postgresql://{reader}/retail_db?sslmode=require", "make the server and sslmode"),
        ("mysql://u@127.0.0.1/d?ssl_ca=/nowhere/ca.pem", "No such file .*correct .*credentials"),
        ("postgresql://{reader}/retail_db?sslmode=bogus", "bogus.*correct .*credentials"),
        ("postgresql://{reader}/retail_db?options=-c%20bogus=1", "bogus.*correct .*credentials"),
        ("postgresql://u@127.0.0.1:1/d", "refused.*see to it that the server runs"),
    ],
    ids=[
        *("host", "host of mysql", "pg_hba", "encryption", "certificate", "option", "setting"),
        "port",
    ],
)
def test_what_keeps_the_server_out_of_reach_is_one_line_with_what_to_do(
    bench: Bench, postgresql: PostgresShop, url: str, expected: str
):
    reader = re.search("//(.+)/", postgresql.reader_url).group(1)
    url = url.format(reader=reader)
    run = bench.command(
        SOURCES__RETAIL_DB__TYPE=url.partition(":")[0], SOURCES__RETAIL_DB__CREDENTIALS=url
    )
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert re.match(f"error: source retail_db: expected to read .*{expected}", line)


@pytest.mark.parametrize(
    "said",
    [
        "FATAL:  the database system is in recovery mode",
        "FATAL:  the database system is not yet accepting connections",
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        "could not translate host name: Temporary failure in name resolution",
    ],
)
def test_what_passes_by_itself_is_waited_for(said: str, monkeypatch: pytest.MonkeyPatch):
    waited: list[int] = []
    monkeypatch.setattr("ingestion.database.time.sleep", waited.append)

    def connect(self: sa.Engine) -> None:
        raise sa.exc.OperationalError("connect", None, Exception(said))

    monkeypatch.setattr(sa.Engine, "connect", connect)
    url = ConnectionStringCredentials("postgresql://reader:secret@db/shop")
    with pytest.raises(LoadError, match="nothing was loaded"):
        Database("retail_db", url)
    assert waited == [1, 2, 4]


def test_a_server_that_is_lost_is_not_taken_for_one_without_encryption():
    said = "consuming input failed: SSL connection has been closed unexpectedly"
    assert remedy(said, REMEDIES, "start it") == "start it"


@pytest.mark.parametrize(
    "limit, to_do",
    [
        ("alter role {reader} set statement_timeout = '1ms'", "set statement_timeout = 0"),
        ("set global max_statement_time = 0.0001", "more time (max_statement_time)"),
    ],
    ids=["postgresql", "mysql"],
)
def test_a_limit_of_time_is_one_line_with_what_to_do(
    bench: Bench, request: pytest.FixtureRequest, limit: str, to_do: str
):
    shop = request.getfixturevalue(request.node.callspec.id)
    shop.load(bench.company)
    shop.execute(limit.format(reader=shop.username))
    try:
        line = Loader(bench, shop).refused()
    finally:
        shop.execute(
            f"alter role {shop.username} reset statement_timeout"
            if shop.kind == "postgresql"
            else "set global max_statement_time = 0"
        )
    assert to_do in line


NO_CAUSE = "see to it that the server runs"


@pytest.mark.parametrize(
    "kind, make, unmake, to_do",
    [
        ("postgresql", "alter role {user} nologin", "alter role {user} login", "alter role USER"),
        ("postgresql", "revoke connect on database retail_db from {user}",
         "grant connect on database retail_db to {user}", "grant connect on database"),
        ("postgresql", "create view typed as select 1::bigint as id, 1 / (count(*) - count(*))"
         " as held from products", "drop view typed", "mend the cause at the source"),
        ("postgresql", "create materialized view typed as select 1::bigint as id, 2::bigint as held"
         " with no data", "drop materialized view typed", "mend the cause at the source"),
        ("mysql", "alter user {user} account lock", "alter user {user} account unlock", "unlock"),
        ("mysql", "create view typed as select 1 as id, 2 as held", "drop view typed", "show view"),
    ],
)  # fmt: skip
def test_what_to_do_is_about_the_cause(
    bench: Bench, request: pytest.FixtureRequest, kind: str, make: str, unmake: str, to_do: str
):
    shop = request.getfixturevalue(kind)
    shop.execute(make.format(user=shop.account))
    try:
        if " view " in make:
            shop.execute(f"grant select on typed to {shop.account}")
        line = Loader(bench, shop).refused([one_column("bigint")])
    finally:
        shop.execute(unmake.format(user=shop.account))
    assert to_do in line.partition("nothing was loaded: ")[2]
    assert NO_CAUSE not in line


@pytest.mark.parametrize(
    "said, to_do",
    [
        ('FATAL: database "shop" does not exist', "correct the database"),
        ('FATAL: role "reader" does not exist', "correct the username"),
        ('FATAL: role "reader" is not permitted to log in', "let the user in"),
        ("Access denied for user 'a'@'b' to database 'c'", "correct the database"),
        ("Access denied for user 'a'@'b' (using password: YES)", "correct user and password"),
        ("Access denied for user 'a'@'b'. Account is locked.", "unlock the user"),
        ("Unknown database 'c'", "correct the database"),
        ("function f() does not exist", "otherwise"),
    ],
)
def test_what_to_do_is_about_what_the_server_says(said: str, to_do: str):
    assert remedy(said, REMEDIES, "otherwise").startswith(to_do)


@pytest.mark.parametrize("drop", ["alter table kept drop column held", "drop table kept"])
def test_a_view_that_lost_what_it_reads_is_one_line(bench: Bench, mysql: MariaDbShop, drop: str):
    mysql.execute("create table kept (id bigint primary key, held bigint)")
    mysql.execute("create view typed as select id, held from kept")
    try:
        mysql.execute(f"grant select, show view on typed to {mysql.account}")
        mysql.execute(drop)
        line = Loader(bench, mysql).refused([one_column("bigint")])
    finally:
        mysql.execute("drop view typed")
        mysql.execute("drop table if exists kept")
        # MariaDB keeps what was granted on a view for the next one of its name.
        mysql.execute(f"revoke all on typed from {mysql.account}")
    assert line.startswith("table retail_db.typed: expected to read")
    assert "mend the view at the source" in line


@pytest.mark.parametrize("held", [True, False], ids=["held", "declared"])
def test_names_that_differ_in_letters_alone_are_one_line(loader: Loader, held: bool):
    tables = [one_column("bigint"), replace(one_column("bigint"), name="Typed")]
    quote = '"' if loader.shop.kind == "postgresql" else "`"
    with table_typed(loader.shop, "id bigint primary key, held bigint"):
        if held:
            loader.load(tables[:1])
        loader.shop.execute(
            f"create table {quote}Typed{quote} (id bigint primary key, held bigint)"
        )
        try:
            loader.shop.execute(f"grant select on {quote}Typed{quote} to {loader.shop.account}")
            line = loader.refused(tables[1:] if held else tables)
        finally:
            loader.shop.execute(f"drop table {quote}Typed{quote}")
    assert line.startswith("table retail_db.Typed: expected a name that differs")
    assert "found retail_db.typed, too" in line


def test_a_table_of_another_schema_is_named_with_it(loader: Loader):
    loader.shop.execute("create schema elsewhere")
    try:
        loader.shop.execute("create table elsewhere.typed (id bigint primary key, held bigint)")
        # MySQL shows nobody what he may not read.
        loader.shop.execute(f"grant select on elsewhere.typed to {loader.shop.account}")
        line = loader.refused([one_column("bigint")])
    finally:
        cascade = " cascade" if loader.shop.kind == "postgresql" else ""
        loader.shop.execute(f"drop schema elsewhere{cascade}")
    assert ", but elsewhere.typed;" in line
    assert 'schema = "..." in [sources.retail_db]' in line


@contextmanager
def locked(shop: DatabaseShop) -> Iterator[Callable[[], None]]:
    """Hold `products` locked until the function that it gives is called."""
    lock, unlock = {
        "postgresql": ("lock table products in access exclusive mode", "rollback"),
        "mysql": ("lock tables products write", "unlock tables"),
    }[shop.kind]
    connection = shop.connect()
    try:
        cursor = connection.cursor()
        cursor.execute(lock)
        yield lambda: cursor.execute(unlock)
    finally:
        connection.close()


def test_a_locked_table_is_waited_for_with_a_word(loader: Loader, monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []
    monkeypatch.setattr("ingestion.database.SECONDS_UNTIL_TOLD", 0.2)
    with locked(loader.shop) as unlock:
        # Where nothing is told, it ends all the same.
        end = threading.Timer(10, unlock)
        end.start()

        def unlocks(line: str) -> None:
            told.append(line)
            end.cancel()
            unlock()

        monkeypatch.setattr("ingestion.database.say", unlocks)
        outcome = loader.load([BY_NAME["products"]])["products"]
    assert outcome.in_warehouse == len(loader.bench.company["products"])
    assert told == ["Waiting for retail_db.products, which seems to be locked at the source"]


@pytest.mark.parametrize(
    "limit", ["alter role {user} {set} lock_timeout", "set global lock_wait_timeout"],
    ids=["postgresql", "mysql"],
)  # fmt: skip
def test_a_table_that_stays_locked_is_one_line(
    bench: Bench, request: pytest.FixtureRequest, limit: str
):
    shop = request.getfixturevalue(request.node.callspec.id)
    shop.load(bench.company)
    loader = Loader(bench, shop)
    shop.execute(f"{limit.format(user=shop.account, set='set')} = 1")
    try:
        with locked(shop):
            line = loader.refused([BY_NAME["products"]])
    finally:
        end = "" if shop.kind == "postgresql" else " = default"
        shop.execute(limit.format(user=shop.account, set="reset") + end)
    assert line.startswith("table retail_db.products: ")
    assert "let what holds the table's lock end" in line


def test_a_change_that_waits_for_the_load_does_not_hold_it_up_for_ever(
    bench: Bench, postgresql: PostgresShop, monkeypatch: pytest.MonkeyPatch
):
    """It waits for one connection of the load, and the other would wait for it."""
    postgresql.load(bench.company)
    monkeypatch.setattr(
        "ingestion.database.LOCK_TIMEOUT", LOCK_TIMEOUT.replace(f"{SECONDS_FOR_A_LOCK}s", "300ms")
    )
    products = BY_NAME["products"]
    with Loader(bench, postgresql).sources() as sources:
        sources["retail_db"].columns(products)
        change = threading.Thread(
            target=postgresql.execute,
            args=["set lock_timeout = '20s'; alter table products add column colour text"],
        )
        change.start()
        waiting = "select count(*) from pg_locks where not granted"
        while postgresql.execute(waiting) == [(0,)]:
            time.sleep(0.01)
        with pytest.raises(LoadError, match="let what holds the table's lock end"):
            list(sources["retail_db"].batches(products))
    change.join()


def test_a_missing_grant_is_one_line_with_what_to_do(loader: Loader):
    loader.shop.execute(f"revoke select on coupons from {loader.shop.account}")
    try:
        line = loader.refused()
    finally:
        loader.shop.execute(f"grant select on coupons to {loader.shop.account}")
    assert "retail_db.coupons" in line
    assert "grant" in line


# What a server would leave out without a word


@pytest.fixture
def hidden(bench: Bench, postgresql: PostgresShop) -> Iterator[tuple[Loader, Table]]:
    """Nine rows, loaded, of which the reader sees six from then on: a policy hides the others."""
    postgresql.load(bench.company)
    loader = Loader(bench, postgresql)
    table = replace(
        BY_NAME["campaigns"],
        name="typed",
        columns={"id": "bigint", "tenant": "text"},
        primary_key=("id",),
        deletes="keys",
    )
    with table_typed(postgresql, "id bigint primary key, tenant text"):
        for number in range(9):
            insert(postgresql, number, "ab"[number % 3 == 2])
        assert loader.load([table])["typed"].in_warehouse == 9
        postgresql.execute(
            f"create policy p on typed for select to {postgresql.username} using (tenant = 'a')"
        )
        postgresql.execute("alter table typed enable row level security")
        yield loader, table


def test_rows_that_a_policy_hides_are_not_taken_for_deleted(hidden: tuple[Loader, Table]):
    loader, table = hidden
    line = loader.refused([table])
    assert "row-level security policy" in line and "retail_db.typed" in line
    assert "bypassrls" in line and "row_security = true" in line
    assert len(loader.bench.query("from raw_retail_db.typed")) == 9


def test_who_may_read_all_rows_reads_them(hidden: tuple[Loader, Table]):
    loader, table = hidden
    loader.shop.execute(f"alter role {loader.shop.username} bypassrls")
    try:
        outcome = loader.load([table])["typed"]
    finally:
        loader.shop.execute(f"alter role {loader.shop.username} nobypassrls")
    assert (outcome.at_source, outcome.in_warehouse, outcome.deleted) == (9, 9, 0)


def test_a_part_that_is_meant_is_loaded(
    hidden: tuple[Loader, Table], monkeypatch: pytest.MonkeyPatch
):
    loader, table = hidden
    monkeypatch.setenv("SOURCES__RETAIL_DB__ROW_SECURITY", "true")
    outcome = loader.load([table])["typed"]
    assert (outcome.at_source, outcome.in_warehouse) == (6, 6)


def test_row_security_that_is_neither_true_nor_false_is_one_line(
    hidden: tuple[Loader, Table], monkeypatch: pytest.MonkeyPatch
):
    loader, table = hidden
    monkeypatch.setenv("SOURCES__RETAIL_DB__ROW_SECURITY", "perhaps")
    assert "row_security: expected true or false" in loader.refused([table])


def test_a_server_that_ends_answers_early_gives_all_rows(bench: Bench, mysql: MariaDbShop):
    mysql.load(bench.company)
    loader = Loader(bench, mysql)
    mysql.execute("set global sql_select_limit = 3")
    try:
        outcome = loader.load([BY_NAME["products"]])["products"]
    finally:
        mysql.execute("set global sql_select_limit = default")
    assert outcome.in_warehouse == len(bench.company["products"]) > 3


def test_a_role_that_writes_doubles_short_gives_all_digits(bench: Bench, postgresql: PostgresShop):
    postgresql.load(bench.company)
    loader = Loader(bench, postgresql)
    with table_typed(postgresql, TYPED["postgresql"].split(",")[0] + ", held double precision"):
        insert(postgresql, 1, "1234567890.1234567")
        postgresql.execute(f"alter role {postgresql.username} set extra_float_digits = 0")
        try:
            outcome = loader.load([one_column("double")])["typed"]
        finally:
            postgresql.execute(f"alter role {postgresql.username} reset extra_float_digits")
    assert loader.bench.query("select held from raw_retail_db.typed") == [(1234567890.1234567,)]
    assert list(outcome.differing) == []


@pytest.mark.parametrize("shop", ["postgresql"], indirect=True)
def test_a_second_connection_that_fails_is_one_line(
    loader: Loader, monkeypatch: pytest.MonkeyPatch
):
    def fail(self: Database, snapshot: str) -> None:
        raise OSError("no buffer space available")

    monkeypatch.setattr(Database, "_join_snapshot", fail)
    assert "found: no buffer space available; nothing was loaded" in loader.refused()


def end_connections(shop: DatabaseShop) -> None:
    """End what the reader has open."""
    if shop.kind == "postgresql":
        shop.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s",
            [shop.username],
        )
        return
    for (number,) in shop.execute(
        "select id from information_schema.processlist where user = %s", [shop.username]
    ):
        shop.execute(f"kill {number}")


# Reads a table, and lets the test do something after the first rows.
READ_ON = """
import sys
from ingestion.configuration import open_sources
from ingestion.errors import LoadError
from ingestion.tables import Table

table = Table(
    source="retail_db", name="typed", columns={"id": "bigint", "held": sys.argv[1]}, mode="replace"
)
with open_sources({"retail_db"}, "UTC", None) as sources:
    batches = sources["retail_db"].batches(table)
    print(next(batches).num_rows, flush=True)
    sys.stdin.readline()
    try:
        print(sum(batch.num_rows for batch in batches))
    except LoadError as error:
        print(error)
"""


def told_after_the_first_rows(
    shop: DatabaseShop, data_type: str, what: Callable[[], None] = lambda: None
) -> str:
    """What is told of a table `typed` of 300,000 rows when something happens while it is read."""
    reads = subprocess.Popen(
        [sys.executable, "-c", READ_ON, data_type],
        cwd=ROOT,
        env={**ENVIRONMENT, **shop.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with reads:
        assert 0 < int(reads.stdout.readline()) < 300_000
        what()
        told, errors = reads.communicate("\n", timeout=60)
    # What Python says while it throws something away would be a line more.
    assert errors == ""
    (line,) = told.splitlines()
    return line


def test_a_server_that_is_lost_within_a_table_is_one_line(loader: Loader):
    shop = loader.shop
    rows = {
        "postgresql": "select n, repeat('x', 200) from generate_series(1, 300000) as n",
        "mysql": "select seq, repeat('x', 200) from seq_1_to_300000",
    }[shop.kind]
    with table_typed(shop, "id bigint primary key, held text"):
        shop.execute(f"insert into typed {rows}")
        line = told_after_the_first_rows(shop, "text", lambda: end_connections(shop))
    assert line.startswith("table retail_db.typed: expected to read")
    assert "see to it that the server runs and is reached" in line


def test_a_value_that_is_refused_within_a_table_is_one_line(mysql: MariaDbShop):
    rows = "select seq, case seq when 70001 then 7 else 1 end from seq_1_to_300000"
    with table_typed(mysql, "id bigint primary key, held tinyint(1)"):
        mysql.execute(f"insert into typed {rows}")
        line = told_after_the_first_rows(mysql, "bool")
    assert line.startswith("table retail_db.typed: column held: expected values of type bool")


@pytest.mark.parametrize("how", ["connection", "server"])
def test_a_server_that_is_lost_during_the_load_leaves_the_warehouse_as_it_was(
    loader: Loader, how: str, monkeypatch: pytest.MonkeyPatch
):
    loader.load()
    loader.shop.execute("update products set brand = 'changed'")
    read = Database.batches

    def lose(self: Database, table: Table, *arguments: object, **options: object):
        if table.name == "campaigns":
            if how == "server":
                loader.shop.restart()
            else:
                end_connections(loader.shop)
        yield from read(self, table, *arguments, **options)

    monkeypatch.setattr(Database, "batches", lose)
    line = loader.refused()
    assert "nothing was loaded" in line
    monkeypatch.undo()
    assert loader.load()["products"].written == len(loader.bench.company["products"])


@pytest.mark.parametrize(
    "variables, expected",
    [
        (
            {"SOURCES__RETAIL_DB__TYPE": "oracle"},
            "expected sample, postgresql or mysql, found oracle",
        ),
        ({"SOURCES__RETAIL_DB__TYPE": "mysql"}, "found none"),
        (
            {"SOURCES__RETAIL_DB__TYPE": "mysql", "SOURCES__RETAIL_DB__CREDENTIALS": f"::{MARK}"},
            "found what cannot be read",
        ),
        (
            {
                "SOURCES__RETAIL_DB__TYPE": "mysql",
                "SOURCES__RETAIL_DB__CREDENTIALS": f"postgresql://u:{MARK}@127.0.0.1:1/d",
            },
            "found 'postgresql'",
        ),
    ],
)
def test_a_wrong_configuration_is_one_line(bench: Bench, variables: dict[str, str], expected: str):
    # Away from credentials that whoever runs the tests may have in .dlt/secrets.toml.
    run = bench.command(DLT_PROJECT_DIR=str(bench.folder), **variables)
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.startswith("error: source retail_db")
    assert expected in line
    assert MARK not in run.stdout + run.stderr


def test_the_installed_driver_is_used_whichever_is_named(loader: Loader):
    other = {"postgresql": "postgresql+psycopg2", "mysql": "mysql+mysqldb"}[loader.shop.kind]
    url = re.sub(r"^[^:]+", other, loader.shop.reader_url)
    run = loader.command("--table", "products", SOURCES__RETAIL_DB__CREDENTIALS=url)
    assert run.returncode == 0, run.stderr


def test_a_password_may_have_any_sign(loader: Loader):
    def escaped(text: str) -> str:
        text = text.replace("'", "''")
        return text if loader.shop.kind == "postgresql" else text.replace("\\", "\\\\")

    hostile, usual = "a b'\\\"@:/?#%+&=ß漢", loader.shop.credentials["password"]
    account = loader.shop.account
    change = (
        f"alter role {account} password"
        if loader.shop.kind == "postgresql"
        else f"alter user {account} identified by"
    )
    loader.shop.execute(f"{change} '{escaped(hostile)}'")
    try:
        url = loader.shop.reader_url.replace(usual, quote(hostile, safe=""))
        run = loader.command("--table", "products", SOURCES__RETAIL_DB__CREDENTIALS=url)
    finally:
        loader.shop.execute(f"{change} '{usual}'")
    assert run.returncode == 0, run.stderr


def test_a_server_that_ends_idle_transactions_leaves_the_snapshot(
    loader: Loader, monkeypatch: pytest.MonkeyPatch
):
    if loader.shop.kind == "mysql":
        pytest.skip("MariaDB ends connections that wait for hours alone")
    setting = f"alter role {loader.shop.username} {{}} idle_in_transaction_session_timeout"
    loader.shop.execute(setting.format("set") + " = '200ms'")
    try:
        with loader.sources() as sources:
            time.sleep(0.6)
            table = BY_NAME["products"]
            totals = sources["retail_db"].control_totals(table)
            rows = sum(batch.num_rows for batch in sources["retail_db"].batches(table))
    finally:
        loader.shop.execute(setting.format("reset"))
    assert totals.row_count == rows == len(loader.bench.company["products"])


def test_a_server_waits_while_what_was_read_is_written(bench: Bench, mysql: MariaDbShop):
    rows, table = 70_000, replace(one_column("text"), mode="append", cursor="id")
    mysql.execute("set global net_write_timeout = 1")
    try:
        with table_typed(mysql, "id bigint primary key, held text"):
            mysql.execute(f"insert into typed select seq, repeat('x', 900) from seq_1_to_{rows}")
            with Loader(bench, mysql).sources() as sources:
                read = 0
                for batch in sources["retail_db"].batches(table):
                    if not read:
                        time.sleep(3)
                    read += batch.num_rows
    finally:
        mysql.execute("set global net_write_timeout = 60")
    assert read == rows


def test_until_is_of_the_sample_alone(loader: Loader):
    run = loader.command("--until", "2017-06-30")
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert "--until" in line


# Secrets


def test_the_password_is_in_nothing_that_a_run_writes(loader: Loader, tmp_path: Path):
    password = loader.shop.credentials["password"]
    runs = [loader.command(RUNTIME__LOG_LEVEL=level) for level in ("CRITICAL", "DEBUG")]
    loader.shop.execute(
        "rename table coupons to kept"
        if loader.shop.kind == "mysql"
        else "alter table coupons rename to kept"
    )
    try:
        runs.append(loader.command(RUNTIME__LOG_LEVEL="DEBUG"))
    finally:
        loader.shop.execute("drop table kept")
    assert [run.returncode for run in runs] == [0, 0, 1]
    for run in runs:
        assert password not in run.stdout + run.stderr
    files = [path for path in loader.bench.folder.rglob("*") if path.is_file()]
    assert loader.bench.warehouse in files
    for path in files:
        assert password.encode() not in path.read_bytes(), path
    with duckdb.connect(loader.bench.warehouse, read_only=True) as connection:
        for (name,) in connection.execute(
            "select schema_name || '.\"' || table_name || '\"' from duckdb_tables()"
        ).fetchall():
            assert password not in str(connection.execute(f"from {name}").fetchall()), name


# Names


def hostile_table(name: str) -> Table:
    return Table(
        source="retail_db",
        name=name,
        columns={"id": "bigint", name: "bigint"},
        mode="merge",
        primary_key=("id",),
        rules={"it is positive": f'"{name}" > 0'},
    )


@pytest.mark.parametrize(
    "name",
    ["select", '"; drop table products; --', "naïve 🛒 Table", "a" * 63, "100% of it"],
)
def test_hostile_names_load_or_are_refused_in_one_line(loader: Loader, name: str):
    if loader.shop.kind == "mysql":
        # MariaDB has no names with characters beyond the basic plane.
        name = name.replace("🛒", "漢")
    quoted: Callable[[str], str] = (
        (lambda text: '"' + text.replace('"', '""') + '"')
        if loader.shop.kind == "postgresql"
        else (lambda text: "`" + text.replace("`", "``") + "`")
    )
    table, column = quoted(name), quoted(name)
    loader.shop.execute(f"create table {table} (id bigint primary key, {column} bigint)")
    try:
        loader.shop.execute(f"insert into {table} values (1, 10), (2, 20)")
        loader.shop.execute(f"grant select on {table} to {loader.shop.account}")
        if '"' in name or "%" in name:
            with pytest.raises(ValueError, match=r"expected one that (the warehouse|a file) can"):
                hostile_table(name)
        else:
            outcome = loader.load([BY_NAME["products"], hostile_table(name)])
            assert outcome[name].in_warehouse == 2
            assert outcome[name].quarantined == 0
            rows = f'select id, "{name}" from raw_retail_db."{name}" order by id'
            assert loader.bench.query(rows) == [(1, 10), (2, 20)]
    finally:
        loader.shop.execute(f"drop table {table}")
    # Nothing of the name was run.
    assert loader.shop.execute("select count(*) from products")[0][0] > 0


def test_a_column_may_have_any_sign(loader: Loader):
    name = "100% of {it}, 5 %s: ? $1 \N{SNOWMAN}"
    quote = '"' if loader.shop.kind == "postgresql" else "`"
    with table_typed(loader.shop, f"id bigint primary key, {quote}{name}{quote} bigint"):
        loader.shop.execute("insert into typed values (1, 10), (2, 20)")
        table = replace(TYPED_TABLE, columns={"id": "bigint", name: "bigint"}, amounts=(name,))
        assert loader.load([table])["typed"].differing == ()
        assert loader.load([table])["typed"].written == 0
    rows = f'select "{name}" from raw_retail_db.typed order by all'
    assert loader.bench.query(rows) == [(10,), (20,)]


def test_interrupt_within_a_statement_is_one_line(bench: Bench):
    code = (
        "import ingestion.__main__ as command\n"
        "def interrupted(*arguments, **options):\n"
        "    raise RuntimeError('Query interrupted')\n"
        "command.load = interrupted\n"
        "raise SystemExit(command.main())\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=bench.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 130
    assert run.stderr.splitlines() == ["interrupted: nothing was loaded; load again to go on"]


def test_soft_deletes_and_keys_without_a_constraint_at_a_server(loader: Loader):
    """A table whose key the server does not keep, with a column that says what is deleted."""
    kind = "timestamp" if loader.shop.kind == "postgresql" else "datetime"
    loader.shop.execute(
        "alter table demographics drop constraint demographics_pkey"
        if loader.shop.kind == "postgresql"
        else "alter table demographics drop primary key"
    )
    loader.shop.execute(f"alter table demographics add column deleted_at {kind}")
    survey = BY_NAME["demographics"]
    table = replace(
        survey,
        columns={**survey.columns, "deleted_at": "timestamp"},
        deletes="deleted_at",
        quarantine_limit=0.5,
    )
    households = sorted(row["household_id"] for row in loader.bench.company["demographics"])
    loader.shop.execute(
        f"update demographics set deleted_at = '2017-05-01' where household_id = {households[0]}"
    )
    loader.shop.execute(
        f"insert into demographics select * from demographics where household_id = {households[1]}"
    )
    outcome = loader.load([table])["demographics"]
    assert (outcome.quarantined, outcome.in_warehouse) == (2, len(households) - 2)
    assert outcome.at_source == outcome.quarantined + outcome.in_warehouse
