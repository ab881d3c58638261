"""The semantic layer gives the figures that are published; what it gives otherwise is named."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from company import small_company
from dbt_project import DbtProject, run, succeeded
from environment import BIN, ENVIRONMENT, ROOT

from scripts.compare_metrics import NO_METRIC, disagreements

TABLES = """
select schema_name, table_name from duckdb_tables()
where database_name = 'warehouse' and schema_name in ('marts', 'seeds')
"""

COMPARISON = ("python", "scripts/compare_metrics.py")
QUERY = ("--metrics", "net_sales", "--group-by", "metric_time__month")

# The KPIs that net sales, and active households, are part of.
NET_SALES = {
    "net_sales",
    "average_basket_value",
    "sales_per_active_household",
    "private_label_share",
    "promoted_sales_share",
}

ACTIVE_HOUSEHOLDS = {
    "active_households",
    "sales_per_active_household",
    "visits_per_active_household",
}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def project(small_build: Path, tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """The small company, built and with its marts published to `tally.duckdb`, and parsed."""
    project = DbtProject(tmp_path_factory.mktemp("metrics"), small_company())
    project.copy(small_build)
    with duckdb.connect(project.folder / "tally.duckdb") as connection:
        connection.execute(f"attach '{project.warehouse}' as warehouse (read_only)")
        for schema, table in connection.execute(TABLES).fetchall():
            connection.execute(f"create schema if not exists {schema}")
            connection.execute(f"create table {schema}.{table} as from warehouse.{schema}.{table}")
    return project


@pytest.fixture(scope="module")
def compare(project: DbtProject) -> Run:
    """Compare the project's published file, or others than its files."""
    environment = {
        **project.environment,
        "TALLY_SERVING": str(project.folder),
    }
    succeeded(run(("dbt", "--quiet", "parse", "--target", "serving"), ROOT, environment))
    return lambda **changed: run(COMPARISON, ROOT, {**environment, **changed})


def test_metrics_are_the_published_figures(project: DbtProject, compare: Run) -> None:
    done = compare()
    assert (done.returncode, done.stderr) == (0, "")
    compared = [line.split() for line in done.stdout.splitlines()[1:]]
    with duckdb.connect(project.folder / "tally.duckdb", read_only=True) as connection:
        published = connection.execute("select distinct kpi_id from marts.kpi_values").fetchall()
    assert {row[0] for row in compared} == {kpi_id for (kpi_id,) in published} - NO_METRIC
    for _, series, figures, differences in compared:
        assert int(series) > 0 and int(figures.replace(",", "")) > 0 and differences == "0"


def test_wrong_metrics_are_named(project: DbtProject, compare: Run, tmp_path: Path) -> None:
    wrong_measures = {
        # The shelf price is taken for what the retailer receives.
        "net_sales_usd": {"expr": "gross_sales_usd"},
        # Lines are counted for households.
        "active_household_count": {"agg": "count"},
        # Whoever shops is taken for someone who comes back.
        "retained_household_count": {"expr": "1"},
    }
    # Every household is taken for a new one.
    wrong_metrics = {"new_households": {"filter": None}}
    manifest = json.loads((project.target / "semantic_manifest.json").read_text())
    measures = [measure for model in manifest["semantic_models"] for measure in model["measures"]]
    for definitions, changes in ((measures, wrong_measures), (manifest["metrics"], wrong_metrics)):
        for definition in definitions:
            definition |= changes.get(definition["name"], {})
    (tmp_path / "semantic_manifest.json").write_text(json.dumps(manifest))
    done = compare(DBT_TARGET_PATH=str(tmp_path))
    assert done.returncode == 1
    table = [line.split() for line in done.stdout.splitlines()[1:]]
    assert {metric for metric, *_, differences in table if differences != "0"} == (
        NET_SALES | ACTIVE_HOUSEHOLDS | {"household_retention_rate", "new_households"}
    )
    assert "published" in done.stderr


def test_what_the_semantic_layer_can_no_longer_say_is_named(
    project: DbtProject, compare: Run, tmp_path: Path
) -> None:
    manifest = json.loads((project.target / "semantic_manifest.json").read_text())
    manifest["metrics"] = [
        metric for metric in manifest["metrics"] if metric["name"] != "coupon_redemptions"
    ]
    (redemptions,) = [
        model for model in manifest["semantic_models"] if model["name"] == "coupon_redemptions"
    ]
    redemptions["entities"] = [
        entity for entity in redemptions["entities"] if entity["name"] != "campaign"
    ]
    (tmp_path / "semantic_manifest.json").write_text(json.dumps(manifest))
    done = compare(DBT_TARGET_PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: coupon_redemptions: is published, and no metric",
        "error: redeeming_households campaign/month: is refused",
        "error: redeeming_households campaign/week: is refused",
    ]


def test_a_cent_that_is_published_wrong_is_named(
    project: DbtProject, compare: Run, tmp_path: Path
) -> None:
    wrong = Path(shutil.copy(project.folder / "tally.duckdb", tmp_path / "tally.duckdb"))
    with duckdb.connect(wrong) as connection:
        connection.execute(
            "update marts.kpi_values set value = value + 0.01 where kpi_id = 'net_sales'"
            " and grain = 'month' and slice = 'all' and period_start_date = '2017-05-01'"
        )
    done = compare(TALLY_SERVING=str(wrong.parent))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: net_sales all/month 2017-05-01 all: published ")


@pytest.mark.usefixtures("compare")
def test_mf_answers_from_the_published_file(project: DbtProject, tmp_path: Path) -> None:
    # `mf` reads the manifest in the folder target of the project, whatever dbt is told.
    root = tmp_path / "root"
    root.mkdir()
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(project.target, root / "target")
    answer = tmp_path / "answer.csv"
    subprocess.run(
        [BIN / "mf", "query", *QUERY, "--csv", answer],
        cwd=root,
        env={
            **ENVIRONMENT,
            "DBT_TARGET": "serving",
            "TALLY_SERVING": str(project.folder),
            "DBT_LOG_PATH": str(tmp_path),
        },
        capture_output=True,
        check=True,
    )
    with answer.open(newline="") as file:
        answered = {
            date.fromisoformat(row["metric_time__month"][:10]): Decimal(row["net_sales"])
            for row in csv.DictReader(file)
        }
    with duckdb.connect(project.folder / "tally.duckdb", read_only=True) as connection:
        published = connection.execute(
            "select period_start_date, numerator from marts.kpi_values"
            " where kpi_id = 'net_sales' and grain = 'month' and slice = 'all'"
        ).fetchall()
    assert answered == dict(published)


def test_without_a_published_file_the_comparison_says_what_to_do(tmp_path: Path) -> None:
    done = run(COMPARISON, ROOT, {**ENVIRONMENT, "TALLY_SERVING": str(tmp_path)})
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith("tally.duckdb is not there; run 'make publish' first")


MAY, JUNE, JULY = date(2017, 5, 1), date(2017, 6, 1), date(2017, 7, 1)


@pytest.mark.parametrize(
    ("published", "queried", "is_ratio", "count"),
    [
        ({MAY: "5.10"}, {MAY: "5.10"}, False, 0),
        ({MAY: "5.10"}, {MAY: "5.11"}, False, 1),
        # A sum of nothing is 0 or not there; a ratio of nothing is null or not there.
        ({MAY: "5.10", JUNE: "0"}, {MAY: "5.10"}, False, 0),
        ({MAY: "0.5", JUNE: None}, {MAY: "0.5"}, True, 0),
        ({MAY: "0.5", JUNE: "0"}, {MAY: "0.5"}, True, 1),
        ({MAY: "0.5", JUNE: None}, {MAY: "0.5", JUNE: "0"}, True, 1),
        ({MAY: "5.10"}, {}, False, 1),
        # Six decimals are published.
        ({MAY: "0.333333"}, {MAY: "0.33333333333"}, True, 0),
        ({MAY: "0.333333"}, {MAY: "0.333335"}, True, 1),
        # A period in between must be published; one after the latest is not.
        ({MAY: "5.10", JULY: "5.10"}, {MAY: "5.10", JUNE: "1", JULY: "5.10"}, False, 1),
        ({MAY: "5.10"}, {MAY: "5.10", JUNE: "1"}, False, 0),
    ],
)
def test_what_differs_is_counted(
    published: dict, queried: dict, is_ratio: bool, count: int
) -> None:
    def keyed(figures: dict) -> dict:
        return {
            (period, "all"): None if figure is None else Decimal(figure)
            for period, figure in figures.items()
        }

    assert len(disagreements(keyed(published), keyed(queried), is_ratio)) == count
