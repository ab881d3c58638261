"""What the servers have in common: their folder, their process, their passwords."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import psutil

from shop.errors import ShopError
from shop.reach import closed_folder, outside
from shop.tables import DATABASE

HOST = "127.0.0.1"
OWNER, READER = "shop_owner", "tally_reader"

SECONDS_TO_START = 60
SECONDS_TO_STOP = 60


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone can read, whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


@dataclass
class State:
    """What is remembered of a server from one start to the next.

    Attributes:
        owner_password: Of the user that owns the database.
        reader_password: Of the user that ingestion reads with.
        is_initialized: The data folder is complete.
        is_loaded: The tables have their rows.
        port: Where the server listened last.
        pid: The process that listened there.
    """

    owner_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    reader_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    is_initialized: bool = False
    is_loaded: bool = False
    port: int | None = None
    pid: int | None = None


class Server(ABC):
    """One database server, listening on this machine only.

    Args:
        folder: Folder of the data folder `<name>`, of the log `<name>.log` and of the passwords
            `<name>.json`, which its owner alone can read. Where root starts the server in a
            folder that is closed to the account that it runs as, its data is outside.
    """

    name: ClassVar[str]
    product: ClassVar[str]
    default_port: ClassVar[int]
    drivername: ClassVar[str]
    # The system's account for such servers, which run as none but that when root starts them.
    account: ClassVar[str]
    stop_signal: ClassVar[int]

    def __init__(self, folder: Path):
        """Start nothing yet."""
        self.folder = folder
        self.data = self._data_folder()
        self.log = folder / f"{self.name}.log"
        self.state_file = folder / f"{self.name}.json"
        self.state = self._read_state()
        self._child: subprocess.Popen[bytes] | None = None

    # What the engines differ in

    @abstractmethod
    def program(self) -> Path:
        """Give the server's program; a ShopError says how to get it."""

    @abstractmethod
    def connect(self, user: str = OWNER, database: str | None = DATABASE) -> Any:
        """Connect as the owner or the reader."""

    @abstractmethod
    def load(self, folder: Path, report: Callable[[str, int], None]) -> None:
        """Make the tables anew, with the rows of a folder's Parquet files.

        Args:
            folder: Folder with one `<table>.parquet` each; a table without one stays empty.
            report: Is told each table and its rows when they are there.

        Raises:
            ShopError: a file cannot be read, or the database did not take every row.
        """

    @abstractmethod
    def _initialize(self, program: Path) -> None:
        """Fill the data folder, which is empty."""

    @abstractmethod
    def _command(self, program: Path, port: int) -> list[str]:
        """Give the command that serves the data folder."""

    @abstractmethod
    def _create(self) -> None:
        """Make the database and the reader where they are missing."""

    # What they share

    @property
    def credentials(self) -> dict[str, str | int]:
        """The reader's credentials, as dlt takes them."""
        return self._credentials(READER)

    @property
    def owner_credentials(self) -> dict[str, str | int]:
        """The owner's, likewise."""
        return self._credentials(OWNER)

    def _credentials(self, user: str) -> dict[str, str | int]:
        return {
            "drivername": self.drivername,
            "host": HOST,
            "port": self.state.port or self.default_port,
            "database": DATABASE,
            "username": user,
            "password": self._password(user),
        }

    def _password(self, user: str) -> str:
        return self.state.owner_password if user == OWNER else self.state.reader_password

    def running(self) -> psutil.Process | None:
        """Give the server's process; None where it does not run."""
        if self.state.pid is None:
            return None
        try:
            process = psutil.Process(self.state.pid)
            # After the machine was restarted, the number can be another process's.
            serves = any(str(self.data) in argument for argument in process.cmdline())
            if serves and process.status() != psutil.STATUS_ZOMBIE:
                return process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            pass
        return None

    def start(self, port: int) -> None:
        """Start the server and wait until it answers; make what is missing, but for the rows.

        Args:
            port: Where to listen, on 127.0.0.1 only.

        Raises:
            ShopError: it could not be started; nothing runs.
        """
        self.program()
        _refuse_taken(port)
        try:
            self._launch(self._prepare(), port)
        except OSError as error:
            raise ShopError(
                f"{error.filename or self.data}: expected to be made or used for"
                f" {self.product}, found: {_reason(error)}; mend the cause and start again"
            ) from error
        try:
            self._create()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> bool:
        """Stop the server and wait until it is gone.

        Returns:
            Whether it ran.

        Raises:
            ShopError: it did not end in time.
        """
        process = self.running()
        if process is None:
            return False
        process.send_signal(self.stop_signal)
        try:
            process.wait(SECONDS_TO_STOP)
        except psutil.TimeoutExpired:
            raise ShopError(
                f"{self.product}, process {process.pid}: expected to end within {SECONDS_TO_STOP}"
                f" seconds, found it running; look into {self.log}"
            ) from None
        self._keep(pid=None)
        return True

    def mark_loaded(self) -> None:
        """Remember that the tables have their rows."""
        self._keep(is_loaded=True)

    def _keep(self, **changes: object) -> None:
        for name, value in changes.items():
            setattr(self.state, name, value)
        write_private(self.state_file, json.dumps(asdict(self.state), indent=2) + "\n")

    def _read_state(self) -> State:
        try:
            return State(**json.loads(self.state_file.read_text()))
        except FileNotFoundError:
            return State()
        except (OSError, ValueError, TypeError) as error:
            raise ShopError(
                f"{self.state_file}: expected the passwords of {self.product}, found:"
                f" {str(error).splitlines()[0]}; stop the server, remove {self.data} and this file,"
                " and start again"
            ) from error

    def _prepare(self) -> Path:
        """Make the data folder, or see that it is this server's; give the program to serve it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.data.exists() and not self.state_file.exists():
            raise ShopError(
                f"{self.state_file}: expected the passwords of the database in {self.data}, found"
                f" none; remove {self.data} and start again"
            )
        if self.data.exists() and not self.state.is_initialized:
            # What an interrupted first start left.
            shutil.rmtree(self.data)
        is_new = not self.data.exists()
        if is_new:
            self._keep(is_initialized=False, is_loaded=False, pid=None)
            self._make_data_folder()
        self._verify_data()
        program = self._reachable_program()
        self._verify_reachable(program.resolve(), "install it where everyone may enter")
        if is_new:
            self._initialize(program)
            self._keep(is_initialized=True)
        return program

    def _data_folder(self) -> Path:
        """Give the data folder that is there; where none is, the one beside the passwords."""
        inside = self.folder / self.name
        elsewhere = outside(self.folder) / self.name
        return elsewhere if _is_root() and elsewhere.exists() and not inside.exists() else inside

    def _make_data_folder(self) -> None:
        self.data = self.folder / self.name
        if _is_root():
            if closed_folder(self.folder):
                self.data = outside(self.folder) / self.name
                self.data.parent.mkdir(exist_ok=True)
            # Others may pass through, for the server's account, but not look around.
            self.data.parent.chmod(0o711)
        self.data.mkdir(mode=0o700)
        if account := self._account():
            os.chown(self.data, account.pw_uid, account.pw_gid, follow_symlinks=False)

    def _account(self) -> pwd.struct_passwd | None:
        """Give the account to run as; None for the one that runs this.

        Root's servers run as the system's account for them, or as nobody; those whose data
        exists as the account that owns it.
        """
        if not _is_root():
            return None
        owner = self.data.stat().st_uid
        if owner != 0:
            return pwd.getpwuid(owner)
        for name in (self.account, "nobody"):
            try:
                return pwd.getpwnam(name)
            except KeyError:
                continue
        raise ShopError(
            f"{self.product} does not run as root: expected the system account {self.account} or"
            " nobody to run it as, found neither; run this as a normal user"
        )

    def _verify_data(self) -> None:
        owner = self.data.stat().st_uid
        if not _is_root() and owner != os.geteuid():
            raise ShopError(
                f"{self.data}: expected to belong to you, found user {owner}, who started"
                f" {self.product} here before; start it as that user, or let them remove it"
            )
        if self.data.is_relative_to(self.folder):
            remedy = f"remove {self.data} and start again, which makes it elsewhere"
        else:
            remedy = "set TALLY_SHOP to a folder that everyone may enter"
        self._verify_reachable(self.data, remedy)

    def _verify_reachable(self, path: Path, remedy: str) -> None:
        account = self._account()
        closed = closed_folder(path)
        if account and closed:
            raise ShopError(
                f"{path}: expected to be reachable for the account {account.pw_name}, as which"
                f" {self.product} runs when root starts it, found {closed} closed to it; {remedy},"
                " or run this as a normal user"
            )

    def _reachable_program(self) -> Path:
        """Give the server's program, or a copy for an account that cannot reach it."""
        return self.program()

    def _as_account(self) -> dict[str, Any]:
        """Arguments of `subprocess` with which a command runs as the server's account."""
        # Nothing of the caller's settings for databases: PGPORT, MYSQL_HOME and the like.
        environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
        account = self._account()
        return {
            "cwd": self.data,
            "env": environment,
            **(
                {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
                if account
                else {}
            ),
        }

    def _run(self, command: list[str], stdin: str = "") -> None:
        """Run one of the engine's programs.

        Args:
            command: Program and arguments.
            stdin: What it reads.

        Raises:
            ShopError: it failed; the message has its last words.
        """
        process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **self._as_account(),
        )
        try:
            printed, _ = process.communicate(stdin)
        except BaseException:
            _kill_group(process)
            raise
        if process.returncode != 0:
            raise ShopError(
                f"{command[0]}: expected to prepare {self.data}, found: {_last(printed)};"
                " mend the cause and start again"
            )

    def _launch(self, program: Path, port: int) -> None:
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603
                self._command(program, port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Neither Ctrl-C nor the end of the terminal ends it.
                start_new_session=True,
                **self._as_account(),
            )
        try:
            self._keep(pid=self._child.pid, port=port)
            self._wait_until_it_answers()
        except BaseException:
            # It has no rows to lose yet, and one that is only just starting may miss a signal.
            self._child.kill()
            self._child.wait()
            raise

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + SECONDS_TO_START
        while self._child.poll() is None:
            try:
                self.connect(database=None).close()
                return
            except Exception as error:
                if time.monotonic() > deadline:
                    raise ShopError(
                        f"{self.product}: expected to answer within {SECONDS_TO_START} seconds,"
                        f" found: {str(error).splitlines()[0]}; look into {self.log}"
                    ) from error
            time.sleep(0.05)
        raise ShopError(
            f"{self.product}: expected to start, found: {_last(self.log.read_text())}; look into"
            f" {self.log}"
        )


def _is_root() -> bool:
    return os.geteuid() == 0


def _kill_group(process: subprocess.Popen[str]) -> None:
    """End a command with all that it started: a script's own programs would write on."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        while True:
            os.killpg(process.pid, 0)
            time.sleep(0.01)


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        # A port whose last connections are only just closed is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ShopError(
                f"port {port} of {HOST}: expected free, found: {error.strerror}; stop what listens"
                " there, or choose another with --port"
            ) from error


def _reason(error: OSError) -> str:
    if isinstance(error, shutil.Error):
        # Of copied folders: source, target and reason of each file.
        return str(error.args[0][0][2])
    return error.strerror or str(error)


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
