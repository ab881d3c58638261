"""What a load is refused for before anything of it is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import duckdb

from ingestion import raw
from ingestion.errors import LoadError, remedy
from ingestion.source import ControlTotals
from ingestion.tables import Table

# What to do about a column, by what is wrong with it; the first that fits holds.
REMEDIES = {
    "no such column": (
        "restore it at the source, or change ingestion/tables.py and the models that read it"
    ),
    "which no declaration loads": (
        "take it from columns into excluded_columns in ingestion/tables.py, or declare a view that"
        " casts it"
    ),
    "": "declare what it is in ingestion/tables.py, or a view that casts it",
}


def declared_types(
    tables: Sequence[Table], found: Sequence[Mapping[str, str]]
) -> list[dict[str, str]]:
    """Give the sources' types of the declared columns, which must be what is declared.

    Args:
        tables: The declarations.
        found: Of each its columns at the source, as `Source.columns` gives them.

    Raises:
        LoadError: any of them is another, or missing; all that are, are named.
    """
    faults: dict[str, list[str]] = {}
    for table, of_table in zip(tables, found, strict=True):
        for name in table.columns:
            is_found = of_table.get(name, "no such column")
            # A declaration can leave a decimal's digits to the source.
            if not {is_found, is_found.partition("(")[0]} & {*table.declared(name)}:
                to_do = remedy(is_found, REMEDIES, "")
                faults.setdefault(to_do, []).append(
                    f"table {table.source}.{table.name}: column {name}: expected"
                    f" {' or '.join(sorted(table.declared(name)))}, found {is_found}"
                )
    if faults:
        raise LoadError("; ".join(f"{'; '.join(of)}; {to_do}" for to_do, of in faults.items()))
    return [
        {name: of_table[name] for name in table.columns}
        for table, of_table in zip(tables, found, strict=True)
    ]


def refuse_most_deleted(table: Table, totals: ControlTotals) -> None:
    """Refuse a table of which most rows seem to be deleted: the column may mean the opposite."""
    rows = totals.row_count + totals.deleted
    if totals.deleted and totals.row_count < rows * table.smallest_share:
        raise LoadError(
            f"table {table.source}.{table.name}: expected {table.deletes} to mark at most"
            f" {1 - table.smallest_share:.0%} of the rows as deleted, found {totals.deleted:,} of"
            f" {rows:,}; say in ingestion/tables.py which deleted_value marks a row, or, where so"
            " many are deleted, a lower smallest_share"
        )


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
