"""Load the declared tables into the warehouse with dlt.

The way of a load: look at every table at the source and count it; let dlt extract what is new
to Parquet; then, in one transaction, let dlt load all of it. What is refused or fails leaves
the warehouse as it was.

dlt keeps its state (cursors, schemas, load ids) in the warehouse beside the data, so both are
always of the same moment. Its working folder is made anew for each load.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import dlt
import duckdb
import pyarrow as pa
from dlt.pipeline.exceptions import PipelineStepFailed

from ingestion.errors import LoadError
from ingestion.sample import ControlTotals, Sample
from ingestion.tables import Table
from ingestion.warehouse import open_warehouse, shared_connection_duckdb, transaction

CONTROL_TOTALS = "load_control_totals"


@dataclass(frozen=True)
class LoadedTable:
    """What a load did to one table.

    Attributes:
        table: The declaration.
        at_source: Rows that the source counted.
        written: Rows that the load wrote (new, changed, or all of a replaced table).
        in_warehouse: Rows that the warehouse holds after it.
        undeclared: Columns at the source that the declaration does not know.
    """

    table: Table
    at_source: int
    written: int
    in_warehouse: int
    undeclared: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Counted:
    """A table as the source shows it, before anything is read."""

    table: Table
    totals: ControlTotals
    undeclared: tuple[str, ...]


def load(
    tables: Sequence[Table],
    source: Sample,
    warehouse: Path,
    *,
    full_refresh: bool = False,
    dry_run: bool = False,
) -> list[LoadedTable]:
    """Load what is new of the tables, all or nothing.

    Args:
        tables: Declarations of the tables to load.
        source: Reads them.
        warehouse: The DuckDB file; created when missing.
        full_refresh: Drop these tables and their cursors, and load them whole.
        dry_run: Count at the source and read what would be written, but write nothing.

    Returns:
        One entry a table, in the order given.

    Raises:
        LoadError: a table cannot be read, is not what its declaration says, or would lose
            rows; nothing of the load is in the warehouse.
    """
    _say(f"Counting {len(tables)} tables at the source")
    counted = [_count(table, source) for table in tables]
    if dry_run and not warehouse.exists():
        return [
            LoadedTable(
                item.table, item.totals.row_count, item.totals.row_count, 0, item.undeclared
            )
            for item in counted
        ]
    connection = open_warehouse(warehouse)
    try:
        if not full_refresh:
            for item in counted:
                _refuse_going_back(connection, item)
        with _working_folder(warehouse) as folder:
            loads = [
                _Load(name, counted, source, connection, folder, full_refresh)
                for name in dict.fromkeys(table.source for table in tables)
            ]
            for part in loads:
                _say(f"Extracting what is new from {part.source_name}")
                part.extract()
            if not dry_run:
                with transaction(connection):
                    for part in loads:
                        _say(f"Loading {part.source_name}: {sum(part.written.values()):,} rows")
                        part.load()
            written = {name: rows for part in loads for name, rows in part.written.items()}
        return [
            LoadedTable(
                table=item.table,
                at_source=item.totals.row_count,
                written=written.get(item.table.name, 0),
                in_warehouse=_row_count(connection, item.table),
                undeclared=item.undeclared,
            )
            for item in counted
        ]
    finally:
        connection.close()


class _Load:
    """One source system's part of a load: a dlt pipeline of its own."""

    def __init__(
        self,
        source_name: str,
        counted: Iterable[_Counted],
        source: Sample,
        connection: duckdb.DuckDBPyConnection,
        folder: Path,
        full_refresh: bool,
    ):
        self.source_name = source_name
        self._counted = [item for item in counted if item.table.source == source_name]
        self._source = source
        self._connection = connection
        self._full_refresh = full_refresh
        self.written: dict[str, int] = {}
        self._pipeline = dlt.pipeline(
            pipeline_name=source_name,
            pipelines_dir=str(folder),
            destination=shared_connection_duckdb(credentials=connection),
            dataset_name=f"raw_{source_name}",
            progress=dlt.progress.tqdm() if sys.stderr.isatty() else None,
        )
        # The working folder is empty: cursors and schemas come from the warehouse.
        self._pipeline.sync_destination()

    def extract(self) -> None:
        """Read what is new into Parquet files; the warehouse is only read."""

        @dlt.source(name=self.source_name)
        def declared_tables() -> Iterator[object]:
            for item in self._counted:
                yield self._resource(item.table)
            yield self._control_totals()

        try:
            self._pipeline.extract(
                declared_tables(),
                loader_file_format="parquet",
                refresh="drop_resources" if self._full_refresh else None,
            )
            self._pipeline.normalize()
        except PipelineStepFailed as error:
            raise _load_error(error, self.source_name) from error
        metrics = self._pipeline.last_trace.last_normalize_info.row_counts
        self.written = {item.table.name: metrics.get(item.table.name, 0) for item in self._counted}

    def load(self) -> None:
        """Let dlt load the extracted files; the caller holds the transaction."""
        try:
            self._pipeline.load()
        except PipelineStepFailed as error:
            raise _load_error(error, self.source_name) from error

    def _resource(self, table: Table) -> object:
        first_load = not _exists(self._connection, table)
        if self._full_refresh:
            mode = "replace"
        elif first_load and table.mode == "merge":
            # Nothing to merge with: the rows go straight in, without a staging copy.
            mode = "append"
        else:
            mode = table.mode
        hints = {
            "name": table.name,
            "columns": {
                name: {"data_type": data_type, "timezone": False}
                if data_type == "timestamp"
                else {"data_type": data_type}
                for name, data_type in table.columns.items()
            },
            "primary_key": table.primary_key or None,
            "write_disposition": mode,
        }

        if table.cursor is None:

            def rows() -> Iterator[object]:
                yield from self._batches(table, first_load)

            resource = dlt.resource(rows, **hints)
        else:
            # `append` starts after the last value loaded, `merge` a look-back before it.
            after = table.mode == "append"
            last_value = dlt.sources.incremental(
                table.cursor,
                lag=table.lookback.total_seconds() or None,
                range_start="open" if after else "closed",
                # Rows at the boundary are compared with the warehouse (`_changed_rows`).
                primary_key=(),
            )

            def new_rows(cursor=last_value) -> Iterator[object]:
                yield from self._batches(table, first_load, cursor.last_value, after)

            resource = dlt.resource(new_rows, **hints)

        if mode == "merge":
            resource.add_map(lambda batch: _changed_rows(self._connection, table, batch))
        return resource

    def _batches(
        self, table: Table, first_load: bool, start: object = None, after: bool = False
    ) -> Iterator[object]:
        empty = True
        for batch in self._source.batches(table, start, after):
            empty = False
            yield _with_required_key(batch, table)
        if empty and first_load:
            # The models need the table even while the source has no row of it.
            yield dlt.mark.materialize_table_schema()

    def _control_totals(self) -> object:
        counted_at = datetime.now(UTC)
        return dlt.resource(
            [row for item in self._counted for row in _control_rows(item, counted_at)],
            name=CONTROL_TOTALS,
            write_disposition="append",
            columns={
                "table_name": {"data_type": "text", "nullable": False},
                "measure": {"data_type": "text", "nullable": False},
                "column_name": {"data_type": "text"},
                "value": {"data_type": "text"},
                "counted_at": {"data_type": "timestamp", "nullable": False},
            },
        )


def _say(step: str) -> None:
    """Tell a person what is going on."""
    print(step, file=sys.stderr, flush=True)


def _count(table: Table, source: Sample) -> _Counted:
    """Hold the source's table against its declaration, and count it."""
    found = source.columns(table)
    for name, data_type in table.columns.items():
        if found.get(name) != data_type:
            raise LoadError(
                f"table {table.source}.{table.name}: column {name}: expected {data_type}, found"
                f" {found.get(name, 'no such column')}; restore it at the source, or change"
                " ingestion/tables.py and the models that read it"
            )
    undeclared = [
        name for name in found if name not in table.columns and name not in table.excluded_columns
    ]
    return _Counted(table, source.control_totals(table), tuple(undeclared))


def _refuse_going_back(connection: duckdb.DuckDBPyConnection, item: _Counted) -> None:
    """Refuse a source that has lost rows: its table is emptied, or ends before the warehouse's."""
    table, totals = item.table, item.totals
    if not _exists(connection, table):
        return
    held = _row_count(connection, table)
    if held and not totals.row_count:
        raise LoadError(
            f"table {table.source}.{table.name}: expected rows (the warehouse holds {held}),"
            " found none at the source; load with --full-refresh if it is truly empty"
        )
    if table.cursor and held:
        (greatest,) = connection.execute(
            f'select max("{table.cursor}") from {_relation(table)}'
        ).fetchone()
        greatest = greatest.isoformat() if isinstance(greatest, date) else str(greatest)
        if _sort_key(totals.cursor_max) < _sort_key(greatest):
            raise LoadError(
                f"table {table.source}.{table.name}: expected {table.cursor} to reach at least"
                f" {greatest}, which the warehouse holds, found {totals.cursor_max} at the"
                " source; load with --full-refresh to go back to an earlier day"
            )


def _sort_key(value: str) -> tuple[int, str]:
    """Order cursors as text: ISO timestamps as they are, whole numbers by their length first."""
    return (len(value), value) if value.isdigit() else (0, value)


def _with_required_key(batch: pa.Table, table: Table) -> pa.Table:
    """Mark the key's columns as not null, which they are verified to be."""
    schema = pa.schema(
        [field.with_nullable(field.name not in table.primary_key) for field in batch.schema]
    )
    return pa.Table.from_arrays(batch.columns, schema=schema)


def _changed_rows(
    connection: duckdb.DuckDBPyConnection, table: Table, batch: pa.Table
) -> pa.Table | None:
    """Leave out the rows that the warehouse holds exactly so already.

    A look-back reads rows again that did not change; merging them would give them a new load
    id, and everything that depends on them would be built again.
    """
    same = " and ".join(
        f'batch."{column}" is not distinct from held."{column}"' for column in table.columns
    )
    with connection.cursor() as cursor:
        cursor.register("batch", batch)
        changed = cursor.execute(
            f"select batch.* from batch anti join {_relation(table)} as held on {same}"
        ).to_arrow_table()
    return _with_required_key(changed, table) if changed.num_rows else None


def _control_rows(item: _Counted, counted_at: datetime) -> Iterator[dict[str, object]]:
    """Give the control totals of one table as rows of `load_control_totals`."""

    def row(measure: str, column: str | None, value: object) -> dict[str, object]:
        return {
            "table_name": item.table.name,
            "measure": measure,
            "column_name": column,
            "value": None if value is None else str(value),
            "counted_at": counted_at,
        }

    totals = item.totals
    yield row("row_count", None, totals.row_count)
    for column, amount in totals.amount_sums.items():
        yield row("amount_sum", column, amount)
    if item.table.cursor:
        yield row("cursor_min", item.table.cursor, totals.cursor_min)
        yield row("cursor_max", item.table.cursor, totals.cursor_max)


def _relation(table: Table) -> str:
    return f'"raw_{table.source}"."{table.name}"'


def _exists(connection: duckdb.DuckDBPyConnection, table: Table) -> bool:
    (tables,) = connection.execute(
        "select count(*) from information_schema.tables where table_schema = ? and table_name = ?",
        [f"raw_{table.source}", table.name],
    ).fetchone()
    return tables > 0


def _row_count(connection: duckdb.DuckDBPyConnection, table: Table) -> int:
    if not _exists(connection, table):
        return 0
    (rows,) = connection.execute(f"select count(*) from {_relation(table)}").fetchone()
    return rows


def _load_error(error: PipelineStepFailed, source_name: str) -> LoadError:
    """Say in one line which table failed and why, from dlt's chain of exceptions."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    if isinstance(cause, LoadError):
        return cause
    reason = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    return LoadError(f"{source_name}: the load failed in dlt's step {error.step}: {reason}")


@contextmanager
def _working_folder(warehouse: Path) -> Iterator[Path]:
    """Give dlt a new folder beside the warehouse, on the disk that has room for the data.

    The warehouse is open for writing here, so no other load can be using the folder; what a
    killed load left in it is of no use.
    """
    folder = warehouse.parent / f".{warehouse.name}.load"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
