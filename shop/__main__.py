"""The command `python -m shop`."""

from __future__ import annotations

import argparse
import fcntl
import logging
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from ingestion.errors import declarations
from ingestion.terminal import end_if_interrupted, hold_standard_streams, plain, say, show

INTERRUPTED = "interrupted: start it again, and what is not whole is made anew"

if __name__ == "__main__":
    # What is imported takes a second.
    end_if_interrupted(INTERRUPTED)

with declarations():
    from shop.credentials import SECTION, offer
    from shop.errors import ShopError
    from shop.mysql import MariaDB
    from shop.paths import secrets_file, shop_folder
    from shop.postgresql import PostgreSQL
    from shop.server import HOST, Server
    from shop.tables import DATABASE, sample_folder

SERVERS: dict[str, type[Server]] = {server.name: server for server in (PostgreSQL, MariaDB)}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        said = plain(f"error: {message} ({self.prog} --help lists the arguments)")
        self.exit(2, f"{said}\n")


def _server_name(text: str) -> str:
    if text not in SERVERS:
        raise argparse.ArgumentTypeError(f"expected {' or '.join(SERVERS)}, found '{text}'")
    return text


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 1 << 16):
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, found '{text}'")
    return int(text)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; exit with code 2 and one line where it is wrong."""
    parser = _Parser(
        prog="python -m shop",
        description="Run the sample company's database on this machine, to try ingestion on.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("start", help="start a server; fill it where it is new")
    command.add_argument("server", type=_server_name, metavar="|".join(SERVERS))
    command.add_argument(
        "--port",
        type=_port,
        metavar="N",
        help="where to listen (default "
        + ", ".join(f"{server.default_port} for {name}" for name, server in SERVERS.items())
        + ")",
    )
    command.set_defaults(run=_start)

    command = commands.add_parser("stop", help="stop the servers; their data stays")
    command.set_defaults(run=_stop)

    command = commands.add_parser("status", help="say which servers run")
    command.set_defaults(run=_status)
    return parser.parse_args(arguments)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other starts and stops out for as long as the context is open."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
    except OSError as error:
        raise ShopError(
            f"{folder}: expected a folder that can be written, found: {error.strerror}; correct"
            " TALLY_SHOP, or mend the cause"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ShopError(
                f"{folder}: expected no other start or stop at work, found one; wait for it, or"
                " end it"
            ) from None
        yield


def _start(arguments: argparse.Namespace) -> None:
    folder = shop_folder()
    with _alone(folder):
        servers = {name: server(folder) for name, server in SERVERS.items()}
        ports = {server.state.port for server in servers.values()}
        server = servers[arguments.server]
        if server.running():
            if arguments.port not in (None, server.state.port):
                raise ShopError(
                    f"port {arguments.port}: expected {server.product} stopped, found it running"
                    f" on port {server.state.port}; stop it first (make shop-stop)"
                )
            show(f"{server.product} runs already on {HOST}:{server.state.port}")
        else:
            server.start(arguments.port or server.default_port)
            show(f"{server.product} listens on {HOST}:{server.state.port}")
        if not server.state.is_loaded:
            _fill(server)
        _offer(server, ports)


def _fill(server: Server) -> None:
    # Drivers in the middle of a statement do not all let an interrupt through; they end with the
    # server.
    with ThreadPoolExecutor(1) as worker:
        try:
            show(f"filling {DATABASE}:")
            loading = worker.submit(
                server.load,
                sample_folder(),
                lambda table, rows: show(f"  {table:<24}{rows:>12,} rows"),
            )
            loading.result()
        except BaseException:
            # What psycopg has to say of a connection that ends with its server is nothing new.
            logging.getLogger("psycopg").setLevel(logging.CRITICAL)
            server.stop()
            raise
    server.mark_loaded()


def _offer(server: Server, ports: set[int | None]) -> None:
    credentials, path = server.credentials, secrets_file()
    other = offer(path, credentials, ports)
    if other is None:
        show(f"{path} has the credentials of its reader, {credentials['username']}")
        show(f"go on with: SOURCES__RETAIL_DB__TYPE={server.name} make run")
    else:
        show(
            f"{path} has other credentials for {DATABASE}, {other}, and is left as it is; to read"
            f" this server, remove [{'.'.join(SECTION)}] there and start again, or use"
            f" {credentials['username']}@{HOST}:{credentials['port']}/{credentials['database']}"
            f" with the reader_password of {server.state_file}"
        )


def _stop(_: argparse.Namespace) -> None:
    folder = shop_folder()
    with _alone(folder):
        stopped = [
            server for server in (kind(folder) for kind in SERVERS.values()) if server.stop()
        ]
    for server in stopped:
        show(f"{server.product} is stopped; its data stays in {server.data}")
    if not stopped:
        show("no server runs")


def _status(_: argparse.Namespace) -> None:
    for name, kind in SERVERS.items():
        server = kind(shop_folder())
        if process := server.running():
            state = f"runs on {HOST}:{server.state.port}, process {process.pid}"
            if not server.state.is_loaded:
                state += ", not filled yet"
        else:
            state = "stopped" if server.data.exists() else "not made yet"
        show(f"{name:<12}{state}")


def main(arguments: list[str] | None = None) -> int:
    """Run a command and give its exit code."""
    hold_standard_streams()
    chosen = parse_arguments(arguments)
    try:
        chosen.run(chosen)
    except ShopError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say(INTERRUPTED)
        return 130
    return 0


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
