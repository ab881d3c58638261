"""MariaDB, which is read as MySQL is."""

from __future__ import annotations

import hashlib
import shutil
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pymysql

from ingestion.tables import Table
from shop.errors import ShopError
from shop.server import HOST, OWNER, READER, Server
from shop.tables import DATABASE, INDEXES, TABLES, column_type, rows_as_csv

TYPES = {
    "bigint": "bigint",
    "bool": "boolean",
    "date": "date",
    "decimal": "decimal(12, 2)",
    "text": "text",
    # Whatever the session's time zone, it gives what was written.
    "timestamp": "datetime(6)",
    "timestamp with time zone": "timestamp(6)",
}

SETTINGS = {
    # Relative to the data folder: the path of a socket may have 107 characters at most.
    "socket": "server.sock",
    "pid-file": "server.pid",
    "character-set-server": "utf8mb4",
    "collation-server": "utf8mb4_unicode_ci",
    "default-time-zone": "+00:00",
    # The data can be loaded again: commits need not wait for the disk.
    "innodb-flush-log-at-trx-commit": "0",
}

# A data folder that a power failure spoils while it is made can be made again.
NO_SYNC = "--innodb-flush-method=nosync"

# Debian has the server's programs where only root's path leads.
FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin")


class MariaDB(Server):
    """MariaDB, for MySQL."""

    name = "mysql"
    product = "MariaDB"
    default_port = 33306
    drivername = "mysql+pymysql"
    account = "mysql"
    stop_signal = signal.SIGTERM

    def program(self) -> Path:
        """Give the path of `mariadbd`.

        Raises:
            ShopError: it is not installed.
        """
        return _installed("mariadbd")

    def connect(
        self, user: str = OWNER, database: str | None = DATABASE
    ) -> pymysql.Connection[pymysql.cursors.Cursor]:
        """Connect as the owner or the reader; with or without a database."""
        return pymysql.connect(
            host=HOST,
            port=self.state.port,
            user=user,
            password=self._password(user),
            database=database,
            charset="utf8mb4",
            connect_timeout=10,
            local_infile=user == OWNER,
        )

    def load(self, folder: Path, report: Callable[[str, int], None]) -> None:
        """Make the tables anew; see `Server.load`."""
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            for table in TABLES:
                report(table.name, self._load(cursor, table, folder))
            connection.commit()

    def _load(self, cursor: pymysql.cursors.Cursor, table: Table, folder: Path) -> int:
        name = _quoted(table.name)
        parts = [
            f"{_quoted(column)} {TYPES[column_type(table, column)]}"
            + (" not null" if column in table.primary_key else " null")
            for column in table.columns
        ]
        if table.primary_key:
            parts.append(f"primary key ({_list(table.primary_key)})")
        cursor.execute(f"drop table if exists {name}")
        cursor.execute(f"create table {name} ({', '.join(parts)})")
        with rows_as_csv(table, folder, null="NULL") as (file, row_count):
            cursor.execute(
                f"load data local infile %s into table {name} character set utf8mb4"
                " fields terminated by ',' optionally enclosed by '\"' escaped by ''"
                " lines terminated by '\\n'",
                (str(file),),
            )
            # What it cannot take, it takes otherwise or leaves out, with a warning.
            taken = cursor.rowcount
            cursor.execute("show warnings limit 1")
            warning = cursor.fetchone()
        if warning or taken != row_count:
            raise ShopError(
                f"table {table.name}: expected {row_count:,} rows in MariaDB as they are in"
                f" {folder}, found {taken:,}{f' and: {warning[2]}' if warning else ''}; mend the"
                " rows and load them again"
            )
        for indexed in INDEXES.get(table.name, ()):
            cursor.execute(
                f"create index {_quoted('_'.join((table.name, *indexed)))}"
                f" on {name} ({_list(indexed)})"
            )
        cursor.execute(f"analyze table {name}")
        cursor.execute(f"grant select on {_quoted(DATABASE)}.{name} to {_at_host(READER)}")
        return row_count

    def _initialize(self, program: Path) -> None:
        self._run(
            [
                str(_installed("mariadb-install-db")),
                "--no-defaults",
                f"--datadir={self.data}",
                "--skip-name-resolve",
                # That database is anyone's to write to.
                "--skip-test-db",
                "--auth-root-authentication-method=socket",
                NO_SYNC,
            ]
        )
        # The server gets hashes of the passwords only, so that no log can have them.
        self._run(
            [
                str(program),
                "--no-defaults",
                f"--datadir={self.data}",
                NO_SYNC,
                "--bootstrap",
            ],
            stdin="\n".join(
                [
                    # Without it, a server that is not served yet knows no users.
                    "flush privileges;",
                    f"create user {_at_host(OWNER)} {self._identified(OWNER)};",
                    f"grant all on *.* to {_at_host(OWNER)} with grant option;",
                    f"create user {_at_host(READER)} {self._identified(READER)};",
                    f"create database {_quoted(DATABASE)} character set utf8mb4;",
                    "",
                ]
            ),
        )

    def _command(self, program: Path, port: int) -> list[str]:
        return [
            str(program),
            "--no-defaults",
            f"--datadir={self.data}",
            f"--bind-address={HOST}",
            f"--port={port}",
            "--skip-name-resolve",
            *(f"--{setting}={value}" for setting, value in SETTINGS.items()),
        ]

    def _create(self) -> None:
        """Nothing is missing: the database and its users are part of the data folder."""

    def _identified(self, user: str) -> str:
        # What `mysql_native_password` keeps of a password.
        once = hashlib.sha1(self._password(user).encode()).digest()  # noqa: S324
        twice = hashlib.sha1(once).hexdigest().upper()  # noqa: S324
        return f"identified via mysql_native_password using '*{twice}'"


def _installed(program: str) -> Path:
    found = shutil.which(program)
    for folder in FOLDERS:
        found = found or shutil.which(program, path=folder)
    if not found:
        raise ShopError(
            f"MariaDB: expected {program}, found none; install Debian's mariadb-server (apt-get"
            " install mariadb-server), or start PostgreSQL, which is installed already"
        )
    return Path(found)


def _at_host(user: str) -> str:
    return f"'{user}'@'{HOST}'"


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(identifier: str) -> str:
    return "`" + identifier.replace("`", "``") + "`"
