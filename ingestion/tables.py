"""The tables that Tally loads, declared as data.

To load another table, add a `Table` here; `ingestion.load` turns every declaration into a dlt
resource. Column types are dlt's (`bigint`, `text`, `double`, `decimal`, `bool`, `date`,
`timestamp`); timestamps are taken without a time zone, as the source holds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

NUMBERS = ("bigint", "double", "decimal")


@dataclass(frozen=True, kw_only=True)
class Table:
    """One source table and how it is loaded.

    Attributes:
        source: System that the table belongs to; its rows land in the schema `raw_<source>`.
        name: Name of the table at the source and in the warehouse.
        columns: Column name to dlt type, as the source must have them. A column that is
            missing or of another type refuses the load; one that is not declared here is
            reported and left out.
        mode: `merge` replaces rows by primary key and adds new ones, `append` adds rows that
            lie after the cursor, `replace` takes the table over as a whole when a row of it
            has changed.
        primary_key: Columns that identify a row; verified at the source before each load.
        cursor: Column that grows with time. With it, a load reads only what lies after the
            greatest value loaded before. Never null.
        lookback: How far before that value a load reads again, for rows that arrive late.
            `merge` with a timestamp as cursor only.
        amounts: Columns whose sums are control totals.
        excluded_columns: Columns that are at the source, known, and left there on purpose.
    """

    source: str
    name: str
    columns: Mapping[str, str]
    mode: Literal["merge", "append", "replace"]
    primary_key: tuple[str, ...] = ()
    cursor: str | None = None
    lookback: timedelta = timedelta(0)
    amounts: tuple[str, ...] = ()
    excluded_columns: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Refuse declarations that could not load what they say."""
        named = {*self.primary_key, *self.amounts, *([self.cursor] if self.cursor else [])}
        if missing := named - set(self.columns):
            raise ValueError(f"{self.name}: {sorted(missing)} not among the declared columns")
        if self.mode == "merge" and not self.primary_key:
            raise ValueError(f"{self.name}: mode merge needs a primary key")
        if self.mode == "append" and not self.cursor:
            raise ValueError(f"{self.name}: mode append needs a cursor")
        if self.mode == "replace" and self.cursor:
            raise ValueError(f"{self.name}: mode replace takes no cursor, it reads the whole table")
        if self.lookback and not (
            self.mode == "merge" and self.columns.get(self.cursor) == "timestamp"
        ):
            raise ValueError(f"{self.name}: a look-back needs mode merge and a timestamp as cursor")
        if texts := [name for name in self.amounts if self.columns[name] not in NUMBERS]:
            raise ValueError(f"{self.name}: amounts {texts} are no numbers")


# The sample has no late rows (each load of it to a date holds every row up to that date), so
# the look-back is a choice, not a measurement: one business week.
LATE_ROWS = timedelta(days=7)

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
            "sales_value": "double",
            "retail_disc": "double",
            "coupon_disc": "double",
            "coupon_match_disc": "double",
            "week": "bigint",
            "transaction_timestamp": "timestamp",
        },
        mode="merge",
        primary_key=("basket_id", "product_id"),
        cursor="transaction_timestamp",
        lookback=LATE_ROWS,
        amounts=("sales_value", "retail_disc", "coupon_disc", "coupon_match_disc"),
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
    ),
    Table(
        source="retail_db",
        name="campaigns",
        columns={"campaign_id": "bigint", "household_id": "bigint"},
        mode="merge",
        primary_key=("campaign_id", "household_id"),
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
    ),
)
