"""The command `python -m publishing`, and make's targets for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from environment import ENVIRONMENT, ROOT
from synthetic import Shop, one_error

from publishing.__main__ import main, parse_arguments


@pytest.fixture
def hurt(traced: Shop, tmp_path: Path) -> Shop:
    """A company whose warehouse nothing says is tested."""
    shop = Shop(tmp_path, traced.folder)
    (shop.target / "run_results.json").unlink()
    return shop


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ([], "COMMAND"),
        (["publsh"], "publsh"),
        (["publish", "--keep", "0"], "expected a number of versions from 1 on, found '0'"),
        (["publish", "--keep", "some"], "found 'some'"),
        (["publish", "now"], "now"),
        (["alerts", "--fail-on", "notice"], "notice"),
        (["trace", "--kpi", "net_sales"], "--period"),
        (["trace", "--period", "2017-06"], "--kpi"),
        (["rollback", "a", "b"], "b"),
        (["rollback", "\udcff"], r"expected text in UTF-8, found '\udcff'"),
        (["trace", "--kpi", "\udcff", "--period", "2017-06"], "--kpi: expected text in UTF-8"),
        (["trace", "--kpi", "x", "--period", "\udcff"], "--period: expected text in UTF-8"),
        (["trace", "--kpi", "x", "--period", "y", "--slice", "a=\udcff"], "--slice: expected text"),
        (["report", "--folder", ""], "expected a folder, found ''"),
        (["publish", "--keep", "9" * 5000], "expected a number of versions from 1 on, found '999"),
        (["versions", "a\nb\x1b[2J"], r"a\nb\x1b[2J"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], fault: str
):
    with pytest.raises(SystemExit) as stopped:
        parse_arguments(arguments)
    printed = capsys.readouterr()
    assert stopped.value.code == 2 and printed.out == ""
    assert printed.err.startswith("error: ") and printed.err.count("\n") == 1
    assert fault in printed.err and "--help lists the arguments" in printed.err


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        parse_arguments(["--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    for command in ("publish", "versions", "rollback", "alerts", "trace", "report"):
        assert f"\n    {command} " in printed


def test_the_report_is_written_from_the_published_file(traced: Shop):
    folder = traced.folder / "reports"
    done = traced.run("report", "--folder", str(folder))
    assert done.returncode == 0, done.stderr
    written = [line.removeprefix("wrote ") for line in done.stdout.splitlines()]
    assert written and sorted(written) == sorted(str(path) for path in folder.iterdir())


def test_no_report_without_a_published_file(shop: Shop):
    line = one_error(shop.run("report", "--folder", str(shop.folder / "reports")), 1)
    assert "found none; publish with `python -m publishing publish`" in line
    assert not (shop.folder / "reports").exists()


def test_a_report_folder_that_cannot_be_written_is_said_to_be_so(traced: Shop):
    done = traced.run("report", "--folder", "/proc/reports")
    assert "report /proc/reports: " in one_error(done, 1)


def test_who_stops_reading_the_output_gets_no_traceback(traced: Shop):
    process = traced.popen("-m", "publishing", "trace", "--kpi", "net_sales", "--period", "2017-06")
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(timeout=30) == 0 and errors == ""
    process.stderr.close()


def test_who_stops_reading_gets_the_code_of_what_was_found(
    hurt: Shop, monkeypatch: pytest.MonkeyPatch
):
    for arguments, code in {("verify",): 1, ("versions",): 0, ("--help",): 0}.items():
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "w") as output, monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", output)
            assert exit_code(hurt, *arguments) == code, arguments
            # Nothing is left that Python would write at its end, and fail.
            print("more", file=output, flush=True)


def test_an_output_that_cannot_be_written_is_one_line(
    traced: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with Path("/dev/full").open("w") as output, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", output)
        assert exit_code(traced, "versions") == 1
    printed = capsys.readouterr().err
    assert printed.startswith("error: standard output: expected ") and printed.count("\n") == 1
    # Whom to tell that errors cannot be written?
    with Path("/dev/full").open("w") as output, monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", output)
        assert exit_code(traced, "rollback", "none") == 2


def exit_code(shop: Shop, *arguments: str) -> int:
    """Run the command in this process with its own streams."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in shop.environment.items():
            patched.setenv(name, value)
        try:
            return main([*arguments])
        except SystemExit as stopped:
            return int(stopped.code or 0)


@pytest.mark.parametrize(
    ("command", "closed", "code"),
    [("versions", ">&-", 0), ("rollback none", "2>&-", 2), ("rollback none", "<&- >&- 2>&-", 2)],
)
def test_a_stream_that_is_closed_is_done_without(
    traced: Shop, command: str, closed: str, code: int
):
    before = traced.served.read_bytes()
    done = subprocess.run(
        ["sh", "-c", f'"$0" -m publishing {command} {closed}', sys.executable],
        cwd=ROOT,
        env=traced.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    assert traced.served.read_bytes() == before


def test_an_interrupt_of_the_imports_is_one_line(traced: Shop):
    code = """
import os, runpy, signal, sys

class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == "duckdb":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv[1:] = ["versions"]
runpy.run_module("publishing", run_name="__main__", alter_sys=True)
"""
    assert one_error(traced.python("-c", code), 130).startswith("interrupted: ")


@pytest.mark.parametrize(
    ("environment", "dash"),
    [
        ({"LC_ALL": "C"}, "\N{EN DASH}"),
        ({"LC_ALL": "C", "PYTHONUTF8": "0"}, r"\u2013"),
        ({"PYTHONIOENCODING": "ascii"}, r"\u2013"),
    ],
)
def test_a_terminal_that_lacks_a_character_gets_its_code(
    traced: Shop, environment: dict[str, str], dash: str
):
    arguments = ("trace", "--kpi", "net_sales", "--period", "2017-01")
    done = traced.command(*arguments, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    # Nothing comes before the first month.
    assert f"previous     {dash}\n" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["publish"], ["publish"]),
        (["report"], ["report"]),
        (["alerts"], ["alerts"]),
        (["rollback"], ["rollback"]),
        (["rollback", "VERSION=v1"], ["rollback", "v1"]),
        (["trace"], ["trace"]),
        (
            ["trace", "KPI=net_sales", "PERIOD=2017-06"],
            ["trace", "--kpi", "net_sales", "--period", "2017-06"],
        ),
        (
            ["trace", "KPI=net_sales", "PERIOD=2017-06", "SLICE=department=DRUG GM"],
            ["trace", "--kpi", "net_sales", "--period", "2017-06", "--slice", "department=DRUG GM"],
        ),
    ],
)
def test_make_calls_the_command(arguments: list[str], expected: list[str]):
    environment = ENVIRONMENT | dict(
        argument.split("=", 1) for argument in arguments if "=" in argument
    )

    def printed(*command: str) -> list[str]:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines()

    recipe = printed("make", "-n", *arguments)[-1]
    # What the shell makes of the recipe's last line.
    shown = printed("sh", "-c", 'python() { printf "%s\\n" "$@"; }\n' + recipe)
    assert shown == ["-m", "publishing", *expected]
