"""One DuckDB transaction round a whole load.

dlt's DuckDB destination commits job by job, so a load that dies in the middle leaves some
tables new and others old. Here every statement of a load, dlt's own state included, runs on
one connection inside one transaction: after a failure or a kill the warehouse is what it was.
"""

from __future__ import annotations

import functools
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import duckdb
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.destination.dataset import DBApiCursor
from dlt.common.destination.exceptions import DestinationTerminalException
from dlt.common.normalizers.naming import NamingConvention
from dlt.destinations import duckdb as duckdb_destination
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
from dlt.destinations.sql_client import raise_database_error

from ingestion.errors import LoadError, remedy

# What to do where the warehouse cannot be opened, by what DuckDB or the system says.
REMEDIES = {
    "could not set lock": "end the process that has it open",
    "no space left": "make room on the disk",
    "read-only file system": "see to it that it can be written",
    "permission denied": "see to it that it can be written",
    "not a valid duckdb": "put a copy of the file back, or move the file away",
    "could not read enough bytes": "put a copy of the file back, or move the file away",
}

# Whatever somebody made in a DuckDB file.
OF_SOMEBODY = (
    "select table_name from duckdb_tables()",
    "select sequence_name from duckdb_sequences()",
    "select view_name from duckdb_views() where not internal and not temporary",
    "select function_name from duckdb_functions() where not internal",
    "select type_name from duckdb_types() where not internal",
    "select schema_name from duckdb_schemas() where not internal",
)

# Errors of the file itself.
OF_THE_FILE = (duckdb.IOException, duckdb.FatalException, duckdb.InternalException)


class _SharedConnectionSqlClient(DuckDbSqlClient):
    """Runs on the connection it was given and leaves transactions to whoever gave it."""

    def open_connection(self) -> duckdb.DuckDBPyConnection:
        self._conn = self.credentials.external_conn()
        return self._conn

    def close_connection(self) -> None:
        self._conn = None

    @contextmanager
    def begin_transaction(self) -> Iterator[_SharedConnectionSqlClient]:
        yield self

    @contextmanager
    @raise_database_error
    def execute_query(self, query: str, *args: object, **kwargs: object) -> Iterator[DBApiCursor]:
        # Without dlt's own roll-back: it also asks for tables that are not there yet, and such
        # a question does not end a DuckDB transaction. What does end it fails the commit.
        parameters = args or kwargs or None
        if parameters:
            query = query.replace("%s", "?")
        yield self.cursor_impl(self._conn.execute(query, parameters))


class _SharedConnectionClient(DuckDbClient):
    def __init__(self, schema, config, capabilities) -> None:
        super().__init__(schema, config, capabilities)
        self.sql_client = _SharedConnectionSqlClient(
            self.sql_client.dataset_name,
            self.sql_client.staging_dataset_name,
            config.credentials,
            capabilities,
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        if is_interrupt(error):
            # dlt waits for a job that ends in no Exception for ever, and tries one that ends in
            # any other one again.
            raise DestinationTerminalException("interrupted") from error


class shared_connection_duckdb(duckdb_destination):
    """dlt's DuckDB destination on one open connection, for loads in one transaction.

    Needs ``load.workers=1`` in dlt's configuration: with it dlt runs its jobs in the calling
    thread, one after the other (DuckDB itself uses all cores within a statement).
    """

    @property
    def client_class(self) -> type[DuckDbClient]:
        """The job client that dlt loads with."""
        return _SharedConnectionClient

    def capabilities(
        self, config: Any = None, naming: NamingConvention | None = None
    ) -> DestinationCapabilitiesContext:
        """What the destination can do; resolved once where nothing but a naming is given.

        dlt asks some forty times a load, and reads its whole configuration each time.
        """
        if config is not None:
            return super().capabilities(config, naming)
        asked = (type(naming), naming.max_length if naming else None)
        if asked not in self._resolved:
            self._resolved[asked] = super().capabilities(None, naming)
        return self._resolved[asked].copy()

    @functools.cached_property
    def _resolved(self) -> dict[object, DestinationCapabilitiesContext]:
        return {}


@contextmanager
def warehouse_as_it_is(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse to look at it.

    Raises:
        LoadError: there is none, or it cannot be read.
    """
    if not path.exists():
        raise LoadError(
            f"warehouse {path}: expected a DuckDB file, found none; load with `python -m ingestion`"
        )
    try:
        with duckdb.connect(path, read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            yield connection
    except duckdb.Error as error:
        raise _unusable(path, "read", error, "try again") from error


@contextmanager
def open_warehouse(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open (or create) the warehouse for writing, in UTC.

    A file that it created is removed where the block fails.

    Raises:
        LoadError: another process has the file open, it is no DuckDB file, or its folder
            cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = _connect(path)
    except (duckdb.Error, OSError) as error:
        if not _is_locked(error) and _is_begun(path):
            path.unlink()
        raise _unusable(path, "opened for writing", error, "load again") from error
    try:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("set enable_progress_bar = false")
        # Loads need no insertion order; without it DuckDB streams large inserts in less memory.
        connection.execute("set preserve_insertion_order = false")
        yield connection
    except BaseException as error:
        is_empty = _is_empty(connection)
        connection.close()
        if is_empty:
            path.unlink()
        if isinstance(error, duckdb.Error):
            expected, to_do = "what the load asks of it to pass", "mend the cause"
            if isinstance(error, OF_THE_FILE):
                expected = "a DuckDB file that can be read and written"
                to_do = "put a copy of the file back, or mend the cause"
            raise LoadError(
                f"warehouse {path}: expected {expected}, found: {str(error).splitlines()[0]};"
                f" nothing was loaded: {to_do}, and load again"
            ) from error
        raise
    connection.close()


def _unusable(path: Path, use: str, error: Exception, again: str) -> LoadError:
    """Make the error of a warehouse that cannot be used."""
    reason = str(error).splitlines()[0]
    to_do = remedy(reason, REMEDIES, "correct TALLY_WAREHOUSE, or mend the cause")
    return LoadError(
        f"warehouse {path}: expected a DuckDB file that can be {use}, found: {reason}; {to_do}, and"
        f" {again}"
    )


def _is_empty(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether nothing is in the warehouse: it was made for this load, or by one that failed."""
    try:
        return not connection.execute(" union all ".join(OF_SOMEBODY)).fetchall()
    except duckdb.Error:
        return False


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(path)
    except duckdb.IOException as error:
        if _is_locked(error) or not _is_begun(path):
            raise
        path.unlink()
        return duckdb.connect(path)


def _is_locked(error: Exception) -> bool:
    """Whether another process has the file open, or is making it just now."""
    return "Could not set lock" in str(error)


def _is_begun(path: Path) -> bool:
    """Whether the file is one that a killed process was making: nothing is in it yet.

    A DuckDB file begins with three headers of 4,096 bytes.
    """
    if not path.is_file() or path.stat().st_size >= 3 * 4096:
        return False
    begun = path.read_bytes()
    return not begun or begun[8:12] == b"DUCK"


def is_interrupt(error: BaseException | None) -> bool:
    """Whether an error is Ctrl-C, as Python has it or as DuckDB does within a statement."""
    return isinstance(error, KeyboardInterrupt) or str(error) == "Query interrupted"


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Let Ctrl-C end the block, until the function that it gives is called.

    What is committed is committed: to say 'interrupted' after that would be untrue.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    received: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    def hold() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if received:
            # DuckDB swallows an interrupt while it imports a library.
            raise KeyboardInterrupt

    handler = signal.signal(signal.SIGINT, interrupt)
    try:
        yield hold
    except Exception as error:
        if received:
            # What libraries make of an interrupt.
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, handler)


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit what the block did to the warehouse, or nothing of it."""
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    try:
        connection.commit()
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise LoadError(
            f"warehouse: expected to commit the load, found: {reason}; nothing was loaded: mend"
            " the cause and load again"
        ) from error
