"""A small synthetic company: the sample's tables, seeded, with every trap of the real ones.

One year of about 1,400 sales lines. It has what makes the real data hard: sales in the night
hours when the UTC date is not the business date, on both sides of both daylight-saving changes;
products that the catalog lacks; households that shop without a survey, are targeted without
shopping, or answer a survey only; zero quantities and values; coupons larger than the line;
exact duplicate coupons; a product at two places in one store and week; a day without sales;
campaigns that start before and end after the sales; a month in which a household stays away.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

TIMEZONE = ZoneInfo("America/New_York")
WEEK_1 = date(2016, 12, 26)
CLOSED = date(2017, 12, 25)

SCHEMAS: dict[str, pa.Schema] = {
    "transactions": pa.schema(
        {
            "household_id": pa.int64(),
            "store_id": pa.int64(),
            "basket_id": pa.int64(),
            "product_id": pa.int64(),
            "quantity": pa.int64(),
            "sales_value": pa.float64(),
            "retail_disc": pa.float64(),
            "coupon_disc": pa.float64(),
            "coupon_match_disc": pa.float64(),
            "week": pa.int64(),
            "transaction_timestamp": pa.timestamp("us"),
        }
    ),
    "products": pa.schema(
        {
            "product_id": pa.int64(),
            "manufacturer_id": pa.int64(),
            "department": pa.string(),
            "brand": pa.string(),
            "product_category": pa.string(),
            "product_type": pa.string(),
            "package_size": pa.string(),
        }
    ),
    "demographics": pa.schema(
        {
            "household_id": pa.int64(),
            "age": pa.string(),
            "income": pa.string(),
            "home_ownership": pa.string(),
            "marital_status": pa.string(),
            "household_size": pa.string(),
            "household_comp": pa.string(),
            "kids_count": pa.string(),
        }
    ),
    "campaigns": pa.schema({"campaign_id": pa.int64(), "household_id": pa.int64()}),
    "campaign_descriptions": pa.schema(
        {
            "campaign_id": pa.int64(),
            "campaign_type": pa.string(),
            "start_date": pa.timestamp("us"),
            "end_date": pa.timestamp("us"),
        }
    ),
    "coupons": pa.schema(
        {"coupon_upc": pa.int64(), "product_id": pa.int64(), "campaign_id": pa.int64()}
    ),
    "coupon_redemptions": pa.schema(
        {
            "household_id": pa.int64(),
            "coupon_upc": pa.int64(),
            "campaign_id": pa.int64(),
            "redemption_date": pa.timestamp("us"),
        }
    ),
    "promotions": pa.schema(
        {
            "product_id": pa.int64(),
            "store_id": pa.int64(),
            "display_location": pa.string(),
            "mailer_location": pa.string(),
            "week": pa.int64(),
        }
    ),
}

Rows = list[dict[str, object]]

# Products 1 to 30 are in the catalog, 31 and 32 are sold without being in it.
CATALOGUED, SOLD = range(1, 31), range(1, 33)
SHOPPING, SURVEYED_ONLY, TARGETED_ONLY = range(101, 121), 190, 191
STORES, PROMOTING_ONLY = range(1, 6), 9
CAMPAIGNS = (
    (1, "Type A", date(2016, 11, 14), date(2017, 1, 30)),
    (2, "Type B", date(2017, 2, 6), date(2017, 4, 2)),
    (3, "Type C", date(2017, 6, 5), date(2017, 9, 30)),
    (4, "Type B", date(2017, 11, 20), date(2018, 1, 14)),
)


def business_week(day: date) -> int:
    """Give the week number of a business date as the source counts it."""
    return (day - WEEK_1).days // 7 + 1


def at_midnight(day: date) -> datetime:
    """Give a day as the timestamp that the source's date columns hold."""
    return datetime.combine(day, time.min)


def sold_at(day: date, hour: int, minute: int = 0) -> datetime:
    """Give the UTC timestamp (without a zone) of an hour in the shop."""
    local = datetime.combine(day, time(hour, minute), tzinfo=TIMEZONE)
    return local.astimezone(UTC).replace(tzinfo=None)


def small_company(seed: int = 2017) -> dict[str, Rows]:
    """Give the rows of the eight tables; the same for the same seed."""
    chance = random.Random(seed)
    return {
        "transactions": _transactions(chance),
        "products": _products(chance),
        "demographics": _demographics(chance),
        "campaigns": [
            {"campaign_id": campaign_id, "household_id": household_id}
            for campaign_id, *_ in CAMPAIGNS
            for household_id in (*chance.sample(SHOPPING, 8), TARGETED_ONLY)
        ],
        "campaign_descriptions": [
            {
                "campaign_id": campaign_id,
                "campaign_type": campaign_type,
                "start_date": at_midnight(start),
                "end_date": at_midnight(end),
            }
            for campaign_id, campaign_type, start, end in CAMPAIGNS
        ],
        "coupons": _coupons(),
        "coupon_redemptions": _redemptions(chance),
        "promotions": _promotions(chance),
    }


def write_company(folder: Path, company: Mapping[str, Iterable[dict[str, object]]]) -> Path:
    """Write each table to `<folder>/<table>.parquet`, as the sample's package has them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in company.items():
        table = pa.Table.from_pylist(list(rows), schema=SCHEMAS[name])
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


def _transactions(chance: random.Random) -> Rows:
    rows: Rows = []
    basket_id = 1000
    for offset in range(365):
        day = date(2017, 1, 1) + timedelta(days=offset)
        if day == CLOSED:
            continue
        # Every day has a sale in its last hour, which is the next day in UTC.
        hours = [23, *(chance.randint(6, 22) for _ in range(chance.randint(0, 1)))]
        for hour in hours:
            basket_id += 1
            household_id = chance.choice(SHOPPING)
            if household_id == SHOPPING[0] and day.month in (3, 4, 8):
                household_id = SHOPPING[1]
            for product_id in chance.sample(SOLD, chance.randint(1, 4)):
                rows.append(
                    _line(chance, basket_id, household_id, product_id, day, hour) | {"quantity": 1}
                )
    # Goods by volume, giveaways and a coupon that is worth more than the line.
    rows[0] |= {"quantity": 9421}
    rows[1] |= {"quantity": 0, "sales_value": 0.0, "retail_disc": 0.0, "coupon_match_disc": 0.0}
    rows[2] |= {"sales_value": 0.1, "retail_disc": 0.2, "coupon_disc": 1.0}
    return rows


def _line(
    chance: random.Random, basket_id: int, household_id: int, product_id: int, day: date, hour: int
) -> dict[str, object]:
    has_discount, has_coupon = chance.random() < 0.4, chance.random() < 0.1
    return {
        "household_id": household_id,
        "store_id": STORES[basket_id % len(STORES)],
        "basket_id": basket_id,
        "product_id": product_id,
        "sales_value": chance.randint(50, 1999) / 100,
        "retail_disc": chance.randint(5, 200) / 100 if has_discount else 0.0,
        "coupon_disc": chance.choice((0.5, 1.0)) if has_coupon else 0.0,
        "coupon_match_disc": 0.45 if has_coupon and has_discount else 0.0,
        "week": business_week(day),
        "transaction_timestamp": sold_at(day, hour, 30),
    }


def _products(chance: random.Random) -> Rows:
    return [
        {
            "product_id": product_id,
            "manufacturer_id": product_id % 7,
            "department": chance.choice(("GROCERY", "PRODUCE", "FUEL", "DRUG GM")),
            "brand": "Private" if product_id % 4 == 0 else "National",
            "product_category": None if product_id == 5 else "CATEGORY",
            "product_type": None if product_id == 5 else f"TYPE {product_id % 9}",
            "package_size": None if product_id % 3 == 0 else "12 OZ",
        }
        for product_id in CATALOGUED
    ]


def _demographics(chance: random.Random) -> Rows:
    return [
        {
            "household_id": household_id,
            "age": chance.choice(("19-24", "25-34", "35-44", "45-54", "55-64", "65+")),
            "income": chance.choice(("Under 15K", "50-74K", "250K+")),
            "home_ownership": chance.choice(("Homeowner", "Renter", None)),
            "marital_status": chance.choice(("Married", "Unmarried", None)),
            "household_size": "2",
            "household_comp": "2 Adults No Kids",
            "kids_count": "0",
        }
        for household_id in (*SHOPPING[:8], SURVEYED_ONLY)
    ]


def _coupons() -> Rows:
    coupons = [
        {
            "coupon_upc": 5000 + campaign_id * 10 + number,
            "product_id": product_id,
            "campaign_id": campaign_id,
        }
        for campaign_id, *_ in CAMPAIGNS
        for number in range(3)
        for product_id in (number + 1, number + 11, number + 21)
    ]
    return coupons + coupons[:5]


def _redemptions(chance: random.Random) -> Rows:
    redemptions = {
        (household_id, 5000 + campaign_id * 10 + chance.randint(0, 2), campaign_id, start)
        for campaign_id, _, start, _ in CAMPAIGNS[1:]
        for household_id in chance.sample(SHOPPING, 4)
    }
    return [
        {
            "household_id": household_id,
            "coupon_upc": coupon_upc,
            "campaign_id": campaign_id,
            "redemption_date": at_midnight(start + timedelta(days=household_id % 20)),
        }
        for household_id, coupon_upc, campaign_id, start in sorted(redemptions)
    ]


def _promotions(chance: random.Random) -> Rows:
    rows: Rows = []
    for week in range(1, 54):
        for store_id in (*STORES, PROMOTING_ONLY):
            for product_id in chance.sample(SOLD, 6):
                display, mailer = chance.choice((("3", "0"), ("0", "A"), ("A", "D")))
                row = {
                    "product_id": product_id,
                    "store_id": store_id,
                    "display_location": display,
                    "mailer_location": mailer,
                    "week": week,
                }
                rows.append(row)
                if product_id % 5 == 0:
                    rows.append(row | {"display_location": "7"})
    return rows
