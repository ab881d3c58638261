"""`dbt build --empty` builds and tests the project without a row, and costs no history."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from dbt_project import BUILD, WITHOUT_TESTS, DbtProject
from marts import differences

SNAPSHOTS = ("snap_products", "snap_households")
# Tests that fail where something is not there, and what is not.
EMPTIED = {
    "assert_kpis_hang_together": "seeds.kpi_catalog",
    "assert_sample_figures": "seeds.sample_figures",
    "assert_controls_agree": "audit.audit_controls",
    "assert_staging_keeps_its_contract": "raw_retail_db.load_control_totals",
}


def versions(project: DbtProject) -> list[list[tuple]]:
    return [project.fetch(f"from snapshots.{name} order by all") for name in SNAPSHOTS]


@pytest.fixture
def later(emptied: DbtProject, tmp_path: Path) -> DbtProject:
    """The same of a test's own, to go on from."""
    project = DbtProject(tmp_path, None)
    project.restore(emptied.warehouse)
    return project


@pytest.fixture(scope="module")
def emptied(built: DbtProject, tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """The warehouse that was built, after a build of no rows."""
    project = DbtProject(tmp_path_factory.mktemp("emptied"), None)
    project.restore(built.warehouse)
    project.dbt("--warn-error", *BUILD, "--empty")
    return project


def test_every_model_and_test_passes_without_a_row(emptied: DbtProject):
    assert emptied.fetch("select count(*) from marts.fct_sales_lines") == [(0,)]
    assert emptied.fetch("select household_id from marts.dim_households") == [("Unknown",)]


def test_snapshots_keep_what_they_have(emptied: DbtProject, built: DbtProject):
    assert versions(emptied) == versions(built)
    assert all(versions(built))


def test_build_of_no_rows_is_not_published(emptied: DbtProject):
    serving = emptied.folder / "serving"
    done = emptied.run("python", "-m", "publishing", "publish", TALLY_SERVING=str(serving))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: nothing was published: dbt's latest build: expected one of the")
    assert "found one with `--empty`, which reads none; run `dbt build" in line
    assert not serving.exists()
    # Nor by the warehouse's own record, whatever dbt's says.
    assert emptied.fetch("from builds.build_tables") == []


def test_build_of_the_rows_makes_all_that_was_there(later: DbtProject, built: DbtProject):
    later.dbt(*BUILD, *WITHOUT_TESTS)
    assert versions(later) == versions(built)
    assert differences(later.warehouse, built.warehouse) == []


def test_what_is_emptied_is_missed_in_a_build_of_rows(later: DbtProject):
    with duckdb.connect(later.warehouse) as connection:
        for table in EMPTIED.values():
            connection.execute(f"delete from {table}")
    done = later.run("dbt", "--no-use-colors", "test", "--select", *EMPTIED)
    assert done.returncode == 1
    for name in EMPTIED:
        assert f"in test {name} " in done.stdout
