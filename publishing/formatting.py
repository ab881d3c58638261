"""Writes figures, periods and tables as people read them, in the terminal and in the report alike.

Decimals stay decimals: nothing is rounded but to be shown.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


def shown(text: str) -> str:
    r"""Write a text of data so that all that is in it is seen, and nothing of it is obeyed.

    What is no visible character (control characters, line ends, marks that turn the direction of
    writing or have no width) is written as its code, such as `\n`, `\x1b` and `\u202e`, and a
    backslash as two: different texts never look the same.
    """
    return "".join(
        character
        if character.isprintable() and character != "\\"
        else character.encode("unicode_escape").decode()
        for character in text
    )


def quoted(text: str) -> str:
    """Put a text in quotes where one would not see in a sentence where it begins and ends."""
    return text if text and text == text.strip() and "," not in text else f"'{text}'"


def prose(text: str) -> str:
    """Write sentences of data on one line, where line ends and tabs are blanks."""
    return shown(" ".join(text.split()))


def wrapped(text: str, width: int, first: str, others: str) -> list[str]:
    """Lay sentences of data out for a terminal, within `width` columns where words allow it.

    Args:
        text: The sentences.
        width: Columns.
        first: What the first line begins with.
        others: What the other lines begin with.
    """
    return textwrap.wrap(prose(text), width, initial_indent=first, subsequent_indent=others)


def number(value: Decimal | int, places: int, *, signed: bool = False) -> str:
    """Write a number with thousands and `places` decimals, halves away from zero."""
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    sign = MINUS if rounded < 0 else "+" if signed and rounded > 0 else ""
    return f"{sign}{abs(rounded):,.{places}f}"


def usd(value: Decimal, *, signed: bool = False) -> str:
    """Write US dollars to the cent; the sign goes before the dollar."""
    text = number(value, 2, signed=signed)
    return f"{text[0]}${text[1:]}" if text[0] in f"+{MINUS}" else f"${text}"


def count(value: Decimal, *, signed: bool = False) -> str:
    """Write a whole number without decimals, a mean or a ratio with two."""
    return number(value, 0 if value == value.to_integral_value() else 2, signed=signed)


def percent(rate: Decimal, places: int = 2, *, signed: bool = False) -> str:
    """Write a rate (0 to 1) in percent."""
    return f"{number(rate * 100, places, signed=signed)}%"


def points(rate: Decimal) -> str:
    """Write a difference of two rates in percentage points."""
    return f"{number(rate * 100, 2, signed=True)} pts"


def in_unit(value: Decimal | None, unit: str, *, signed: bool = False) -> str:
    """Write a value in its KPI's unit; a dash where there is none.

    Args:
        value: The value, None where it is missing.
        unit: `usd`, `rate` or `count`, as the catalog has it.
        signed: Whether it is a difference.
    """
    if value is None:
        return MISSING
    if unit == "usd":
        return usd(value, signed=signed)
    if unit == "rate":
        return points(value) if signed else percent(value)
    return count(value, signed=signed)


def measure(value: Decimal | None, measure_id: str) -> str:
    """Write a numerator or denominator; its name carries the unit."""
    return in_unit(value, "usd" if measure_id.endswith("_usd") else "count")


def relative_change(value: Decimal | None) -> str:
    """Write a change as a share of the value before; a dash where there is none."""
    return MISSING if value is None else percent(value, 1, signed=True)


def change(
    value: Decimal | None, previous: Decimal | None, relative: Decimal | None, unit: str
) -> str:
    """Write the change from the period before: of rates in points, of all else in percent."""
    if unit == "rate":
        return MISSING if value is None or previous is None else points(value - previous)
    return relative_change(relative)


def exact(value: Decimal | None) -> str:
    """Write every digit of a number, so that the smallest difference shows."""
    if value is None:
        return MISSING
    text = f"{abs(value):,f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{MINUS if value < 0 else ''}{text}"


def words(identifier: str) -> str:
    """Turn an identifier into words: `net_sales_usd` is `net sales (USD)`."""
    name = re.sub(r"_usd$", " (USD)", identifier)
    return name.replace("_", " ")


def opening(text: str) -> str:
    """Begin with a capital, as a sentence does; the rest stays as it is."""
    return text[:1].upper() + text[1:]


def day(value: date) -> str:
    """Write a day as 31 Dec 2017."""
    return f"{value.day} {value:%b %Y}"


def moment(value: datetime) -> str:
    """Write a timestamp to the minute, in UTC."""
    value = value.astimezone(UTC) if value.tzinfo else value
    return f"{value.day} {value:%b %Y, %H:%M} UTC"


def period(start: date, grain: str) -> str:
    """Name a period by its grain: December 2017, week of 25 Dec 2017, 31 Dec 2017."""
    if grain == "month":
        return f"{start:%B %Y}"
    return f"week of {day(start)}" if grain == "week" else day(start)


def period_code(start: date, grain: str, business_week: int | None) -> str:
    """Write a period as `trace --period` takes it: 2017-12, 2017-W53, 2017-12-31.

    Args:
        start: Its first date.
        grain: day, week or month.
        business_week: Number of the week; of no matter to days and months.
    """
    if grain == "month":
        return f"{start:%Y-%m}"
    if grain == "week":
        # Its year is the one that most of its days are in.
        return f"{(start + timedelta(days=3)).year}-W{business_week:02d}"
    return f"{start:%Y-%m-%d}"


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = (), indent: int = 2) -> list[str]:
    """Lay rows out in columns for a terminal, one line a row.

    Args:
        rows: Cells, which may be of data.
        right: Positions of the columns that end at the same place, such as figures.
        indent: Blanks before each line.
    """
    cells = [[*map(shown, row)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        (
            " " * indent
            + "  ".join(
                f"{cell:>{width}}" if place in right else f"{cell:<{width}}"
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        ).rstrip()
        for row in cells
    ]
