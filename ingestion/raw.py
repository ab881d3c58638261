"""The raw tables in the warehouse: what they are called, what they hold, what leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa

from ingestion.source import arrow_types
from ingestion.tables import TIMESTAMPS, Table


def quoted(identifier: str) -> str:
    """Quote an identifier for DuckDB."""
    return '"' + identifier.replace('"', '""') + '"'


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


def delete_keys(connection: duckdb.DuckDBPyConnection, table: Table, keys: pa.Table) -> list:
    """Delete the rows with these primary keys.

    Returns:
        The cursor's values of what was deleted; nulls without a cursor.
    """
    return _delete(
        connection,
        table,
        f"exists (select 1 from named where {same(table, table.primary_key, 'held', 'named')})",
        keys,
    )


def delete_other_keys(connection: duckdb.DuckDBPyConnection, table: Table, keys: pa.Table) -> list:
    """Delete the rows whose primary key is none of these; returns what `delete_keys` does."""
    return _delete(
        connection,
        table,
        f"not exists (select 1 from named where {same(table, table.primary_key, 'held', 'named')})",
        keys,
    )


def day(table: Table) -> str:
    """Say in SQL which day, as `Source.day_totals` has it, a row is of."""
    column = quoted(table.cursor)
    return f"cast({column} as date)" if table.types(table.cursor) <= TIMESTAMPS else column


def delete_days(
    connection: duckdb.DuckDBPyConnection, table: Table, days: Sequence[object]
) -> None:
    """Delete the rows whose cursor lies on these days (UTC), or has these values."""
    connection.execute(
        f"delete from {raw(table)} where list_contains($days, {day(table)})", {"days": days}
    )


def touch_days(
    connection: duckdb.DuckDBPyConnection, table: Table, gone: Sequence[object], load_id: str
) -> None:
    """Let what remains of the days on which something is gone count as loaded anew.

    Models build a business date again, as a whole, when a load brought a row of it. It has hours
    of two dates in UTC.

    Args:
        connection: The warehouse.
        table: The declaration.
        gone: The cursor's values of what is gone.
        load_id: The load that the rows then count as of.
    """
    if not gone or not table.cursor or not table.types(table.cursor) <= TIMESTAMPS:
        return
    dates = {moment.date() if isinstance(moment, datetime) else moment for moment in gone}
    near = {gone_on + timedelta(days=days) for gone_on in dates for days in (-1, 0, 1)}
    connection.execute(
        f"update {raw(table)} set _dlt_load_id = $load_id where list_contains($near, {day(table)})",
        {"load_id": load_id, "near": sorted(near)},
    )


def _delete(
    connection: duckdb.DuckDBPyConnection, table: Table, condition: str, named: pa.Table
) -> list:
    cursor = quoted(table.cursor) if table.cursor else "null"
    connection.register("named", named)
    try:
        return connection.execute(
            f"delete from {raw(table)} as held where {condition} returning {cursor}"
        ).fetchall()
    finally:
        connection.unregister("named")
