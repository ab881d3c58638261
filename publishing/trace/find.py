"""Finds the figure that is asked for; what is not there is answered with the nearest that is."""

from __future__ import annotations

import difflib
import re
from datetime import date, timedelta
from functools import partial
from typing import Any

import duckdb

from publishing.database import fetch, identifier
from publishing.errors import PublishingError, UsageError
from publishing.formatting import period_code, quoted, shown

PERIOD = re.compile(
    r"(?P<year>\d{4})-(?:W(?P<week>\d{1,3})|(?P<month>\d{2})(?:-(?P<day>\d{2}))?)",
    re.IGNORECASE | re.ASCII,
)
PERIOD_FORMS = "a month 2017-06, a day 2017-06-15 or a business week 2017-W23"

DEFINITIONS = """
select
    kpi_id,
    kpi_name,
    question,
    numerator_measure,
    denominator_measure,
    unit,
    owner,
    caveats
from seeds.kpi_catalog
where kpi_id is not null
"""

WEEKS_WITH_DATA = """
select distinct business_week, week_start_date
from marts.dim_dates
where week_start_date in (select period_start_date from marts.kpi_values where grain = 'week')
"""


def find(
    connection: duckdb.DuckDBPyConnection, kpi_id: str, period: str, slice_: str | None
) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Find a figure.

    Args:
        connection: Has the warehouse open.
        kpi_id: Which KPI.
        period: 2017-06, 2017-06-15 or 2017-W23.
        slice_: Such as department=GROCERY; None for all. The value as it is or as it is shown.

    Returns:
        Its row of the catalog, its row of kpi_values, and its period as `period` takes it.

    Raises:
        UsageError: there is no such KPI, slice, slice value, or no such period with data.
        PublishingError: it is there more than once.
    """
    definition = _definition(connection, kpi_id)
    grain, start = _period(connection, period)
    name, asked = _slice(slice_)
    value = _as_it_is(
        asked,
        _known(connection, "slice_value", kpi_id=definition["kpi_id"], slice=name),
    )
    rows = fetch(
        connection,
        "select * from marts.kpi_values where kpi_id = ? and grain = ? and period_start_date = ?"
        " and slice = ? and slice_value = ?",
        *(definition["kpi_id"], grain, start, name, value),
    )
    if not rows:
        raise _not_there(connection, definition["kpi_id"], period, grain, start, name, value)
    if len(rows) > 1:
        raise PublishingError(
            f"marts.kpi_values: expected one row of {kpi_id}, {period}, {name}={value}, found"
            f" {len(rows)}; run `dbt build` and read its failing tests"
        )
    return definition, rows[0], _label(connection, grain, start)


def _definition(connection: duckdb.DuckDBPyConnection, kpi_id: str) -> dict[str, Any]:
    catalog = {row["kpi_id"]: row for row in fetch(connection, DEFINITIONS)}
    kpi_id = _as_it_is(kpi_id, list(catalog))
    if kpi_id not in catalog:
        raise UsageError(
            f"KPI {quoted(kpi_id)}: expected one of seeds/kpi_catalog.csv, found none;"
            f" {_nearest(kpi_id, list(catalog))}"
        )
    return catalog[kpi_id]


def _period(connection: duckdb.DuckDBPyConnection, period: str) -> tuple[str, date]:
    """Give grain and first date of a period as people write it."""
    match = PERIOD.fullmatch(period.strip())
    if not match:
        raise UsageError(f"period {quoted(period)}: expected {PERIOD_FORMS}")
    if match["week"]:
        return "week", _week_start(connection, period, int(match["year"]), int(match["week"]))
    try:
        start = date(int(match["year"]), int(match["month"]), int(match["day"] or 1))
    except ValueError as error:
        raise UsageError(f"period {period}: expected {PERIOD_FORMS}, found: {error}") from None
    return ("day" if match["day"] else "month"), start


def _week_start(connection: duckdb.DuckDBPyConnection, period: str, year: int, number: int) -> date:
    starts = dict(connection.execute(WEEKS_WITH_DATA).fetchall())
    if number not in starts:
        near = min(starts, key=lambda known: abs(known - number), default=None)
        raise UsageError(
            f"period {period}: expected a business week with data, found none; nearest:"
            f" {'none' if near is None else period_code(starts[near], 'week', near)}"
        )
    start = starts[number]
    # Weeks are counted on through the years, so the number alone says which it is.
    if year not in (start.year, (start + timedelta(days=6)).year):
        raise UsageError(
            f"period {period}: expected a business week of {year}, found that week {number} begins"
            f" {start}; nearest: {period_code(start, 'week', number)}"
        )
    return start


def _slice(slice_: str | None) -> tuple[str, str]:
    if slice_ is None or slice_ == "all":
        return "all", "all"
    name, equals, value = slice_.partition("=")
    if not name or not equals:
        raise UsageError(f"slice {slice_}: expected SLICE=VALUE, such as department=GROCERY")
    return name, value


def _not_there(
    connection: duckdb.DuckDBPyConnection,
    kpi_id: str,
    period: str,
    grain: str,
    start: date,
    name: str,
    value: str,
) -> UsageError:
    """Say which part of what was asked for there is none of: slice, grain, value or period."""
    known = partial(_known, connection, kpi_id=kpi_id)
    if name not in (slices := known("slice")):
        return UsageError(
            f"slice {name}: expected one that {kpi_id} has, found none; {_nearest(name, slices)}"
        )
    if grain not in (grains := known("grain", slice=name)):
        return UsageError(
            f"period {period}: expected a {' or '.join(grains)} for {kpi_id} by slice {name},"
            f" found a {grain}"
        )
    if value not in (values := known("slice_value", grain=grain, slice=name)):
        return UsageError(
            f"slice {name}={value}: expected a value that {kpi_id} has by {grain}, found none;"
            f" {_nearest(value, values)}"
        )
    starts = known("period_start_date", grain=grain, slice=name, slice_value=value)
    near = min(starts, key=lambda other: abs(other - start))
    first, last, nearest = (
        _label(connection, grain, found) for found in (starts[0], starts[-1], near)
    )
    return UsageError(
        f"period {period}: expected a {grain} with data, {first} to {last}, found none;"
        f" nearest: {nearest}"
    )


def _known(connection: duckdb.DuckDBPyConnection, column: str, **conditions: str) -> list[Any]:
    """Give what there is in a column of kpi_values, in order."""
    where = " and ".join(f"{identifier(key)} = ?" for key in conditions)
    query = (
        f"select distinct {identifier(column)} as known from marts.kpi_values where {where}"
        " order by known"
    )
    return [row["known"] for row in fetch(connection, query, *conditions.values())]


def _as_it_is(asked: str, known: list[str]) -> str:
    """Give what is asked for, which may be typed as it is or as it is shown."""
    if asked in known:
        return asked
    return next((name for name in known if shown(name) == asked), asked)


def _nearest(wanted: str, known: list[str]) -> str:
    folded = {name.casefold(): name for name in known}
    matches = difflib.get_close_matches(wanted.casefold(), folded, n=3, cutoff=0.4)
    if matches:
        return f"nearest: {', '.join(quoted(folded[match]) for match in matches)}"
    listed = ", ".join(map(quoted, sorted(known)[:10]))
    return f"there are: {listed}{', ...' if len(known) > 10 else ''}"


def _label(connection: duckdb.DuckDBPyConnection, grain: str, start: date) -> str:
    week = None
    if grain == "week":
        (week,) = connection.execute(
            "select any_value(business_week) from marts.dim_dates where week_start_date = ?",
            [start],
        ).fetchone()
    return period_code(start, grain, week)
