"""What the sources counted, load by load: the table `load_control_totals` of every source.

One row a load, table, measure and column: `row_count`, `amount_sum`, `cursor_min` and `cursor_max`
as the source counted them before the load, `quarantined_row_count` and `quarantined_amount_sum` as
they are in quarantine after it. Values are text, so that none is rounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime

import dlt
import duckdb
from dlt.common.utils import uniq_id

from ingestion import quarantine, raw
from ingestion.source import ControlTotals
from ingestion.tables import Table

NAME = "load_control_totals"


def resource(counted: Iterable[tuple[Table, ControlTotals]], counted_at: datetime) -> object:
    """Give what a source counted as a dlt resource."""
    return dlt.resource(
        [row for table, totals in counted for row in _rows(table, totals, counted_at)],
        name=NAME,
        write_disposition="append",
        columns={
            "table_name": {"data_type": "text", "nullable": False},
            "measure": {"data_type": "text", "nullable": False},
            "column_name": {"data_type": "text"},
            "value": {"data_type": "text"},
            "counted_at": {"data_type": "timestamp", "nullable": False},
        },
    )


def record_quarantine(
    connection: duckdb.DuckDBPyConnection,
    tables: Sequence[Table],
    counted_at: datetime,
    load_id: str,
) -> None:
    """Write how much of what the source counted is in quarantine, beside its counts."""
    for table in tables:
        set_aside = quarantine.held(connection, table)
        figures = [("quarantined_row_count", None, set_aside.row_count)] + [
            ("quarantined_amount_sum", column, amount)
            for column, amount in set_aside.amount_sums.items()
        ]
        for measure, column, value in figures:
            connection.execute(
                f"insert into {raw.relation(table.source, NAME)} by name select ? as table_name,"
                " ? as measure, ? as column_name, ? as value, ? as counted_at, ? as _dlt_load_id,"
                " ? as _dlt_id",
                [table.name, measure, column, str(value), counted_at, load_id, uniq_id()],
            )


@contextmanager
def kept(connection: duckdb.DuckDBPyConnection, source_name: str) -> Iterator[None]:
    """Keep what was counted before through a block that drops the table."""
    if not raw.exists(connection, source_name, NAME):
        yield
        return
    table = raw.relation(source_name, NAME)
    connection.register("earlier_totals", connection.execute(f"from {table}").to_arrow_table())
    try:
        yield
        connection.execute(f"insert into {table} by name from earlier_totals")
    finally:
        connection.unregister("earlier_totals")


def _rows(table: Table, totals: ControlTotals, counted_at: datetime) -> Iterator[dict[str, object]]:
    def row(measure: str, column: str | None, value: object) -> dict[str, object]:
        if isinstance(value, date):
            value = value.isoformat()
        return {
            "table_name": table.name,
            "measure": measure,
            "column_name": column,
            "value": None if value is None else str(value),
            "counted_at": counted_at,
        }

    yield row("row_count", None, totals.row_count)
    for column, amount in totals.amount_sums.items():
        yield row("amount_sum", column, amount)
    if table.cursor:
        yield row("cursor_min", table.cursor, totals.cursor_min)
        yield row("cursor_max", table.cursor, totals.cursor_max)
