"""Writes figures and periods the way people read them; decimals stay decimals."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal

MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"

# Fields of kpi_values that are differences and are read with their sign.
SIGNED = {"change", "relative_change", "contribution_usd", "change_usd", "difference"}

STATUS_WORDS = {
    "stable": "Steady",
    "on_target": "On target",
    "off_target": "Off target",
    "improved": "Improved",
    "worsened": "Worsened",
    "changed": "Changed",
    "incomplete": "Incomplete period",
    "no_value": "No value",
    "no_baseline": "No baseline yet",
}


def number(value: Decimal | int, places: int, *, signed: bool = False) -> str:
    """Write a number with thousands and `places` decimals, halves away from zero."""
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    sign = MINUS if rounded < 0 else "+" if signed and rounded > 0 else ""
    return f"{sign}{abs(rounded):,.{places}f}"


def usd(value: Decimal, *, signed: bool = False) -> str:
    """Write US dollars to the cent; the sign goes before the dollar."""
    text = number(value, 2, signed=signed)
    return f"{text[0]}${text[1:]}" if text[0] in f"+{MINUS}" else f"${text}"


def percent(rate: Decimal, places: int = 2, *, signed: bool = False) -> str:
    """Write a rate (0 to 1) in percent."""
    return f"{number(rate * 100, places, signed=signed)}%"


def points(rate: Decimal) -> str:
    """Write a difference of two rates in percentage points."""
    return f"{number(rate * 100, 2, signed=True)} pts"


def in_unit(
    value: Decimal | None, unit: str, *, is_ratio: bool = False, signed: bool = False
) -> str:
    """Write a value in its KPI's unit; a dash where there is none.

    Args:
        value: The value, None where it is missing.
        unit: `usd`, `rate` or `count`, as the catalog has it.
        is_ratio: Whether a count is one per something, and so has decimals.
        signed: Whether it is a difference.
    """
    if value is None:
        return MISSING
    if unit == "usd":
        return usd(value, signed=signed)
    if unit == "rate":
        return points(value) if signed else percent(value)
    return number(value, 2 if is_ratio else 0, signed=signed)


def measure(value: Decimal | None, measure_id: str) -> str:
    """Write a numerator or denominator; its name carries the unit."""
    return in_unit(value, "usd" if measure_id.endswith("_usd") else "count")


def words(identifier: str) -> str:
    """Turn an identifier into words: `net_sales_usd` is `net sales (USD)`."""
    name = re.sub(r"_usd$", " (USD)", identifier)
    return name.replace("_", " ")


def exact(value: Decimal | None) -> str:
    """Write every digit of a number, so that the smallest difference shows."""
    if value is None:
        return MISSING
    text = f"{abs(value):,f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{MINUS if value < 0 else ''}{text}"


def opening(text: str) -> str:
    """Begin with a capital, as a sentence does; the rest stays as it is."""
    return text[:1].upper() + text[1:]


def day(value: date) -> str:
    """Write a day as 31 Dec 2017."""
    return f"{value.day} {value:%b %Y}"


def period(start: date, grain: str) -> str:
    """Name a period by its grain: December 2017, week of 25 Dec 2017, 31 Dec 2017."""
    if grain == "month":
        return f"{start:%B %Y}"
    return f"week of {day(start)}" if grain == "week" else day(start)


def moment(value: datetime) -> str:
    """Write a timestamp to the minute, in UTC."""
    value = value.astimezone(UTC) if value.tzinfo else value
    return f"{value.day} {value:%b %Y, %H:%M} UTC"


def anchor(kpi_id: str) -> str:
    """Give the id of a KPI's card; different KPIs have different ones, whatever their names."""
    return "kpi-" + re.sub(r"[^A-Za-z0-9_]", lambda found: f"-{ord(found[0]):x}-", kpi_id)
