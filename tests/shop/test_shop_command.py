"""The command `python -m shop`, as people type it."""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import psutil
import psycopg
import pytest
from company import small_company
from dbt_project import ROOT
from servers import free_port, open_folder
from storefront import NAMES, Storefront, count, one_error

import shop.__main__
import shop.mysql
import shop.tables

LINES = len(small_company()["transactions"])


@pytest.mark.parametrize("name", NAMES)
def test_server_starts_filled_and_stops(storefront: Storefront, name: str):
    port = storefront.ports[name]
    printed = storefront.start(name)
    assert f"listens on 127.0.0.1:{port}" in printed
    for table, rows in small_company().items():
        progress = re.search(rf"^  {table} +([\d,]+) rows$", printed, re.MULTILINE)
        assert (table == "promotions") == (progress is None)
        assert progress is None or int(progress[1].replace(",", "")) == len(rows)
    assert printed.endswith(f"\ngo on with: SOURCES__RETAIL_DB__TYPE={name} make run\n")
    assert count(storefront) == LINES
    process = storefront.process(name)

    again = storefront.start(name)
    assert f"runs already on 127.0.0.1:{port}" in again
    assert "transactions" not in again
    assert storefront.process(name) == process
    assert f"{name:<12}runs on 127.0.0.1:{port}, process {process.pid}\n" in (
        storefront.run("status").stdout
    )

    stopped = storefront.run("stop")
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert re.fullmatch(r"\S+ is stopped; its data stays in \S+\n", stopped.stdout)
    assert not process.is_running()
    assert storefront.run("status").stdout.count("stopped") == 1
    assert storefront.run("stop").stdout == "no server runs\n"

    # What is there already is not filled again: these files would make other tables.
    for file in storefront.files.iterdir():
        file.unlink()
    printed = storefront.start(name)
    assert "listens on" in printed and "rows" not in printed
    assert count(storefront) == LINES


def test_both_run_at_once_and_stop_together(storefront: Storefront):
    for name in NAMES:
        storefront.start(name)
        assert storefront.credentials()["port"] == storefront.ports[name]
        assert count(storefront) == LINES
    processes = [storefront.process(name) for name in NAMES]
    assert len(storefront.run("stop").stdout.splitlines()) == 2
    assert not any(process.is_running() for process in processes)


def test_another_port_is_written_down(storefront: Storefront):
    storefront.start("postgresql")
    other = free_port()
    refused = one_error(storefront.run("start", "postgresql", "--port", str(other)))
    assert str(other) in refused and "stop it first" in refused
    storefront.run("stop")
    storefront.ports["postgresql"] = other
    storefront.start("postgresql")
    assert storefront.credentials()["port"] == other
    assert count(storefront) == LINES


def test_other_credentials_are_left_alone_and_told(storefront: Storefront):
    theirs = (
        '[sources.retail_db.credentials]\nhost = "db.example.com"\nport = 5432\n'
        'database = "shop"\nusername = "me"\npassword = "theirs"\n'
    )
    storefront.secrets.parent.mkdir()
    storefront.secrets.write_text(theirs)

    last = storefront.start("postgresql").splitlines()[-1]

    for told in (
        "me@db.example.com:5432/shop",
        f"tally_reader@127.0.0.1:{storefront.ports['postgresql']}/retail_db",
        str(storefront.folder / "postgresql.json"),
    ):
        assert told in last
    assert "theirs" not in last
    assert storefront.secrets.read_text() == theirs


# Passwords


@contextmanager
def command_lines() -> Iterator[set[str]]:
    """Collect what `ps` would show of every process, for as long as the context is open."""
    seen: set[str] = set()
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            for process in psutil.process_iter():
                try:
                    seen.add(" ".join(process.cmdline()))
                except psutil.Error:
                    continue
            time.sleep(0.01)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


@pytest.mark.parametrize("name", NAMES)
def test_passwords_are_nowhere_but_in_two_private_files(storefront: Storefront, name: str):
    with command_lines() as seen:
        printed = storefront.start(name) + storefront.start(name)
    assert any(str(storefront.folder) in line for line in seen)
    server = storefront.process(name)
    children = [server, *server.children(recursive=True)]
    storefront.run("stop")

    state = storefront.state(name)
    passwords = [state["owner_password"], state["reader_password"]]
    assert len({*passwords}) == 2 and min(map(len, passwords)) >= 32
    everything = "\n".join([printed, *seen, *(str(child) for child in children)])
    assert not any(password in everything for password in passwords)

    private = {storefront.folder / f"{name}.json", storefront.secrets}
    for path in (*storefront.folder.rglob("*"), storefront.secrets):
        if path.is_file():
            holds = any(password.encode() in path.read_bytes() for password in passwords)
            assert holds == (path in private), path
    for path in private:
        assert path.stat().st_mode & 0o777 == 0o600
    assert state["owner_password"] not in storefront.secrets.read_text()


def test_passwords_are_other_ones_elsewhere(storefront: Storefront):
    storefront.start("postgresql")
    first = storefront.state("postgresql")
    storefront.end()
    storefront.start("postgresql")
    second = storefront.state("postgresql")
    assert first["reader_password"] != second["reader_password"]
    assert first["owner_password"] != second["owner_password"]
    # The section of the server that is gone is of this command, too.
    assert count(storefront) == LINES


@pytest.mark.parametrize("path", [".shop/postgresql.json", ".dlt/secrets.toml"])
def test_git_ignores_what_it_makes(path: str):
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert any(f"/{path}".startswith(line) for line in ignored if line.startswith("/."))


# What it refuses


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_taken_port(storefront: Storefront, name: str, host: str):
    with socket.socket() as other:
        other.bind((host, 0))
        other.listen()
        port = other.getsockname()[1]
        completed = storefront.run("start", name, "--port", str(port))
        if "install Debian's mariadb-server" in completed.stderr:
            pytest.skip(completed.stderr)
        refused = one_error(completed)
    assert f"port {port} " in refused and "--port" in refused
    assert not (storefront.folder / name).exists()
    assert not storefront.secrets.exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["start", "oracle"], "expected postgresql or mysql, found 'oracle'"),
        (["start"], "required"),
        (["start", "mysql", "--port", "0"], "expected a port from 1 to 65535, found '0'"),
        (["start", "mysql", "--port", "65536"], "found '65536'"),
        (["start", "mysql", "--port", "x"], "found 'x'"),
        (["start", "mysql", "--port", "²"], "found '²'"),
        (["begin"], "begin"),
        ([], "COMMAND"),
    ],
)
def test_bad_arguments(storefront: Storefront, arguments: list[str], told: str):
    refused = one_error(storefront.run(*arguments), code=2)
    assert told in refused and "--help" in refused
    assert not storefront.folder.exists()


def test_missing_mariadb(
    storefront: Storefront, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(shop.mysql, "FOLDERS", ())
    for name in ("TALLY_SHOP", "DLT_PROJECT_DIR"):
        monkeypatch.setenv(name, storefront.environment[name])
    monkeypatch.setenv("PATH", str(storefront.files))
    assert shop.__main__.main(["start", "mysql"]) == 1
    printed, refused = capsys.readouterr()
    assert printed == "" and len(refused.splitlines()) == 1
    assert "install Debian's mariadb-server" in refused
    assert not (storefront.folder / "mysql").exists()


def test_lost_passwords(storefront: Storefront):
    storefront.start("postgresql")
    storefront.run("stop")
    state = storefront.folder / "postgresql.json"
    kept = state.read_text()
    for text, found in ((None, "none"), ("[]", "postgresql.json"), ("{", "postgresql.json")):
        if text is None:
            state.unlink()
        else:
            state.write_text(text)
        refused = one_error(storefront.run("start", "postgresql"))
        assert found in refused and str(storefront.folder / "postgresql") in refused
        assert "remove" in refused
    assert (storefront.folder / "postgresql" / "PG_VERSION").exists()
    state.write_text(kept)
    storefront.start("postgresql")


def test_sample_that_cannot_be_read(storefront: Storefront):
    file = storefront.files / "products.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    completed = storefront.run("start", "postgresql", "--port", str(storefront.ports["postgresql"]))
    assert str(file) in one_error(completed)
    assert storefront.process("postgresql") is None
    assert not storefront.secrets.exists()

    file.write_bytes(whole)
    storefront.start("postgresql")
    assert count(storefront, "select count(*) from products") == 30


def test_server_that_cannot_start_says_why(storefront: Storefront):
    storefront.start("postgresql")
    storefront.run("stop")
    settings = storefront.folder / "postgresql" / "postgresql.conf"
    settings.write_text(settings.read_text() + "\nmax_connections = many\n")
    refused = one_error(
        storefront.run("start", "postgresql", "--port", str(storefront.ports["postgresql"]))
    )
    assert "postgresql.conf" in refused and str(storefront.folder / "postgresql.log") in refused


@pytest.mark.parametrize("command", ["start postgresql", "stop"])
def test_a_folder_that_cannot_be_is_one_line(storefront: Storefront, command: str):
    taken = storefront.folder.parent / "taken"
    taken.write_text("a file")
    completed = storefront.run(*command.split(), TALLY_SHOP=str(taken))
    assert (completed.returncode, completed.stdout) == (1, "")
    (line,) = completed.stderr.splitlines()
    assert str(taken) in line


# What is cut off


def start_and_wait_for_rows(storefront: Storefront, is_made: bool):
    """Start with the whole sample, and give the command in the middle of filling."""
    command = storefront.popen(
        "start",
        "postgresql",
        "--port",
        str(storefront.ports["postgresql"]),
        SOURCES__SAMPLE__FOLDER="",
    )
    for line in command.stdout:
        if line.startswith("filling"):
            break
    time.sleep(0.3)
    assert command.poll() is None
    return command


@pytest.mark.slow
def test_interrupt_leaves_nothing_running_and_the_next_start_fills(storefront: Storefront):
    command = start_and_wait_for_rows(storefront, False)
    assert one_error(storefront.run("stop")).count("found one") == 1
    process = storefront.process("postgresql")
    command.send_signal(signal.SIGINT)
    _, told = command.communicate(timeout=30)
    assert command.returncode == 130
    assert told.startswith("interrupted: ") and len(told.splitlines()) == 1
    assert not process.is_running()
    assert not storefront.secrets.exists()

    assert "transactions" in storefront.start("postgresql")
    assert count(storefront) == LINES


def test_interrupt_before_the_first_row_leaves_nothing_running(
    storefront: Storefront, monkeypatch: pytest.MonkeyPatch
):
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shop.__main__, "sample_folder", interrupted)
    for name in ("TALLY_SHOP", "DLT_PROJECT_DIR"):
        monkeypatch.setenv(name, storefront.environment[name])
    port = str(storefront.ports["postgresql"])
    assert shop.__main__.main(["start", "postgresql", "--port", port]) == 130
    assert "stopped" in storefront.run("status").stdout
    assert storefront.state("postgresql")["pid"] is None


@pytest.mark.slow
def test_start_that_was_killed_is_made_up_for(storefront: Storefront):
    command = start_and_wait_for_rows(storefront, False)
    command.kill()
    command.wait(10)
    assert "not filled yet" in storefront.run("status").stdout

    printed = storefront.start("postgresql")
    assert "runs already" in printed and "transactions" in printed
    assert count(storefront) == LINES


# The whole sample

ROWS = {
    "transactions": 1_469_307,
    "products": 92_331,
    "demographics": 801,
    "campaigns": 6_589,
    "campaign_descriptions": 27,
    "coupons": 116_204,
    "coupon_redemptions": 2_102,
}


def fingerprint(kind: str, table: str, columns: dict[str, str]) -> str:
    """A query of a few figures of every column, whichever engine answers."""
    figures = ["count(*)"]
    for column, declared in columns.items():
        if declared == "text":
            figures += [f"count({column})", f"sum(length({column}))", f"min({column})"]
        elif declared == "timestamp":
            figures += [f"count({column})", f"min({column})", f"max({column})"]
            figures += [f"sum(extract(day from {column}))", f"count(distinct {column})"]
        elif declared == "bigint":
            figures += [f"count({column})", f"sum({column})", f"min({column})", f"max({column})"]
        else:
            value = f"cast({column} as decimal(12, 2))"
            figures += [f"count({column})", f"sum({value})", f"min({value})", f"max({value})"]
    return f"select {', '.join(figures)} from {table}"


@pytest.mark.slow
def test_whole_sample_is_there_to_the_cent():
    tables = shop.tables
    with open_folder() as folder:
        storefront = Storefront(folder)
        storefront.environment["SOURCES__SAMPLE__FOLDER"] = ""
        try:
            printed = storefront.start("postgresql")
            for table, rows in ROWS.items():
                assert re.search(rf"^  {table} +{rows:,} rows$", printed, re.MULTILINE)
            place = storefront.credentials()
            with psycopg.connect(
                host=place["host"],
                port=place["port"],
                user=place["username"],
                password=place["password"],
                dbname=place["database"],
            ) as connection:
                assert (
                    str(
                        connection.execute("select sum(sales_value) from transactions").fetchone()[
                            0
                        ]
                    )
                    == "4596039.58"
                )
                distinct = "select count(*) from (select distinct * from coupons) as coupons"
                assert connection.execute(distinct).fetchone() == (ROWS["coupons"] - 4_872,)
                for table in tables.TABLES:
                    columns = {c: tables.column_type(table, c) for c in table.columns}
                    file = tables.sample_folder() / f"{table.name}.parquet"
                    query = fingerprint("", table.name, columns)
                    found = connection.execute(query).fetchone()
                    expected = duckdb.sql(
                        fingerprint("", f"read_parquet('{file}')", columns)
                    ).fetchone()
                    assert found == expected, table.name
                    assert found[0] == ROWS[table.name]
        finally:
            storefront.end()
