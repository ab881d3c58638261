"""The way of a figure: the sources and models that it went through, the loads that brought it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from publishing.database import identifier
from publishing.dbt_record import node_named, parents
from publishing.trace.audit import Audit, AuditModel
from publishing.trace.recompute import Recomputation


@dataclass(frozen=True)
class Step:
    """A source, seed or model that the figure went through.

    Attributes:
        layer: source, seed, staging, intermediate, marts, ...
        name: Schema and name.
        row_count: Rows of all periods; None where it is not built.
    """

    layer: str
    name: str
    row_count: int | None


@dataclass(frozen=True)
class Load:
    """What a load of dlt brought of the rows that are counted.

    Attributes:
        table: Raw table, or tables where a row is made of several.
        load_id: dlt's id.
        completed_at: When it was complete (UTC); None where dlt has no record of it.
        row_count: Rows of the period and slice.
    """

    table: str
    load_id: str
    completed_at: datetime | None
    row_count: int


@dataclass(frozen=True)
class Entity:
    """Where the rows of a kind, which the audit has without their loads, are found with them.

    Attributes:
        name: View with the rows of all systems.
        key: Columns that a row is known by in the audit.
        own_key: The same of the view.
    """

    name: str
    key: str
    own_key: str


# Kind of rows to its entity.
ENTITIES = {
    "lines": Entity(
        "int_shared__sales_lines_unioned",
        "basket_id, product_id",
        "basket_id, product_id",
    ),
    "redemptions": Entity(
        "int_shared__coupon_redemptions_unioned",
        "household_id, campaign, redemption_date",
        "household_id, campaign_id, redemption_date",
    ),
    "targets": Entity(
        "int_shared__campaign_households_unioned",
        "household_id, campaign",
        "household_id, campaign_id",
    ),
}


def lineage(
    connection: duckdb.DuckDBPyConnection, manifest: dict[str, Any], measures: list[str]
) -> list[Step]:
    """Give what a figure went through, from the sources to kpi_values.

    Args:
        connection: Has the warehouse open.
        manifest: dbt's.
        measures: Numerator and denominator of the figure.
    """
    nodes = {**manifest["nodes"], **manifest["sources"]}
    ordered: list[str] = []
    seen: set[str] = set()

    def visit(key: str) -> None:
        if key in seen:
            return
        seen.add(key)
        for parent in _parents(nodes, key, measures):
            visit(parent)
        ordered.append(key)

    visit(node_named(manifest, "kpi_values"))
    return [_step(connection, nodes[key]) for key in ordered]


def _parents(nodes: dict[str, Any], key: str, measures: list[str]) -> list[str]:
    """Give the parents of a node; where it puts many measures in one column, those with ours."""
    found = [
        parent
        for parent in parents(nodes[key])
        if parent in nodes and nodes[parent]["resource_type"] != "test"
    ]
    if "measure_id" not in nodes[key]["columns"]:
        return found
    ours = [
        parent
        for parent in found
        if any(measure in nodes[parent]["columns"] for measure in measures)
    ]
    return ours or found


def _step(connection: duckdb.DuckDBPyConnection, node: dict[str, Any]) -> Step:
    schema, name = node["schema"], node.get("alias") or node["identifier"]
    kind = node["resource_type"]
    layer = node["fqn"][1] if kind == "model" and len(node["fqn"]) > 1 else kind
    try:
        (rows,) = connection.execute(
            f"select count(*) from {identifier(schema)}.{identifier(name)}"
        ).fetchone()
    except duckdb.CatalogException:
        rows = None
    return Step(layer, f"{schema}.{name}", rows)


def loads(
    connection: duckdb.DuckDBPyConnection,
    manifest: dict[str, Any],
    audit: Audit,
    recomputation: Recomputation,
) -> list[Load]:
    """Give the loads that brought the rows which a figure counts, system by system.

    Args:
        connection: Has the warehouse open.
        manifest: dbt's.
        audit: That of the systems that are built.
        recomputation: How the figure is made.
    """
    found = []
    for cte, rows in recomputation.rows.items():
        models, entity = audit.of(rows), ENTITIES[rows]
        brought = connection.execute(
            f"{recomputation.with_rows}\n"
            "select source_system, load_id, count(*)"
            f" from {_relation(manifest, entity)} as entity"
            f" where ({entity.own_key}) in (select ({entity.key}) from {cte})"
            " group by source_system, load_id order by load_id"
        ).fetchall()
        for model in models:
            sources = _made_of(manifest, model, entity)
            completed = _completed(connection, {source["schema"] for source in sources})
            tables = ", ".join(f"{source['schema']}.{source['identifier']}" for source in sources)
            found += [
                Load(tables, load_id, completed.get(load_id), row_count)
                for system, load_id, row_count in brought
                if system == model.system
            ]
    return found


def _completed(connection: duckdb.DuckDBPyConnection, schemas: set[str]) -> dict[str, datetime]:
    """Give when loads into these schemas were complete, by dlt's id."""
    return {
        load_id: completed_at
        for schema in schemas
        for load_id, completed_at in connection.execute(
            f"select load_id, inserted_at from {identifier(schema)}._dlt_loads"
        ).fetchall()
    }


def _made_of(manifest: dict[str, Any], model: AuditModel, entity: Entity) -> list[dict[str, Any]]:
    """Give the raw tables that a row is made of: those that the models make the entity of, too."""
    of_entity = _sources(manifest, node_named(manifest, entity.name))
    return [manifest["sources"][key] for key in model.sources if key in of_entity]


def _sources(manifest: dict[str, Any], key: str) -> set[str]:
    """Give the sources that a model stands on."""
    if key in manifest["sources"]:
        return {key}
    return {
        source
        for parent in parents(manifest["nodes"].get(key, {}))
        for source in _sources(manifest, parent)
    }


def _relation(manifest: dict[str, Any], entity: Entity) -> str:
    return manifest["nodes"][node_named(manifest, entity.name)].get("relation_name")
