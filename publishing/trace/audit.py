"""The audit's way from the raw tables, as dbt compiled it: one model a system and kind of rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from publishing.dbt_record import parents
from publishing.errors import PublishingError

MEASURES_MODEL = "audit_measures"
MODEL = re.compile(r"audit_(?P<system>\w+)__(?P<rows>\w+)")


@dataclass(frozen=True)
class AuditModel:
    """What one system gives to the audit, straight from its raw tables.

    Attributes:
        name: audit_<system>__<rows>.
        system: Source system.
        rows: What its rows are: lines, redemptions or targets.
        relation: Quoted name in the warehouse.
        sql: As dbt compiled it; None where it did not.
        sources: The raw tables that it reads, by dbt's id.
    """

    name: str
    system: str
    rows: str
    relation: str
    sql: str | None
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Audit:
    """The audit of the systems that are built.

    Attributes:
        models: A system and kind of rows each, in the order of the systems.
        measures_sql: audit_measures, every measure of them, as dbt compiled it; None where it did
            not.
    """

    models: tuple[AuditModel, ...]
    measures_sql: str | None

    @property
    def systems(self) -> set[str]:
        """The systems that are built."""
        return {model.system for model in self.models}

    def of(self, rows: str) -> list[AuditModel]:
        """Give the models of a kind of rows: one a system that has it."""
        return [model for model in self.models if model.rows == rows]


def read_audit(manifest: dict[str, Any], target: Path) -> Audit:
    """Find the audit in dbt's manifest.

    Args:
        manifest: dbt's, without what is switched off.
        target: dbt's folder of artifacts, which has the SQL where the manifest lacks it.
    """
    nodes = manifest["nodes"]
    measures = next((node for node in nodes.values() if node["name"] == MEASURES_MODEL), None)
    if measures is None:
        return Audit((), None)
    models = []
    for key in parents(measures):
        node = nodes.get(key, {"name": ""})
        if match := MODEL.fullmatch(node["name"]):
            models.append(
                AuditModel(
                    node["name"],
                    match["system"],
                    match["rows"],
                    node.get("relation_name") or "",
                    _compiled(node, target),
                    tuple(read for read in parents(node) if read in manifest["sources"]),
                )
            )
    return Audit(tuple(models), _compiled(measures, target))


def _compiled(node: dict[str, Any], target: Path) -> str | None:
    """Give the SQL of a model, from the manifest or where `dbt compile` put it."""
    sql = node.get("compiled_code")
    if not sql:
        path = target / "compiled" / node["package_name"] / node["original_file_path"]
        try:
            sql = path.read_text(encoding="utf-8") if path.is_file() else None
        except (OSError, ValueError) as error:
            raise PublishingError(
                f"dbt's record {path}: expected SQL in UTF-8, found one that cannot be read"
                f" ({error}); run `dbt compile`"
            ) from error
    return sql.strip() if sql else None
