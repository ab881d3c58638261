"""Breaks the dbt project on purpose, one line at a time, and sees a dbt test fail each time.

A test that cannot fail checks nothing. A mutant that no test notices is a rule without a test: add
the test. To add a mutant, add an entry to `mutants.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import duckdb
import forked
import pytest
from builds import Once
from company import small_company, write_company
from dbt_project import DbtProject
from environment import ROOT
from mutation.harness import KEEP_SNAPSHOTS, SYSTEMS, Outcome, build, build_mutant, copy_project
from mutation.mutants import MUTANTS, Mutant
from project.online_shop import load_online_shop, online_shop

NO_TEST_FAILED = Outcome("missed")


def company_before() -> dict[str, list[dict[str, object]]]:
    """Give the small company before every attribute of a product and a household changed.

    Snapshots show what they are for when they are taken a second time.
    """
    company = small_company()
    for table, unchanged in (("products", "product_id"), ("demographics", "household_id")):
        rows = company[table]
        attributes = [name for name in rows[0] if name != unchanged]
        # One attribute a row, so that each change is there alone. Values of other rows are valid.
        for number, name in enumerate(attributes):
            others = [row[name] for row in rows if row[name] not in (None, rows[number][name])]
            rows[number] = rows[number] | {name: others[0] if others else None}
        # One more row, which is gone later.
        rows.append(rows[-1] | {unchanged: 999})
    return company


@pytest.fixture(scope="session")
def base(once: Once) -> Path:
    """Give a folder with the project as it is and the small company's warehouse, and the shop's.

    Everything is built on the company as it is now. The snapshots have seen it before and now; as
    they were before is kept aside (`harness.KEEP_SNAPSHOTS`).
    """
    return once("base_of_mutants", make_base)


def make_base(folder: Path) -> None:
    project = DbtProject(folder, company_before())
    copy_project(project.folder)
    project.load()
    load_online_shop(project.warehouse, online_shop())
    # The mutants run the tests; one that breaks nothing is among them.
    left_out = [f"--exclude-resource-type={kind}" for kind in ("test", "unit_test")]
    assert forked.call(build, folder, *left_out, options=SYSTEMS) == NO_TEST_FAILED
    with duckdb.connect(project.warehouse) as connection:
        connection.execute(KEEP_SNAPSHOTS)
    write_company(project.files, small_company())
    project.load()
    project.load("--full-refresh", "--table", "products", "--table", "demographics")
    assert forked.call(build, folder, *left_out, options=SYSTEMS) == NO_TEST_FAILED


@pytest.fixture(scope="session")
def outcome_of(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Mutant], Outcome]:
    """Give a function that builds a mutant."""
    folder = tmp_path_factory.mktemp("mutants")
    copy_project(folder)
    return partial(build_mutant, base, folder)


UNBROKEN = Mutant(
    name="control",
    file="dbt_project.yml",
    original="name: tally",
    broken="name: tally",
    stands_for="the project as it is",
    select="fqn:*",
)
# Or breaks of these would be caught for snapshots that they do not take again.
UNBROKEN_PART = replace(
    UNBROKEN,
    name="control_of_a_part",
    select="int_sales__products_identified+ int_customers__households_identified+",
)
DOES_NOT_RUN = Mutant(
    name="does_not_run",
    file="models/marts/sales/dim_stores.sql",
    original="false as is_unknown",
    broken="no_such_column as is_unknown",
    stands_for="an entry of mutants.py that is wrong itself",
)


@pytest.mark.parametrize("mutant", [UNBROKEN, UNBROKEN_PART], ids=lambda mutant: mutant.name)
def test_unbroken_project_builds(mutant: Mutant, outcome_of: Callable[[Mutant], Outcome]) -> None:
    assert outcome_of(mutant) == NO_TEST_FAILED


@pytest.mark.parametrize("mutant", [DOES_NOT_RUN], ids=lambda mutant: mutant.name)
def test_break_that_does_not_run_is_not_caught(
    mutant: Mutant, outcome_of: Callable[[Mutant], Outcome]
) -> None:
    outcome = outcome_of(mutant)
    assert outcome.verdict == "invalid"
    assert "no_such_column" in outcome.told_by


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.id)
def test_break_is_noticed(
    mutant: Mutant,
    outcome_of: Callable[[Mutant], Outcome],
    record_property: Callable[[str, object], None],
) -> None:
    outcome = outcome_of(mutant)
    record_property("mutant", mutant.name)
    record_property("verdict", outcome.verdict)
    record_property("told_by", outcome.told_by)
    assert outcome.verdict != "invalid", (
        f"{mutant.file} does not run with the break, so no test is put to the proof:"
        f" {outcome.told_by}"
    )
    assert outcome.verdict == "caught", (
        f"no dbt test fails when {mutant.file} has this break: {mutant.stands_for}"
    )


def test_every_break_has_one_place() -> None:
    places = {
        mutant.name: (ROOT / mutant.file).read_text().count(mutant.original) for mutant in MUTANTS
    }
    assert {name: count for name, count in places.items() if count != 1} == {}


def test_names_of_mutants_are_unique() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert len(names) == len(set(names))
