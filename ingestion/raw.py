"""The raw tables in the warehouse: what they are called, what they hold, what leaves them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import duckdb
import pyarrow as pa

from ingestion.source import arrow_types
from ingestion.tables import TIMESTAMPS, Table


def quoted(identifier: str) -> str:
    """Quote an identifier for DuckDB."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for DuckDB."""
    return "'" + text.replace("'", "''") + "'"


def relation(source_name: str, name: str) -> str:
    """Give a raw table's quoted name."""
    return f"{quoted(f'raw_{source_name}')}.{quoted(name)}"


def raw(table: Table) -> str:
    """Give the quoted name of a declared table's raw table."""
    return relation(table.source, table.name)


def exists(connection: duckdb.DuckDBPyConnection, source_name: str, name: str) -> bool:
    """Whether the warehouse has the table."""
    (tables,) = connection.execute(
        "select count(*) from information_schema.tables where table_schema = ? and table_name = ?",
        [f"raw_{source_name}", name],
    ).fetchone()
    return tables > 0


def is_held(connection: duckdb.DuckDBPyConnection, table: Table) -> bool:
    """Whether the declared table was loaded before."""
    return exists(connection, table.source, table.name)


def row_count(connection: duckdb.DuckDBPyConnection, table: Table) -> int:
    """Count the rows; 0 where the table is not there yet."""
    if not is_held(connection, table):
        return 0
    (rows,) = connection.execute(f"select count(*) from {raw(table)}").fetchone()
    return rows


def types(connection: duckdb.DuckDBPyConnection, table: Table) -> dict[str, str]:
    """Name and dlt type of every column that the warehouse holds."""
    rows = connection.sql(f"from {raw(table)} limit 0").to_arrow_table()
    return arrow_types(rows.schema)


def same(table: Table, columns: tuple[str, ...] | list[str], left: str, right: str) -> str:
    """Say in SQL that two rows have the same values; nulls are the same."""
    return " and ".join(
        f"{left}.{quoted(name)} is not distinct from {right}.{quoted(name)}" for name in columns
    )


def delete_gone(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    gone: Sequence[pa.Table],
    present: pa.Table | None,
) -> int:
    """Delete the rows with a key among those that are gone, or with none of those present.

    Args:
        connection: The warehouse.
        table: The declaration.
        gone: Primary keys whose rows go.
        present: Primary keys of all rows that stay; None where they are not compared.

    Returns:
        How many were deleted.
    """
    with _is_gone(connection, table, gone, present) as is_gone:
        (row_count,) = connection.execute(
            f"delete from {raw(table)} as held where {is_gone}"
        ).fetchone()
    return row_count


def count_gone(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    gone: Sequence[pa.Table],
    present: pa.Table | None,
    days: Sequence[object],
) -> int:
    """Count what `delete_gone` would delete, but for these days, of which nothing is left then."""
    is_left = f"not list_contains($days, {day(table)})" if days else "true"
    with _is_gone(connection, table, gone, present) as is_gone:
        (row_count,) = connection.execute(
            f"select count(*) from {raw(table)} as held where ({is_gone}) and {is_left}",
            {"days": days} if days else {},
        ).fetchone()
    return row_count


def day(table: Table) -> str:
    """Say in SQL which day, as `Source.day_totals` has it, a row is of."""
    column = quoted(table.cursor)
    return f"cast({column} as date)" if table.types(table.cursor) <= TIMESTAMPS else column


def greatest_cursor(connection: duckdb.DuckDBPyConnection, table: Table) -> object:
    """Give the greatest value of the cursor that is held; None without any row."""
    (greatest,) = connection.execute(
        f"select max({quoted(table.cursor)}) from {raw(table)}"
    ).fetchone()
    return greatest


def exact(column: str, held_as: str) -> str:
    """Say in SQL a number as a decimal of six places, exactly as it is shown.

    Args:
        column: Name of the column.
        held_as: Its dlt type, as `types` gives it.
    """
    number = quoted(column)
    if held_as != "double":
        return f"cast({number} as decimal(38, 6))"
    # DuckDB itself makes 4432214140.390001 of 4432214140.39. By way of text it is exact, and takes
    # a hundred times as long: a decimal of at most 15 digits that is the same double is the one. Of
    # a text with an exponent, such as 5.5e-17, it makes 0.000001.
    short = f"try_cast({number} as decimal(15, 6))"
    return (
        f"case when abs({number}) < 5e-7 then 0 when cast({short} as double) = {number}"
        f" then {short} else cast(cast({number} as varchar) as decimal(38, 6)) end"
    )


def start_of_look_back(connection: duckdb.DuckDBPyConnection, table: Table) -> object:
    """Give the cursor's value that a load reads on from; None without any row.

    It is asked of the rows, not of dlt's state, which would keep a value whose row was wrong and is
    gone.
    """
    greatest = greatest_cursor(connection, table)
    if not (greatest and table.lookback):
        return greatest
    first = datetime.min.replace(tzinfo=greatest.tzinfo)
    return max(greatest, first + table.lookback) - table.lookback


def is_live(table: Table) -> str:
    """Say in SQL which rows are not deleted softly."""
    if not table.soft_delete:
        return "true"
    column = quoted(table.soft_delete)
    if table.types(table.soft_delete) <= TIMESTAMPS:
        return f"{column} is null"
    value = table.value_of_deleted
    return f"{column} is distinct from {literal(value) if isinstance(value, str) else value}"


def days_of_keys(
    connection: duckdb.DuckDBPyConnection, table: Table, keys: pa.Table
) -> set[object]:
    """Give the days of the rows with one of these primary keys."""
    with connection.cursor() as cursor:
        cursor.register("wanted", keys)
        found = cursor.execute(
            f"select distinct {day(table)} from {raw(table)} as held where exists"
            f" (select 1 from wanted where {same(table, table.primary_key, 'held', 'wanted')})"
        ).fetchall()
    return {of_day for (of_day,) in found}


def delete_days(
    connection: duckdb.DuckDBPyConnection, table: Table, days: Sequence[object]
) -> None:
    """Delete the rows whose cursor lies on these days (UTC), or has these values."""
    connection.execute(
        f"delete from {raw(table)} where list_contains($days, {day(table)})", {"days": days}
    )


@contextmanager
def _is_gone(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    gone: Sequence[pa.Table],
    present: pa.Table | None,
) -> Iterator[str]:
    """Say in SQL which rows of `held` are gone, by their keys: `rowid` may be a column's name."""
    named = {f"gone_{number}": ("exists", keys) for number, keys in enumerate(gone)}
    if present is not None:
        named["present"] = ("not exists", present)
    conditions = ["false"] + [
        f"{condition} (select 1 from {name} where {same(table, table.primary_key, 'held', name)})"
        for name, (condition, _) in named.items()
    ]
    for name, (_, keys) in named.items():
        connection.register(name, keys)
    try:
        yield " or ".join(conditions)
    finally:
        for name in named:
            connection.unregister(name)
