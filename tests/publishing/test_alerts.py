"""What needs a decision, in words."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from synthetic import Shop, one_error

from publishing import alerts as alerting


def alert(**changes: object) -> dict[str, Any]:
    return {
        "kpi_id": "net_sales",
        "kpi_name": "Net sales",
        "grain": "month",
        "period_start_date": date(2017, 6, 1),
        "business_week": 23,
        "unit": "usd",
        "value": Decimal("1234.50"),
        "previous_value": Decimal(1000),
        "relative_change": Decimal("0.2345"),
        "target": None,
        "lower_limit": Decimal(900),
        "upper_limit": Decimal(1100),
        "signal_rule": None,
        "status": "worsened",
        "severity": "warning",
        "action": "Look.",
        "owner": "sales",
    } | changes


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"signal_rule": "above_upper_limit"}, "above its upper limit of $1,100.00"),
        ({"signal_rule": "below_lower_limit"}, "below its lower limit of $900.00"),
        ({"signal_rule": "eight_above_mean"}, "eight periods in a row above its mean"),
        ({"signal_rule": "eight_below_mean"}, "eight periods in a row below its mean"),
        ({"status": "off_target", "target": Decimal(2000)}, "below its target of $2,000.00"),
        (
            {
                "status": "off_target",
                "target": Decimal("0.15"),
                "value": Decimal("0.2"),
                "unit": "rate",
                "signal_rule": "above_upper_limit",
                "upper_limit": Decimal("0.175"),
            },
            "above its target of 15.00%; above its upper limit of 17.50%",
        ),
    ],
)
def test_why_is_said_in_words(changes: dict[str, object], expected: str):
    assert alerting.why(alert(**changes)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["2017-06", "$1,234.50", "+23.5%"]),
        ({"grain": "week", "period_start_date": date(2017, 5, 29)}, ["2017-W23 from 2017-05-29"]),
        ({"grain": "day", "period_start_date": date(2017, 6, 15)}, ["2017-06-15"]),
        ({"unit": "count"}, ["2017-06", "1,234.50"]),
        ({"unit": "count", "value": Decimal("1234.000000")}, ["2017-06", "1,234"]),
        (
            {"unit": "rate", "value": Decimal("0.125"), "previous_value": Decimal("0.25")},
            ["2017-06", "12.50%", "\N{MINUS SIGN}12.50 pts"],
        ),
        (
            {"previous_value": None, "relative_change": None},
            ["2017-06", "$1,234.50", "\N{EN DASH}"],
        ),
        ({"value": Decimal(-5)}, ["2017-06", "\N{MINUS SIGN}$5.00"]),
    ],
)
def test_figures_are_written_in_their_unit(changes: dict[str, object], expected: list[str]):
    line = alerting.report([alert(**changes)], "2017-06-30", 100).splitlines()[6]
    cells = [cell.strip() for cell in line.split("  ") if cell.strip()]
    assert cells[0] == "Net sales" and cells[4] == "sales"
    assert cells[1 : len(expected) + 1] == expected


def test_alerts_are_grouped_by_severity_each_with_what_to_do():
    text = alerting.report(
        [
            alert(severity="notice", kpi_name="C"),
            alert(severity="critical", kpi_name="A", action="word " * 40),
            alert(severity="warning", kpi_name="B"),
        ],
        "2017-06-30",
        80,
    )
    lines = text.splitlines()
    heads = [line for line in lines if line.startswith(("critical", "warning", "notice"))]
    assert heads == ["critical (1)", "warning (1)", "notice (1)"]
    order = [text.index(f"\n  {name} ") for name in "ABC"]
    assert order == sorted(order)
    assert sum("do: " in line for line in lines) == 3
    assert all(len(line) <= 80 for line in lines if "word" in line)


def test_the_alerts_are_those_of_the_published_file(traced: Shop):
    done = traced.run("alerts")
    assert done.returncode == 0, done.stderr
    alerts = traced.query("select kpi_name, action, owner, severity from marts.kpi_alerts")
    assert alerts
    flat = " ".join(done.stdout.split())
    for name, action, owner, severity in alerts:
        assert name in flat and action in flat and owner in flat
        count = sum(found == severity for *_, found in alerts)
        assert f"{severity} ({count})" in flat
    assert "data through 2017-12-31" in flat
    # The command that it ends with is one that works.
    trace = done.stdout.splitlines()[-1].split("python -m publishing ")[1].split()
    assert traced.run(*trace).returncode == 0


@pytest.mark.parametrize(
    ("severities", "fail_on", "code"),
    [
        ([], "warning", 0),
        (["notice"], "warning", 0),
        (["notice", "warning"], "warning", 3),
        (["critical"], "warning", 3),
        (["warning"], "critical", 0),
        (["critical", "notice"], "critical", 3),
        (["critical"], None, 0),
    ],
)
def test_fail_on_a_severity_or_a_worse_one(
    open_shop: Shop, severities: list[str], fail_on: str | None, code: int
):
    one = "(select * from marts.kpi_alerts order by all limit 1)"
    open_shop.change_served(
        f"create table one as select * from {one}",
        "delete from marts.kpi_alerts",
        *(
            f"insert into marts.kpi_alerts select * replace ('{severity}' as severity) from one"
            for severity in severities
        ),
    )
    done = open_shop.run("alerts", *(["--fail-on", fail_on] if fail_on else []))
    assert done.returncode == code, done.stderr
    for severity in ("critical", "warning", "notice"):
        assert f"{severity} ({severities.count(severity)})" in done.stdout


def test_nothing_published_is_said_in_one_line(shop: Shop):
    line = one_error(shop.run("alerts"), 1)
    assert "found none; publish with `python -m publishing publish`" in line


def test_a_file_without_alerts_is_said_to_be_so(open_shop: Shop):
    open_shop.change_served("drop table marts.kpi_alerts")
    assert "expected the alerts, found" in one_error(open_shop.run("alerts"), 1)
