"""What of the full form is still to do, and a table at the end of what was tried and found."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from typing import Any

import pytest
from reliability.progress import Passed, Progress, taken_up

PROGRESS = pytest.StashKey[Progress]()
# Of the full form, which have not passed.
TO_DO = pytest.StashKey[list[str]]()
# A test's steps (setup, call, teardown) that passed.
SECONDS = pytest.StashKey[dict[str, float]]()

# Nothing failed, and nothing came between; where a run was killed at its very end, nothing is left.
ENDED = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)

# One row of what was tried, and whether the test that tried it passed.
Row = tuple[dict[str, Any], bool]


def pytest_configure(config: pytest.Config) -> None:
    """Take the full form up where it was interrupted; some tests of it alone are run as named."""
    is_whole = not config.option.keyword and not any("::" in name for name in config.args)
    is_one_process = not config.getoption("numprocesses", None)
    if os.environ.get("TALLY_RELIABILITY") == "full" and is_whole and is_one_process:
        try:
            progress = taken_up(config.rootpath, os.environ.get("TALLY_SEED"), secrets.token_hex(4))
        except (OSError, ValueError) as error:
            raise pytest.UsageError(str(error)) from error
        os.environ["TALLY_SEED"] = progress.seed
        config.stash[PROGRESS] = progress


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    progress = config.stash.get(PROGRESS, None)
    if not progress:
        return
    done = [item for item in items if item.nodeid in progress.passed]
    config.hook.pytest_deselected(items=done)
    items[:] = [item for item in items if item.nodeid not in progress.passed]
    config.stash[TO_DO] = [item.nodeid for item in items]


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Say how much there is to do."""
    progress = config.stash.get(PROGRESS, None)
    if not progress:
        return []
    to_do = config.stash[TO_DO]
    seconds = progress.seconds_of(to_do)
    lines = [
        f"{len(to_do)} tests to do, about {_minutes(seconds)}"
        if seconds is not None
        else f"{len(to_do)} tests to do, about an hour for all on two cores"
    ]
    if progress.passed:
        lines.append(
            f"{len(progress.passed)} passed before, in {_minutes(progress.seconds)}:"
            f" remove {progress.path} to try them again"
        )
    lines.append("after Ctrl-C, the same command goes on where it was interrupted")
    return lines


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:,.0f} min" if seconds >= 90 else f"{seconds:,.0f} s"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    progress = item.config.stash.get(PROGRESS, None)
    if progress and report.passed:
        seconds = item.stash.setdefault(SECONDS, {})
        seconds[report.when] = report.duration
        if len(seconds) == 3:
            progress.note(item.nodeid, Passed(sum(seconds.values()), [*_tried(report)]))
    return report


def _tried(report: pytest.TestReport) -> Iterable[dict[str, Any]]:
    return (row for name, row in report.user_properties if name == "tried")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What was not tried is not passed; where all is, the next run tries it anew."""
    if PROGRESS not in session.config.stash or session.exitstatus not in ENDED:
        return
    if _left(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    else:
        session.config.stash[PROGRESS].finish()
        session.exitstatus = pytest.ExitCode.OK


def _left(config: pytest.Config) -> list[str]:
    passed = config.stash[PROGRESS].passed
    return [test for test in config.stash.get(TO_DO, []) if test not in passed]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    config = terminalreporter.config
    progress = config.stash.get(PROGRESS, None)
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call" and not report.skipped
    ]
    rows = [(row, report.passed) for report in reports for row in _tried(report)]
    now = {report.nodeid for report in reports}
    if progress:
        before = [passed for test, passed in progress.passed.items() if test not in now]
        rows = [(row, True) for passed in before for row in passed.tried] + rows
    if not rows and not progress:
        return
    terminalreporter.section("reliability")
    for line in _table(rows) if rows else []:
        terminalreporter.write_line(line)
    kills = sum(row["times"] for row, _ in rows if row["fault"] == "SIGKILL")
    seeds = {row["seed"] for row, _ in rows}
    terminalreporter.write_line(
        f"{kills} kills"
        + "".join(f", seed {it} (TALLY_SEED={it} tries the same moments)" for it in seeds)
    )
    if progress:
        for line in _outcome(config, terminalreporter):
            terminalreporter.write_line(line)


def _table(rows: list[Row]) -> list[str]:
    groups: dict[tuple, list[Row]] = {}
    for row, passed in rows:
        key = (row["fault"], row["command"], row["situation"])
        groups.setdefault(key, []).append((row, passed))
    lines = [("fault", "command", "situation", "times", "lost", "found")]
    for (fault, command, situation), of_it in groups.items():
        ways = dict.fromkeys(str(row["recovered"]) for row, passed in of_it if passed)
        failed = sum(not passed for _, passed in of_it)
        lines.append(
            (
                fault,
                command,
                situation,
                str(sum(row["times"] for row, _ in of_it)),
                f"{failed} FAILED" if failed else "nothing",
                "; ".join(filter(None, ways)),
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    written = []
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        cells[3] = line[3].rjust(widths[3])
        written.append("  ".join(cells).rstrip())
    return written


def _outcome(config: pytest.Config, reporter: pytest.TerminalReporter) -> list[str]:
    """Say what has passed, what has not, and what to do about that."""
    progress, left = config.stash[PROGRESS], _left(config)
    lines = [f"{len(progress.passed)} tests passed, in {_minutes(progress.seconds)}"]
    if not left:
        return [f"{lines[0]}: all of them; the next run tries all anew"]
    reasons: dict[str, int] = {}
    for report in reporter.stats.get("skipped", []):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        reasons[reason] = reasons.get(reason, 0) + 1
    lines += [f"{number} NOT TRIED: {reason}" for reason, number in reasons.items()]
    failed = {
        report.nodeid for kind in ("failed", "error") for report in reporter.stats.get(kind, [])
    }
    if failed:
        lines.append(f"{len(failed)} FAILED")
    if not_yet := len(left) - sum(reasons.values()) - len(failed):
        seconds = progress.seconds_of(left)
        about = "" if seconds is None else f", about {_minutes(seconds)}"
        lines.append(f"{not_yet} NOT TRIED yet{about}: the same command goes on with them")
    return lines
