"""The tables that Tally loads, declared as data.

To load another table, add a `Table` here; `ingestion.load` turns every declaration into a dlt
resource. Column types are dlt's (`bigint`, `text`, `double`, `decimal`, `bool`, `date`,
`timestamp`), and `timestamp with time zone`, since a timestamp is taken as the source holds it.
`decimal(20,4)` declares a decimal's digits, where the source has none or others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from dlt.common.normalizers.naming.direct import NamingConvention
from dlt.common.storages.file_storage import FileStorage

from ingestion.errors import DeclarationError

# Tables and columns keep the names that they have at the source ([schema] in .dlt/config.toml).
NAMES = NamingConvention()

# What the warehouse has beside the tables and columns of a source.
OWN_TABLES = ("load_control_totals", "quarantine", "_load_lateness")
OWN_PREFIX = "_dlt_"
OWN_SUMS = ("day", "row_count")

NUMBERS = {"bigint", "double", "decimal"}
TIMESTAMPS = {"timestamp", "timestamp with time zone"}
TYPES = NUMBERS | TIMESTAMPS | {"text", "bool", "date"}

# DuckDB's decimals have no more.
MOST_DIGITS = 38

# Money is a decimal in databases; files often hold whole cents in doubles. Raw keeps either.
MONEY = ("decimal", "double")


@dataclass(frozen=True, kw_only=True)
class Table:
    """One source table and how it is loaded.

    Attributes:
        source: System that the table belongs to; its rows land in the schema `raw_<source>`. Small
            letters, digits and underscores.
        name: Name of the table at the source and in the warehouse.
        columns: Column name to dlt type, as the source must have them; a tuple where several
            will do. A column that is missing or of another type refuses the load; one that is
            not declared here is reported and left out.
        mode: `merge` replaces rows by primary key and adds new ones, `append` adds rows that
            lie after the cursor, `replace` takes the table over as a whole when a row of it
            has changed.
        primary_key: Columns that identify a row.
        cursor: Column that grows with time. With it, a load reads only what lies after the
            greatest value that the warehouse holds. Never null.
        lookback: How far before that value a load reads again, for rows that arrive late.
            `merge` with a timestamp as cursor only. Declare what `python -m ingestion
            --lateness` measured at the source, and some more.
        deletes: How rows that are gone at the source go here, too. `keys`: the keys at the
            source are compared with those held, which reads all of them at each load. A
            column's name: rows in which it is true, or not null where it is a time, count as
            deleted. None: they stay until they are found by a reconciliation, or the table is
            replaced.
        deleted_value: Value of the column named by `deletes` that marks a row as deleted, where
            that is another than true: False of a column `active`, a text, a number.
        rules: What is true of every row: what people read to a condition in DuckDB's SQL. Rows of
            which one is not true, or null, go to the quarantine, and so do rows whose primary key
            is null or not unique. A column that may be null says so: `x is null or x > 0`.
        quarantine_limit: Share of the rows read (of the table's, where single days are read) that
            may break a rule; more refuse the load. One row alone never does, whatever the share.
        smallest_share: A table of which rows go, since it is replaced, has `deletes`, or is
            reconciled by its cursor, to less than this share of the rows held is taken for a
            failed delivery and refused; and so is one of whose rows at the source the column
            named by `deletes` leaves less than this share.
        amounts: Columns whose sums are control totals.
        excluded_columns: Columns that are at the source, known, and left there on purpose.
    """

    source: str
    name: str
    columns: Mapping[str, str | tuple[str, ...]]
    mode: Literal["merge", "append", "replace"]
    primary_key: tuple[str, ...] = ()
    cursor: str | None = None
    lookback: timedelta = timedelta(0)
    deletes: str | None = None
    deleted_value: bool | int | str | None = None
    rules: Mapping[str, str] = field(default_factory=dict)
    quarantine_limit: float = 0.01
    # A choice, not a measurement: campaigns and their coupons only ever grow in the sample.
    smallest_share: float = 0.5
    amounts: tuple[str, ...] = ()
    excluded_columns: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Refuse declarations that could not load what they say."""
        if fault := self._fault_of_names() or self._fault():
            raise DeclarationError(f"table {self.source}.{self.name}: {fault}")

    def _fault_of_names(self) -> str | None:
        """Say which name cannot be had."""
        # dlt loads a system by way of raw_<source>_staging, and drops it.
        if not re.fullmatch(r"[a-z][a-z0-9_]*(?<!_staging)", self.source):
            return (
                f"source {self.source}: expected small letters, digits and underscores, and no"
                " _staging at the end; call it otherwise in ingestion/tables.py and .dlt/"
            )
        to_do = "give the source a view with other names"
        for name in (self.name, *self.columns):
            if NAMES.normalize_identifier(name) != name:
                return (
                    f"name {name}: expected one that the warehouse can have as it is, found quotes"
                    f" or other signs that dlt would change; {to_do}"
                )
        try:
            FileStorage.validate_file_name_component(self.name)
        except ValueError:
            return (
                f"name {self.name}: expected one that a file can have, found . / % or other signs;"
                f" {to_do}"
            )
        # DuckDB takes names for the same that differ in case alone.
        taken = [name for name in (self.name, *self.columns) if name.lower().startswith(OWN_PREFIX)]
        if self.name.lower() in OWN_TABLES:
            taken.append(self.name)
        taken += [name for name in self.amounts if name.lower() in OWN_SUMS]
        lowered = [name.lower() for name in self.columns]
        taken += [name for name in self.columns if lowered.count(name.lower()) > 1]
        if taken:
            return (
                f"name {taken[0]}: expected one that the warehouse has free, found one that is"
                f" taken; {to_do}"
            )
        return None

    def _fault(self) -> str | None:
        """Say what does not go together."""
        named = {*self.primary_key, *self.amounts}
        named |= {name for name in (self.cursor, self.soft_delete) if name}
        if missing := named - set(self.columns):
            return f"{sorted(missing)} not among the declared columns"
        for name in self.columns:
            if unknown := self.types(name) - TYPES:
                return f"{name}: {sorted(unknown)} not among {sorted(TYPES)}"
            if fault := next(filter(None, map(_fault_of_digits, self.declared(name))), None):
                return f"{name}: {fault}"
        if self.mode == "merge" and not self.primary_key:
            return "mode merge needs a primary key"
        if self.deletes and self.mode != "merge":
            return "deletes need mode merge"
        if fault := self._fault_of_soft_delete():
            return fault
        if self.mode == "append" and not self.cursor:
            return "mode append needs a cursor"
        if self.mode == "replace" and self.cursor:
            return "mode replace takes no cursor, it reads the whole table"
        if self.lookback and not (
            self.mode == "merge" and self.cursor and self.types(self.cursor) <= TIMESTAMPS
        ):
            return "a look-back needs mode merge and a timestamp as cursor"
        if self.cursor and not self.types(self.cursor) <= TIMESTAMPS | {"bigint"}:
            return f"cursor {self.cursor} is neither bigint nor a timestamp"
        if texts := [name for name in self.amounts if not self.types(name) <= NUMBERS]:
            return f"amounts {texts} are no numbers"
        return None

    def _fault_of_soft_delete(self) -> str | None:
        """Say why rows that are deleted softly could not be told from others."""
        column, value = self.soft_delete, self.deleted_value
        if not column:
            return None if value is None else "a deleted_value needs the column's name in deletes"
        if value is None:
            if not self.types(column) <= TIMESTAMPS | {"bool"}:
                return f"{column} is neither bool nor a time; say which deleted_value marks a row"
            return None
        expected = {bool: "bool", int: "bigint", str: "text"}.get(type(value))
        if self.types(column) != {expected}:
            return (
                f"deleted_value {value!r} is no value of {column}"
                f" ({' or '.join(sorted(self.types(column)))})"
            )
        return None

    @property
    def soft_delete(self) -> str | None:
        """The column that says which rows are deleted."""
        return self.deletes if self.deletes != "keys" else None

    @property
    def value_of_deleted(self) -> bool | int | str:
        """The value by which `soft_delete` marks a row, where the column is no time."""
        return True if self.deleted_value is None else self.deleted_value

    def declared(self, column: str) -> tuple[str, ...]:
        """Give the types that a column may have, as they are declared."""
        declared = self.columns[column]
        return (declared,) if isinstance(declared, str) else declared

    def types(self, column: str) -> set[str]:
        """Give the types that a column may have, without a decimal's digits."""
        return {data_type.partition("(")[0] for data_type in self.declared(column)}


def _fault_of_digits(data_type: str) -> str | None:
    """Say why there is no such decimal."""
    name, bracket, _ = data_type.partition("(")
    if not bracket:
        return None
    digits = re.fullmatch(r"decimal\((\d+),(\d+)\)", data_type)
    if digits and 0 < int(digits[1]) <= MOST_DIGITS and int(digits[2]) <= int(digits[1]):
        return None
    return f"expected {name}, or decimal(DIGITS,PLACES) of at most {MOST_DIGITS}, found {data_type}"


# The look-back comes from `python -m ingestion --lateness`, which says how late rows came. The
# sample has none that are late: of the 1.2 million transactions and 2,029 redemptions that came
# after the first of nine loads with --until, from 2017-03-05 to 2017-12-31, it measured 0. One
# business week is room for a source of your own, until it is measured there.
LATE_ROWS = timedelta(days=7)


# The feed's week 1 is the week that starts on this Monday (its only day with data is Sunday,
# 2017-01-01).
FIRST_WEEK_STARTS = date(2016, 12, 26)


def _in_this_century(moment: str) -> str:
    """Say in SQL that a moment (UTC) lies in this century, and not after tomorrow.

    One typing error in a year would stretch the calendar over centuries.
    """
    return (
        f"{moment} >= timestamp '2000-01-01'"
        f" and {moment} < now() at time zone 'UTC' + interval 1 day"
    )


TABLES = (
    Table(
        source="retail_db",
        name="transactions",
        columns={
            "household_id": "bigint",
            "store_id": "bigint",
            "basket_id": "bigint",
            "product_id": "bigint",
            "quantity": "bigint",
            "sales_value": MONEY,
            "retail_disc": MONEY,
            "coupon_disc": MONEY,
            "coupon_match_disc": MONEY,
            "week": "bigint",
            "transaction_timestamp": "timestamp",
        },
        mode="merge",
        primary_key=("basket_id", "product_id"),
        cursor="transaction_timestamp",
        lookback=LATE_ROWS,
        rules={
            "no amount is negative": (
                "sales_value >= 0 and retail_disc >= 0 and coupon_disc >= 0"
                " and coupon_match_disc >= 0"
            ),
            "the quantity is not negative": "quantity >= 0",
            "it was sold in this century, and not after tomorrow": _in_this_century(
                "transaction_timestamp"
            ),
        },
        amounts=("quantity", "sales_value", "retail_disc", "coupon_disc", "coupon_match_disc"),
    ),
    Table(
        source="retail_db",
        name="products",
        columns={
            "product_id": "bigint",
            "manufacturer_id": "bigint",
            "department": "text",
            "brand": "text",
            "product_category": "text",
            "product_type": "text",
            "package_size": "text",
        },
        mode="merge",
        primary_key=("product_id",),
        deletes="keys",
    ),
    Table(
        source="retail_db",
        name="demographics",
        columns={
            "household_id": "bigint",
            "age": "text",
            "income": "text",
            "home_ownership": "text",
            "marital_status": "text",
            "household_size": "text",
            "household_comp": "text",
            "kids_count": "text",
        },
        mode="merge",
        primary_key=("household_id",),
        deletes="keys",
    ),
    Table(
        source="retail_db",
        name="campaigns",
        columns={"campaign_id": "bigint", "household_id": "bigint"},
        mode="merge",
        primary_key=("campaign_id", "household_id"),
        deletes="keys",
    ),
    Table(
        source="retail_db",
        name="campaign_descriptions",
        columns={
            "campaign_id": "bigint",
            "campaign_type": "text",
            "start_date": "timestamp",
            "end_date": "timestamp",
        },
        mode="replace",
        primary_key=("campaign_id",),
        rules={
            "it starts in this century and ends later, in it": (
                "start_date >= timestamp '2000-01-01' and end_date >= start_date"
                " and end_date < timestamp '2100-01-01'"
            ),
        },
    ),
    # No primary key: the source holds exact duplicates, which are kept as they are in raw and
    # removed, counted, in the models.
    Table(
        source="retail_db",
        name="coupons",
        columns={"coupon_upc": "bigint", "product_id": "bigint", "campaign_id": "bigint"},
        mode="replace",
    ),
    Table(
        source="retail_db",
        name="coupon_redemptions",
        columns={
            "household_id": "bigint",
            "coupon_upc": "bigint",
            "campaign_id": "bigint",
            "redemption_date": "timestamp",
        },
        mode="merge",
        primary_key=("household_id", "coupon_upc", "campaign_id", "redemption_date"),
        cursor="redemption_date",
        lookback=LATE_ROWS,
        rules={
            "it was redeemed in this century, and not after tomorrow": _in_this_century(
                "redemption_date"
            ),
        },
    ),
    # The feed delivers one week at a time, whole, at the week's start. It has no primary key:
    # a product can be listed twice in one store and week, at two places.
    Table(
        source="promotion_feed",
        name="promotions",
        columns={
            "product_id": "bigint",
            "store_id": "bigint",
            "display_location": "text",
            "mailer_location": "text",
            "week": "bigint",
        },
        mode="append",
        cursor="week",
        rules={
            "the week is one that has begun by tomorrow": (
                f"week between 1 and 1 + (1 + date_diff('day', date '{FIRST_WEEK_STARTS}',"
                " cast(now() at time zone 'UTC' as date))) // 7"
            ),
        },
    ),
    # A second system, to show how one is added (docs/your-own-source.md): loaded when
    # [sources.online_shop] of dlt's configuration says where it is.
    Table(
        source="online_shop",
        name="customers",
        columns={"id": "bigint", "email": "text", "created_at": "text"},
        mode="merge",
        primary_key=("id",),
        deletes="keys",
    ),
    Table(
        source="online_shop",
        name="items",
        columns={"id": "bigint", "title": "text", "category": "text", "own_brand": "bool"},
        mode="merge",
        primary_key=("id",),
        deletes="keys",
    ),
    # Orders are small and change their status at any time: they are read whole.
    Table(
        source="online_shop",
        name="orders",
        columns={"id": "bigint", "customer_id": "bigint", "placed_at": "text", "status": "text"},
        mode="merge",
        primary_key=("id",),
        rules={
            "the status is known": "status in ('paid', 'cancelled', 'refunded')",
            "the time is one, in UTC": (
                "placed_at like '%Z' and try_cast(placed_at as timestamptz) is not null"
            ),
            "it was placed in this century, and not after tomorrow": _in_this_century(
                "cast(placed_at as timestamptz) at time zone 'UTC'"
            ),
        },
    ),
    Table(
        source="online_shop",
        name="order_items",
        columns={
            "order_id": "bigint",
            "line_number": "bigint",
            "item_id": "bigint",
            "quantity": "bigint",
            "list_price_cents": "bigint",
            "discount_cents": "bigint",
        },
        mode="merge",
        primary_key=("order_id", "line_number"),
        rules={
            "the quantity is not negative": "quantity >= 0",
            "the discount is within the price": "discount_cents between 0 and list_price_cents",
        },
        amounts=("quantity", "list_price_cents", "discount_cents"),
    ),
)
