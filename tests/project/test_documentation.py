"""Whatever the project defines is described, down to columns and the arguments of macros."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator

import pytest
import yaml
from dbt_project import ROOT, DbtProject


@pytest.fixture(scope="module")
def manifest(built: DbtProject) -> dict:
    return json.loads((built.folder / "target" / "manifest.json").read_text())


@pytest.fixture(scope="module")
def catalog(built: DbtProject) -> dict:
    return json.loads((built.folder / "target" / "catalog.json").read_text())


def undescribed(manifest: dict, catalog: dict) -> Iterator[str]:
    """Name everything that has no description."""
    for unique_id, node in {**manifest["nodes"], **manifest["sources"]}.items():
        if node["resource_type"] == "operation":
            # A hook of dbt_project.yml; its macro is described.
            continue
        if node["resource_type"] == "test":
            if node.get("test_metadata") is None and not node["description"].strip():
                yield unique_id
            continue
        if not node["description"].strip():
            yield unique_id
        if node["resource_type"] == "source" and not node["source_description"].strip():
            yield f"source {node['source_name']}"
        found = {**catalog["nodes"], **catalog["sources"]}.get(unique_id)
        if found is None:
            yield f"{unique_id}: is not in the warehouse"
            continue
        for column in found["columns"]:
            described = node["columns"].get(column, {}).get("description", "")
            if not described.strip():
                yield f"{unique_id}.{column}"
        for column in node["columns"].keys() - found["columns"].keys():
            yield f"{unique_id}.{column}: is described, but does not exist"
    for unique_id, unit_test in manifest["unit_tests"].items():
        if not unit_test["description"].strip():
            yield unique_id
    for name, group in manifest["groups"].items():
        if not group.get("description", "").strip():
            yield name
    for unique_id, semantic_model in manifest["semantic_models"].items():
        if not (semantic_model["description"] or "").strip():
            yield unique_id
        for kind in ("entities", "dimensions", "measures"):
            for part in semantic_model[kind]:
                if not (part["description"] or "").strip():
                    yield f"{unique_id}.{part['name']}"
    for unique_id, definition in {**manifest["metrics"], **manifest["exposures"]}.items():
        if not (definition["description"] or "").strip():
            yield unique_id
    for unique_id, macro in manifest["macros"].items():
        if macro["package_name"] == "tally":
            if not macro["description"].strip():
                yield unique_id
            yield from undescribed_arguments(unique_id, macro)


def undescribed_arguments(unique_id: str, macro: dict) -> Iterator[str]:
    """Hold a macro's signature against its description; dbt fills in nothing of the two."""
    (signature,) = re.search(
        r"{%-?\s*(?:macro|test)\s+\w+\((.*?)\)\s*-?%}", macro["macro_sql"], re.DOTALL
    ).groups()
    outside_calls = re.sub(r"\([^()]*\)", "", signature)
    arguments = [part.split("=")[0].strip() for part in outside_calls.split(",") if part.strip()]
    described = {
        argument["name"]: (argument.get("description") or "").strip()
        for argument in macro["arguments"]
    }
    for argument in arguments:
        if not described.get(argument):
            yield f"{unique_id}({argument})"
    for argument in described.keys() - set(arguments):
        yield f"{unique_id}({argument}): is described, but does not exist"


def test_everything_is_described(manifest: dict, catalog: dict) -> None:
    assert list(undescribed(manifest, catalog)) == []


@pytest.mark.parametrize(
    ("collection", "unique_id", "strip", "missing"),
    [
        ("nodes", "model.tally.dim_stores", "node", "model.tally.dim_stores"),
        ("nodes", "model.tally.dim_stores", "store_id", "model.tally.dim_stores.store_id"),
        ("nodes", "seed.tally.age_bands", "band_order", "seed.tally.age_bands.band_order"),
        ("nodes", "snapshot.tally.snap_products", "node", "snapshot.tally.snap_products"),
        (
            "sources",
            "source.tally.retail_db.transactions",
            "week",
            "source.tally.retail_db.transactions.week",
        ),
        ("metrics", "metric.tally.net_sales", "node", "metric.tally.net_sales"),
        ("exposures", "exposure.tally.kpi_report", "node", "exposure.tally.kpi_report"),
        (
            "semantic_models",
            "semantic_model.tally.stores",
            "store",
            "semantic_model.tally.stores.store",
        ),
        (
            "semantic_models",
            "semantic_model.tally.products",
            "department",
            "semantic_model.tally.products.department",
        ),
        (
            "semantic_models",
            "semantic_model.tally.sales_lines",
            "line_count",
            "semantic_model.tally.sales_lines.line_count",
        ),
        ("macros", "macro.tally.usd", "node", "macro.tally.usd"),
        ("macros", "macro.tally.usd", "amount", "macro.tally.usd(amount)"),
        (
            "macros",
            "macro.tally.test_accepted_range",
            "max_value",
            "macro.tally.test_accepted_range(max_value)",
        ),
    ],
)
def test_a_gap_is_named(
    manifest: dict, catalog: dict, collection: str, unique_id: str, strip: str, missing: str
) -> None:
    broken = json.loads(json.dumps(manifest))
    node = broken[collection][unique_id]
    if strip == "node":
        node["description"] = " "
    elif collection == "macros":
        node["arguments"] = [item for item in node["arguments"] if item["name"] != strip]
    elif collection == "semantic_models":
        parts = [*node["entities"], *node["dimensions"], *node["measures"]]
        (part,) = [part for part in parts if part["name"] == strip]
        part["description"] = None
    else:
        node["columns"][strip]["description"] = ""
    assert list(undescribed(broken, catalog)) == [missing]


def test_every_mart_has_a_grain_and_a_group(manifest: dict) -> None:
    marts = [node for node in manifest["nodes"].values() if node.get("schema") == "marts"]
    assert marts
    for node in marts:
        assert node["description"].startswith("One row a"), node["name"]
        assert node["group"] and node["access"] == "public", node["name"]


def without_contract(manifest: dict) -> list[str]:
    """Name the public models that may change under their readers."""
    return [
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        and node["access"] == "public"
        and not node["contract"]["enforced"]
    ]


def test_every_public_model_is_under_contract(manifest: dict) -> None:
    assert without_contract(manifest) == []


def test_public_model_without_a_contract_is_named(manifest: dict) -> None:
    broken = json.loads(json.dumps(manifest))
    broken["nodes"]["model.tally.audit_kpis"]["contract"]["enforced"] = False
    assert without_contract(broken) == ["audit_kpis"]


def is_enforced(node: dict) -> bool:
    """Tell whether DuckDB holds the rows to the model's constraints; it knows none of views."""
    return (
        node["resource_type"] == "model"
        and node["contract"]["enforced"]
        and node["config"]["materialized"] in ("table", "incremental")
    )


def primary_key(node: dict) -> set[str]:
    """Give the columns of the primary key that the contract enforces."""
    keys = [
        set(constraint["columns"])
        for constraint in node.get("constraints", [])
        if constraint["type"] == "primary_key"
    ]
    return keys[0] if keys and is_enforced(node) else set()


def generic_tests(manifest: dict) -> Iterator[tuple[str, str, dict]]:
    """Give what every generic test of all rows is of, its name and its arguments."""
    for node in manifest["nodes"].values():
        metadata = node.get("test_metadata")
        if metadata and not node["config"].get("where"):
            yield node["attached_node"], metadata["name"], metadata["kwargs"]


def unproven_keys(manifest: dict) -> Iterator[str]:
    """Name what has neither a key that is proven nor says which later one proves it, or why none.

    `meta` says so: `key_proven_by` names what reads the rows one by one and fails where a key is
    there twice, `no_key` why rows may be there twice.
    """
    nodes = manifest["nodes"]
    tested = {
        unique_id
        for unique_id, name, _ in generic_tests(manifest)
        if name in ("unique", "unique_combination_of_columns")
    }
    for unique_id, node in nodes.items():
        if node["resource_type"] not in ("model", "seed", "snapshot"):
            continue
        meta = node["config"]["meta"]
        said = [name for name in ("key_proven_by", "no_key") if meta.get(name)]
        if unique_id in tested or primary_key(node):
            yield from (f"{node['name']}: has a key, and {name}" for name in said)
        elif len(said) != 1:
            yield node["name"]
        elif proof := meta.get("key_proven_by"):
            proving = [
                reader
                for reader in readers(manifest, unique_id)
                if nodes[reader]["name"] == proof
                and (
                    nodes[reader]["resource_type"] == "test"
                    or reader in tested
                    or primary_key(nodes[reader])
                )
            ]
            if not proving:
                yield f"{node['name']}: {proof} proves no key of it"


def readers(manifest: dict, unique_id: str) -> set[str]:
    """Give all nodes that read a node, by whatever way."""
    found: set[str] = set()
    open_nodes = [unique_id]
    while open_nodes:
        for child in manifest["child_map"].get(open_nodes.pop(), []):
            if child in manifest["nodes"] and child not in found:
                found.add(child)
                open_nodes.append(child)
    return found


def test_every_key_is_proven(manifest: dict) -> None:
    assert list(unproven_keys(manifest)) == []


@pytest.mark.parametrize(
    ("unique_id", "meta", "named"),
    [
        ("model.tally.int_sales__lines_priced", {}, "int_sales__lines_priced"),
        (
            "model.tally.int_sales__lines_priced",
            {"key_proven_by": "dim_dates", "no_key": "none"},
            "int_sales__lines_priced",
        ),
        # It reads no lines.
        (
            "model.tally.int_sales__lines_priced",
            {"key_proven_by": "dim_campaigns"},
            "int_sales__lines_priced: dim_campaigns proves no key of it",
        ),
        # It has none itself.
        (
            "model.tally.int_shared__coupon_products_unioned",
            {"key_proven_by": "int_shared__calendar_bounded"},
            "int_shared__coupon_products_unioned: int_shared__calendar_bounded proves no key of it",
        ),
        ("model.tally.dim_dates", {"no_key": "none"}, "dim_dates: has a key, and no_key"),
        ("seed.tally.kpi_catalog", {}, "kpi_catalog"),
    ],
)
def test_unproven_key_is_named(
    manifest: dict, unique_id: str, meta: dict[str, str], named: str
) -> None:
    broken = json.loads(json.dumps(manifest))
    broken["nodes"][unique_id]["config"]["meta"] = meta
    assert list(unproven_keys(broken)) == [named]


def proven_twice(manifest: dict) -> Iterator[str]:
    """Name the tests of what a contract enforces when the table is written."""
    for unique_id, name, arguments in generic_tests(manifest):
        node = manifest["nodes"].get(unique_id)
        if node is None or not is_enforced(node):
            continue
        columns = arguments.get("combination_of_columns") or [arguments.get("column_name")]
        if name == "not_null":
            constraints = node["columns"][columns[0]]["constraints"]
            if "not_null" in {constraint["type"] for constraint in constraints}:
                yield f"{node['name']}: not_null of {columns[0]}"
        elif name.startswith("unique") and set(columns) == primary_key(node):
            yield f"{node['name']}: {name} of {', '.join(columns)}"


def test_no_test_repeats_an_enforced_constraint(manifest: dict) -> None:
    assert list(proven_twice(manifest)) == []


def test_test_that_repeats_a_constraint_is_named(manifest: dict) -> None:
    broken = json.loads(json.dumps(manifest))
    broken["nodes"]["model.tally.fct_baskets"]["constraints"].append(
        {"type": "primary_key", "columns": ["basket_id"]}
    )
    assert list(proven_twice(broken)) == ["fct_baskets: unique of basket_id"]


def layer(unique_id: str, nodes: dict) -> str:
    kind = unique_id.split(".")[0]
    return nodes[unique_id]["fqn"][1] if kind == "model" else kind


def test_layers_are_read_in_one_direction(manifest: dict) -> None:
    may_read = {
        "staging": {"source"},
        "intermediate": {"staging", "intermediate", "seed"},
        "marts": {"intermediate", "marts", "seed", "snapshot"},
        # Of the intermediate steps, what the sources counted; all others are private.
        "kpis": {"marts", "kpis", "seed", "intermediate"},
        # Its own way from the raw tables, and what it is held against.
        "audit": {"source", "staging", "marts", "kpis", "audit", "seed"},
        "snapshot": {"intermediate"},
    }
    nodes = manifest["nodes"]
    for node in nodes.values():
        if node["resource_type"] not in ("model", "snapshot"):
            continue
        for parent in node["depends_on"]["nodes"]:
            assert layer(parent, nodes) in may_read[layer(node["unique_id"], nodes)], (
                f"{node['name']} reads {parent}"
            )


def test_staging_is_read_by_the_unions_of_systems_and_the_audit_alone(manifest: dict) -> None:
    nodes = manifest["nodes"]
    readers = {
        node["name"]
        for node in nodes.values()
        if node["resource_type"] in ("model", "snapshot") and node["fqn"][1] != "staging"
        for parent in node["depends_on"]["nodes"]
        if layer(parent, nodes) == "staging"
    }
    unions = {name for name in readers if re.fullmatch(r"int_shared__\w+_unioned", name)}
    assert unions and readers - unions == {"audit_controls"}


def test_variables_are_explained() -> None:
    lines = (ROOT / "dbt_project.yml").read_text().splitlines()
    for name in yaml.safe_load("\n".join(lines))["vars"]:
        (at,) = [i for i, line in enumerate(lines) if line.startswith(f"  {name}:")]
        assert lines[at - 1].strip().startswith("#"), name


def test_every_exposure_has_an_owner_and_reads_something(manifest: dict) -> None:
    assert manifest["exposures"]
    for unique_id, exposure in manifest["exposures"].items():
        assert exposure["owner"]["name"] and exposure["owner"]["email"], unique_id
        assert exposure["depends_on"]["nodes"], unique_id


def test_every_metric_that_is_a_kpi_has_its_name(manifest: dict) -> None:
    with (ROOT / "seeds/kpi_catalog.csv").open(newline="") as file:
        names = {row["kpi_id"]: row["kpi_name"] for row in csv.DictReader(file)}
    labels = {metric["name"]: metric["label"] for metric in manifest["metrics"].values()}
    assert names.keys() - labels.keys() == {"campaign_redemption_rate"}
    assert all(labels.values())
    for name in names.keys() & labels.keys():
        assert labels[name] == names[name]
