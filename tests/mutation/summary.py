"""Prints what became of every mutant, whichever way pytest was called."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    outcomes = [
        dict(report.user_properties)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
    ]
    rows = [outcome for outcome in outcomes if "mutant" in outcome]
    if not rows:
        return
    terminalreporter.section("mutants")
    width = max(len(row["mutant"]) for row in rows)
    for row in sorted(rows, key=lambda row: row["mutant"]):
        verdict = {"caught": "caught by", "missed": "MISSED", "invalid": "INVALID:"}
        told_by = row["told_by"].splitlines()[0] if row["told_by"] else ""
        terminalreporter.write_line(
            f"{row['mutant']:<{width}}  {verdict[row['verdict']]} {told_by}".rstrip()
        )
    caught = sum(row["verdict"] == "caught" for row in rows)
    terminalreporter.write_line(f"{caught} of {len(rows)} mutants caught")
