"""A table at the end of what was tried and what became of it, however many processes tested."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call" and not report.skipped
    ]
    groups: dict[tuple, list[tuple[dict[str, object], bool]]] = {}
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
    (seed,) = {row["seed"] for rows in groups.values() for row, _ in rows}
    left_out = sum(
        "time is up" in str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])
    )
    terminalreporter.write_line(
        f"{kills} kills, seed {seed} (TALLY_SEED={seed} tries the same moments)"
        + (f"; time was up before {left_out} more" if left_out else "")
    )
