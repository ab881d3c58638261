"""Holds the warehouse against what the source counted, and finds the days that differ.

A load reads what lies after a cursor, less a look-back. What changes before that is seen here:
rows and amounts of every day are compared with the source's after each such load, those of the
whole table after one that read all of it. A change that leaves the number of rows and every
declared amount of a day as they were, such as another household of a basket, is seen by
`--reconcile`, which reads all of the table and compares every value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import MAX_PREC, Decimal, localcontext

import duckdb

from ingestion import quarantine, raw
from ingestion.source import ControlTotals, Source
from ingestion.tables import Table

# Days that are named; all of them are counted.
SHOWN = 5


@dataclass(frozen=True)
class Day:
    """A day on which source and warehouse differ.

    Attributes:
        day: The cursor's date (UTC), or its value where it is no time; None for all of a table
            that has no cursor.
        at_source: Rows that the source has.
        held: Rows that the warehouse holds, those in quarantine included.
    """

    day: object
    at_source: int
    held: int

    def __str__(self) -> str:
        """Say it to a person."""
        if self.at_source == self.held:
            return f"{self.day} ({self.held:,} rows, other amounts)"
        return f"{self.day} ({self.at_source:,} rows at the source, {self.held:,} here)"


def agrees(connection: duckdb.DuckDBPyConnection, table: Table, totals: ControlTotals) -> bool:
    """Whether the warehouse, quarantine included, holds the rows and amounts of the source."""
    types = raw.types(connection, table)
    sums = "".join(f", {_sum(amount, types[amount])}" for amount in table.amounts)
    row_count, *amount_sums = connection.execute(
        f"select count(*){sums} from {raw.raw(table)}"
    ).fetchone()
    set_aside = quarantine.held(connection, table)
    # Python adds decimals up to 28 digits, and rounds the rest away.
    with localcontext(prec=MAX_PREC):
        return row_count + set_aside.row_count == totals.row_count and all(
            held + set_aside.amount_sums[amount] == Decimal(totals.amount_sums[amount] or 0)
            for amount, held in zip(table.amounts, amount_sums, strict=True)
        )


def differing_days(
    connection: duckdb.DuckDBPyConnection, table: Table, source: Source
) -> list[Day]:
    """Give the days on which rows or amounts differ, the earliest first."""
    types = raw.types(connection, table)
    columns = "".join(
        f", {raw.exact(amount, types[amount])} as {raw.quoted(amount)}" for amount in table.amounts
    )
    rows = f"select {raw.day(table)} as day{columns} from {raw.raw(table)}"
    if raw.exists(connection, table.source, quarantine.QUARANTINE):
        amounts = "".join(f", {quarantine.amount_of(amount)}" for amount in table.amounts)
        rows += (
            f" union all select {quarantine.day_of(table)}{amounts}"
            f" from {raw.relation(table.source, quarantine.QUARANTINE)}"
            f" where table_name = '{table.name}'"
        )
    sums = "".join(
        f", sum({raw.quoted(amount)}) as {raw.quoted(amount)}" for amount in table.amounts
    )
    same = " and ".join(
        ["true"]
        + [
            f"coalesce(at_source.{raw.quoted(amount)}, 0) = coalesce(held.{raw.quoted(amount)}, 0)"
            for amount in table.amounts
        ]
    )
    connection.register("at_source", source.day_totals(table))
    try:
        found = connection.execute(
            f"with held as (select day, count(*) as row_count{sums} from ({rows}) group by day)"
            " select coalesce(at_source.day, held.day), coalesce(at_source.row_count, 0),"
            " coalesce(held.row_count, 0)"
            " from at_source full join held on at_source.day = held.day"
            f" where at_source.row_count is distinct from held.row_count or not ({same})"
            " order by 1"
        ).fetchall()
    finally:
        connection.unregister("at_source")
    return [Day(*row) for row in found]


def days_to_read(
    connection: duckdb.DuckDBPyConnection,
    found: quarantine.SetAside,
    source: Source,
    *,
    reconcile: bool,
) -> list[object]:
    """Give the days that a load reads whole, in place of what lies after the cursor.

    Every load reads those of rows in quarantine whose key is not duplicate any more, and of rows
    held whose key has become so. To reconcile, it reads those on which any row is another, or is in
    quarantine, too. Where there is any such day, those from the look-back on are read so as well.
    """
    table = found.table
    days = quarantine.days_of_unique_keys(connection, found)
    if found.duplicated_keys is not None:
        days |= raw.days_of_keys(connection, table, found.duplicated_keys)
    if not days and not reconcile:
        return []
    differing = {day.day for day in differing_days(connection, table, source)}
    if reconcile:
        differing |= _days_of_other_rows(connection, found, source)
        days |= differing | quarantine.days(connection, table)
    first = _first_day_of_look_back(connection, table)
    if not days or first is None:
        return sorted(days | differing)
    days |= {day for day in differing if day >= first}
    if table.lookback:
        # A day of it that the source has and the warehouse has not differs.
        day = raw.day(table)
        recent = connection.execute(
            f"select distinct {day} from {raw.raw(table)} where {day} >= ?", [first]
        ).fetchall()
        days |= {of_day for (of_day,) in recent}
    return sorted(days)


def _days_of_other_rows(
    connection: duckdb.DuckDBPyConnection, found: quarantine.SetAside, source: Source
) -> set[object]:
    """Give the days on which any value of any row differs; reads all of the table at the source.

    Rows that break a rule are left out: those that are not in quarantine yet are seen by their
    number (`differing_days`).
    """
    table = found.table
    types = dict(
        connection.execute(
            f"select column_name, column_type from (describe {raw.raw(table)})"
        ).fetchall()
    )
    values = ", ".join(f"cast({raw.quoted(name)} as {types[name]})" for name in table.columns)

    def fingerprints(relation: str) -> str:
        return (
            f"select {raw.day(table)}, count(*), sum(cast(hash({values}) as hugeint))"
            f" from {relation} where {raw.is_live(table)} group by all"
        )

    at_source: dict[object, tuple[int, int]] = {}
    rules = quarantine.SetAside(table, found.duplicated_keys)
    for batch in source.batches(table):
        rows = rules.split(connection, batch)
        with connection.cursor() as cursor:
            cursor.register("batch", rows)
            for day, *fingerprint in cursor.execute(fingerprints("batch")).fetchall():
                earlier = at_source.get(day, (0, 0))
                at_source[day] = tuple(map(sum, zip(earlier, fingerprint, strict=True)))
    held = {
        day: tuple(fingerprint)
        for day, *fingerprint in connection.execute(fingerprints(raw.raw(table))).fetchall()
    }
    return {day for day in at_source.keys() | held if at_source.get(day) != held.get(day)}


def _first_day_of_look_back(connection: duckdb.DuckDBPyConnection, table: Table) -> object:
    """Give the day from which a load reads again; None where the warehouse holds no row."""
    start = raw.start_of_look_back(connection, table)
    return start.date() if isinstance(start, datetime) else start


def told(table: Table, days: Sequence[Day]) -> str:
    """Say in one line what differs and what to do."""
    if not table.cursor:
        (whole,) = days
        return (
            f"table {table.source}.{table.name}: expected the warehouse to hold the"
            f" {whole.at_source:,} rows that the source counted, found {whole.held:,}; load it"
            f" whole with --table {table.source}.{table.name} --full-refresh, and declare in"
            " ingestion/tables.py how its rows are deleted"
        )
    named = ", ".join(map(str, days[:SHOWN])) + (
        f" and {len(days) - SHOWN} more" if len(days) > SHOWN else ""
    )
    return (
        f"table {table.source}.{table.name}: expected the warehouse to hold what the source"
        f" counted, found other rows on {named}; load them with --reconcile"
    )


def _sum(amount: str, held_as: str) -> str:
    """Say in SQL the sum of an amount to six places."""
    # Decimals of no more places are as exact as they are, and added up ten times as fast.
    if re.fullmatch(r"decimal\(\d+,[0-6]\)", held_as):
        return f"coalesce(sum({raw.quoted(amount)}), 0)"
    return f"coalesce(sum({raw.exact(amount, held_as)}), 0)"
