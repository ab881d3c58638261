"""Snapshots keep the history of the catalog and of the survey."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import pytest
from company import small_company
from dbt_project import DbtProject

CHANGED_PRODUCT, DELETED_PRODUCT = 1, 2
CHANGED_HOUSEHOLD, DELETED_HOUSEHOLD = 101, 102

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
class History:
    """Rows of each snapshot as dictionaries, in order, and when the second run was."""

    rows: dict[str, list[dict[str, object]]]
    began: datetime
    ended: datetime

    def versions(self, snapshot: str, key: str, value: int) -> list[dict[str, object]]:
        return [row for row in self.rows[snapshot] if row[key] == value]


def read(project: DbtProject) -> dict[str, list[dict[str, object]]]:
    with duckdb.connect(project.warehouse, read_only=True) as connection:
        return {
            snapshot: connection.execute(
                f"select * from snapshots.{snapshot} order by dbt_valid_from"
            )
            .to_arrow_table()
            .to_pylist()
            for snapshot in ("snap_products", "snap_households")
        }


def utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


@pytest.fixture(scope="module")
def history(built: DbtProject, workbench: DbtProject) -> History:
    """A second run, on a machine in Tokyo, after one row changed and one went."""
    company = small_company()
    (product,) = (row for row in company["products"] if row["product_id"] == CHANGED_PRODUCT)
    product["department"] = "MOVED"
    (answer,) = (row for row in company["demographics"] if row["household_id"] == CHANGED_HOUSEHOLD)
    answer["age"] = "65+" if answer["age"] != "65+" else "55-64"
    workbench.restore(built.warehouse)
    workbench.write(company)
    workbench.load()
    # In place of a source that says what it deleted: no load of the sample does.
    with duckdb.connect(workbench.warehouse) as connection:
        for table, key, value in (
            ("products", "product_id", DELETED_PRODUCT),
            ("demographics", "household_id", DELETED_HOUSEHOLD),
        ):
            connection.execute(f"delete from raw_retail_db.{table} where {key} = {value}")

    began = utc_now()
    workbench.dbt("snapshot", TZ="Asia/Tokyo")
    return History(read(workbench), began, utc_now())


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
    history: History, built: DbtProject, snapshot: str, key: str, attribute: str, changed: int,
    deleted: int,
):  # fmt: skip
    counted = Counter(row[key] for row in history.rows[snapshot])
    assert {value for value, count in counted.items() if count != 1} == {changed, deleted}
    first_run = read(built)[snapshot]
    assert counted.keys() == {row[key] for row in first_run} != set()
    unchanged = [row for row in first_run if row[key] not in (changed, deleted)]
    assert all(row in history.rows[snapshot] for row in unchanged)


@SNAPSHOTS
def test_each_has_one_current_version(
    history: History, snapshot: str, key: str, attribute: str, changed: int, deleted: int
):
    current = Counter(row[key] for row in history.rows[snapshot] if row["dbt_valid_to"] is None)
    assert set(current.values()) == {1}
    assert current.keys() == {row[key] for row in history.rows[snapshot]}


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
