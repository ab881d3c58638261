"""What a column of a database holds, and its values brought over exactly or not at all."""

from __future__ import annotations

from collections.abc import Set
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from dlt.sources.sql_database.schema_types import sqla_col_to_column_schema
from sqlalchemy.dialects import mysql

# What Python, and with it dlt, has dates and times for. PostgreSQL goes beyond, and writes
# infinity as a number that reads as a date.
EPOCH = date(1970, 1, 1).toordinal()
FIRST_DAY, LAST_DAY = date.min.toordinal() - EPOCH, date.max.toordinal() - EPOCH
MICROSECONDS = 24 * 60 * 60 * 10**6

# What dlt's other types come as, whatever length or width they have.
ARROW_TYPES = {
    "bigint": pa.int64(),
    "text": pa.string(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
}

# DuckDB's decimals have no more; Arrow has wider ones, too.
MOST_DIGITS, MOST_DIGITS_256 = 38, 76


def adapted(held: sa.types.TypeEngine) -> sa.types.TypeEngine:
    """Give the SQLAlchemy type that tells dlt what a column holds."""
    if isinstance(held, sa.Float | sa.Double):
        # dlt takes them for numbers as SQLAlchemy 2.0 did.
        return sa.Numeric(asdecimal=False)
    if isinstance(held, sa.Numeric) and (held.precision or 0) > MOST_DIGITS:
        # Values that have more digits are refused.
        return sa.Numeric(MOST_DIGITS, held.scale)
    if isinstance(held, mysql.TIMESTAMP):
        # Held in UTC and read in the session's time zone, which is UTC.
        return sa.DateTime(timezone=True)
    return held


def data_type(column: sa.Column) -> str | None:
    """Give dlt's type of a column, None where it has none."""
    return sqla_col_to_column_schema(column, "full", adapted).get("data_type")


def arrow_type(column: sa.Column, declared: Set[str]) -> pa.DataType:
    """Give the Arrow type of a column that can be loaded.

    Args:
        column: The column, as reflected.
        declared: dlt's types that it may have; empty where it is not declared.
    """
    # MySQL's word for bool, too: what it holds is a number all the same.
    is_flag = isinstance(column.type, mysql.TINYINT) and column.type.display_width == 1
    if is_flag and "bool" in declared and "bigint" not in declared:
        return pa.bool_()
    schema = sqla_col_to_column_schema(column, "full_with_precision", adapted)
    # A precision is digits of a decimal alone: of a text it is the length.
    if schema["data_type"] == "decimal":
        return pa.decimal128(schema.get("precision", MOST_DIGITS), schema.get("scale", 9))
    if schema["data_type"] == "timestamp":
        return pa.timestamp("us", "UTC" if schema.get("timezone") else None)
    return ARROW_TYPES[schema["data_type"]]


def exactly(column: pa.ChunkedArray, data_type: pa.DataType) -> pa.ChunkedArray:
    """Bring values into a type that has a place for every one of them.

    Raises:
        pa.ArrowInvalid: it has none for one of them: too many digits, no date, or no flag.
    """
    if pa.types.is_decimal(data_type) and pa.types.is_string(column.type):
        column = _wide_decimals(column, data_type)
    if pa.types.is_boolean(data_type) and pa.types.is_integer(column.type):
        _refuse_other_than_flags(column)
    column = pc.cast(column, data_type)
    _refuse_times_without_a_date(column)
    return column


def _wide_decimals(texts: pa.ChunkedArray, data_type: pa.Decimal128Type) -> pa.ChunkedArray:
    """Read long texts as decimals that have room for them.

    Arrow 26 overflows without a word where it casts a text of more than 38 digits to decimal128.

    Raises:
        pa.ArrowInvalid: there is one with more digits than any decimal has.
    """
    longest = pc.max(pc.binary_length(texts)).as_py() or 0
    if longest <= MOST_DIGITS:
        return texts
    if longest > MOST_DIGITS_256:
        raise pa.ArrowInvalid(f"a number of {longest} digits")
    return pc.cast(texts, pa.decimal256(MOST_DIGITS_256, data_type.scale))


def _refuse_other_than_flags(column: pa.ChunkedArray) -> None:
    """Refuse numbers other than 0 and 1, which Arrow takes for true.

    Raises:
        pa.ArrowInvalid: there is one.
    """
    other = column.filter(pc.invert(pc.is_in(column, pa.array([0, 1, None], column.type))))
    if len(other):
        raise pa.ArrowInvalid(f"{other[0]}, neither 0 nor 1 (as bigint it could be loaded)")


def _refuse_times_without_a_date(column: pa.ChunkedArray) -> None:
    """Refuse dates and times that lie outside the years 1 to 9999.

    Raises:
        pa.ArrowInvalid: there is one.
    """
    if pa.types.is_date(column.type):
        number, unit = pa.int32(), 1
    elif pa.types.is_timestamp(column.type):
        number, unit = pa.int64(), MICROSECONDS
    else:
        return
    bounds = pc.min_max(column.cast(number))
    least, greatest = bounds["min"].as_py(), bounds["max"].as_py()
    if least is not None and (least < FIRST_DAY * unit or greatest >= (LAST_DAY + 1) * unit):
        raise pa.ArrowInvalid("infinity, or one outside the years 1 to 9999")
