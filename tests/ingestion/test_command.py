"""The command `python -m ingestion`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pytest
from bench import BY_NAME, ROOT, Bench
from environment import ENVIRONMENT

import ingestion.__main__ as command
from ingestion.load import LoadedTable


def table_lines(output: str) -> dict[str, list[str]]:
    """The report's lines after its heading: table to mode and figures."""
    return {line.split()[0]: line.split()[1:] for line in output.splitlines()[1:]}


def test_a_load_reports_every_table_and_exits_with_0(bench: Bench):
    run = bench.command()
    assert run.returncode == 0, run.stderr
    lines = table_lines(run.stdout)
    assert list(lines) == [f"{table.source}.{table.name}" for table in BY_NAME.values()]
    assert lines["retail_db.transactions"] == ["merge", "1,410", "1,410", "0", "1,410", "0"]
    assert bench.rows("transactions") == bench.source_rows("transactions")
    assert {path.name for path in bench.warehouse.parent.iterdir()} == {"tally.duckdb"}


def test_it_loads_the_same_from_any_folder(bench: Bench, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run = bench.command("--table", "products", cwd=elsewhere, PYTHONPATH=str(ROOT))
    assert run.returncode == 0, run.stderr
    ((load_id,),) = bench.query("select distinct _dlt_load_id from raw_retail_db.products")
    assert bench.query("select load_id from raw_retail_db._dlt_loads") == [(load_id,)]
    assert not list(elsewhere.iterdir())


def test_a_table_can_be_given_several_times(bench: Bench):
    run = bench.command(
        "--table", "coupons", "--table", "retail_db.products", "--table", "retail_db.coupons"
    )
    assert list(table_lines(run.stdout)) == ["retail_db.products", "retail_db.coupons"]
    tables = bench.query(
        "select distinct table_name from duckdb_tables() where not starts_with(table_name, '_')"
    )
    assert {name for (name,) in tables} == {
        "products",
        "coupons",
        "load_control_totals",
        "quarantine",
    }


def test_a_name_that_two_systems_have_needs_its_source(monkeypatch, capsys):
    twin = replace(BY_NAME["products"], source="online_shop")
    monkeypatch.setattr(command, "TABLES", (*BY_NAME.values(), twin))
    with pytest.raises(SystemExit) as ended:
        command.parse_arguments(["--table", "products"])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "expected retail_db.products or online_shop.products, found 'products'" in line
    said = command.parse_arguments(["--table", "online_shop.products", "--table", "coupons"]).table
    assert [table.source for table in said] == ["online_shop", "retail_db"]


def test_until_and_full_refresh_reach_the_load(loaded: Bench):
    run = loaded.command("--until", "2017-06-30", "--full-refresh", "--table", "transactions")
    assert run.returncode == 0, run.stderr
    expected = Bench(loaded.folder / "expected")
    expected.load(date(2017, 6, 30), [BY_NAME["transactions"]])
    assert loaded.rows("transactions") == expected.rows("transactions")
    assert loaded.rows("promotions") == loaded.source_rows("promotions")


def test_a_new_column_is_reported_with_what_to_do(loaded: Bench):
    loaded.rewrite("products", "select *, 'red' as colour from source")
    run = loaded.command("--dry-run")
    assert run.returncode == 0, run.stderr
    assert (
        "new at the source, not loaded: retail_db.products.colour"
        " (declare it in ingestion/tables.py, or name it in excluded_columns)"
        in run.stdout.splitlines()
    )


def test_rows_that_are_marked_as_deleted_are_reported():
    table = replace(BY_NAME["demographics"], deletes="keys")
    outcome = LoadedTable(table, at_source=584, written=584, in_warehouse=584, marked=15)
    assert command.report([outcome], False)[-1] == (
        "marked as deleted at the source, not loaded: 15 rows of retail_db.demographics (keys)"
    )


def test_dry_run_without_a_warehouse_makes_none(bench: Bench):
    files = bench.files()
    run = bench.command("--dry-run")
    assert run.returncode == 0, run.stderr
    assert table_lines(run.stdout)["promotion_feed.promotions"][1:] == [
        *("2,276", "2,276"),
        *("0", "0", "0"),
    ]
    assert bench.files() == files


@pytest.mark.parametrize("arguments", [[], ["--full-refresh"]], ids=["news", "full refresh"])
def test_dry_run_tells_what_a_load_would_write_and_writes_nothing(
    loaded: Bench, arguments: list[str]
):
    loaded.company["products"][0]["brand"] = "changed"
    loaded.company["coupons"][0]["product_id"] = 900
    loaded.write_source()
    files, content = loaded.files(), loaded.warehouse.read_bytes()
    dry = loaded.command("--dry-run", *arguments)
    assert dry.returncode == 0, dry.stderr
    assert loaded.files() == files
    assert loaded.warehouse.read_bytes() == content

    told = {name: figures[2] for name, figures in table_lines(dry.stdout).items()}
    loaded_now = loaded.load(full_refresh=bool(arguments))
    assert told == {
        f"{item.table.source}.{item.table.name}": f"{item.written:,}"
        for item in loaded_now.values()
    }
    assert loaded_now["products"].written == (30 if arguments else 1)


@pytest.mark.parametrize(
    "arguments, found",
    [
        (["--until", "2017-02-30"], "found '2017-02-30'"),
        (["--until", "tomorrow"], "found 'tomorrow'"),
        (["--until", "9999-12-31"], "found '9999-12-31'"),
        (["--until"], "expected one argument"),
        (["--table", "clients"], "retail_db.transactions, retail_db.products, "),
        (["--table", "clients"], "found 'clients'"),
        (["--table", "promotion_feed.products"], "found 'promotion_feed.products'"),
        (["--table", "products", "--table", "raw.products"], "found 'raw.products'"),
        (["--table", ".products"], "found '.products'"),
        (["--table", "retail_db."], "found 'retail_db.'"),
        (["--table", ""], "found ''"),
        (["--table", "a\x1b[31m\nb\u202e"], r"found 'a\x1b[31m\nb\u202e'"),
        (["--until", ""], "found ''"),
        (["--quarantine", "--lateness"], "not allowed with argument --quarantine"),
        (["--lateness", "--dry-run"], "not allowed with argument --lateness"),
        (["--everything"], "--everything"),
        (["products"], "products"),
    ],
    ids=repr,
)
def test_wrong_arguments_get_one_line_and_exit_code_2(bench: Bench, arguments, found: str):
    files = bench.files()
    run = bench.command(*arguments)
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert line.startswith("error: ")
    assert found in line
    assert run.stdout == ""
    assert bench.files() == files


def test_a_refused_load_gets_one_line_and_exit_code_1(loaded: Bench):
    loaded.rewrite("promotions", "select * exclude (week) from source")
    run = loaded.command()
    assert run.returncode == 1
    assert run.stdout == ""
    steps, error = run.stderr.splitlines()
    assert steps == "Counting 8 tables at the source"
    assert error == (
        "error: table promotion_feed.promotions: column week: expected bigint, found no such"
        " column; restore it at the source, or change ingestion/tables.py and the models that"
        " read it"
    )


def test_a_load_that_fails_in_the_warehouse_shows_no_traceback(loaded: Bench):
    with duckdb.connect(loaded.warehouse) as connection:
        connection.execute("alter table raw_retail_db.products alter brand set not null")
    loaded.company["products"][1]["brand"] = None
    loaded.write_source()
    fingerprint = loaded.fingerprint()
    run = loaded.command()
    assert run.returncode == 1
    assert run.stdout == ""
    *steps, error = run.stderr.splitlines()
    assert error.startswith("error: retail_db: expected dlt's step load to pass, found: ")
    assert len(steps) == 4, run.stderr
    assert loaded.fingerprint() == fingerprint


def test_an_interrupted_load_says_so_in_one_line(monkeypatch, capsys):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "load", interrupted)
    monkeypatch.setattr("sys.argv", ["ingestion"])
    assert command.main() == 130
    assert capsys.readouterr().err == ("interrupted: nothing was loaded; load again to go on\n")


# What a person sees


def test_what_the_data_says_does_not_reach_the_terminal_as_it_is(bench: Bench):
    signs = "red\x1b[31m \x9b2J\r\n \u202egnp.exe"
    shown = {r"\x9b2J", r"\u202egnp.exe"}
    bench.company["products"][0].update(product_id=None, brand=signs)
    bench.write_source()
    bench.rewrite("products", f'select *, 1 as "{signs}" from source')
    run = bench.command("--table", "products")
    assert run.returncode == 0, run.stderr
    *_, undeclared, _ = run.stdout.splitlines()
    assert undeclared.startswith(r"new at the source, not loaded: retail_db.products.red\x1b[31m")
    (held,) = bench.command("--quarantine").stdout.splitlines()
    for line in (undeclared, held):
        assert line.isprintable()
        assert all(sign in line for sign in shown)
    # A failure names the column, too.
    bench.rewrite("products", f'select "{signs}" from source')
    bench.file("products").rename(bench.source / f"{signs}.parquet")
    run = bench.command("--table", "products", SOURCES__SAMPLE__FOLDER=f"{bench.source}{signs}")
    _, error = run.stderr.split("\n", 1)
    assert error.startswith("error: ") and error.rstrip("\n").isprintable()


@pytest.fixture
def main(loaded: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command on a loaded bench, in this process."""
    for name, value in loaded.environment().items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["ingestion", *arguments])
        return command.main()

    return run


@pytest.mark.parametrize("arguments", [["--table", "coupons"], ["--quarantine"], ["--lateness"]])
def test_a_reader_that_has_gone_changes_nothing(
    main: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capfd, arguments: list[str]
):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        monkeypatch.setattr("sys.stdout", gone)
        assert main(*arguments) == 0
        # What Python does at its end.
        gone.flush()
    assert "rror" not in capfd.readouterr().err


def test_output_that_cannot_be_written_is_one_line(
    main: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys
):
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        assert main("--quarantine") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: standard output: ") and "No space left" in line


def test_closed_streams_are_no_place_for_the_warehouse(bench: Bench):
    run = subprocess.run(
        ["sh", "-c", "exec python -m ingestion --table coupons <&- >&- 2>&-"],
        cwd=ROOT,
        env=bench.environment(),
        timeout=60,
    )
    assert run.returncode == 0
    assert bench.rows("coupons") == bench.source_rows("coupons")


@pytest.mark.parametrize("module", ["ingestion", "shop"])
def test_an_interrupt_of_the_imports_is_one_line(module: str):
    program = (
        "import os, runpy, signal, sys\n"
        "class Interrupts:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'dlt':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupts())\n"
        f"runpy.run_module('{module}', run_name='__main__', alter_sys=True)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 130
    (line,) = run.stderr.splitlines()
    assert line.startswith("interrupted: ")


def test_an_interrupt_of_the_report_does_not_say_that_nothing_was_loaded(
    main: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys
):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "report", interrupted)
    assert main("--table", "coupons") == 130
    *_, line = capsys.readouterr().err.splitlines()
    assert line == "interrupted: the load is done; its report is not"
