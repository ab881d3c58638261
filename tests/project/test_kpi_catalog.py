"""A KPI is one row of the catalog; a row that cannot be right stops the build with one line."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbt_project import ROOT, DbtProject, copy_of_project

CATALOG = "seeds/kpi_catalog.csv"

# What the project's check says of each catalog, printed as JSON: dbt starts once for all of them.
TELL_FAULTS = """
{% macro tell_faults(catalogs) %}
    {% set measures = [
        ['line_count', 'all/week'], ['line_count', 'store/week'], ['basket_count', 'all/week'],
    ] %}
    {% set found = [] %}
    {% for rows in catalogs %}
        {% do found.append(kpi_catalog_faults(rows, measures, ['customers', 'sales'])) %}
    {% endfor %}
    {{ print('FAULTS ' ~ tojson(found)) }}
{% endmacro %}
"""
VALID = {
    "kpi_id": "lines_per_basket",
    "kpi_name": "Lines per basket",
    "question": "How many?",
    "numerator_measure": "line_count",
    "denominator_measure": "basket_count",
    "unit": "count",
    "good_direction": "up",
    "owner": "sales",
    "action": "Look.",
    "published_slices": "all/week",
    "valid_from": "2016-12-26",
}
SUM = VALID | {"kpi_id": "lines", "denominator_measure": None}
K = "kpi lines_per_basket"
FAULTS: dict[str, tuple[list[dict], list[str]]] = {
    "none": ([VALID, SUM], []),
    "slices_apart_by_several_spaces": ([SUM | {"published_slices": "all/week  store/week "}], []),
    "unknown_numerator": (
        [VALID | {"numerator_measure": "lines"}],
        [
            f"{K}: numerator_measure: expected one of basket_count, line_count, found lines;"
            " correct it"
        ],
    ),
    "no_numerator": (
        [VALID | {"numerator_measure": None}],
        [
            f"{K}: numerator_measure: expected one of basket_count, line_count, found none;"
            " correct it"
        ],
    ),
    "unknown_denominator": (
        [VALID | {"denominator_measure": "baskets"}],
        [
            f"{K}: denominator_measure: expected one of basket_count, line_count or nothing,"
            " found baskets; correct it"
        ],
    ),
    "no_owner": (
        [VALID | {"owner": None}],
        [f"{K}: owner: expected one of customers, sales, found none; correct it"],
    ),
    "unknown_owner": (
        [VALID | {"owner": "finance"}],
        [f"{K}: owner: expected one of customers, sales, found finance; correct it"],
    ),
    "unknown_unit": (
        [VALID | {"unit": "percent"}],
        [f"{K}: unit: expected one of usd, count, rate, found percent; correct it"],
    ),
    "unknown_direction": (
        [VALID | {"good_direction": "higher"}],
        [f"{K}: good_direction: expected one of up, down, none, found higher; correct it"],
    ),
    "duplicate_id": (
        [VALID, SUM, VALID],
        [f"{K}: kpi_id: expected it once, found it again; rename one of the two"],
    ),
    "no_id": (
        [SUM, VALID | {"kpi_id": None}],
        ["kpi in row 2: kpi_id: expected a value, found none; fill it in"],
    ),
    **{
        f"no_{column}": (
            [VALID | {column: None}],
            [f"{K}: {column}: expected a value, found none; fill it in"],
        )
        for column in ("kpi_name", "question", "action", "published_slices", "valid_from")
    },
    "slice_of_the_numerator_alone": (
        [VALID | {"published_slices": "all/week store/week"}],
        [
            f"{K}: published_slices: expected slices and grains of basket_count (all/week),"
            " found store/week; take it out"
        ],
    ),
    "grain_of_neither": (
        [SUM | {"published_slices": "all/day"}],
        [
            "kpi lines: published_slices: expected slices and grains of line_count"
            " (all/week store/week), found all/day; take it out"
        ],
    ),
    # The models look for slices between spaces, and would publish neither.
    "slices_apart_by_a_tab": (
        [SUM | {"published_slices": "all/week\tstore/week"}],
        [
            "kpi lines: published_slices: expected slices and grains of line_count"
            " (all/week store/week), found all/week\tstore/week; take it out"
        ],
    ),
    "two_faults": (
        [VALID | {"unit": None, "owner": None}],
        [
            f"{K}: unit: expected one of usd, count, rate, found none; correct it",
            f"{K}: owner: expected one of customers, sales, found none; correct it",
        ],
    ),
}


@pytest.fixture(scope="module")
def copied(built: DbtProject, tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """A copy of the project, to be changed, beside a copy of the warehouse that it built."""
    folder = tmp_path_factory.mktemp("catalog")
    root = copy_of_project(folder / "root")
    (root / "macros" / "tell_faults.sql").write_text(TELL_FAULTS)
    project = DbtProject(folder, None, root=root)
    project.restore(built.warehouse)
    return project


@pytest.fixture
def catalog(copied: DbtProject, built: DbtProject) -> Iterator[Path]:
    """The copy's catalog; the catalog and the warehouse are as they were afterwards."""
    path = copied.root / CATALOG
    original = path.read_text()
    yield path
    path.write_text(original)
    copied.restore(built.warehouse)


@pytest.fixture(scope="module")
def told_faults(copied: DbtProject) -> dict[str, list[str]]:
    catalogs = json.dumps({"catalogs": [rows for rows, _ in FAULTS.values()]})
    printed = copied.dbt("--quiet", "run-operation", "tell_faults", "--args", catalogs)
    (line,) = (line for line in printed.splitlines() if line.startswith("FAULTS "))
    return dict(zip(FAULTS, json.loads(line.removeprefix("FAULTS ")), strict=True))


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_one_line_with_kpi_column_expected_and_found(
    told_faults: dict[str, list[str]], name: str
) -> None:
    assert told_faults[name] == FAULTS[name][1]


@pytest.mark.parametrize(
    ("found", "changed", "line"),
    [
        pytest.param(
            "lines,Lines,How many products are put in baskets?,line_count,",
            "lines,Lines,How many products are put in baskets?,lines,",
            r"kpi lines: numerator_measure: expected one of .*net_sales_usd.*, found lines;"
            r" correct it",
            id="unknown_measure",
        ),
        pytest.param(
            "gross_sales_usd,,usd,up,sales,",
            "gross_sales_usd,,usd,up,,",
            r"kpi gross_sales: owner: expected one of customers, data_platform, kpis, marketing,"
            r" sales, found none; correct it",
            id="no_owner",
        ),
        pytest.param(
            "gross_sales,Gross sales,",
            "net_sales,Gross sales,",
            r"kpi net_sales: kpi_id: expected it once, found it again; rename one of the two",
            id="duplicate_id",
        ),
    ],
)
def test_build_stops_with_one_line_before_any_figure_is_made(
    copied: DbtProject, catalog: Path, found: str, changed: str, line: str
) -> None:
    text = catalog.read_text()
    assert text.count(found) == 1
    catalog.write_text(text.replace(found, changed))
    before = figures(copied)

    completed = copied.run("dbt", "--no-use-colors", "--quiet", "build", "--select", "kpi_catalog+")

    assert completed.returncode != 0
    (told,) = (row for row in completed.stdout.splitlines() if CATALOG in row)
    assert re.fullmatch(rf"\s*{CATALOG}: {line}", told)
    assert figures(copied) == before


def figures(project: DbtProject, but: str = "") -> list[tuple]:
    """Give every figure of kpi_values, but those of one KPI."""
    return project.fetch(f"from marts.kpi_values where kpi_id <> '{but}' order by all")


def test_kpi_over_known_measures_is_one_row_of_the_catalog(
    copied: DbtProject, catalog: Path
) -> None:
    """The row is CONTRIBUTING.md's example; every test of the project passes with it."""
    (block,) = re.findall(r"```csv\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    (row,) = csv.DictReader(io.StringIO(catalog.read_text().splitlines()[0] + "\n" + block))
    kpi, before = row["kpi_id"], figures(copied)
    catalog.write_text(catalog.read_text() + block)

    copied.dbt("--warn-error", "build", "--select", "kpi_catalog+")

    assert figures(copied, but=kpi) == before
    published = copied.fetch(
        f"select distinct slice || '/' || grain from marts.kpi_values where kpi_id = '{kpi}'"
    )
    assert {name for (name,) in published} == set(row["published_slices"].split())
    ((count, equal),) = copied.fetch(
        "select count(*), count(*) filter (is_equal and reported_value is not null)"
        f" from audit.audit_kpis where kpi_id = '{kpi}'"
    )
    ((values, not_null),) = copied.fetch(
        f"select count(*), count(value) from marts.kpi_values where kpi_id = '{kpi}'"
    )
    assert (count, equal) == (values, not_null)
    assert not_null > 0
    assert copied.fetch("select * from audit.audit_kpis where not is_equal") == []


def test_measures_are_at_the_slices_that_the_catalog_is_checked_against(
    built: DbtProject, copied: DbtProject
) -> None:
    (copied.root / "macros" / "tell_measures.sql").write_text(
        "{% macro tell_measures() %}{{ print('MEASURES ' ~ tojson(kpi_measures())) }}{% endmacro %}"
    )
    printed = copied.dbt("--quiet", "run-operation", "tell_measures")
    (line,) = (line for line in printed.splitlines() if line.startswith("MEASURES "))
    declared = {
        (measure, slice_name, grain)
        for model in json.loads(line.removeprefix("MEASURES ")).values()
        for measure in model["measures"]
        for grain, slices in model["slices"].items()
        for slice_name in slices
    }
    measured = built.fetch(
        "select distinct measure_id, slice, grain from intermediate.int_kpis__measures_unpivoted"
    )
    assert set(measured) == declared
    audited = built.fetch("select distinct measure_id, slice, grain from audit.audit_measures")
    assert set(audited) == declared


# The audit's independence


@pytest.fixture(scope="module")
def manifest(built: DbtProject) -> dict:
    return json.loads((built.target / "manifest.json").read_text())


def macros_of(manifest: dict, unique_id: str) -> set[str]:
    """Names of the project's macros that a model calls, and that these call."""
    found: set[str] = set()
    open_macros = list(manifest["nodes"][unique_id]["depends_on"]["macros"])
    while open_macros:
        macro = open_macros.pop()
        if macro not in found:
            found.add(macro)
            open_macros += manifest["macros"][macro]["depends_on"]["macros"]
    return {macro.split(".")[-1] for macro in found if macro.startswith("macro.tally.")}


def parents_of(manifest: dict, unique_id: str) -> set[str]:
    """Names of the models, seeds and snapshots that a model reads; sources are left out."""
    parents = manifest["nodes"][unique_id]["depends_on"]["nodes"]
    return {parent.split(".")[-1] for parent in parents if not parent.startswith("source.")}


def shared(manifest: dict) -> Iterator[str]:
    """Name what the audit's way to a figure has in common with the figure's own way."""
    # Of kpi_values, audit_measures takes the list of periods and no figure; audit_kpis holds it
    # against the audit's own. The models of each system read raw tables alone.
    of_systems = {
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and re.match(r"audit_\w+__", node["name"])
    }
    may_read = {
        **{name: set() for name in of_systems},
        "audit_measures": {"kpi_values", *of_systems},
        "audit_kpis": {"kpi_values", "audit_measures", "kpi_catalog"},
    }
    for model, allowed in may_read.items():
        unique_id = f"model.tally.{model}"
        for parent in sorted(parents_of(manifest, unique_id) - allowed):
            yield f"{model} reads {parent}"
        for macro in sorted(macros_of(manifest, unique_id)):
            if not macro.removeprefix("default__").removeprefix("spark__").startswith("audit_"):
                yield f"{model} calls {macro}"
    for unique_id, node in manifest["nodes"].items():
        if node["resource_type"] == "model" and node["fqn"][1] != "audit":
            for parent in sorted(parents_of(manifest, unique_id)):
                if parent.startswith("audit_"):
                    yield f"{node['name']} reads {parent}"
            for macro in sorted(macros_of(manifest, unique_id)):
                if "audit_" in macro:
                    yield f"{node['name']} calls {macro}"


def test_audit_shares_no_model_and_no_macro_with_what_it_checks(manifest: dict) -> None:
    assert macros_of(manifest, "model.tally.audit_measures")
    assert list(shared(manifest)) == []


@pytest.mark.parametrize(
    ("model", "kind", "added", "named"),
    [
        (
            "audit_measures",
            "nodes",
            "model.tally.stg_retail_db__transactions",
            "audit_measures reads stg_retail_db__transactions",
        ),
        ("audit_measures", "macros", "macro.tally.usd", "audit_measures calls usd"),
        (
            "audit_kpis",
            "nodes",
            "model.tally.int_kpis__catalog_checked",
            "audit_kpis reads int_kpis__catalog_checked",
        ),
        ("audit_kpis", "macros", "macro.tally.kpi_ratio", "audit_kpis calls kpi_ratio"),
        ("kpi_values", "nodes", "model.tally.audit_measures", "kpi_values reads audit_measures"),
    ],
)
def test_what_the_audit_shares_is_named(
    manifest: dict, model: str, kind: str, added: str, named: str
) -> None:
    broken = json.loads(json.dumps(manifest))
    broken["nodes"][f"model.tally.{model}"]["depends_on"][kind].append(added)
    assert list(shared(broken)) == [named]
