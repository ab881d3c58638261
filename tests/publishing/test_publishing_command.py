"""The command `python -m publishing`, and make's targets for it."""

from __future__ import annotations

import subprocess

import pytest
from environment import ENVIRONMENT, ROOT
from synthetic import Shop, one_error

from publishing.__main__ import parse_arguments


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
