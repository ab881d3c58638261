"""The way of a figure: the sources and models that it went through, the loads that brought it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from publishing.database import identifier
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
        table: Raw table.
        load_id: dlt's id.
        completed_at: When it was complete (UTC); None where dlt has no record of it.
        row_count: Rows of the period and slice.
    """

    table: str
    load_id: str
    completed_at: datetime | None
    row_count: int


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
    (mart,) = (key for key, node in nodes.items() if node["name"] == "kpi_values")
    ordered: list[str] = []

    def visit(key: str) -> None:
        if key in ordered:
            return
        for parent in _parents(nodes, key, measures):
            visit(parent)
        ordered.append(key)

    visit(mart)
    return [_step(connection, nodes[key]) for key in ordered]


def _parents(nodes: dict[str, Any], key: str, measures: list[str]) -> list[str]:
    """Give the parents of a node; where it puts many measures in one column, those with ours."""
    parents = [
        parent
        for parent in nodes[key].get("depends_on", {}).get("nodes", [])
        if parent in nodes and nodes[parent]["resource_type"] != "test"
    ]
    if "measure_id" not in nodes[key].get("columns", {}):
        return parents
    ours = [
        parent
        for parent in parents
        if any(measure in nodes[parent].get("columns", {}) for measure in measures)
    ]
    return ours or parents


def _step(connection: duckdb.DuckDBPyConnection, node: dict[str, Any]) -> Step:
    schema, name = node["schema"], node.get("alias") or node["identifier"]
    kind = node["resource_type"]
    layer = node["fqn"][1] if kind == "model" else kind
    try:
        (rows,) = connection.execute(
            f"select count(*) from {identifier(schema)}.{identifier(name)}"
        ).fetchone()
    except duckdb.CatalogException:
        rows = None
    return Step(layer, f"{schema}.{name}", rows)


def loads(connection: duckdb.DuckDBPyConnection, recomputation: Recomputation) -> list[Load]:
    """Give the loads that brought the rows which a figure counts."""
    found = []
    for cte, table in recomputation.rows.items():
        schema = table.split(".")[0]
        brought = connection.execute(
            f"{recomputation.with_rows}\n"
            "select _dlt_load_id, any_value(loads.inserted_at), count(*)"
            f" from {cte} left join {schema}._dlt_loads as loads"
            f" on {cte}._dlt_load_id = loads.load_id"
            " group by _dlt_load_id order by _dlt_load_id"
        ).fetchall()
        found += [Load(table, *load) for load in brought]
    return found
