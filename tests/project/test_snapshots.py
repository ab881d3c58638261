"""History of the catalog and of the survey: what changes at the source between two builds.

The company's database runs on a real server and is changed there; loads and builds are the
commands that people type.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from company import TIMEZONE, business_week, small_company
from dbt_project import BUILD, DbtProject
from servers import PostgresShop

CHANGED_PRODUCT, DELETED_PRODUCT = 1, 2
CHANGED_HOUSEHOLD, DELETED_HOUSEHOLD = 101, 102
# Sold in the stores and never in the catalog; shops and never answered.
NEVER_IN_CATALOG, NEVER_ANSWERED = 31, 120
# Baskets of what changes and of what is deleted, sold between both builds and after them.
BETWEEN, LATER = (9101, 9102), (9103, 9104)

BEGINNING, FOR_EVER = datetime(1900, 1, 1), datetime(9999, 12, 31)

VERSIONS_AND_SALES = ("dim_product_versions", "dim_household_versions", "fct_sales_lines")
HISTORY = (
    "snap_products", "snap_households", "dim_products", "dim_households", *VERSIONS_AND_SALES[:2],
)  # fmt: skip
# The first build makes the views; later ones need the tables alone, and test what they changed.
FIRST_BUILD = (
    "build", "--select", *(f"+{name}" for name in VERSIONS_AND_SALES),
    "--exclude-resource-type", "test", "unit_test",
)  # fmt: skip
LATER_BUILD = (*BUILD, "--indirect-selection", "cautious", "--select", *HISTORY)

DELETED = (
    ("products", "product_id", DELETED_PRODUCT),
    ("demographics", "household_id", DELETED_HOUSEHOLD),
)
CHANGES = (
    f"update products set department = 'MOVED' where product_id = {CHANGED_PRODUCT}",
    "update demographics set age = case when age = '65+' then '55-64' else '65+' end"
    f" where household_id = {CHANGED_HOUSEHOLD}",
    *(f"delete from {table} where {key} = {value}" for table, key, value in DELETED),
)

SNAPSHOTS = pytest.mark.parametrize(
    ("snapshot", "key", "attribute", "changed", "deleted"),
    [
        pytest.param(
            "snap_products", "product_id", "department", CHANGED_PRODUCT, DELETED_PRODUCT,
            id="snap_products",
        ),
        pytest.param(
            "snap_households", "household_id", "age_band", CHANGED_HOUSEHOLD, DELETED_HOUSEHOLD,
            id="snap_households",
        ),
    ],
)  # fmt: skip


@dataclass(frozen=True)
class Mart:
    """A dimension of versions, the one of what is current, and their columns."""

    versions: str
    dimension: str
    key: str
    attribute: str
    known: str


PRODUCTS = Mart("dim_product_versions", "dim_products", "product_id", "department", "is_in_catalog")
HOUSEHOLDS = Mart(
    "dim_household_versions", "dim_households", "household_id", "age_band", "has_answered_survey"
)
VERSIONS = pytest.mark.parametrize(
    ("mart", "changed", "deleted", "never"),
    [
        pytest.param(PRODUCTS, CHANGED_PRODUCT, DELETED_PRODUCT, NEVER_IN_CATALOG, id="products"),
        pytest.param(
            HOUSEHOLDS, CHANGED_HOUSEHOLD, DELETED_HOUSEHOLD, NEVER_ANSWERED, id="households"
        ),
    ],
)

Rows = list[dict[str, object]]


def read(project: DbtProject) -> dict[str, Rows]:
    """Rows of each table as dictionaries, versions in order."""
    found = {}
    with duckdb.connect(project.warehouse, read_only=True) as connection:
        for table in HISTORY:
            schema, order = ("marts", "all")
            if table.startswith("snap_"):
                schema, order = ("snapshots", "dbt_valid_from")
            rows = connection.execute(f"select * from {schema}.{table} order by {order}")
            found[table] = rows.to_arrow_table().to_pylist()
    return found


def utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def sale(basket_id: int, moment: datetime, product_id: int, household_id: int) -> str:
    """Give the statement by which a store sells one product."""
    return (
        "insert into transactions (household_id, store_id, basket_id, product_id, quantity,"
        " sales_value, retail_disc, coupon_disc, coupon_match_disc, week, transaction_timestamp)"
        f" values ({household_id}, 1, {basket_id}, {product_id}, 1, 10, 0, 0, 0,"
        f" {business_week(moment.astimezone(TIMEZONE).date())}, '{moment:%Y-%m-%d %H:%M:%S}')"
    )


# How the descriptions of the versions say that sales are read by attributes as they were.
AS_THEY_WERE = """
select
    lines.basket_id, products.department, products.is_in_catalog,
    households.age_band, households.has_answered_survey
from marts.fct_sales_lines as lines
inner join marts.dim_product_versions as products
    on
        lines.product_id = products.product_id
        and lines.sold_at >= products.valid_from
        and lines.sold_at < products.valid_to
inner join marts.dim_household_versions as households
    on
        lines.household_id = households.household_id
        and lines.sold_at >= households.valid_from
        and lines.sold_at < households.valid_to
where cast(split_part(lines.basket_id, ':', 2) as integer) > 9000
"""


@dataclass(frozen=True)
class History:
    """What three builds made of a database that changed between them.

    Attributes:
        before: Tables of the first build.
        after: Tables of the second one, after the changes.
        returned: Tables of the third one, after what was deleted had come back.
        sold: Attributes of a basket's product and household as they were, after the second build.
        began: When the second build began.
        ended: When it was done.
    """

    before: dict[str, Rows]
    after: dict[str, Rows]
    returned: dict[str, Rows]
    sold: dict[int, tuple]
    began: datetime
    ended: datetime

    def versions(self, table: str, key: str, value: int) -> Rows:
        return of(self.after[table], key, value)


def key_of(own_id: int) -> str:
    return f"rdb:{own_id}"


def of(rows: Rows, key: str, own_id: int) -> Rows:
    """Give the rows of what has this id at the source."""
    return [row for row in rows if row[key] == key_of(own_id)]


@pytest.fixture(scope="module")
def history(workbench: DbtProject) -> History:
    project = workbench
    project.restore(None)
    project.write(small_company())
    with PostgresShop(small_company()) as shop:
        project.load(**shop.environment)
        project.dbt(*FIRST_BUILD)
        before = read(project)

        moment = datetime.now(UTC)
        for baskets, sold_at in ((BETWEEN, moment), (LATER, moment + timedelta(days=1))):
            shop.execute(sale(baskets[0], sold_at, CHANGED_PRODUCT, CHANGED_HOUSEHOLD))
            shop.execute(sale(baskets[1], sold_at, DELETED_PRODUCT, DELETED_HOUSEHOLD))
        for table, key, value in DELETED:
            shop.execute(
                f"create table {table}_deleted as select * from {table} where {key} = {value}"
            )
        for statement in CHANGES:
            shop.execute(statement)
        project.load(**shop.environment)
        began = utc_now()
        # On a machine in Tokyo.
        project.dbt(*LATER_BUILD, "fct_sales_lines", TZ="Asia/Tokyo")
        ended = utc_now()
        after = read(project)
        sold = {
            int(basket.removeprefix("rdb:")): tuple(rest)
            for basket, *rest in project.fetch(AS_THEY_WERE)
        }

        for table, *_ in DELETED:
            shop.execute(f"insert into {table} select * from {table}_deleted")
        project.load(**shop.environment)
        project.dbt(*LATER_BUILD)
        return History(before, after, read(project), sold, began, ended)


# Snapshots


@SNAPSHOTS
def test_change_closes_a_version_and_opens_the_next(
    history: History, snapshot: str, key: str, attribute: str, changed: int, deleted: int
):
    former, current = history.versions(snapshot, key, changed)
    assert former[attribute] != current[attribute]
    assert former["dbt_valid_to"] == current["dbt_valid_from"]
    assert current["dbt_valid_to"] is None
    assert former["load_id"] < current["load_id"]


@SNAPSHOTS
def test_deletion_is_a_version_of_its_own(
    history: History, snapshot: str, key: str, attribute: str, changed: int, deleted: int
):
    former, current = history.versions(snapshot, key, deleted)
    assert (former["dbt_is_deleted"], current["dbt_is_deleted"]) == ("False", "True")
    assert former[attribute] == current[attribute]
    assert former["dbt_valid_to"] == current["dbt_valid_from"]
    assert current["dbt_valid_to"] is None


@SNAPSHOTS
def test_everything_else_keeps_its_one_version(
    history: History, snapshot: str, key: str, attribute: str, changed: int, deleted: int
):
    counted = Counter(row[key] for row in history.after[snapshot])
    assert {value for value, count in counted.items() if count != 1} == {
        key_of(changed),
        key_of(deleted),
    }
    first_run = history.before[snapshot]
    assert counted.keys() == {row[key] for row in first_run} != set()
    unchanged = [row for row in first_run if row[key] not in map(key_of, (changed, deleted))]
    assert all(row in history.after[snapshot] for row in unchanged)


@SNAPSHOTS
def test_each_has_one_current_version(
    history: History, snapshot: str, key: str, attribute: str, changed: int, deleted: int
):
    current = Counter(row[key] for row in history.after[snapshot] if row["dbt_valid_to"] is None)
    assert set(current.values()) == {1}
    assert current.keys() == {row[key] for row in history.after[snapshot]}


@SNAPSHOTS
def test_versions_are_dated_in_utc_on_any_machine(
    history: History, snapshot: str, key: str, attribute: str, changed: int, deleted: int
):
    for value in (changed, deleted):
        former, current = history.versions(snapshot, key, value)
        for moment in (
            former["dbt_valid_to"],
            current["dbt_valid_from"],
            current["dbt_updated_at"],
        ):
            assert history.began <= moment <= history.ended


# The versions in the marts


@VERSIONS
def test_a_change_is_two_versions_and_the_dimension_has_the_new_one(
    history: History, mart: Mart, changed: int, deleted: int, never: int
):
    (old,) = of(history.before[mart.versions], mart.key, changed)
    former, current = history.versions(mart.versions, mart.key, changed)
    (shown,) = history.versions(mart.dimension, mart.key, changed)
    assert old[mart.attribute] == former[mart.attribute] != current[mart.attribute]
    assert current[mart.attribute] == shown[mart.attribute]
    assert (former["is_current"], current["is_current"]) == (False, True)
    assert (former["valid_from"], current["valid_to"]) == (BEGINNING, FOR_EVER)
    assert history.began <= former["valid_to"] == current["valid_from"] <= history.ended


@VERSIONS
def test_a_deletion_is_a_version_without_attributes(
    history: History, mart: Mart, changed: int, deleted: int, never: int
):
    (old,) = of(history.before[mart.versions], mart.key, deleted)
    former, current = history.versions(mart.versions, mart.key, deleted)
    (shown,) = history.versions(mart.dimension, mart.key, deleted)
    assert old[mart.attribute] == former[mart.attribute] != "Unknown"
    assert current[mart.attribute] == shown[mart.attribute] == "Unknown"
    assert (former[mart.known], current[mart.known], shown[mart.known]) == (True, False, False)
    assert history.began <= former["valid_to"] == current["valid_from"] <= history.ended
    assert current["valid_to"] == FOR_EVER


@VERSIONS
def test_what_comes_back_has_a_third_version_like_the_first(
    history: History, mart: Mart, changed: int, deleted: int, never: int
):
    first, gone, back = of(history.returned[mart.versions], mart.key, deleted)
    (shown,) = of(history.returned[mart.dimension], mart.key, deleted)
    dates = {"valid_from", "valid_to", "is_current"}
    assert {k: v for k, v in first.items() if k not in dates} == {
        k: v for k, v in back.items() if k not in dates
    }
    assert gone[mart.attribute] == "Unknown" != back[mart.attribute] == shown[mart.attribute]
    assert history.ended < gone["valid_to"] == back["valid_from"]
    assert [row["is_current"] for row in (first, gone, back)] == [False, False, True]


@VERSIONS
@pytest.mark.parametrize("unknown", [False, True], ids=["never_known", "unknown_member"])
def test_what_was_never_known_has_one_version(
    history: History, mart: Mart, changed: int, deleted: int, never: int, unknown: bool
):
    key = "Unknown" if unknown else key_of(never)
    (row,) = (row for row in history.after[mart.versions] if row[mart.key] == key)
    assert (row["valid_from"], row["valid_to"], row["is_current"]) == (BEGINNING, FOR_EVER, True)
    assert (row[mart.attribute], row[mart.known], row["is_unknown"]) == ("Unknown", False, unknown)


@VERSIONS
def test_what_did_not_change_keeps_its_version(
    history: History, mart: Mart, changed: int, deleted: int, never: int
):
    left_out = {key_of(changed), key_of(deleted)}
    for rows in (history.after[mart.versions], history.returned[mart.versions]):
        assert [row for row in rows if row[mart.key] not in left_out] == [
            row for row in history.before[mart.versions] if row[mart.key] not in left_out
        ]


def test_sales_are_read_by_attributes_as_they_were(history: History):
    (product,) = of(history.before["dim_products"], "product_id", CHANGED_PRODUCT)
    (deleted,) = of(history.before["dim_products"], "product_id", DELETED_PRODUCT)
    (household,) = of(history.before["dim_households"], "household_id", CHANGED_HOUSEHOLD)
    (withdrawn,) = of(history.before["dim_households"], "household_id", DELETED_HOUSEHOLD)
    (now,) = of(history.after["dim_households"], "household_id", CHANGED_HOUSEHOLD)
    assert history.sold == {
        BETWEEN[0]: (product["department"], True, household["age_band"], True),
        BETWEEN[1]: (deleted["department"], True, withdrawn["age_band"], True),
        LATER[0]: ("MOVED", True, now["age_band"], True),
        LATER[1]: ("Unknown", False, "Unknown", False),
    }
