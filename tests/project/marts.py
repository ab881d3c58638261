"""Compares the marts of two warehouse files, every row and column."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb

COLUMNS = """
select table_name, list(column_name || ' ' || data_type order by column_index)
from duckdb_columns()
where database_name = '{database}' and schema_name = 'marts'
group by all
"""


def differences(first: Path, second: Path, leave_out: Iterable[str] = ()) -> list[str]:
    """Name tables, columns and rows that only one of the two has; a few rows a table.

    Args:
        first: A warehouse file.
        second: Another one.
        leave_out: Columns that may differ.
    """
    with duckdb.connect() as connection:
        connection.execute(f"attach '{first}' as first (read_only)")
        connection.execute(f"attach '{second}' as second (read_only)")
        tables, others = (
            dict(connection.execute(COLUMNS.format(database=name)).fetchall())
            for name in ("first", "second")
        )
        assert tables, f"{first} has no marts"
        if tables != others:
            return [f"expected the same tables and columns, found {tables} and {others}"]
        found = []
        for table, columns in sorted(tables.items()):
            names = [column.split()[0] for column in columns]
            kept = ", ".join(f'"{name}"' for name in names if name not in leave_out)
            for one, other in (("first", "second"), ("second", "first")):
                rows = connection.execute(
                    f"select {kept} from {one}.marts.{table}"
                    f" except all select {kept} from {other}.marts.{table} limit 5"
                ).fetchall()
                found += [f"{table}: only in the {one}: {row}" for row in rows]
        return found


def rows(warehouse: Path, table: str, condition: str = "true") -> list[tuple]:
    """Give the rows of a mart in order."""
    with duckdb.connect(warehouse, read_only=True) as connection:
        return connection.execute(
            f"select * from marts.{table} where {condition} order by all"
        ).fetchall()
