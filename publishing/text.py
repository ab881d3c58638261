"""Figures, periods and tables as people read them in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

NONE = "-"


def figure(value: Decimal | None, unit: str) -> str:
    """Write a value in its KPI's unit: `usd`, `count` or `rate` (0 to 1, as percent)."""
    if value is None:
        return NONE
    if unit == "usd":
        return f"{'-' if value < 0 else ''}${abs(value):,.2f}"
    if unit == "rate":
        return f"{value:.2%}"
    return f"{value:,.0f}" if value == value.to_integral_value() else f"{value:,.2f}"


def change(
    value: Decimal | None, previous: Decimal | None, relative: Decimal | None, unit: str
) -> str:
    """Write the change from the period before: of rates in points, of all else in percent."""
    if value is None or previous is None:
        return NONE
    if unit == "rate":
        return f"{(value - previous) * 100:+.2f} pts"
    return NONE if relative is None else f"{relative:+.1%}"


def period(grain: str, start: date, business_week: int | None) -> str:
    """Write a period the way `trace --period` takes it."""
    if grain == "month":
        return f"{start:%Y-%m}"
    if grain == "week":
        return week(start, business_week)
    return f"{start:%Y-%m-%d}"


def week(start: date, business_week: int | None) -> str:
    """Write a business week; its year is the one that most of its days are in."""
    return f"{(start + timedelta(days=3)).year}-W{business_week:02d}"


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = (), indent: int = 2) -> list[str]:
    """Lay rows out in columns, one line a row.

    Args:
        rows: Cells.
        right: Positions of the columns that end at the same place, such as figures.
        indent: Blanks before each line.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        (
            " " * indent
            + "  ".join(
                f"{cell:>{width}}" if place in right else f"{cell:<{width}}"
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        ).rstrip()
        for row in rows
    ]
