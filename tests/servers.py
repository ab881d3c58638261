"""Real database servers with the company's tables, for tests that read production databases."""

from __future__ import annotations

import atexit
import functools
import os
import pickle
import re
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import pytest
from company import write_company

import shop.errors
import shop.mysql
import shop.postgresql
import shop.reach
import shop.tables

Company = Mapping[str, Iterable[dict[str, object]]]


TABLES = tuple(table.name for table in shop.tables.TABLES)

# Statements that change nothing of the company's tables: those about a table that tests make beside
# them, and about types, settings and rights.
LEAVES_TABLES = re.compile(
    r"select |grant |revoke |alter (role|user) |set global |(create|drop) (type|domain) "
    r"|(create|drop|alter) (table|view) typed\b|(set statement .* for )?insert into typed\b",
    re.IGNORECASE,
)


def free_port() -> int:
    """Give a port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def open_folder() -> Iterator[Path]:
    """Make a temporary folder that other accounts may pass through: root's servers run as one.

    pytest's own temporary folders are closed to them, and the data would be outside.
    """
    folder = Path(tempfile.mkdtemp(prefix="tally-")).resolve()
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def remove_outside(folder: Path) -> None:
    """Remove what a server of a folder that is closed to its account left outside."""
    if (outside := shop.reach.outside(folder)).exists():
        shutil.rmtree(outside)


def lend_programs(folder: Path) -> None:
    """Put PostgreSQL's programs where root's server of a folder would copy closed ones to.

    Every server would copy them for itself otherwise, which takes half a second.
    """
    if os.geteuid() == 0 and (programs := _open_programs()):
        folder.mkdir(exist_ok=True)
        link = folder / shop.postgresql.copy_name()
        if not link.exists():
            link.symlink_to(programs)


@functools.cache
def _open_programs() -> Path | None:
    """Give a copy of the programs that others can reach; None where they can reach those."""
    installed = shop.postgresql.installed()
    needed = shop.postgresql.needed(installed)
    if shop.reach.is_open(needed):
        return None
    folder = Path(tempfile.mkdtemp(prefix="tally-")).resolve()
    atexit.register(shutil.rmtree, folder)
    folder.chmod(0o711)
    shop.reach.copy_open(needed, installed, folder / "programs")
    return folder / "programs"


class DatabaseShop:
    """A server of a test's own, in a temporary folder, on a free port of 127.0.0.1.

    It runs for as long as the context is open:

        with PostgresShop(small_company()) as shop:
            shop.execute("update products set brand = 'Private' where product_id = 1")

    Attributes:
        kind: What `[sources.retail_db] type` calls it.
    """

    kind: ClassVar[str]

    def __init__(self, company: Company | None = None):
        """Start nothing yet.

        Args:
            company: What the tables have from the beginning; None for empty ones.
        """
        self._company = company or {}
        self._held: bytes | None = None
        self._folder = open_folder()

    def __enter__(self) -> Self:
        """Start the server; skip the test where it is not installed."""
        folder = self._folder.__enter__()
        try:
            lend_programs(folder)
            self.server = self._new(folder)
            self.server.start(free_port())
            self.load(self._company)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server, whatever happened, and remove its folder."""
        try:
            if hasattr(self, "server"):
                self._end()
                remove_outside(self.server.folder)
        finally:
            self._folder.__exit__(None, None, None)

    def _end(self) -> None:
        process = self.server.running()
        try:
            self.server.stop()
        finally:
            if process is not None and process.is_running():
                process.kill()
                process.wait(10)

    @classmethod
    def _new(cls, folder: Path) -> Any:
        raise NotImplementedError

    # The data

    def load(self, company: Company) -> None:
        """Make the seven tables anew with these rows; a table that is not named is empty.

        They stay as they are where nothing was done since that could have changed them.
        """
        held = pickle.dumps(company)
        if held == self._held:
            return
        self._held = None
        self._load(company)
        self._held = held

    def connect(self) -> Any:
        """Connect as the owner, who may do everything."""
        self._held = None
        return self.server.connect()

    def _load(self, company: Company) -> None:
        with tempfile.TemporaryDirectory() as folder:
            rows = {name: rows for name, rows in company.items() if name in TABLES}
            self.server.load(write_company(Path(folder), rows), lambda *_: None)

    def load_sample(self) -> None:
        """Make the tables anew with the whole sample: 1.7 million rows."""
        self._held = None
        self.server.load(shop.tables.sample_folder(), lambda *_: None)

    def execute(self, sql: str, parameters: Iterable[object] | None = None) -> list[tuple]:
        """Run one statement as the owner, who may do everything; it is committed at once.

        Args:
            sql: The statement; `%s` stands for a parameter where there are any.
            parameters: Values.

        Returns:
            The rows of a query; none of other statements.
        """
        if not LEAVES_TABLES.match(sql):
            self._held = None
        return self._execute(self.server.connect(), sql, parameters)

    def execute_as_reader(
        self, sql: str, parameters: Iterable[object] | None = None
    ) -> list[tuple]:
        """Run one statement as the user that ingestion reads with."""
        return self._execute(self.server.connect(self.username), sql, parameters)

    def _execute(self, connection: Any, sql: str, parameters: Iterable[object] | None) -> list:
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(sql, None if parameters is None else tuple(parameters))
            rows = list(cursor.fetchall()) if cursor.description else []
            connection.commit()
            return rows

    # The process

    def stop(self) -> None:
        """Stop the server; its data stays."""
        self.server.stop()

    def restart(self) -> None:
        """Start the server on its port again, with its data; stop it before where it runs."""
        self.server.stop()
        self.server.start(self.port)

    # Where it is

    @property
    def port(self) -> int:
        """Where it listens, or did before it was stopped."""
        return self.credentials["port"]

    @property
    def username(self) -> str:
        """The user that ingestion reads with."""
        return self.credentials["username"]

    @property
    def account(self) -> str:
        """The same, as grants name it."""
        return self.username

    @property
    def credentials(self) -> dict[str, Any]:
        """The reader's credentials, as `[sources.retail_db.credentials]` has them."""
        return self.server.credentials

    @property
    def reader_url(self) -> str:
        """The reader's URL, for SQLAlchemy and dlt."""
        return self._url(self.server.credentials)

    @property
    def owner_url(self) -> str:
        """The owner's URL, likewise."""
        return self._url(self.server.owner_credentials)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which `python -m ingestion` reads this database."""
        return {
            "SOURCES__RETAIL_DB__TYPE": self.kind,
            "SOURCES__RETAIL_DB__CREDENTIALS": self.reader_url,
        }

    @staticmethod
    def _url(credentials: Mapping[str, Any]) -> str:
        # The passwords have no character that would have to be quoted.
        return "{drivername}://{username}:{password}@{host}:{port}/{database}".format_map(
            credentials
        )


class PostgresShop(DatabaseShop):
    """PostgreSQL."""

    kind = "postgresql"

    @classmethod
    def _new(cls, folder: Path) -> Any:
        return shop.postgresql.PostgreSQL(folder)


class MariaDbShop(DatabaseShop):
    """MariaDB, for MySQL."""

    kind = "mysql"

    @property
    def account(self) -> str:
        """The same, as grants name it."""
        return f"'{self.username}'@'127.0.0.1'"

    @classmethod
    def _new(cls, folder: Path) -> Any:
        server = shop.mysql.MariaDB(folder)
        try:
            server.program()
        except shop.errors.ShopError as error:
            pytest.skip(str(error))
        return server


@pytest.fixture(scope="session")
def postgres_shop() -> Iterator[PostgresShop]:
    """PostgreSQL with empty tables; `load` gives it a company."""
    with PostgresShop() as shop:
        yield shop


@pytest.fixture(scope="session")
def mariadb_shop() -> Iterator[MariaDbShop]:
    """MariaDB with empty tables, likewise; skips the test where it is not installed."""
    with MariaDbShop() as shop:
        yield shop
