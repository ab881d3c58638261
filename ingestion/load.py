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
from ingestion.sample import ControlTotals, Sample, column_types
from ingestion.tables import Table
from ingestion.warehouse import open_warehouse, shared_connection_duckdb, transaction

CONTROL_TOTALS = "load_control_totals"

# A table that is replaced by less than this share of its rows is taken for a failed delivery.
# A choice, not a measurement: campaigns and their coupons only ever grow in the sample.
LEAST_SHARE_KEPT = 0.5


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
        full_refresh: Drop these tables and their cursors, and load them whole, whatever the
            warehouse holds.
        dry_run: Count at the source and read what would be written, but write nothing.

    Returns:
        One entry a table, in the order given.

    Raises:
        LoadError: a table cannot be read, is not what its declaration says, or would lose
            rows; nothing of the load is in the warehouse.
    """
    _say(f"Counting {len(tables)} tables at the source")
    undeclared = [_undeclared_columns(table, source) for table in tables]
    counted = [
        _Counted(table, source.control_totals(table), columns)
        for table, columns in zip(tables, undeclared, strict=True)
    ]
    if dry_run and not warehouse.exists():
        return [
            LoadedTable(
                item.table, item.totals.row_count, item.totals.row_count, 0, item.undeclared
            )
            for item in counted
        ]
    with open_warehouse(warehouse) as connection, _working_folder(warehouse) as folder:
        if not full_refresh:
            for item in counted:
                _refuse_other_columns(connection, item.table)
                _refuse_going_back(connection, item)
        parts = {
            name: _Load(name, counted, source, connection, folder, full_refresh)
            for name in dict.fromkeys(table.source for table in tables)
        }
        for name, part in parts.items():
            _say(f"Extracting what is new from {name}")
            part.extract()
        if not dry_run:
            with transaction(connection):
                for name, part in parts.items():
                    _say(f"Loading {name}: {sum(part.written.values()):,} rows")
                    part.load()
            for name in parts:
                # The copies that dlt merges from. (Its own `load.truncate_staging_dataset` makes
                # later refreshes fail; DuckDB drops no table in the transaction that wrote it.)
                connection.execute(f'drop schema if exists "raw_{name}_staging" cascade')
        return [
            LoadedTable(
                table=item.table,
                at_source=item.totals.row_count,
                written=parts[item.table.source].written[item.table.name],
                in_warehouse=_row_count(connection, item.table),
                undeclared=item.undeclared,
            )
            for item in counted
        ]


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
        self._source_name = source_name
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
        with _explained(source_name):
            self._pipeline.sync_destination()

    def extract(self) -> None:
        """Read what is new into Parquet files; the warehouse is only read."""

        @dlt.source(name=self._source_name)
        def declared_tables() -> Iterator[object]:
            for item in self._counted:
                if self._full_refresh or not self._is_unchanged(item.table):
                    yield self._resource(item.table)
            yield self._control_totals()

        with _explained(self._source_name):
            self._pipeline.extract(
                declared_tables(),
                loader_file_format="parquet",
                refresh="drop_resources" if self._full_refresh else None,
            )
            self._pipeline.normalize()
        metrics = self._pipeline.last_trace.last_normalize_info.row_counts
        self.written = {item.table.name: metrics.get(item.table.name, 0) for item in self._counted}

    def load(self) -> None:
        """Let dlt load the extracted files; the caller holds the transaction."""
        totals = _relation(self._source_name, CONTROL_TOTALS)
        earlier = None
        if self._full_refresh and _exists(self._connection, self._source_name, CONTROL_TOTALS):
            # dlt drops this table with those to refresh; what was counted before is history.
            earlier = self._connection.execute(f"from {totals}").to_arrow_table()
        with _explained(self._source_name):
            self._pipeline.load()
        if earlier is not None:
            self._connection.register("earlier_totals", earlier)
            self._connection.execute(f"insert into {totals} by name from earlier_totals")
            self._connection.unregister("earlier_totals")

    def _is_unchanged(self, table: Table) -> bool:
        """Whether a table to replace has in the warehouse exactly the rows of the source.

        It is left alone then: replaced, its rows would get a new load id, and everything that
        depends on them would be built again.
        """
        if table.mode != "replace" or not _exists(self._connection, table.source, table.name):
            return False
        rows = pa.concat_tables(self._source.batches(table))
        if rows.num_rows != _row_count(self._connection, table):
            return False
        columns = ", ".join(f'"{column}"' for column in table.columns)
        with self._connection.cursor() as cursor:
            cursor.register("source_rows", rows)
            (differing,) = cursor.execute(
                f"select count(*) from (select {columns} from source_rows"
                f" except all select {columns} from {_relation(table.source, table.name)})"
            ).fetchone()
        return differing == 0

    def _resource(self, table: Table) -> object:
        is_new = self._full_refresh or not _exists(self._connection, table.source, table.name)
        # With nothing to merge with, the rows go straight in, without a staging copy.
        mode = "append" if is_new and table.mode == "merge" else table.mode
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
                yield from self._batches(table)

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
                yield from self._batches(table, cursor.last_value, after)

            resource = dlt.resource(new_rows, **hints)

        if mode == "merge":
            resource.add_map(lambda batch: _changed_rows(self._connection, table, batch))
        return resource

    def _batches(self, table: Table, start: object = None, after: bool = False) -> Iterator[object]:
        # An empty batch counts: the models need the table even while the source has no row of it.
        for batch in self._source.batches(table, start, after):
            yield _with_required_key(batch, table)

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


def _undeclared_columns(table: Table, source: Sample) -> tuple[str, ...]:
    """Hold the source's columns against the declaration; give those that it does not know."""
    found = source.columns(table)
    for name, data_type in table.columns.items():
        if found.get(name) != data_type:
            raise LoadError(
                f"table {table.source}.{table.name}: column {name}: expected {data_type}, found"
                f" {found.get(name, 'no such column')}; restore it at the source, or change"
                " ingestion/tables.py and the models that read it"
            )
    return tuple(
        name for name in found if name not in table.columns and name not in table.excluded_columns
    )


def _refuse_other_columns(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    """Refuse a declaration that has changed: the rows loaded before know nothing of it."""
    if not _exists(connection, table.source, table.name):
        return
    held = column_types(connection.sql(f"from {_relation(table.source, table.name)} limit 0"))
    for name in {**held, **table.columns}:
        declared, found = table.columns.get(name), held.get(name)
        if declared != found and not name.startswith("_dlt_"):
            raise LoadError(
                f"table {table.source}.{table.name}: column {name}: expected"
                f" {declared or 'no such column'} in the warehouse, as ingestion/tables.py says,"
                f" found {found or 'no such column'}; load the table whole with"
                f" --table {table.name} --full-refresh"
            )


def _refuse_going_back(connection: duckdb.DuckDBPyConnection, item: _Counted) -> None:
    """Refuse a source that has lost rows, or that ends before the warehouse does."""
    table, totals = item.table, item.totals
    held = _row_count(connection, table)
    least = max(1, held * LEAST_SHARE_KEPT) if table.mode == "replace" else 1
    if held and totals.row_count < least:
        raise LoadError(
            f"table {table.source}.{table.name}: expected about the {held} rows that the warehouse"
            f" holds, found {totals.row_count} at the source; load with --full-refresh if that is"
            " all there is"
        )
    if table.cursor and held:
        (greatest,) = connection.execute(
            f'select max("{table.cursor}") from {_relation(table.source, table.name)}'
        ).fetchone()
        if totals.cursor_max < greatest:
            raise LoadError(
                f"table {table.source}.{table.name}: expected {table.cursor} to reach at least"
                f" {greatest}, which the warehouse holds, found {totals.cursor_max} at the"
                " source; load with --full-refresh to go back to an earlier day"
            )


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
    held = _relation(table.source, table.name)
    with connection.cursor() as cursor:
        cursor.register("batch", batch)
        changed = cursor.execute(
            f"select batch.* from batch anti join {held} as held on {same}"
        ).to_arrow_table()
    return _with_required_key(changed, table) if changed.num_rows else None


def _control_rows(item: _Counted, counted_at: datetime) -> Iterator[dict[str, object]]:
    """Give the control totals of one table as rows of `load_control_totals`."""

    def row(measure: str, column: str | None, value: object) -> dict[str, object]:
        if isinstance(value, date):
            value = value.isoformat()
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


def _relation(source_name: str, name: str) -> str:
    return f'"raw_{source_name}"."{name}"'


def _exists(connection: duckdb.DuckDBPyConnection, source_name: str, name: str) -> bool:
    (tables,) = connection.execute(
        "select count(*) from information_schema.tables where table_schema = ? and table_name = ?",
        [f"raw_{source_name}", name],
    ).fetchone()
    return tables > 0


def _row_count(connection: duckdb.DuckDBPyConnection, table: Table) -> int:
    if not _exists(connection, table.source, table.name):
        return 0
    (rows,) = connection.execute(
        f"select count(*) from {_relation(table.source, table.name)}"
    ).fetchone()
    return rows


@contextmanager
def _explained(source_name: str) -> Iterator[None]:
    """Say in one line why a step of dlt's failed, from its chain of exceptions."""
    try:
        yield
    except PipelineStepFailed as error:
        cause: BaseException = error
        while not isinstance(cause, LoadError) and (inner := cause.__cause__ or cause.__context__):
            cause = inner
        if isinstance(cause, LoadError):
            raise cause from error
        reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        raise LoadError(
            f"{source_name}: expected dlt's step {error.step} to pass, found: {reason};"
            " nothing was loaded: mend the cause and load again"
        ) from error


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
