"""Production databases: PostgreSQL, and MySQL or MariaDB, read with dlt's `sql_database`.

All of a load is read in one transaction that sees the database as it was when the load began
(repeatable read), so that what is written meanwhile is never half in it. The rows come as Arrow:
from PostgreSQL by ADBC, which joins the same snapshot; from MySQL through SQLAlchemy.
"""

from __future__ import annotations

import re
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa
import sqlalchemy as sa
from adbc_driver_manager import Error as AdbcError
from dlt.common.configuration.specs import ConnectionStringCredentials
from dlt.extract.exceptions import ResourceExtractionError
from dlt.sources.sql_database import sql_table
from dlt.sources.sql_database.helpers import BaseTableLoader, TableLoader
from psycopg.conninfo import make_conninfo
from sqlalchemy.dialects import postgresql

from ingestion.database_types import (
    UNFIT,
    Form,
    Unfit,
    chosen,
    exactly,
    first_unfit,
    forms,
    refuse_what_has_no_sum,
    shown,
)
from ingestion.errors import LoadError, remedy, warn
from ingestion.source import BATCH_ROWS, ControlTotals, arrow_types, totals_of
from ingestion.tables import TIMESTAMPS, Table
from ingestion.terminal import say

Connection = TypeVar("Connection")

# The drivers that are installed, whichever the credentials name.
DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}

# A server that restarts or has no free connection is back soon; a wrong password is not.
SECONDS_BETWEEN_TRIES = (1, 2, 4)

# A table that is locked is waited for: from when on with a word, and how long at most. What holds
# the lock can wait for the load itself, which reads by two connections, and others wait behind it.
SECONDS_UNTIL_TOLD = 5
SECONDS_FOR_A_LOCK = 300

# What the credentials may say otherwise.
CONNECT_DEFAULTS = {
    "postgresql": {"connect_timeout": 10, "application_name": "tally"},
    "mysql": {"connect_timeout": 10},
}

# What the load needs, whatever they say.
CONNECT_ARGUMENTS = {
    "postgresql": {
        # The transaction is idle while ADBC reads its snapshot, however long that takes. Digits of
        # doubles are all written, and times and intervals in one way, whatever the role's setting.
        "options": (
            "-c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres -c client_encoding=UTF8"
            " -c idle_in_transaction_session_timeout=0 -c extra_float_digits=1"
        ),
    },
    "mysql": {
        "charset": "utf8mb4",
        # Rows wait at the server while those before them are written to Parquet. A server can be
        # set to end every answer after some rows, and to fill up a `char(5)` with blanks.
        "init_command": (
            "set time_zone = '+00:00', net_write_timeout = 600,"
            " sql_select_limit = 18446744073709551615,"
            f" lock_wait_timeout = least(@@lock_wait_timeout, {SECONDS_FOR_A_LOCK}),"
            " sql_mode = replace(@@sql_mode, 'PAD_CHAR_TO_FULL_LENGTH', '')"
        ),
    },
}

# What a policy hides is counted by nobody, and taken for deleted: PostgreSQL refuses to hide it.
ROW_SECURITY_OFF = " -c row_security=off"

# Unless the role or the credentials have a time of their own.
LOCK_TIMEOUT = (
    f"select set_config('lock_timeout', '{SECONDS_FOR_A_LOCK}s', false)"
    " where current_setting('lock_timeout') = '0'"
)

BEGIN = {
    "postgresql": [
        "set transaction isolation level repeatable read, read only",
        LOCK_TIMEOUT,
    ],
    "mysql": [
        "set session transaction isolation level repeatable read",
        "start transaction with consistent snapshot, read only",
    ],
}

# What a server says when it would say otherwise a little later.
PASSING = (
    "connection refused",
    "can't connect",
    "connection timed out",
    "timeout expired",
    "the database system is starting up",
    "the database system is shutting down",
    "too many connections",
    "too many clients",
    "server closed the connection",
    "lost connection",
    "connection reset",
    "has gone away",
    "in recovery mode",
    "accepting connections",
    "connection slots are reserved",
    "temporary failure in name resolution",
)

# What is said where a server is not reached, or does not run.
UNREACHED = (
    *PASSING,
    "is the server running",
    "no route to host",
    "network is unreachable",
    "timed out",
    "terminating connection",
)

# What to do, by what the server says; of two that fit the first.
REMEDIES = {
    "password authentication failed": "correct user and password in .dlt/secrets.toml",
    "account is locked": "unlock the user (`alter user USER account unlock`)",
    "to database '": (
        "correct the database in .dlt/secrets.toml, or grant what is missing"
        " (`grant select on DATABASE.TABLE to USER`)"
    ),
    "access denied": "correct user and password in .dlt/secrets.toml, or grant what is missing",
    "must set password": "give the user a password that has not expired",
    "password has expired": "give the user a password that has not expired",
    "not permitted to log in": "let the user in (`alter role USER login`)",
    "row-level security policy": (
        "let the user read all rows (`alter role USER bypassrls`), or, where what the policies show"
        " it is meant, say so: row_security = true for the source in .dlt/config.toml"
    ),
    "permission denied for schema": "grant it (`grant usage on schema SCHEMA to USER`)",
    "permission denied for database": "grant it (`grant connect on database DATABASE to USER`)",
    "permission denied for function": "grant it (`grant execute on function FUNCTION to USER`)",
    "permission denied": "grant it (`grant select on TABLE to USER`)",
    "show view command denied": "grant it (`grant show view on TABLE to 'USER'`)",
    "execute command denied": "grant it (`grant execute on FUNCTION to 'USER'`)",
    "command denied": "grant it (`grant select on TABLE to 'USER'`)",
    "references invalid": "mend the view at the source, or grant its definer what it reads",
    'fatal: database "': "correct the database in .dlt/secrets.toml, or create it",
    'fatal: role "': "correct the username in .dlt/secrets.toml, or create it",
    "unknown database": "correct the database in .dlt/secrets.toml, or create it",
    "lock timeout": "let what holds the table's lock end",
    "lock wait timeout": "let what holds the table's lock end",
    "statement timeout": "give the reader more time (`alter role USER set statement_timeout = 0`)",
    "execution time exceeded": "give the reader more time (max_execution_time)",
    "max_statement_time exceeded": "give the reader more time (max_statement_time)",
    "conflict with recovery": "set hot_standby_feedback = on at the replica, or read the primary",
    "invalid byte sequence": "mend the text at the source, which comes as UTF-8",
    "no equivalent in encoding": "mend the text at the source, which comes as UTF-8",
    "pg_hba.conf": (
        "correct database and username in .dlt/secrets.toml, or let the user in from here, in the"
        " server's pg_hba.conf"
    ),
    # Not "ssl" alone: a server that is lost is told with it, too.
    "does not support ssl": "make the server and sslmode in .dlt/secrets.toml agree on encryption",
    "ssl is required": "make the server and query in .dlt/secrets.toml agree on encryption",
    "name or service not known": "correct the host in .dlt/secrets.toml",
    "failure in name resolution": "correct the host in .dlt/secrets.toml",
    "no address associated": "correct the host in .dlt/secrets.toml",
}

# Errors that a server sends when it ends a connection, or takes none: PostgreSQL's classes, and
# MySQL's numbers beside those that its client has for itself.
ENDS = ("08", "53", "57P")
MYSQL_ENDS = {1040, 1053, 1077, 1079, 1203, 1226, 1927, *range(2000, 3000)}

# Tables and views, whatever their names' letters, beside the server's own.
ALIKE = {
    "postgresql": (
        "select nspname, relname from pg_class join pg_namespace on relnamespace = pg_namespace.oid"
        " where lower(relname) = lower(%(name)s) and relkind in ('r', 'p', 'v', 'm', 'f')"
        " and nspname !~ '^pg_' order by 1, 2"
    ),
    "mysql": (
        "select table_schema, table_name from information_schema.tables"
        " where lower(table_name) = lower(%(name)s) order by 1, 2"
    ),
}


class _AdbcTableLoader(BaseTableLoader):
    """Reads PostgreSQL by ADBC, on the connection that it is given, one batch ahead."""

    def load_rows(self, backend_kwargs: dict[str, Any] | None = None) -> Iterator[pa.Table]:
        with backend_kwargs["connection"].cursor() as cursor, ThreadPoolExecutor(1) as ahead:
            # SQLAlchemy doubles the sign for psycopg, which reads parameters out of a query.
            cursor.execute(self.compile_query(self.make_query()).replace("%%", "%"))
            reader = cursor.fetch_record_batch()
            # The server sends the next rows while these are written to Parquet.
            coming = ahead.submit(next, reader, None)
            while (batch := coming.result()) is not None:
                coming = ahead.submit(next, reader, None)
                yield pa.Table.from_batches([batch])


class _SnapshotTableLoader(TableLoader):
    """Reads through SQLAlchemy on the connection that it is given, not on one of its own."""

    def _load_rows(self, query: Any, backend_kwargs: dict[str, Any]) -> Iterator[pa.Table]:
        connection, as_arrow = backend_kwargs["connection"], backend_kwargs["as_arrow"]
        result = connection.execution_options(yield_per=self.chunk_size).execute(query)
        cursor = result.cursor
        try:
            for rows in result.partitions():
                yield as_arrow([row._data for row in rows])
        except BaseException:
            # Else PyMySQL reads all the rest before it closes, of a server that is lost, too.
            cursor._result.unbuffered_active = False
            raise
        finally:
            result.close()


class Database:
    """A database at the moment in which it was opened.

    Args:
        name: Name of the source, for messages.
        credentials: Where it is and who reads it: a user that may read and nothing else.
        schema: Schema of the tables; None for the user's own (PostgreSQL: the search path's).
        row_security: Whether it is meant that policies hide rows from the user (PostgreSQL).

    Raises:
        LoadError: it cannot be reached or does not let the user in.
    """

    def __init__(
        self,
        name: str,
        credentials: ConnectionStringCredentials,
        schema: str | None = None,
        *,
        row_security: bool = False,
    ):
        """Connect, and begin the transaction that everything is read in."""
        self._name = name
        self._schema = schema
        url = credentials.to_url()
        self._kind = url.drivername.partition("+")[0]
        self._url = url.set(drivername=DRIVERS[self._kind])
        self._arguments = _connect_arguments(self._url, self._kind, row_security)
        self._tables: dict[str, sa.Table] = {}
        self.seen_at = datetime.now(UTC)
        try:
            self._engine = sa.create_engine(
                self._url, connect_args=self._arguments, hide_parameters=True
            )
            self._snapshot = self._patiently(self._engine.connect)
        except (AttributeError, TypeError, ValueError) as error:
            # What is made of options that are none, or that are no text.
            raise LoadError(
                f"source {name}: credentials: query: expected options that the driver takes, found:"
                f" {error}; correct [sources.{name}.credentials] in .dlt/secrets.toml"
            ) from error
        # PostgreSQL's second connection, which sees what the first one does.
        self._ahead = ThreadPoolExecutor(1)
        self._adbc: Future[Any] | None = None
        try:
            with self._readable():
                for statement in BEGIN[self._kind]:
                    self._snapshot.exec_driver_sql(statement)
                if self._kind == "postgresql":
                    query = "select pg_export_snapshot()"
                    snapshot = self._snapshot.exec_driver_sql(query).scalar_one()
                    # Its driver takes a fifth of a second to import: the server counts meanwhile.
                    self._adbc = self._ahead.submit(self._join_snapshot, snapshot)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the transaction and the connections."""
        # A server that is gone has ended them itself.
        with self._ahead, suppress(AdbcError):
            if self._adbc and not self._adbc.exception():
                self._adbc.result().close()
        with suppress(sa.exc.DBAPIError):
            # Ended, not given back: PyMySQL would first read the rest of what was asked for.
            self._snapshot.invalidate()
            self._snapshot.close()
        self._engine.dispose()

    def columns(self, table: Table) -> dict[str, str]:
        """Name and dlt type of every column; of one that is not loaded as declared, what it is."""
        types: dict[str, str] = {}
        for column in self._reflected(table).columns:
            can_be = self._forms(column)
            is_declared = column.name in table.columns
            if form := chosen(can_be, table.declared(column.name) if is_declared else [*can_be]):
                types |= arrow_types(pa.schema([(column.name, form.arrow)]))
            else:
                loads_as = f"loads as {' or '.join(can_be)}" if can_be else "no declaration loads"
                types[column.name] = f"{column.info['held_as']}, which {loads_as}"
        self._warn_of_floats(table)
        return types

    def control_totals(self, table: Table) -> ControlTotals:
        """Count the table at the source."""
        reflected = self._reflected(table)
        cursor = reflected.columns[table.cursor] if table.cursor else sa.null()
        counting = (
            sa.select(
                sa.func.count(),
                sa.func.count(cursor),
                sa.func.min(cursor),
                sa.func.max(cursor),
                *self._sums(table),
            )
            .select_from(reflected)
            .where(self._is_live(table))
        )
        deleted = 0
        if table.soft_delete:
            gone = sa.select(sa.func.count()).select_from(reflected).where(~self._is_live(table))
            deleted = self._fetch(gone, table)[0][0]
        try:
            # PostgreSQL would end the transaction; the other connection may yet join its snapshot.
            with self._readable(table), self._snapshot.begin_nested():
                (counted,) = self._fetch(counting, table)
        except LoadError as error:
            if isinstance(error.__cause__, sa.exc.DataError):
                self._refuse_by_row(table)
            raise
        row_count, with_cursor, least, greatest, *amount_sums = counted
        if any(value is not None and not Decimal(value).is_finite() for value in amount_sums):
            self._refuse_by_row(table)
        return totals_of(
            table,
            (
                row_count,
                with_cursor,
                _instant(table, least),
                _instant(table, greatest),
                *amount_sums,
            ),
            deleted,
        )

    def duplicated_keys(self, table: Table) -> pa.Table | None:
        """Give the declared primary keys that more than one row has; None where there is none."""
        if not table.primary_key or self._keeps_key(table):
            return None
        columns = self._reflected(table).columns
        key = [self._form(table, columns[name]).asked for name in table.primary_key]
        # Not by the text of a decimal: 1.0 is 1.00.
        same = [
            self._text_as_it_is(asked)
            if pa.types.is_string(self._form(table, columns[name]).arrow)
            else columns[name]
            for name, asked in zip(table.primary_key, key, strict=True)
        ]
        # Of those that MySQL takes for the same, one.
        one = [sa.func.min(asked) for asked in key] if self._kind == "mysql" else same
        query = (
            sa.select(*one)
            .where(
                self._is_live(table), *(columns[name].is_not(None) for name in table.primary_key)
            )
            .group_by(*same)
            .having(sa.func.count() > 1)
        )
        rows = self._fetch(query, table)
        if not rows:
            return None
        if heirs := self._heirs(table):
            warn(
                f"table {table.source}.{table.name}: found {len(rows)} keys twice, for who reads it"
                f" reads the tables that inherit from it, too ({', '.join(heirs)}), and no key"
                f" holds for all of them; give the source a view of what is meant (`select * from"
                f" only {table.name}`)"
            )
        return pa.table(
            {
                name: pa.array([row[place] for row in rows], self._form(table, columns[name]).arrow)
                for place, name in enumerate(table.primary_key)
            }
        )

    def day_totals(self, table: Table) -> pa.Table:
        """Count the table by the day of its cursor, or by its value where it is no time."""
        day = self._day(table)
        rows = self._fetch(
            sa.select(day, sa.func.count(), *self._sums(table))
            .select_from(self._reflected(table))
            .where(self._is_live(table))
            .group_by(day),
            table,
        )
        types = [
            ("day", pa.date32() if table.types(table.cursor) <= TIMESTAMPS else pa.int64()),
            ("row_count", pa.int64()),
            *((amount, pa.decimal128(38, 6)) for amount in table.amounts),
        ]
        return pa.table(
            [
                pa.array([row[place] for row in rows], data_type)
                for place, (_, data_type) in enumerate(types)
            ],
            schema=pa.schema(types),
        )

    def batches(
        self,
        table: Table,
        start: object = None,
        after: bool = False,
        days: Sequence[object] | None = None,
    ) -> Iterator[pa.Table]:
        """Yield the table's declared columns in Arrow tables of some `BATCH_ROWS` rows."""

        def wanted(query: sa.Select, reflected: sa.Table) -> sa.Select:
            query = query.with_only_columns(
                *(
                    self._form(table, column).asked.label(column.name)
                    for column in reflected.columns
                )
            )
            if days is not None:
                return query.where(self._day(table, reflected).in_(days))
            if start is None:
                return query
            # Not a subclass of datetime, such as dlt's: PyMySQL takes the type at its word.
            value = (
                datetime.fromisoformat(start.isoformat()) if isinstance(start, datetime) else start
            )
            column = reflected.columns[table.cursor]
            return query.where(column > value if after else column >= value)

        with self._readable(table):
            connection = self._adbc.result() if self._adbc else self._snapshot
        rows = sql_table(
            credentials=self._engine,
            table=table.name,
            schema=self._schema,
            # Its own copy: dlt takes the columns out that are not declared.
            metadata=self._reflected(table).to_metadata(sa.MetaData(self._schema)).metadata,
            chunk_size=BATCH_ROWS if self._adbc else BATCH_ROWS // 10,
            backend="pyarrow",
            # Of the names alone: types are this module's business.
            reflection_level="minimal",
            included_columns=list(table.columns),
            query_adapter_callback=wanted,
            table_loader_class=_AdbcTableLoader if self._adbc else _SnapshotTableLoader,
            backend_kwargs={
                "connection": connection,
                "as_arrow": lambda rows: self._as_arrow(rows, table),
            },
        )
        # dlt sends the columns ahead as an empty list.
        read = (batch for batch in rows if isinstance(batch, pa.Table))
        is_empty = True
        with self._readable(table):
            for batch in _one_ahead(lambda batch: self._cast(batch, table), read):
                is_empty = False
                yield batch
        if is_empty:
            yield self._schema_of(table).empty_table()

    def _join_snapshot(self, snapshot: str) -> Any:
        """Open an ADBC connection that sees what the transaction sees."""
        from adbc_driver_postgresql import dbapi as adbc_postgresql

        where = make_conninfo(
            **self._url.translate_connect_args(username="user", database="dbname"),
            **{**self._url.query, **self._arguments},
        )
        connection = self._patiently(lambda: adbc_postgresql.connect(where))
        with connection.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read, read only")
            cursor.execute(f"set transaction snapshot '{snapshot}'")
            cursor.execute(LOCK_TIMEOUT)
        return connection

    def _reflected(self, table: Table) -> sa.Table:
        if table.name not in self._tables:
            try:
                with self._readable(table), self._waiting(table), warnings.catch_warnings():
                    # Of a type that it does not know: a column of such a type is none that loads.
                    warnings.simplefilter("ignore", sa.exc.SAWarning)
                    reflected = sa.Table(
                        table.name,
                        sa.MetaData(self._schema),
                        autoload_with=self._snapshot,
                        resolve_fks=False,
                    )
                    # Takes the lock that readers need: no later question waits for it unsaid.
                    self._snapshot.execute(sa.select(1).select_from(reflected).limit(0))
                    held_as = self._held_as(reflected)
            except sa.exc.NoSuchTableError as error:
                where, to_do = self._where(), f"restore it, grant it to {self._url.username}"
                if places := self._alike(table):
                    where, to_do = f"{where}, but {places}", self._say_schema
                raise LoadError(
                    f"table {table.source}.{table.name}: expected it at the source, found no such"
                    f" table in {where}; {to_do}, or change ingestion/tables.py"
                ) from error
            for column in reflected.columns:
                column.info["held_as"] = held_as[column.name]
                while isinstance(column.type, postgresql.DOMAIN):
                    column.type = column.type.data_type
                if isinstance(column.type, sa.Float):
                    # By way of decimals, as MySQL's come, digits would be lost.
                    column.type.asdecimal = False
            self._tables[table.name] = reflected
        return self._tables[table.name]

    @contextmanager
    def _waiting(self, table: Table) -> Iterator[None]:
        """Tell it where a question that is answered at once, unless the table is locked, is not."""
        line = f"Waiting for {table.source}.{table.name}, which seems to be locked at the source"
        told = threading.Timer(SECONDS_UNTIL_TOLD, say, [line])
        told.start()
        try:
            yield
        finally:
            told.cancel()

    def _alike(self, table: Table) -> str:
        """Name the tables that can be meant: in other schemas, or in other letters."""
        with self._readable():
            found = self._snapshot.exec_driver_sql(ALIKE[self._kind], {"name": table.name}).all()
        own = (self._schema or self._url.database, table.name)
        return ", ".join(f"{schema}.{name}" for schema, name in found if (schema, name) != own)

    @property
    def _say_schema(self) -> str:
        return f'name the schema (schema = "..." in [sources.{self._name}] of .dlt/config.toml)'

    def _schema_of(self, table: Table) -> pa.Schema:
        """Give the Arrow types of the declared columns."""
        columns = self._reflected(table).columns
        return pa.schema([(name, self._form(table, columns[name]).arrow) for name in table.columns])

    def _held_as(self, reflected: sa.Table) -> dict[str, str]:
        """Give the server's own name of every column's type; of a domain, what it stands for."""
        if self._kind == "mysql":
            query = sa.text(
                "select column_name, column_type from information_schema.columns"
                " where table_schema = coalesce(:schema, database()) and table_name = :name"
            )
            named = {"schema": self._schema, "name": reflected.name}
        else:
            query = sa.text(
                "with recursive held as ("
                "select attname, atttypid as type, atttypmod as digits from pg_attribute"
                " where attrelid = cast(:name as regclass) and attnum > 0 and not attisdropped"
                " union all select attname, typbasetype, typtypmod"
                " from held join pg_type on pg_type.oid = held.type and typtype = 'd')"
                " select attname, format_type(type, digits)"
                " from held join pg_type on pg_type.oid = held.type and typtype <> 'd'"
            )
            named = {"name": self._quoted(reflected)}
        return dict(map(tuple, self._snapshot.execute(query, named)))

    def _forms(self, column: sa.Column) -> dict[str, Form]:
        return forms(column, self._kind, column.info["held_as"])

    def _form(self, table: Table, column: sa.Column) -> Form:
        """Give the form in which a declared column comes."""
        return chosen(self._forms(column), table.declared(column.name))

    def _warn_of_floats(self, table: Table) -> None:
        """Say which numbers of single precision will not add up as people see them."""
        columns = self._reflected(table).columns
        floats = [
            name
            for name in table.columns
            if name in columns
            and isinstance(columns[name].type, sa.Float)
            and not isinstance(columns[name].type, sa.Double)
            and "decimal" not in table.types(name)
        ]
        if floats:
            warn(
                f"table {table.source}.{table.name}: {', '.join(floats)}: numbers of single"
                " precision (12.34 is 12.34000015...) do not add up to what the source shows;"
                " declare decimal"
            )

    def _keeps_key(self, table: Table) -> bool:
        """Whether the database itself sees to it that the declared key is one."""
        key = {column.name for column in self._reflected(table).primary_key}
        return key == set(table.primary_key) and not self._heirs(table)

    def _heirs(self, table: Table) -> list[str]:
        """Give the tables that inherit from one: who reads it reads them, whom its key ignores.

        Partitions are none: a key holds for all of them.
        """
        if self._kind == "mysql":
            return []
        query = sa.text(
            "select cast(cast(inhrelid as regclass) as text) from pg_inherits join pg_class"
            " on pg_class.oid = inhparent and relkind = 'r'"
            " where inhparent = cast(:name as regclass) order by 1"
        )
        rows = self._fetch(query, table, name=self._quoted(self._reflected(table)))
        return [heir for (heir,) in rows]

    def _quoted(self, reflected: sa.Table) -> str:
        return self._engine.dialect.identifier_preparer.format_table(reflected)

    def _sums(self, table: Table) -> list[sa.ColumnElement]:
        columns = self._reflected(table).columns
        return [
            self._sum(columns[amount], self._form(table, columns[amount]))
            for amount in table.amounts
        ]

    def _sum(self, column: sa.Column, form: Form) -> sa.ColumnElement:
        # Whole numbers add up faster as they are, and as exactly.
        if pa.types.is_integer(form.arrow):
            return sa.func.sum(form.asked)
        held = form.asked
        if isinstance(column.type, sa.Numeric):
            held = column
        elif self._kind == "postgresql" and pa.types.is_floating(form.arrow):
            # By way of text: PostgreSQL itself takes only the first 15 digits of a double. As a
            # double first, as which the warehouse holds a real, too.
            held = sa.cast(sa.cast(column, sa.Double), sa.Text)
        return sa.func.sum(sa.cast(held, sa.Numeric(38, 6)))

    def _is_live(self, table: Table) -> sa.ColumnElement:
        """Say which rows are not deleted softly."""
        if not table.soft_delete:
            return sa.true()
        column = self._reflected(table).columns[table.soft_delete]
        if table.types(table.soft_delete) <= TIMESTAMPS:
            return column.is_(None)
        held, value = self._form(table, column).asked, table.value_of_deleted
        if isinstance(value, str):
            held, value = self._text_as_it_is(held), self._text_as_it_is(sa.literal(value))
        return sa.or_(held.is_(None), held != value)

    def _text_as_it_is(self, text: sa.ColumnElement) -> sa.ColumnElement:
        """Say a text so that MySQL does not take it for one of other case, accents or blanks."""
        return sa.cast(text, sa.LargeBinary) if self._kind == "mysql" else text

    def _day(self, table: Table, reflected: sa.Table | None = None) -> sa.ColumnElement:
        columns = (self._reflected(table) if reflected is None else reflected).columns
        column = columns[table.cursor]
        return sa.cast(column, sa.Date) if table.types(table.cursor) <= TIMESTAMPS else column

    def _fetch(self, query: sa.Select, table: Table, **named: object) -> Sequence[sa.Row]:
        with self._readable(table):
            return self._snapshot.execute(query, named).all()

    def _as_arrow(self, rows: list[tuple], table: Table) -> pa.Table:
        """Make Arrow of a driver's rows, or refuse a value that has no place."""
        columns = self._reflected(table).columns
        # The server has the columns in an order of its own.
        names = [column.name for column in columns if column.name in table.columns]
        types = [
            form.comes_as or form.arrow for form in (self._form(table, columns[n]) for n in names)
        ]
        try:
            struct = pa.struct(list(zip(names, types, strict=True)))
            return pa.Table.from_struct_array(pa.array(rows, struct))
        except UNFIT:
            held = [list(values) for values in zip(*rows, strict=True)]
            for name, values, data_type in zip(names, held, types, strict=True):
                bring = partial(_array_of_part, values, data_type)
                try:
                    bring(0, len(values))
                except UNFIT as error:
                    place = first_unfit(len(values), bring)
                    row = {name: column[place] for name, column in zip(names, held, strict=True)}
                    raise self._unfit(table, name, row, error) from error
            raise

    def _cast(self, batch: pa.Table, table: Table) -> pa.Table:
        """Bring a batch into the declared columns' types, or refuse a value that has no place."""
        schema = self._schema_of(table)
        columns = []
        for field in schema:

            def bring(first: int, end: int, field: pa.Field = field) -> pa.ChunkedArray:
                column = exactly(batch.column(field.name).slice(first, end - first), field.type)
                if field.name in table.amounts:
                    refuse_what_has_no_sum(column)
                return column

            try:
                columns.append(bring(0, batch.num_rows))
            except UNFIT as error:
                row = batch.slice(first_unfit(batch.num_rows, bring), 1)
                values = {name: _value(row.column(name)) for name in schema.names}
                raise self._unfit(table, field.name, values, error) from error
        return pa.Table.from_arrays(columns, schema=schema)

    def _refuse_by_row(self, table: Table) -> None:
        """Look for the value that the source could not count with; it says of no row.

        Raises:
            LoadError: there is one.
        """
        asked_for = {*table.primary_key, *table.amounts, *filter(None, [table.cursor])}
        part = Table(
            source=table.source,
            name=table.name,
            columns={name: table.columns[name] for name in table.columns if name in asked_for},
            mode="replace",
            primary_key=table.primary_key,
            amounts=table.amounts,
        )
        for _ in self.batches(part):
            pass

    def _patiently(self, connect: Callable[[], Connection]) -> Connection:
        """Connect; try again for a few seconds where that can help."""
        with self._readable():
            for seconds in SECONDS_BETWEEN_TRIES:
                try:
                    return connect()
                except (sa.exc.OperationalError, AdbcError) as error:
                    if not any(text in _reason(error).lower() for text in PASSING):
                        raise
                time.sleep(seconds)
            return connect()

    def _unfit(
        self, table: Table, column: str, row: dict[str, object], error: BaseException
    ) -> LoadError:
        """Make the error of a value that has no place in its column's type."""
        held = self._reflected(table).columns[column]
        expected = self._form(table, held).arrow
        (data_type,) = arrow_types(pa.schema([(column, expected)])).values()
        key = ", ".join(
            f"{name} {shown(row[name])}"
            for name in table.primary_key or table.columns
            if name != column
        )
        to_do = "mend it at the source"
        if pa.types.is_decimal(expected) and re.search(r"\d", str(row[column])):
            to_do += ", or declare the digits that it needs, as decimal(38,12)"
        elif pa.types.is_integer(expected) and "decimal" in self._forms(held):
            to_do += ", or declare decimal"
        return LoadError(
            f"table {table.source}.{table.name}: column {column}: expected values of type"
            f" {data_type}, found {shown(row[column])} where {key or 'the key is this'}"
            f"{f' ({error})' if isinstance(error, Unfit) else ''}; nothing was loaded: {to_do},"
            " and load again"
        )

    @contextmanager
    def _readable(self, table: Table | None = None) -> Iterator[None]:
        what = f"table {table.source}.{table.name}" if table else f"source {self._name}"
        try:
            yield
        except (
            sa.exc.DBAPIError,
            sa.exc.UnreflectableTableError,
            AdbcError,
            ResourceExtractionError,
            OSError,
        ) as error:
            cause = _cause(error)
            if isinstance(cause, LoadError):
                # Not from `error`: it has the cause in its own chain.
                raise cause from cause.__cause__
            reason = _reason(cause)
            otherwise = "see to it that the server runs and is reached"
            if table and _is_answer(cause):
                otherwise = "mend the cause at the source"
            elif not table and not any(text in reason.lower() for text in UNREACHED):
                otherwise = (
                    f"correct [sources.{self._name}.credentials] in .dlt/secrets.toml, or mend the"
                    " cause at the server"
                )
            if isinstance(cause, sa.exc.DataError | OverflowError):
                otherwise = "mend the value at the source"
            to_do = remedy(reason, REMEDIES, otherwise)
            # MySQL says so of a table, too, that is not there.
            if table and "command denied" in reason and (places := self._alike(table)):
                reason, to_do = f"{reason}, but {places}", f"{to_do}, or {self._say_schema}"
            raise LoadError(
                f"{what}: expected to read {self._where()} as {self._url.username}, found:"
                f" {reason}; nothing was loaded: {to_do}, and load again"
            ) from error

    def _where(self) -> str:
        port = f":{self._url.port}" if self._url.port else ""
        schema = f", schema {self._schema}" if self._schema else ""
        return f"{self._kind} {self._url.host or 'socket'}{port}/{self._url.database}{schema}"


def _one_ahead(
    make: Callable[[pa.Table], pa.Table], tables: Iterable[pa.Table]
) -> Iterator[pa.Table]:
    """Yield what is made of each table; the next is made while one is used."""
    with ThreadPoolExecutor(1) as ahead:
        coming = None
        for table in tables:
            made, coming = coming, ahead.submit(make, table)
            if made:
                yield made.result()
        if coming:
            yield coming.result()


def _array_of_part(values: list, data_type: pa.DataType, first: int, end: int) -> pa.Array:
    return pa.array(values[first:end], data_type)


def _value(column: pa.ChunkedArray) -> object:
    """Give the one value of a column, for people."""
    try:
        return column[0].as_py()
    except (OverflowError, ValueError):
        return "a time that has no date"


def _connect_arguments(url: sa.URL, kind: str, row_security: bool) -> dict[str, object]:
    """Give what a connection is made with beside what the credentials say."""
    arguments: dict[str, object] = {
        name: value for name, value in CONNECT_DEFAULTS[kind].items() if name not in url.query
    } | CONNECT_ARGUMENTS[kind]
    if kind == "postgresql":
        # Of two that set the same, the later one holds.
        hides = "" if row_security else ROW_SECURITY_OFF
        arguments["options"] = f"{url.query.get('options', '')} {arguments['options']}{hides}"
    elif url.password:
        # PyMySQL writes a text in Latin 1.
        arguments["password"] = url.password.encode()
    return arguments


def _instant(table: Table, value: object) -> object:
    """Give a cursor's value its time zone, which MySQL's driver leaves out."""
    is_zoned = table.cursor and "timestamp with time zone" in table.types(table.cursor)
    if is_zoned and isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


def _cause(error: BaseException) -> BaseException:
    """Give what the database or this module said, which dlt wraps in errors of its own."""
    own = (sa.exc.DBAPIError, AdbcError, LoadError)
    while not isinstance(error, own) and error.__cause__:
        error = error.__cause__
    return error


def _is_answer(error: BaseException) -> bool:
    """Whether a server that runs, and goes on, says so."""
    cause = getattr(error, "orig", None) or error
    if "ERROR: " in str(cause):
        # ADBC leaves the state out once rows come.
        return True
    if state := getattr(cause, "sqlstate", None):
        return not state.startswith(ENDS)
    number = cause.args[0] if isinstance(cause.args, tuple) and cause.args else None
    return isinstance(number, int) and not isinstance(cause, OSError) and number not in MYSQL_ENDS


def _reason(error: BaseException) -> str:
    """Give what the server said, in one line."""
    cause = getattr(error, "orig", None) or error
    if isinstance(cause.args, tuple) and len(cause.args) == 2:
        # PyMySQL: number and text.
        return " ".join(str(cause.args[1]).split())
    return " ".join(str(cause).split())[:300]
