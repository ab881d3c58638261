"""Load the declared tables into the warehouse with dlt.

The way of a load: look at every table at the source and count it; let dlt extract what is new
to Parquet; then, in one transaction, let dlt load all of it. What is refused or fails leaves
the warehouse as it was.

dlt keeps its state (schemas, load ids) in the warehouse beside the data, so both are always of the
same moment. Its working folder is made anew for each load.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import dlt
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.pipeline.exceptions import PipelineStepFailed

from ingestion import control_totals, lateness, quarantine, raw, reconciliation
from ingestion.errors import LoadError, warn
from ingestion.quarantine import SetAside
from ingestion.reconciliation import Day
from ingestion.refusals import (
    declared_types,
    refuse_an_earlier_clock,
    refuse_going_back,
    refuse_most_deleted,
    refuse_names_alike,
    refuse_other_columns,
)
from ingestion.source import ControlTotals, Source, Sources
from ingestion.tables import TIMESTAMPS, Table
from ingestion.terminal import say
from ingestion.warehouse import (
    interruptible,
    open_warehouse,
    shared_connection_duckdb,
    transaction,
)


@dataclass(frozen=True)
class LoadedTable:
    """What a load did to one table; of a dry run what it would have done.

    Attributes:
        table: The declaration.
        at_source: Rows that the source counted.
        written: Rows that the load wrote (new, changed, or all of a replaced table).
        in_warehouse: Rows that the warehouse holds after it; after a dry run as before it.
        quarantined: Rows that are in quarantine after it.
        deleted: Rows that the load deleted, since they are gone at the source or in quarantine.
        undeclared: Columns at the source that the declaration does not know.
        marked: Rows at the source that are not loaded, since they are marked as deleted there.
        differing: Days on which the warehouse still differs from the source.
    """

    table: Table
    at_source: int
    written: int
    in_warehouse: int
    quarantined: int = 0
    deleted: int = 0
    undeclared: tuple[str, ...] = ()
    marked: int = 0
    differing: tuple[Day, ...] = ()


@dataclass(frozen=True)
class _Counted:
    """A table as the source shows it, before anything is read.

    Attributes:
        table: The declaration.
        types: Declared column to the dlt type that the source has it in.
        undeclared: Columns of the source that the declaration does not know.
        totals: What the source counted.
    """

    table: Table
    types: dict[str, str]
    undeclared: tuple[str, ...]
    totals: ControlTotals


def load(
    tables: Sequence[Table],
    sources: Sources,
    warehouse: Path,
    *,
    full_refresh: bool = False,
    reconcile: bool = False,
    dry_run: bool = False,
) -> list[LoadedTable]:
    """Load what is new of the tables, all or nothing.

    Args:
        tables: Declarations of the tables to load.
        sources: Name of a source system to what reads it.
        warehouse: The DuckDB file; created when missing.
        full_refresh: Drop these tables and load them whole, whatever the warehouse holds.
        reconcile: Read the days whole, too, on which the warehouse differs from the source.
        dry_run: Count at the source and find what would be written, deleted and set aside, but
            write nothing.

    Returns:
        One entry a table, in the order given.

    Raises:
        LoadError: a table cannot be read, is not what its declaration says, or would lose
            rows; nothing of the load is in the warehouse.
    """
    with interruptible() as hold_interrupts:
        say(f"Counting {len(tables)} tables at the source")
        # All columns before any count: what cannot be loaded is told at once.
        columns = [sources[table.source].columns(table) for table in tables]
        types = declared_types(tables, columns)
        counted = [
            _Counted(
                table,
                of_table,
                tuple(
                    name
                    for name in found
                    if name not in table.columns and name not in table.excluded_columns
                ),
                sources[table.source].control_totals(table),
            )
            for table, of_table, found in zip(tables, types, columns, strict=True)
        ]
        for item in counted:
            refuse_most_deleted(item.table, item.totals)
            _warn_of_late_rows(item.table)
        with (
            _place(warehouse, dry_run) as place,
            open_warehouse(place) as connection,
            _working_folder(place) as folder,
        ):
            refuse_an_earlier_clock(connection)
            for name in sources:
                of_source = [table for table in tables if table.source == name]
                refuse_names_alike(connection, name, of_source)
            if not full_refresh:
                for item in counted:
                    refuse_other_columns(connection, item.table, item.types)
                    refuse_going_back(connection, item.table, item.totals, reconcile)
            if reconcile:
                say("Comparing tables with a cursor row by row with the source's")
            parts = {
                name: _Load(
                    name, counted, sources[name], connection, folder, full_refresh, reconcile
                )
                for name in dict.fromkeys(table.source for table in tables)
            }
            for name, part in parts.items():
                say(f"Extracting what is new from {name}")
                part.extract()
            if not dry_run:
                with transaction(connection):
                    for name, part in parts.items():
                        say(f"Loading {name}: {sum(part.written.values()):,} rows")
                        part.load()
                    outcomes = [
                        parts[item.table.source].outcome(item, is_loaded=True) for item in counted
                    ]
                    # It may have been set back meanwhile.
                    refuse_an_earlier_clock(connection)
                    hold_interrupts()
                for name in parts:
                    # The copies that dlt merges from. (Its own `load.truncate_staging_dataset`
                    # makes later refreshes fail; DuckDB drops no table in the transaction that
                    # wrote it.)
                    connection.execute(f'drop schema if exists "raw_{name}_staging" cascade')
                return outcomes
            return [parts[item.table.source].outcome(item, is_loaded=False) for item in counted]


class _Load:
    """One source system's part of a load: a dlt pipeline of its own."""

    def __init__(
        self,
        source_name: str,
        counted: Iterable[_Counted],
        source: Source,
        connection: duckdb.DuckDBPyConnection,
        folder: Path,
        full_refresh: bool,
        reconcile: bool,
    ):
        self._source_name = source_name
        self._counted = [item for item in counted if item.table.source == source_name]
        self._source = source
        self._connection = connection
        self._full_refresh = full_refresh
        self.written: dict[str, int] = {}
        # Not the time of counting: a sale after the snapshot that it counts would seem to be in it.
        self._counted_at = source.seen_at
        self._set_aside = {
            item.table.name: SetAside(item.table, source.duplicated_keys(item.table))
            for item in self._counted
        }
        # Keys of rows that are deleted softly, of those that are not, and of all rows where keys
        # are compared.
        self._gone: dict[str, list[pa.Table]] = {}
        self._live_keys: dict[str, list[pa.Table]] = {}
        self._present: dict[str, list[pa.Table]] = {}
        self._deleted: dict[str, int] = {}
        # Something can be missed in them, also where the totals of all their days agree.
        self._read_in_part = {
            item.table.name
            for item in self._counted
            if item.table.cursor and not full_refresh and raw.is_held(connection, item.table)
        }
        # How late rows come, where there are earlier ones.
        self._arrivals = {
            item.table.name: arrivals
            for item in self._counted
            if item.table.name in self._read_in_part
            and (arrivals := lateness.awaited(connection, item.table))
        }
        # Days to read whole, by table.
        self._days = {
            name: days
            for name in self._read_in_part
            if (
                days := reconciliation.days_to_read(
                    connection, self._set_aside[name], source, reconcile=reconcile
                )
            )
        }
        with _explained(source_name):
            self._pipeline = dlt.pipeline(
                pipeline_name=source_name,
                pipelines_dir=str(folder),
                destination=shared_connection_duckdb(credentials=connection),
                dataset_name=f"raw_{source_name}",
                progress=dlt.progress.tqdm() if sys.stderr.isatty() else None,
            )
            # The working folder is empty: the schema comes from the warehouse.
            self._pipeline.sync_destination()

    def extract(self) -> None:
        """Read what is new into Parquet files; the warehouse is only read."""

        @dlt.source(name=self._source_name)
        def declared_tables() -> Iterator[object]:
            for item in self._counted:
                if self._full_refresh or not self._is_unchanged(item.table):
                    yield self._resource(item)
            yield control_totals.resource(
                ((item.table, item.totals) for item in self._counted), self._counted_at
            )

        with _explained(self._source_name):
            self._pipeline.extract(
                declared_tables(),
                loader_file_format="parquet",
                refresh="drop_resources" if self._full_refresh else None,
            )
            self._pipeline.normalize()
        metrics = self._pipeline.last_trace.last_normalize_info.row_counts
        self.written = {item.table.name: metrics.get(item.table.name, 0) for item in self._counted}
        for item in self._counted:
            self._set_aside[item.table.name].refuse_too_many(item.totals.row_count)

    def load(self) -> None:
        """Let dlt load the extracted files; the caller holds the transaction."""
        (load_id,) = self._pipeline.list_normalized_load_packages()
        for name, days in self._days.items():
            raw.delete_days(self._connection, self._set_aside[name].table, days)
        with ExitStack() as stack:
            stack.enter_context(_explained(self._source_name))
            if self._full_refresh:
                # dlt drops the counts with the tables to refresh; those of before are history.
                stack.enter_context(control_totals.kept(self._connection, self._source_name))
            self._pipeline.load()
        for name, found in self._set_aside.items():
            self._deleted[name] = raw.delete_gone(
                self._connection, found.table, *self._keys_gone(found)
            )
        quarantine.keep(self._connection, self._source_name, load_id, self._read())
        lateness.record(self._connection, self._source_name, load_id, self._arrivals.values())
        control_totals.record_quarantine(
            self._connection,
            [item.table for item in self._counted],
            self._counted_at,
            load_id,
        )

    def outcome(self, item: _Counted, *, is_loaded: bool) -> LoadedTable:
        """Say what became of a table."""
        table = item.table
        in_warehouse = raw.row_count(self._connection, table)
        found = self._set_aside[table.name]
        quarantined = (
            quarantine.held(self._connection, table).row_count
            if is_loaded
            else quarantine.count_after(self._connection, found)
        )
        differing: list[Day] = []
        if is_loaded and (
            table.name in self._read_in_part
            or not reconciliation.agrees(self._connection, table, item.totals)
        ):
            differing = (
                reconciliation.differing_days(self._connection, table, self._source)
                if table.cursor
                else [Day(None, item.totals.row_count, in_warehouse + quarantined)]
            )
        return LoadedTable(
            table=table,
            at_source=item.totals.row_count,
            written=self.written[table.name],
            in_warehouse=in_warehouse,
            quarantined=quarantined,
            deleted=self._deleted[table.name] if is_loaded else self._count_gone(found),
            undeclared=item.undeclared,
            marked=item.totals.deleted,
            differing=tuple(differing),
        )

    def _keys_at_source(self, table: Table) -> list[pa.Table]:
        """Give the keys of all rows of the source, where they are compared."""
        if table.deletes != "keys" or not table.cursor:
            return self._present.get(table.name, [])
        keys = {name: table.columns[name] for name in table.primary_key}
        return list(
            self._source.batches(
                Table(
                    source=table.source,
                    name=table.name,
                    columns=keys,
                    mode="merge",
                    primary_key=table.primary_key,
                )
            )
        )

    def _read(self) -> list[SetAside]:
        """Give what was found of the tables that were read."""
        return [found for found in self._set_aside.values() if found.is_read]

    def _count_gone(self, found: SetAside) -> int:
        """Count what a load would delete, before anything is loaded."""
        table = found.table
        if (
            self._full_refresh
            or table.mode == "replace"
            or not raw.is_held(self._connection, table)
        ):
            return 0
        days = self._days.get(table.name, [])
        return raw.count_gone(self._connection, table, *self._keys_gone(found), days)

    def _keys_gone(self, found: SetAside) -> tuple[list[pa.Table], pa.Table | None]:
        """Give keys that are deleted or in quarantine, and all others where they are compared."""
        table = found.table
        gone = self._gone.get(table.name, [])
        if gone:
            # A key may be used again.
            live = pa.concat_tables(self._live_keys[table.name])
            gone = [
                pa.concat_tables(gone).join(live, list(table.primary_key), join_type="left anti")
            ]
        present = self._keys_at_source(table)
        return [*gone, *found.keys], pa.concat_tables(present) if present else None

    def _is_unchanged(self, table: Table) -> bool:
        """Whether a table to replace has in the warehouse exactly the rows of the source.

        It is left alone then: replaced, its rows would get a new load id, and everything that
        depends on them would be built again.
        """
        if table.mode != "replace" or not raw.is_held(self._connection, table):
            return False
        found = SetAside(table, self._set_aside[table.name].duplicated_keys)
        rows = pa.concat_tables(
            found.split(self._connection, batch) for batch in self._source.batches(table)
        )
        if rows.num_rows != raw.row_count(self._connection, table):
            return False
        columns = ", ".join(raw.quoted(column) for column in table.columns)
        with self._connection.cursor() as cursor:
            cursor.register("source_rows", rows)
            (differing,) = cursor.execute(
                f"select count(*) from (select {columns} from source_rows"
                f" except all select {columns} from {raw.raw(table)})"
            ).fetchone()
        if differing:
            return False
        # What is in quarantine can have changed all the same.
        found.is_read = True
        self._set_aside[table.name] = found
        return True

    def _resource(self, item: _Counted) -> object:
        table = item.table
        is_new = self._full_refresh or not raw.is_held(self._connection, table)
        # With nothing to merge with, the rows go straight in, without a staging copy.
        mode = "replace" if is_new else table.mode
        days = self._days.get(table.name)
        reads_on = table.cursor and not is_new and not days
        start = raw.start_of_look_back(self._connection, table) if reads_on else None

        def rows() -> Iterator[object]:
            yield from self._batches(table, start, days, changed=mode == "merge" and not days)

        return dlt.resource(
            rows,
            name=table.name,
            columns={name: _hints(data_type) for name, data_type in item.types.items()},
            primary_key=table.primary_key or None,
            write_disposition=mode,
        )

    def _batches(
        self,
        table: Table,
        start: object,
        days: list[object] | None,
        *,
        changed: bool,
    ) -> Iterator[object]:
        """Read rows, set aside what breaks a rule, and leave out what is held already."""
        found = self._set_aside[table.name]
        # `append` goes on after the greatest value held; others read its rows again, too.
        after = table.mode == "append"
        found.is_read, found.start, found.after, found.days = True, start, after, days
        # An empty batch counts: the models need the table even while the source has no row of it.
        for batch in self._source.batches(table, start, after, days):
            rows = found.split(self._connection, self._live(table, batch))
            if table.deletes == "keys" and not table.cursor:
                self._present.setdefault(table.name, []).append(rows.select(table.primary_key))
            arrivals = self._arrivals.get(table.name)
            if changed or arrivals:
                brought = _changed_rows(self._connection, table, rows)
                if arrivals:
                    arrivals.count(self._connection, brought)
            if not changed:
                yield rows
            elif brought.num_rows:
                yield brought

    def _live(self, table: Table, batch: pa.Table) -> pa.Table:
        """Leave out what is deleted softly, and note its keys."""
        if not table.soft_delete:
            return batch
        flag = batch.column(table.soft_delete)
        deleted = (
            flag.is_valid()
            if table.types(table.soft_delete) <= TIMESTAMPS
            else pc.fill_null(pc.equal(flag, table.value_of_deleted), False)
        )
        gone = batch.filter(deleted)
        if gone.num_rows:
            self._gone.setdefault(table.name, []).append(gone.select(table.primary_key))
        live = batch.filter(pc.invert(deleted))
        self._live_keys.setdefault(table.name, []).append(live.select(table.primary_key))
        return live


def _warn_of_late_rows(table: Table) -> None:
    """Say of a cursor that is a time that rows can come late to it."""
    if table.cursor and table.types(table.cursor) <= TIMESTAMPS and not table.lookback:
        warn(
            f"table {table.source}.{table.name}: cursor {table.cursor} has no lookback: a row that"
            " is committed after a later one was loaded is missing until --reconcile; declare one"
            + (" (mode merge)" if table.mode == "append" else "")
        )


def _hints(data_type: str) -> dict[str, object]:
    """Give dlt's hints for a column; precision and scale it takes from the rows."""
    if data_type in TIMESTAMPS:
        return {"data_type": "timestamp", "timezone": data_type != "timestamp"}
    return {} if data_type.startswith("decimal") else {"data_type": data_type}


def _changed_rows(connection: duckdb.DuckDBPyConnection, table: Table, batch: pa.Table) -> pa.Table:
    """Leave out the rows that the warehouse holds exactly so already.

    A look-back reads rows again that did not change; merging them would give them a new load
    id, and everything that depends on them would be built again.
    """
    same = raw.same(table, list(table.columns), "batch", "held")
    with connection.cursor() as cursor:
        cursor.register("batch", batch)
        return cursor.execute(
            f"select batch.* from batch anti join {raw.raw(table)} as held on {same}"
        ).to_arrow_table()


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give an error, what it came of, and so on to the first."""
    cause: BaseException | None = error
    while cause:
        yield cause
        cause = cause.__cause__ or cause.__context__


@contextmanager
def _explained(source_name: str) -> Iterator[None]:
    """Say in one line why a step of dlt's failed, from its chain of exceptions."""
    try:
        yield
    except (PipelineStepFailed, ConfigurationException) as error:
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, LoadError):
                raise cause from error
        # What is wrong with a value in .dlt/config.toml says little without its name.
        settings = [cause for cause in causes if isinstance(cause, ConfigurationException)]
        first = (settings or causes)[-1]
        reason = (str(first).strip() or type(first).__name__).splitlines()[0]
        step = f"step {error.step}" if isinstance(error, PipelineStepFailed) else "settings"
        raise LoadError(
            f"{source_name}: expected dlt's {step} to pass, found: {reason};"
            " nothing was loaded: mend the cause and load again"
        ) from error


@contextmanager
def _place(warehouse: Path, dry_run: bool) -> Iterator[Path]:
    """Give the warehouse's place; for a dry run of a first load one that passes, on the same disk.

    Raises:
        LoadError: nothing can be written there.
    """
    if not dry_run or warehouse.exists():
        yield warehouse
        return
    parent = next(folder for folder in warehouse.parents if folder.is_dir())
    try:
        folder = TemporaryDirectory(prefix=f".{warehouse.name}.", dir=parent)
    except OSError as error:
        raise LoadError(
            f"folder {parent}: expected to write the dry run's files there, found:"
            f" {error.strerror}; make room on the disk, or mend the cause, and try again"
        ) from error
    with folder as name:
        yield Path(name) / warehouse.name


@contextmanager
def _working_folder(warehouse: Path) -> Iterator[Path]:
    """Give dlt a new folder beside the warehouse, on the disk that has room for the data.

    The warehouse is open for writing here, so no other load can be using the folder; what a
    killed load left in it is of no use.

    Raises:
        LoadError: it cannot be written.
    """
    folder = warehouse.parent / f".{warehouse.name}.load"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield folder
    except OSError as error:
        # dlt fails again while it handles what failed first.
        first = [cause for cause in _causes(error) if isinstance(cause, OSError)][-1]
        raise LoadError(
            f"working folder {folder}: expected to write the load's files there, found:"
            f" {first.strerror or first}; nothing was loaded: make room on the disk, or mend the"
            " cause, and load again"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
