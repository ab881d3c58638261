"""What columns of real servers can be loaded as, value by value, and what is said of the others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest
from bench import Bench
from servers import DatabaseShop, MariaDbShop, PostgresShop
from test_database import Loader, table_typed

from ingestion.raw import exact
from ingestion.tables import Table

UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"

# By column: type and attributes, value as it is written (None: the server makes it), dlt type that
# is declared, value that is loaded.
COLUMNS = {
    "postgresql": [
        ("id bigint generated always as identity primary key", None, "bigint", 1),
        ("smallint not null default 7", None, "bigint", 7),
        ("integer generated always as (6 * 7) stored", None, "bigint", 42),
        ("counted", "7", "bigint", 7),
        ("numeric(12,2) not null default 0", "12.34", "decimal", Decimal("12.34")),
        ("numeric(10,0)", "1234567890", "decimal", Decimal(1234567890)),
        ("numeric(5,-2)", "12345", "decimal", Decimal(12300)),
        ("numeric(2,4)", "0.0012", "decimal", Decimal("0.0012")),
        ("numeric", "0.000000123456", "decimal(38,12)", Decimal("0.000000123456")),
        ("usd_of_usd", "12.3", "decimal", Decimal("12.30")),
        ("real", "12.34", "decimal", Decimal("12.34")),
        ("real", "16777216", "decimal", Decimal(16777216)),
        ("real", "1.5", "double", 1.5),
        ("double precision", "4432214140.39", "decimal(18,2)", Decimal("4432214140.39")),
        ("double precision", "2.4999999999999998e-06", "double", 2.4999999999999998e-06),
        ("money", "1234.5", "decimal", Decimal("1234.5")),
        ("boolean not null default true", None, "bool", True),
        ("bit(1)", "1", "bool", True),
        ("bit(1)", "0", "text", "0"),
        ("bit(4)", "0101", "text", "0101"),
        ("bit varying(9)", "01011", "text", "01011"),
        ("char(5)", "ab", "text", "ab"),
        ("char(5) not null default ''", None, "text", ""),
        ("varchar(9)", "ab ", "text", "ab "),
        ("text", "x" * 65_535, "text", "x" * 65_535),
        ("name", "a name", "text", "a name"),
        ('"char"', "x", "text", "x"),
        ("feeling", "sad", "text", "sad"),
        ("date", "2017-02-28", "date", date(2017, 2, 28)),
        ("time", "12:34:56.5", "text", "12:34:56.5"),
        ("timetz", "12:34:56+02", "text", "12:34:56+02"),
        ("interval", "1 mon 2 days 03:04:05", "text", "1 mon 2 days 03:04:05"),
        ("timestamp(0)", "2017-02-28 01:02:03", "timestamp", datetime(2017, 2, 28, 1, 2, 3)),
        ("timestamptz", "2017-02-28 01:02:03+02", "timestamp with time zone",
         datetime(2017, 2, 27, 23, 2, 3, tzinfo=UTC)),
        ("json", '{"a":  1}', "text", '{"a":  1}'),
        ("jsonb", '{"a":1}', "text", '{"a": 1}'),
        ("integer[]", "{1,2,null}", "text", "[1,2,null]"),
        ("text[]", '{a,"b, c"}', "text", '["a","b, c"]'),
        ("numeric(5,2)[]", "{{1,2},{3,4}}", "text", "[[1.00,2.00],[3.00,4.00]]"),
        ("uuid", UUID.upper(), "text", UUID),
        ("xml", None, "text", None),
        ("inet", "10.0.0.1/8", "text", "10.0.0.1/8"),
        ("cidr", "10.0.0.0/8", "text", "10.0.0.0/8"),
        ("macaddr", "08:00:2b:01:02:03", "text", "08:00:2b:01:02:03"),
        ("int4range", "[1,4]", "text", "[1,5)"),
        ("tstzrange", "[2017-01-01 00:00+02,)", "text", '["2016-12-31 22:00:00+00",)'),
        ("tsvector", "'b' 'a':1", "text", "'a':1 'b'"),
        ("point", "(1,2)", "text", "(1,2)"),
    ],
    "mysql": [
        ("id bigint unsigned not null auto_increment primary key", None, "bigint", 1),
        ("smallint not null default 7", None, "bigint", 7),
        ("int generated always as (6 * 7) stored", None, "bigint", 42),
        ("tinyint unsigned", "255", "bigint", 255),
        ("int(5) zerofill", "7", "bigint", 7),
        ("bigint unsigned", str(2**64 - 1), "decimal", Decimal(2**64 - 1)),
        ("tinyint(1) not null default 1", None, "bool", True),
        ("decimal(12,2)", "12.34", "decimal", Decimal("12.34")),
        ("decimal(5,2) unsigned zerofill", "1.5", "decimal", Decimal("1.50")),
        ("decimal(65,30)", "0.000000000001", "decimal", Decimal("0.000000000001")),
        ("float", "12.34", "decimal", Decimal("12.34")),
        ("float", "16777216", "decimal", Decimal(16777216)),
        ("float(10,2)", "1234567.12", "decimal(18,2)", Decimal("1234567.12")),
        ("float", "1.5", "double", 1.5),
        ("double", "4432214140.39", "decimal(18,2)", Decimal("4432214140.39")),
        ("double", "2.4999999999999998e-06", "double", 2.4999999999999998e-06),
        ("bit(1)", 1, "bool", True),
        ("bit(1)", 0, "bigint", 0),
        ("bit(8)", 255, "bigint", 255),
        ("year", "2017", "bigint", 2017),
        ("char(5)", "ab", "text", "ab"),
        ("varchar(9) not null default ''", None, "text", ""),
        ("varchar(9)", "ab ", "text", "ab "),
        ("text", "x" * 65_535, "text", "x" * 65_535),
        ("enum('a', 'b')", "b", "text", "b"),
        ("set('b', 'a')", "a,b", "text", "b,a"),
        ("date", "2017-02-28", "date", date(2017, 2, 28)),
        ("time", "-838:59:59", "text", "-838:59:59"),
        ("time(6)", "12:34:56.5", "text", "12:34:56.500000"),
        ("datetime(6)", "2017-02-28 01:02:03.5", "timestamp",
         datetime(2017, 2, 28, 1, 2, 3, 500_000)),
        ("timestamp null", "2017-02-28 01:02:03", "timestamp with time zone",
         datetime(2017, 2, 28, 1, 2, 3, tzinfo=UTC)),
        ("json", '{"a":  1}', "text", '{"a":  1}'),
        ("uuid", UUID.upper(), "text", UUID),
        ("binary(16)", bytes.fromhex(UUID.replace("-", "")), "text", UUID),
        ("inet6", "::1", "text", "::1"),
    ],
}  # fmt: skip
NEW_TYPES = (
    "drop domain if exists counted, usd, usd_of_usd",
    "drop type if exists feeling",
    "create type feeling as enum ('sad', 'ok')",
    "create domain counted as integer check (value >= 0)",
    "create domain usd as numeric(12, 2)",
    "create domain usd_of_usd as usd not null",
)


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
    """Each kind of server; the table `typed` is a test's own."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def loader(bench: Bench, shop: DatabaseShop) -> Loader:
    return Loader(bench, shop)


def typed(columns: dict[str, str], **declared: object) -> Table:
    """Declare a table `typed` with the key `id`."""
    return Table(
        **{
            "source": "retail_db",
            "name": "typed",
            "columns": {"id": "bigint", **columns},
            "mode": "merge",
            "primary_key": ("id",),
        }
        | declared
    )


def test_every_type_comes_as_the_source_shows_it(loader: Loader):
    shop = loader.shop
    if shop.kind == "postgresql":
        for statement in NEW_TYPES:
            shop.execute(statement)
    columns = COLUMNS[shop.kind]
    names = ["id", *(f"held_{number}" for number in range(1, len(columns)))]
    sql = ", ".join(
        of if name == "id" else f"{name} {of}"
        for name, (of, *_) in zip(names, columns, strict=True)
    )
    declared = {name: form for name, (_, _, form, _) in zip(names, columns, strict=True)}
    given = {
        name: value
        for name, (_, value, *_) in zip(names, columns, strict=True)
        if value is not None
    }
    amounts = tuple(n for n, form in declared.items() if form.startswith(("decimal", "double")))
    table = typed(declared, amounts=amounts)
    with table_typed(shop, sql):
        shop.execute(
            f"insert into typed ({', '.join(given)}) values ({', '.join(['%s'] * len(given))})",
            given.values(),
        )
        assert loader.load([table])["typed"].undeclared == ()
        (found,) = loader.bench.query(f"select {', '.join(names)} from raw_retail_db.typed")
        again = loader.load([table])["typed"]
    for (of, *_, expected), value in zip(columns, found, strict=True):
        assert value == expected, of
    # Sums of amounts, too, are those of the source.
    assert (again.written, again.differing) == (0, ())


def test_what_no_declaration_loads_is_told_of_all_columns_at_once(loader: Loader):
    bytes_, other = {"postgresql": ("bytea", "interval"), "mysql": ("varbinary(9)", "geometry")}[
        loader.shop.kind
    ]
    table = typed({"picture": "text", "scan": "text", "wrong": "bool", "gone": "text"})
    with table_typed(
        loader.shop, f"id bigint primary key, picture {bytes_}, scan {bytes_}, wrong {other}"
    ):
        line = loader.refused([table])
        for name in ("picture", "scan"):
            assert f"column {name}: expected text, found {bytes_}, which no declaration" in line
        assert f"column wrong: expected bool, found {other}, which" in line
        assert "column gone: expected text, found no such column; restore it" in line
        assert "excluded_columns" in line and "a view that casts it" in line
        left = typed({}, excluded_columns=("picture", "scan", "wrong"))
        assert loader.load([left])["typed"].undeclared == ()


# Values that look right and are not


def test_a_padded_key_finds_its_row(loader: Loader):
    """PostgreSQL hands `char(5)` over with its blanks; MySQL does where it is told to."""
    mode = "PAD_CHAR_TO_FULL_LENGTH" if loader.shop.kind == "mysql" else None
    table = typed({"code": "text"}, primary_key=("code",), deletes="keys")
    with table_typed(loader.shop, "id bigint, code char(5) primary key"):
        loader.shop.execute("insert into typed values (1, 'ab'), (2, 'cd')")
        if mode:
            loader.shop.execute(f"set global sql_mode = '{mode}'")
        try:
            loader.load([table])
            loader.shop.execute("delete from typed where code = 'ab'")
            assert loader.load([table])["typed"].deleted == 1
        finally:
            if mode:
                loader.shop.execute("set global sql_mode = default")
    assert loader.bench.query("select code from raw_retail_db.typed") == [("cd",)]


def test_numbers_of_single_precision_add_up_as_they_are_shown(
    loader: Loader, capsys: pytest.CaptureFixture[str]
):
    kind = {"postgresql": "real", "mysql": "float"}[loader.shop.kind]
    with table_typed(loader.shop, f"id bigint primary key, held {kind}"):
        loader.shop.execute("insert into typed values (1, 12.34), (2, 0.1), (3, 64930.3)")
        # Of several types that will do, the one that adds up.
        table = typed({"held": ("double", "decimal")}, amounts=("held",))
        assert loader.load([table])["typed"].differing == ()
        assert "warning" not in capsys.readouterr().err
        total = loader.bench.query("select sum(held) from raw_retail_db.typed")
        double = typed({"held": "double"})
        loader.load([double], full_refresh=True)
        told = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert total == [(Decimal("64942.74"),)]
    (line,) = told
    assert line.startswith("warning: table retail_db.typed: held: numbers of single precision")


@pytest.mark.parametrize(
    "value, live, kind, data_type",
    [
        (False, True, "boolean", "bool"),
        ("Gone", "gone", "varchar(9)", "text"),
    ],
)
def test_the_declared_value_marks_what_is_deleted(
    loader: Loader, value: object, live: object, kind: str, data_type: str
):
    table = typed({"active": data_type}, deletes="active", deleted_value=value)
    with table_typed(loader.shop, f"id bigint primary key, active {kind}"):
        loader.shop.execute(
            "insert into typed values (1, %s), (2, %s), (3, null), (4, %s)",
            [live, value, live],
        )
        outcome = loader.load([table])["typed"]
        assert (outcome.at_source, outcome.in_warehouse, outcome.marked) == (3, 3, 1)
        loader.shop.execute("delete from typed where id = 4")
        loader.shop.execute("insert into typed values (4, %s)", [value])
        outcome = loader.load([table])["typed"]
        assert (outcome.deleted, outcome.in_warehouse, outcome.marked) == (1, 2, 2)
    assert loader.bench.query("select id from raw_retail_db.typed order by 1") == [(1,), (3,)]


def test_a_mark_that_means_the_opposite_is_refused(loader: Loader):
    table = typed({"active": "bool"}, deletes="active")
    with table_typed(loader.shop, "id bigint primary key, active boolean"):
        loader.shop.execute("insert into typed values (1, true), (2, true), (3, true), (4, false)")
        line = loader.refused([table])
        assert "found 3 of 4" in line and "deleted_value" in line
        lower = replace(table, smallest_share=0.2)
        assert loader.load([lower])["typed"].in_warehouse == 1


# Values that only ever failed


@pytest.mark.parametrize(
    "shown, expected",
    [
        ("4432214140.39", "4432214140.390000"),
        ("-4432214140.39", "-4432214140.390000"),
        ("90071992547409.94", "90071992547409.940000"),
        ("1e20", "100000000000000000000.000000"),
        ("2.4999999999999998e-06", "0.000002"),
        ("2.5e-06", "0.000003"),
        ("0.1", "0.100000"),
    ],
)
def test_a_double_becomes_the_decimal_that_it_shows(shown: str, expected: str):
    with duckdb.connect() as connection:
        query = f"select {exact('x', 'double')} from (select cast({shown} as double) as x)"
        assert connection.execute(query).fetchone() == (Decimal(expected),)


def test_doubles_and_long_sums_agree_at_every_load(loader: Loader):
    table = typed(
        {"at": "timestamp", "price": "double", "total": "decimal"},
        cursor="at",
        lookback=timedelta(days=1),
        amounts=("price", "total"),
        rules={"the price is not negative": "price >= 0"},
        quarantine_limit=0.5,
    )
    time, double = {
        "postgresql": ("timestamp", "double precision"),
        "mysql": ("datetime", "double"),
    }[loader.shop.kind]
    with table_typed(
        loader.shop, f"id bigint primary key, at {time}, price {double}, total numeric(38, 2)"
    ):
        for row in (
            (1, "2017-01-01", 4432214140.39, "12345678901234567890123456789012"),
            (2, "2017-01-01", 2.4999999999999998e-06, "0.01"),
            (3, "2017-01-01", -8432214140.39, "0.02"),
            # What is left of a difference: DuckDB reads each as text as a millionth.
            (4, "2017-01-01", 5.551115e-17, "0.03"),
            (5, "2017-01-01", 9e-08, "0.04"),
        ):
            loader.shop.execute("insert into typed values (%s, %s, %s, %s)", row)
        for _ in range(2):
            outcome = loader.load([table])["typed"]
            assert (outcome.quarantined, outcome.differing) == (1, ())
        whole = replace(table, cursor=None, lookback=timedelta(0))
        assert loader.load([whole])["typed"].differing == ()


@pytest.mark.parametrize(
    "kind, column, value, declared, said",
    [
        ("postgresql", "numeric", "0.000000000001", "decimal", "decimal(38,12)"),
        ("postgresql", "numeric", "NaN", "decimal", "NaN"),
        ("postgresql", "double precision", "Infinity", "double", "inf"),
        ("postgresql", "double precision", "NaN", "double", "nan"),
        ("postgresql", "double precision", "1e308", "double", "1e+308"),
        ("postgresql", "double precision", "1e308", "decimal", "10000000"),
        ("postgresql", "real", "1e30", "decimal", "1000000000000000000000000000000"),
        ("mysql", "double", "1e308", "double", "1e+308"),
        ("mysql", "bigint unsigned", str(2**63), "bigint", f"{2**63}"),
        ("mysql", "bigint unsigned", str(2**63), "bigint", "declare decimal"),
        ("mysql", "datetime", "0000-00-00", "timestamp", "0000-00-00"),
        ("mysql", "decimal(65, 2)", "9" * 37 + ".99", "decimal", "9" * 37 + ".99"),
    ],
)
def test_a_value_without_a_place_is_told_with_its_row(
    bench: Bench, request: pytest.FixtureRequest,
    kind: str, column: str, value: str, declared: str, said: str,
):  # fmt: skip
    shop = request.getfixturevalue(kind)
    amounts = () if declared == "timestamp" else ("held",)
    usual = "2017-01-01" if declared == "timestamp" else "1"
    lax = "set statement sql_mode = '' for " if kind == "mysql" else ""
    with table_typed(shop, f"id bigint primary key, held {column}"):
        shop.execute(
            f"{lax}insert into typed values (6, null), (7, %s), (8, %s), (9, %s)",
            [usual, value, usual],
        )
        line = Loader(bench, shop).refused([typed({"held": declared}, amounts=amounts)])
    assert line.startswith("table retail_db.typed: column held: expected values of type ")
    assert re.search(r"where id 8[ ;]", line)
    assert said in line


# Rows


def test_a_cursor_without_a_lookback_is_warned_of(
    loader: Loader, capsys: pytest.CaptureFixture[str]
):
    kind = {"postgresql": "timestamp", "mysql": "datetime"}[loader.shop.kind]
    table = typed({"updated_at": "timestamp"}, cursor="updated_at")
    with table_typed(loader.shop, f"id bigint primary key, updated_at {kind}"):
        for lookback, warnings in ((timedelta(0), 1), (timedelta(days=1), 0)):
            capsys.readouterr()
            loader.load([replace(table, lookback=lookback)])
            assert capsys.readouterr().err.count("warning: table retail_db.typed:") == warnings


def test_a_key_that_an_heir_has_too_is_found(
    bench: Bench, postgresql: PostgresShop, capsys: pytest.CaptureFixture[str]
):
    loader, table = Loader(bench, postgresql), typed({"held": "text"}, quarantine_limit=0.9)
    with table_typed(postgresql, "id bigint primary key, held text"):
        postgresql.execute("create table heir () inherits (typed)")
        try:
            postgresql.execute("insert into typed values (1, 'parent'), (2, 'parent')")
            postgresql.execute("insert into heir values (2, 'heir'), (3, 'heir')")
            outcome = loader.load([table])["typed"]
        finally:
            postgresql.execute("drop table heir")
    assert (outcome.at_source, outcome.in_warehouse, outcome.quarantined) == (4, 2, 2)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert "found 1 keys twice" in line and "(heir)" in line


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"columns": {"id": "bigint", "held": "decimal(39,2)"}}, "at most 38"),
        ({"columns": {"id": "bigint", "held": "decimal(2,3)"}}, "at most 38"),
        ({"columns": {"id": "bigint", "held": "bigint(3,0)"}}, "expected bigint"),
        ({"deleted_value": False}, "needs the column's name"),
        ({"deletes": "keys", "deleted_value": False}, "needs the column's name"),
        ({"deletes": "id"}, "say which deleted_value"),
        ({"deletes": "id", "deleted_value": False}, "is no value of id"),
    ],
)
def test_declarations_that_cannot_be_are_refused(changes: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        replace(typed({}), **changes)
