"""What the axes and names of charts say."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import pairwise

import pytest

from publishing.report import charts


def texts(spec: charts.Spec) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", charts.svg(spec | {"width": 500}))


def drawn(unit: str, values: list[float | None]) -> list[str]:
    """Give the labels of a trend's value axis."""
    rows = [
        {
            "period": f"2017-06-{15 + position}",
            "value": value,
            "shown": value,
            "is_complete": True,
            "signal": None,
            "mean": None,
            "lower": None,
            "upper": None,
            "target": None,
        }
        for position, value in enumerate(values)
    ]
    found = texts(charts.trend(unit, rows))
    assert not any("AM" in text or "PM" in text for text in found), "hours between days"
    return [text for text in found if not re.fullmatch(r"(\w{3} )?\d\d|\w{3} \d\d", text)]


def number(label: str) -> Decimal:
    scale = {"k": 3, "M": 6, "%": -2}
    plain = label.replace("\N{MINUS SIGN}", "-").replace("$", "").replace(",", "")
    return Decimal(plain.rstrip("kM%")).scaleb(scale.get(plain[-1], 0))


@pytest.mark.parametrize("unit", ["usd", "rate", "count"])
@pytest.mark.parametrize(
    "values",
    [[0], [0.005], [-3.5], [0, 0], [0.001, 0.0012], [-0.5, 0.5], [1_000_000, 1_000_001]],
    ids=str,
)
def test_labels_are_what_is_there_and_differ(unit: str, values: list[float]):
    labels = drawn(unit, values)
    numbers = [number(label) for label in labels]
    assert len(set(labels)) == len(labels) >= 3
    # Equal steps: no label is rounded to another number than it stands at.
    steps = {later - earlier for earlier, later in pairwise(numbers)}
    assert len(steps) == 1 and min(steps) > 0
    step = min(steps)
    assert numbers[0] <= Decimal(str(min(values))) + step
    assert numbers[-1] >= Decimal(str(max(values))) - step


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0, 400_000], ["$0k", "$100k", "$200k", "$300k", "$400k"]),
        ([0, 4_000_000], ["$0M", "$1M", "$2M", "$3M", "$4M"]),
        # Not thousandths of a dollar with the sign of a million.
        ([0, 0.4], ["$0.0", "$0.1", "$0.2", "$0.3", "$0.4"]),
        ([0, 4000], ["$0", "$1,000", "$2,000", "$3,000", "$4,000"]),
    ],
)
def test_dollars_are_short_where_they_are_many(values: list[float], labels: list[str]):
    assert drawn("usd", values) == labels


def test_an_axis_of_nothing_has_one():
    assert charts.axis("rate", []) == {"format": "%", "domain": [0, 0.1]}
    assert charts.axis("usd", [None, Decimal(5)])["domain"] == [4.5, 5.5]
    assert charts.axis("count", [Decimal(-10), -10])["domain"] == [-11, -9]


def test_names_that_begin_alike_have_a_bar_each_and_two_lines_at_most():
    long = "DELICATESSEN AND CHEESE OF MANY LANDS "
    steps = [(f"{long}{name}", Decimal(5), "+$5.00") for name in ("north", "south")]
    steps.append(("X" * 500, Decimal(-3), "-$3.00"))
    spec = charts.waterfall(steps, ("Change", Decimal(7), "+$7.00"), width=500)
    (rows,) = (rows for rows in spec["datasets"].values() if len(rows) > 1)
    assert len({row["name"] for row in rows}) == 4
    assert [row["full"] for row in rows][:2] == [name for name, *_ in steps[:2]]
    shown = texts(spec)
    assert shown.count("+$5.00") == 2
    assert all(row["name"].count("\n") <= 2 for row in rows)
    assert not any(len(text) > 16 for text in shown)
