"""DuckDB files: open one for reading, quote, fetch rows, sum up a table."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from publishing.errors import PublishingError


class Fingerprint(NamedTuple):
    """What a table holds, in any order of its rows.

    Attributes:
        row_count: Rows.
        checksum: Sum of the rows' hashes; equal rows do not cancel out.
    """

    row_count: int
    checksum: str


def identifier(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for SQL that is shown, or where nothing can be bound."""
    return "'" + text.replace("'", "''") + "'"


def reason(error: Exception) -> str:
    """Give the first line of what DuckDB or the system said."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def fetch(
    connection: duckdb.DuckDBPyConnection, query: str, *parameters: object
) -> list[dict[str, Any]]:
    """Run a query; give its rows by column name."""
    result = connection.execute(query, parameters)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def fingerprint(connection: duckdb.DuckDBPyConnection, table: str) -> Fingerprint:
    """Sum up a table (a quoted, qualified name)."""
    return Fingerprint(
        *connection.execute(
            f"select count(*), cast(coalesce(sum(hash(all_columns)), 0) as varchar)"
            f" from {table} as all_columns"
        ).fetchone()
    )


@contextmanager
def open_for_reading(path: Path, what: str, to_do: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB file read-only, in UTC.

    Args:
        path: The file.
        what: What the file is, for the message.
        to_do: What makes the file, for the message where it is missing.

    Raises:
        PublishingError: there is no such file, or it cannot be opened.
    """
    connection = connect_for_reading(path, what, to_do)
    try:
        yield connection
    finally:
        connection.close()


def connect_for_reading(path: Path, what: str, to_do: str) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file read-only, in UTC; see `open_for_reading`."""
    try:
        is_there = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        is_there = False
    except OSError as error:
        raise PublishingError(
            f"{what} {path}: expected a file that can be reached, found: {reason(error)}; ask"
            " whoever publishes for it"
        ) from error
    if not is_there:
        raise PublishingError(f"{what} {path}: expected a DuckDB file, found none; {to_do}")
    try:
        connection = duckdb.connect(path, read_only=True)
    except (duckdb.Error, OSError) as error:
        raise cannot_open(path, what, to_do, error) from error
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set enable_progress_bar = false")
    return connection


def cannot_open(path: Path, what: str, to_do: str, error: Exception) -> PublishingError:
    """Say why a file cannot be opened."""
    return PublishingError(
        f"{what} {path}: expected a DuckDB file that can be opened for reading, found:"
        f" {reason(error)}; end the process that has it open for writing, or {to_do}"
    )
