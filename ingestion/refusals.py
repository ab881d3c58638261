"""What a load is refused for before anything of it is read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import duckdb

from ingestion import raw
from ingestion.errors import LoadError
from ingestion.source import ControlTotals
from ingestion.tables import Table


def declared_types(table: Table, found: dict[str, str]) -> dict[str, str]:
    """Give the source's types of the declared columns, which must be what is declared."""
    for name in table.columns:
        # A declaration leaves a decimal's digits to the source.
        if found.get(name, "").partition("(")[0] not in (expected := table.types(name)):
            raise LoadError(
                f"table {table.source}.{table.name}: column {name}: expected"
                f" {' or '.join(sorted(expected))}, found {found.get(name, 'no such column')};"
                " restore it at the source, or change ingestion/tables.py and the models that"
                " read it"
            )
    return {name: found[name] for name in table.columns}


def refuse_an_earlier_clock(connection: duckdb.DuckDBPyConnection) -> None:
    """Refuse a clock that was set back: news would be older than what it is newer than."""
    latest: list[tuple[str, datetime]] = []
    for schema, table in connection.execute(
        "select schema_name, table_name from duckdb_tables()"
        " where table_name = '_dlt_loads' or (schema_name, table_name) = ('builds', 'builds')"
    ).fetchall():
        what, column = (
            ("load", "inserted_at")
            if table == "_dlt_loads"
            else ("build", "coalesce(ended_at, began_at)")
        )
        (at,) = connection.execute(
            f"select epoch_us(max({column})) from {raw.quoted(schema)}.{raw.quoted(table)}"
        ).fetchone()
        if at is not None:
            latest.append((what, datetime.fromtimestamp(at / 1_000_000, UTC)))
    what, at = max(
        latest, key=lambda known: known[1], default=("", datetime.min.replace(tzinfo=UTC))
    )
    if (now := datetime.now(UTC)) < at:
        raise LoadError(
            f"clock: expected a time after that of the latest {what}, {at:%Y-%m-%d %H:%M:%S} UTC,"
            f" found {now:%Y-%m-%d %H:%M:%S} UTC; set this machine's clock right and load again,"
            " or, where the clock was wrong then, wait until that time is past"
        )


def refuse_names_alike(
    connection: duckdb.DuckDBPyConnection, source_name: str, tables: Iterable[Table]
) -> None:
    """Refuse tables of a source whose names differ in case alone, which DuckDB takes for one."""
    held = connection.execute(
        "select table_name from duckdb_tables() where schema_name = ?", [f"raw_{source_name}"]
    ).fetchall()
    known = {name.lower(): name for (name,) in held}
    for table in tables:
        other = known.setdefault(table.name.lower(), table.name)
        if other != table.name:
            raise LoadError(
                f"table {source_name}.{table.name}: expected a name that differs from others in"
                f" more than capital letters, found {source_name}.{other}, too; give the source a"
                " view with another name"
            )


def refuse_other_columns(
    connection: duckdb.DuckDBPyConnection, table: Table, types: dict[str, str]
) -> None:
    """Refuse columns other than those loaded before: the rows there know nothing of them."""
    if not raw.is_held(connection, table):
        return
    held = raw.types(connection, table)
    for name in {**held, **types}:
        expected, found = types.get(name), held.get(name)
        if expected != found and not name.startswith("_dlt_"):
            raise LoadError(
                f"table {table.source}.{table.name}: column {name}: expected"
                f" {expected or 'no such column'} in the warehouse, as ingestion/tables.py and the"
                f" source say, found {found or 'no such column'}; load the table whole with"
                f" --table {table.source}.{table.name} --full-refresh"
            )


def refuse_going_back(
    connection: duckdb.DuckDBPyConnection, table: Table, totals: ControlTotals, reconcile: bool
) -> None:
    """Refuse a source that has lost rows, or that ends before the warehouse does.

    It may end before where its latest rows were deleted, in a declared way or by a reconciliation.
    """
    held = raw.row_count(connection, table)
    # A reconciliation deletes nothing of a table without a cursor.
    rows_go = table.mode == "replace" or table.deletes or (reconcile and table.cursor)
    least = max(1, held * table.smallest_share) if rows_go else 1
    if held and totals.row_count < least:
        raise LoadError(
            f"table {table.source}.{table.name}: expected about the {held} rows that the warehouse"
            f" holds, found {totals.row_count} at the source; load with --full-refresh if that is"
            " all there is"
        )
    if table.cursor and held and not table.deletes and not reconcile:
        greatest = raw.greatest_cursor(connection, table)
        if totals.cursor_max < greatest:
            raise LoadError(
                f"table {table.source}.{table.name}: expected {table.cursor} to reach at least"
                f" {greatest}, which the warehouse holds, found {totals.cursor_max} at the"
                " source; load with --reconcile if rows were deleted there, or with"
                " --full-refresh to go back to an earlier day"
            )
