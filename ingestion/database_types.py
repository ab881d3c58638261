"""What a column of a database holds, and its values brought over exactly or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

from ingestion.tables import MOST_DIGITS

# What Python, and with it dlt, has dates and times for. PostgreSQL goes beyond, and writes
# infinity as a number that reads as a date.
EPOCH = date(1970, 1, 1).toordinal()
FIRST_DAY, LAST_DAY = date.min.toordinal() - EPOCH, date.max.toordinal() - EPOCH
MICROSECONDS = 24 * 60 * 60 * 10**6

# Arrow has decimals wider than DuckDB's, too.
MOST_DIGITS_256 = 76

# Of a decimal that has no digits of its own, where the declaration says none.
DIGITS = (MOST_DIGITS, 9)

# The smallest currency units are thousandths.
MONEY_DIGITS = (22, 3)

# A float that MySQL shows differs from the one that it holds by no more than half of its last bit.
HALF_A_BIT = 2.0**-24

# A sum of amounts has six places, and is no double: what lies beyond has none.
GREATEST_AMOUNT = 10.0 ** (MOST_DIGITS - 6)


class Unfit(ValueError):
    """A value that has no place in a type; the message says why, in words for people."""


# What Arrow and Python say of values that have no place in a type.
UNFIT = (pa.ArrowException, ValueError, TypeError, OverflowError)


@dataclass(frozen=True)
class Form:
    """A form in which a column's values can be had.

    Attributes:
        arrow: Type in which they are loaded.
        asked: How the server is asked for them, so that they come with every digit.
        comes_as: Type of what a driver hands over row by row; None where it is `arrow`.
    """

    arrow: pa.DataType
    asked: sa.ColumnElement
    comes_as: pa.DataType | None = None


Forms = dict[str, Form]


def chosen(forms: Forms, declared: Sequence[str]) -> Form | None:
    """Give the first form that is declared, with the digits that are; None where there is none."""
    for name, form in forms.items():
        for data_type in declared:
            if digits := re.fullmatch(rf"{name}\((\d+),(\d+)\)", data_type):
                return replace(form, arrow=pa.decimal128(*map(int, digits.groups())))
            if data_type == name:
                return form
    return None


def forms(column: sa.Column, kind: str, held_as: str) -> Forms:
    """Give the dlt types that a column can be declared as, and how it comes then.

    Of several that are declared, the first one here holds. What the server shows as a text that
    means the same everywhere can be had as text; bytes cannot.

    Args:
        column: The column, as reflected, of the type that a domain stands for.
        kind: `postgresql` or `mysql`.
        held_as: What the server itself calls the type.
    """
    return (_of_mysql if kind == "mysql" else _of_postgresql)(column, held_as)


def _of_postgresql(column: sa.Column, held_as: str) -> Forms:
    held, text = column.type, sa.cast(column, sa.Text)
    # ADBC writes decimals as text itself, slower than the server does.
    if isinstance(held, sa.Double):
        exact = sa.cast(sa.cast(text, sa.Numeric), sa.Text)
        return _double(column) | _decimal(exact, *DIGITS)
    if isinstance(held, sa.Float):
        exact = sa.cast(sa.cast(text, sa.Numeric), sa.Text)
        return _decimal(exact, *DIGITS) | _double(column)
    if isinstance(held, sa.Numeric):
        return _decimal(text, *_digits(held, held_as))
    if isinstance(held, postgresql.MONEY):
        return _decimal(sa.cast(sa.cast(column, sa.Numeric), sa.Text), *MONEY_DIGITS)
    if plain := _plain(column):
        return plain
    if isinstance(held, postgresql.BYTEA):
        return {}
    if isinstance(held, sa.ARRAY):
        return _text(sa.cast(sa.func.to_json(column), sa.Text))
    if held_as == "bit(1)":
        return {"bool": Form(pa.bool_(), text == "1")} | _text(text)
    if type(held) in (sa.VARCHAR, sa.TEXT):
        return _text(column)
    # The blanks that fill up a `char(5)` go: PostgreSQL does not compare them.
    return _text(text)


def _of_mysql(column: sa.Column, held_as: str) -> Forms:
    held, text = column.type, sa.cast(column, sa.Text)
    number = sa.cast(column, mysql.BIGINT(unsigned=True))
    if isinstance(held, mysql.FLOAT):
        # As it is, it is written with six digits; as a double, with all.
        double = column + sa.literal_column("0e0", sa.Double())
        is_shown = sa.func.abs(double - text) <= sa.func.abs(double) * HALF_A_BIT
        shown = sa.case((is_shown, text), else_=sa.cast(double, sa.Text))
        return _decimal(shown, *DIGITS, comes_as=pa.string()) | _double(double)
    if isinstance(held, sa.Float):
        return _double(column) | _decimal(text, *DIGITS, comes_as=pa.string())
    if isinstance(held, sa.Numeric):
        return _decimal(column, *_digits(held, held_as))
    if isinstance(held, mysql.TIMESTAMP):
        # Held in UTC and read in the session's time zone, which is UTC.
        return {"timestamp with time zone": Form(pa.timestamp("us", "UTC"), column)}
    if isinstance(held, mysql.TINYINT) and held.display_width == 1:
        # MySQL's word for bool, too: what it holds is a number all the same.
        return _plain(column) | {"bool": Form(pa.bool_(), column, comes_as=pa.int64())}
    if isinstance(held, mysql.BIGINT) and held.unsigned:
        return _plain(column) | _decimal(column, 20, 0)
    if isinstance(held, mysql.BIT):
        bigint = {"bigint": Form(pa.int64(), number)}
        is_flag = held.length == 1
        return (
            {"bool": Form(pa.bool_(), number, comes_as=pa.int64())} | bigint if is_flag else bigint
        )
    if isinstance(held, mysql.YEAR):
        return {"bigint": Form(pa.int64(), column)}
    if plain := _plain(column):
        return plain
    if held_as == "binary(16)":
        return _text(_uuid_of_bytes(column))
    if isinstance(held, sa.String) and not isinstance(held, mysql.SET):
        return _text(column)
    # Of a set Python's has no order: the same value would come as another.
    if isinstance(held, mysql.SET | sa.Time | sa.JSON | sa.Uuid) or held_as in ("inet4", "inet6"):
        return _text(text)
    return {}


def _plain(column: sa.Column) -> Forms:
    """Give the form of what every server, driver and Arrow have in the same way."""
    held = column.type
    if isinstance(held, sa.Integer):
        return {"bigint": Form(pa.int64(), column)}
    if isinstance(held, sa.Boolean):
        return {"bool": Form(pa.bool_(), column)}
    if isinstance(held, sa.DateTime):
        if held.timezone:
            return {"timestamp with time zone": Form(pa.timestamp("us", "UTC"), column)}
        return {"timestamp": Form(pa.timestamp("us"), column)}
    if isinstance(held, sa.Date):
        return {"date": Form(pa.date32(), column)}
    return {}


def _text(asked: sa.ColumnElement) -> Forms:
    return {"text": Form(pa.string(), asked)}


def _double(asked: sa.ColumnElement) -> Forms:
    return {"double": Form(pa.float64(), asked)}


def _decimal(
    asked: sa.ColumnElement, digits: int, places: int, comes_as: pa.DataType | None = None
) -> Forms:
    return {"decimal": Form(pa.decimal128(digits, places), asked, comes_as)}


def _digits(held: sa.Numeric, held_as: str) -> tuple[int, int]:
    """Give a decimal's digits and places; values that have more are refused."""
    digits, places = held.precision, held.scale or 0
    # SQLAlchemy forgets those of a domain.
    if digits is None and (own := re.search(r"\((\d+),(-?\d+)\)", held_as)):
        digits, places = map(int, own.groups())
    if digits is None:
        return DIGITS
    # PostgreSQL has `numeric(5,-2)`, hundreds, and `numeric(2,4)`, small fractions.
    digits, places = max(digits - min(places, 0), places), max(places, 0)
    return min(digits, MOST_DIGITS), min(places, MOST_DIGITS)


def _uuid_of_bytes(column: sa.Column) -> sa.ColumnElement:
    text = sa.func.lower(sa.func.hex(column))
    for place in (9, 14, 19, 24):
        text = sa.func.insert(text, place, 0, "-")
    return text


def exactly(column: pa.ChunkedArray, data_type: pa.DataType) -> pa.ChunkedArray:
    """Bring values into a type that has a place for every one of them.

    Raises:
        ValueError: it has none for one of them: too many digits, no date, or no flag.
    """
    if pa.types.is_decimal(data_type) and pa.types.is_string(column.type):
        column = _wide_decimals(column, data_type)
    if pa.types.is_boolean(data_type) and pa.types.is_integer(column.type):
        _refuse_other_than_flags(column)
    column = pc.cast(column, data_type)
    _refuse_times_without_a_date(column)
    return column


def refuse_what_has_no_sum(column: pa.ChunkedArray) -> None:
    """Refuse doubles that no sum of decimals can have in it.

    Raises:
        Unfit: there is one.
    """
    if not pa.types.is_floating(column.type):
        return
    # No number is less than any.
    has_sum = pc.less(pc.abs(column), GREATEST_AMOUNT)
    if pc.all(has_sum).as_py() is False:
        raise Unfit(f"an amount beyond {GREATEST_AMOUNT:.0e} has no exact sum")


def first_unfit(row_count: int, bring: Callable[[int, int], object]) -> int:
    """Find the first row that `bring`, which takes rows from one to before another, fails at."""
    first, end = 0, row_count
    while end - first > 1:
        middle = (first + end) // 2
        try:
            bring(first, middle)
        except UNFIT:
            end = middle
        else:
            first = middle
    return first


def shown(value: object) -> str:
    """Write a value for people, in one line of some 80 characters."""
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:80]}... ({len(text)} characters)"


def _wide_decimals(texts: pa.ChunkedArray, data_type: pa.Decimal128Type) -> pa.ChunkedArray:
    """Read long texts as decimals that have room for them.

    Arrow 26 overflows without a word where it casts a text of more than 38 digits to decimal128.

    Raises:
        Unfit: there is one with more digits than any decimal has.
    """
    longest = pc.max(pc.binary_length(texts)).as_py() or 0
    if longest <= MOST_DIGITS:
        return texts
    if longest > MOST_DIGITS_256:
        raise Unfit(f"a number of {longest} digits")
    return pc.cast(texts, pa.decimal256(MOST_DIGITS_256, data_type.scale))


def _refuse_other_than_flags(column: pa.ChunkedArray) -> None:
    """Refuse numbers other than 0 and 1, which Arrow takes for true.

    Raises:
        Unfit: there is one.
    """
    other = column.filter(pc.invert(pc.is_in(column, pa.array([0, 1, None], column.type))))
    if len(other):
        raise Unfit("neither 0 nor 1; as bigint it could be loaded")


def _refuse_times_without_a_date(column: pa.ChunkedArray) -> None:
    """Refuse dates and times that lie outside the years 1 to 9999.

    Raises:
        Unfit: there is one.
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
        raise Unfit("infinity, or one outside the years 1 to 9999")
