"""How late rows come: measured by every load, so that a look-back is declared by what was seen.

A row is late by as much as its cursor lies before the greatest value that the warehouse held when a
load brought it. That is the look-back that would have found it. The loads note it themselves,
since they alone know which of the rows that they read are new or changed: a reconciliation writes
days anew of which most rows were there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

import duckdb
import pyarrow as pa

from ingestion import raw
from ingestion.tables import TIMESTAMPS, Table

# With an underscore, as the loader's own tables have it: it is no table of the source.
NAME = "_load_lateness"

SHARE_WITHIN = 0.99

EXPLAINED = (
    "a row is late where its cursor lies before the greatest value that the warehouse held when a"
    " load brought it, new or changed; what --reconcile found counts as late as it was found, and"
    " what no load has found yet, not at all"
)


@dataclass
class Arrivals:
    """How late the rows are that a load brings to a table.

    Attributes:
        table: The declaration; its cursor is a timestamp.
        greatest: Greatest value of the cursor in the warehouse before the load.
        minutes: Lateness in minutes, begun ones whole, to the number of rows; 0 is not late.
    """

    table: Table
    greatest: object
    minutes: Counter[int] = field(default_factory=Counter)

    def count(self, connection: duckdb.DuckDBPyConnection, brought: pa.Table) -> None:
        """Count rows that are new or changed."""
        with connection.cursor() as cursor:
            cursor.register("brought", brought)
            rows = cursor.execute(
                "select greatest(0, ceil(date_diff('microsecond',"
                f" {raw.quoted(self.table.cursor)}, $greatest) / 6e7)::bigint), count(*)"
                " from brought group by all",
                {"greatest": self.greatest},
            ).fetchall()
        self.minutes.update(dict(rows))


def awaited(connection: duckdb.DuckDBPyConnection, table: Table) -> Arrivals | None:
    """Prepare to measure a load of a table; None where nothing can be late."""
    if not _is_measured(table) or not raw.is_held(connection, table):
        return None
    greatest = raw.greatest_cursor(connection, table)
    return Arrivals(table, greatest) if greatest else None


def record(
    connection: duckdb.DuckDBPyConnection,
    source_name: str,
    load_id: str,
    measured: Iterable[Arrivals],
) -> None:
    """Write what a load measured; the caller holds the transaction."""
    relation = raw.relation(source_name, NAME)
    connection.execute(
        f"create table if not exists {relation} (table_name varchar not null, lateness_minutes"
        " bigint not null, row_count bigint not null, _dlt_load_id varchar not null)"
    )
    for arrivals in measured:
        minutes = pa.table(
            {
                "lateness_minutes": pa.array(arrivals.minutes.keys(), pa.int64()),
                "row_count": pa.array(arrivals.minutes.values(), pa.int64()),
            }
        )
        connection.register("measured_minutes", minutes)
        connection.execute(
            f"insert into {relation} by name select ? as table_name, *, ? as _dlt_load_id"
            " from measured_minutes",
            [arrivals.table.name, load_id],
        )
        connection.unregister("measured_minutes")


def shown(connection: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> list[str]:
    """Lay out how late the rows of these tables came, and what that says of their look-backs."""
    lines = [
        f"{'table':<38}{'loads':>7}{'rows':>12}{'late':>12}{'share':>8}{'greatest':>18}"
        f"{f'{SHARE_WITHIN:.0%} within':>18}{'look-back':>18}"
    ]
    verdicts = []
    for table in filter(_is_measured, tables):
        name = f"{table.source}.{table.name}"
        loads, rows, late, greatest, within = _measured(connection, table)
        if not loads:
            verdicts.append(
                f"{name}: nothing is measured yet: a load after the first one must bring rows"
            )
            continue
        lines.append(
            f"{name:<38}{loads:>7,}{rows:>12,}{late:>12,}{late / rows:>8.1%}"
            f"{_duration(greatest):>18}{_duration(within):>18}{_duration(table.lookback):>18}"
        )
        verdicts.append(
            f"{name}: the look-back covers what was seen"
            if greatest <= table.lookback
            else f"{name}: rows came up to {_duration(greatest)} late, which is more than the"
            " look-back: a load alone misses such rows until --reconcile; declare a longer one in"
            " ingestion/tables.py"
        )
    return [*(lines if len(lines) > 1 else []), *verdicts, EXPLAINED]


def _is_measured(table: Table) -> bool:
    return bool(table.mode == "merge" and table.cursor and table.types(table.cursor) <= TIMESTAMPS)


def _measured(
    connection: duckdb.DuckDBPyConnection, table: Table
) -> tuple[int, int, int, timedelta, timedelta]:
    """Give loads that brought rows, rows, late ones, the greatest lateness, and that of most."""
    if not raw.exists(connection, table.source, NAME):
        return 0, 0, 0, timedelta(0), timedelta(0)
    loads, rows, late, *minutes = connection.execute(
        "with arrived as ("
        " select *, sum(row_count) over (order by lateness_minutes) as rows_within,"
        " sum(row_count) over () as all_rows"
        f" from {raw.relation(table.source, NAME)} where table_name = $table)"
        " select count(distinct _dlt_load_id), coalesce(sum(row_count), 0),"
        " coalesce(sum(row_count) filter (lateness_minutes > 0), 0),"
        " coalesce(max(lateness_minutes), 0),"
        " coalesce(min(lateness_minutes) filter (rows_within >= $share * all_rows), 0)"
        " from arrived",
        {"table": table.name, "share": SHARE_WITHIN},
    ).fetchone()
    greatest, within = (timedelta(minutes=value) for value in minutes)
    return loads, rows, late, greatest, within


def _duration(duration: timedelta) -> str:
    """Say a duration in days, hours and minutes."""
    hours, minutes = divmod(duration.seconds // 60, 60)
    parts = [(duration.days, "d"), (hours, "h"), (minutes, "min")]
    return " ".join(f"{number:,} {unit}" for number, unit in parts if number) or "0"
