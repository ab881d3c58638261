"""One stage for all faults, and a table at the end of what was tried and what became of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import FULL, LAST_FAULT_SECONDS, SEED
from stage import Stage

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Kill first: where time is short, the other faults are those that are left out."""
    here = [number for number, item in enumerate(items) if item.path.parent == FOLDER]
    ordered = sorted(
        (items[number] for number in here), key=lambda item: item.path.name != "test_kill.py"
    )
    for number, item in zip(here, ordered, strict=True):
        items[number] = item


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    yield Stage(folder)
    # A third of a GB of copies.
    shutil.rmtree(folder, ignore_errors=True)


Tried = dict[str, object]


@pytest.fixture
def tried(stage: Stage, record_property: Callable[[str, object], None]) -> Callable[..., Tried]:
    """Note what is tried; what recovered how is filled in when it has."""
    if FULL and time.monotonic() - stage.born > LAST_FAULT_SECONDS:
        pytest.skip("time is up")

    def note(command: str, fault: str, situation: str, times: int = 1) -> Tried:
        row: Tried = {
            "command": command,
            "fault": fault,
            "situation": situation,
            "times": times,
            "recovered": "",
        }
        record_property("tried", row)
        return row

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call" and not report.skipped
    ]
    groups: dict[tuple, list[tuple[Tried, bool]]] = {}
    for report in reports:
        for name, row in report.user_properties:
            if name == "tried":
                key = (row["fault"], row["command"], row["situation"])
                groups.setdefault(key, []).append((row, report.passed))
    if not groups:
        return
    lines = [("fault", "command", "situation", "times", "lost", "recovered by")]
    for (fault, command, situation), rows in groups.items():
        ways = dict.fromkeys(str(row["recovered"]) for row, passed in rows if passed)
        failed = sum(not passed for _, passed in rows)
        lines.append(
            (
                fault,
                command,
                situation,
                str(sum(row["times"] for row, _ in rows)),
                f"{failed} FAILED" if failed else "nothing",
                "; ".join(ways),
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    terminalreporter.section("reliability")
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        cells[3] = line[3].rjust(widths[3])
        terminalreporter.write_line("  ".join(cells).rstrip())
    kills = sum(
        row["times"]
        for (fault, *_), rows in groups.items()
        for row, _ in rows
        if fault == "SIGKILL"
    )
    left_out = sum(
        "time is up" in str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])
    )
    terminalreporter.write_line(
        f"{kills} kills, seed {SEED} (TALLY_SEED={SEED} tries the same moments)"
        + (f"; time was up before {left_out} more" if left_out else "")
    )
