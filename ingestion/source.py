"""What a load asks of a source system, whatever kind it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

import pyarrow as pa
from dlt.common.libs.pyarrow import py_arrow_to_table_schema_columns

from ingestion.errors import LoadError
from ingestion.tables import Table

# One batch is a few tens of MB in memory; dlt writes it to Parquet as one row group.
BATCH_ROWS = 500_000


@dataclass(frozen=True)
class ControlTotals:
    """What the source counted of one table.

    Attributes:
        row_count: Rows of the table.
        amount_sums: Column to the exact decimal sum of its values, as text.
        cursor_min: Least value of the table's cursor; None without one or any row.
        cursor_max: Greatest value, likewise.
        deleted: Rows beside them that the source marks as deleted.
    """

    row_count: int
    amount_sums: dict[str, str | None]
    cursor_min: object
    cursor_max: object
    deleted: int = 0


class Source(Protocol):
    """A source system as it is at one moment: every answer is of the same state of it.

    Attributes:
        seen_at: A time (UTC) before that moment: what came later may not be there.
    """

    seen_at: datetime

    def columns(self, table: Table) -> dict[str, str]:
        """Name and dlt type of every column that the source has, as `arrow_types` says them.

        Raises:
            LoadError: the source cannot be reached, or has no such table.
        """

    def control_totals(self, table: Table) -> ControlTotals:
        """Count the table at the source.

        Rows that are deleted softly do not count.

        Raises:
            LoadError: the table cannot be read, or the cursor has nulls.
        """

    def duplicated_keys(self, table: Table) -> pa.Table | None:
        """Give the declared primary keys that more than one row has; None where there is none.

        Keys that are null in part are left out.
        """

    def day_totals(self, table: Table) -> pa.Table:
        """Count the table by the day of its cursor, or by its value where it is no time.

        Returns:
            Columns `day` (date in UTC, or bigint), `row_count` and one sum an amount
            (decimal(38, 6)), in the order of the declaration. Rows that are deleted softly do
            not count.
        """

    def batches(
        self,
        table: Table,
        start: object = None,
        after: bool = False,
        days: Sequence[object] | None = None,
    ) -> Iterator[pa.Table]:
        """Yield the table's declared columns in Arrow tables of some `BATCH_ROWS` rows.

        Without any row, yields one empty table.

        Args:
            table: The table to read.
            start: Least cursor value to read; None for all.
            after: Leave `start` itself out.
            days: Read these days, as `day_totals` has them, and nothing else.
        """


Sources = Mapping[str, Source]


def arrow_types(schema: pa.Schema) -> dict[str, str]:
    """Name and dlt type of every column of Arrow data.

    A time zone is part of the type (`timestamp with time zone`), and so are a decimal's digits
    (`decimal(12,2)`): a warehouse that has fewer would round.
    """
    types = {
        name: column["data_type"]
        for name, column in py_arrow_to_table_schema_columns(schema).items()
    }
    for field in schema:
        if pa.types.is_decimal(field.type):
            types[field.name] = f"decimal({field.type.precision},{field.type.scale})"
        elif getattr(field.type, "tz", None):
            types[field.name] = "timestamp with time zone"
    return types


def totals_of(table: Table, counted: tuple, deleted: int = 0) -> ControlTotals:
    """Make control totals of one row: rows, rows with a cursor, its least and greatest, sums.

    Args:
        table: The declaration.
        counted: The row.
        deleted: Rows that the source marks as deleted.

    Raises:
        LoadError: the cursor has nulls, or an amount has no sum.
    """
    row_count, with_cursor, cursor_min, cursor_max, *amount_sums = counted
    if table.cursor and with_cursor != row_count:
        raise LoadError(
            f"table {table.source}.{table.name}: cursor {table.cursor} expected not null, found"
            f" {row_count - with_cursor} nulls in {row_count} rows, which no load would find;"
            " mend them at the source, or declare another cursor in ingestion/tables.py"
        )
    for amount, value in zip(table.amounts, amount_sums, strict=True):
        if value is not None and not Decimal(value).is_finite():
            raise LoadError(
                f"table {table.source}.{table.name}: column {amount}: expected numbers that have a"
                f" sum, found {value}; mend them at the source"
            )
    return ControlTotals(
        row_count=row_count,
        amount_sums={
            amount: None if value is None else str(value)
            for amount, value in zip(table.amounts, amount_sums, strict=True)
        },
        cursor_min=cursor_min,
        cursor_max=cursor_max,
        deleted=deleted,
    )
