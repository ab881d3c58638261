"""Puts a trace together, from the warehouse and dbt's manifest."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from publishing.database import fetch, open_for_reading, reason
from publishing.dbt_record import read_manifest
from publishing.errors import PublishingError
from publishing.trace.audit import Audit, read_audit
from publishing.trace.find import find
from publishing.trace.lineage import Load, Step, lineage, loads
from publishing.trace.recompute import Figure, Recomputation, recompute

BUILD_FIRST = "load with `python -m ingestion` and run `dbt build`"

PARTS = ("numerator", "denominator", "value")


@dataclass(frozen=True)
class Trace:
    """One number, explained.

    Attributes:
        definition: Row of the catalog.
        row: Row of kpi_values.
        label: The period as it was asked for.
        lineage: From the sources to kpi_values.
        recomputation: How it is made from the raw tables; None where nobody wrote that down.
        result: What the statement gave: numerator, denominator (of ratios) and value.
        loads: Loads that brought its rows.
        audit: Row of audit_kpis; None where there is none.
    """

    definition: dict[str, Any]
    row: dict[str, Any]
    label: str
    lineage: list[Step]
    recomputation: Recomputation | None
    result: dict[str, Decimal | None]
    loads: list[Load]
    audit: dict[str, Any] | None

    @property
    def is_reproduced(self) -> bool:
        """Whether the statement gives the number that is reported."""
        return all(self.result.get(name) == self.row[name] for name in PARTS)

    @property
    def is_audited(self) -> bool:
        """Whether the audit is of the number as it is reported now, and found it equal."""
        return bool(
            self.audit
            and self.audit["is_equal"]
            and all(self.audit[f"reported_{name}"] == self.row[name] for name in PARTS)
        )

    @property
    def is_confirmed(self) -> bool:
        """Whether the raw tables give the number, twice over."""
        return self.is_reproduced and self.is_audited


def trace(warehouse: Path, target: Path, kpi_id: str, period: str, slice_: str | None) -> Trace:
    """Explain one number, from the warehouse and dbt's manifest.

    Args:
        warehouse: The file that dbt builds in; read only.
        target: dbt's folder of artifacts.
        kpi_id: Which KPI.
        period: 2017-06, 2017-06-15 or 2017-W23.
        slice_: Such as department=GROCERY; None for all.

    Raises:
        UsageError: there is no such KPI, slice, slice value, or no such period with data.
        PublishingError: the warehouse or the manifest cannot be read, or the two are of other
            systems.
    """
    with open_for_reading(warehouse, "warehouse", BUILD_FIRST) as connection:
        manifest = read_manifest(target)
        try:
            return _trace(connection, manifest, target, kpi_id, period, slice_)
        except duckdb.Error as error:
            raise PublishingError(
                f"warehouse {warehouse}: expected the tables of a whole build, found:"
                f" {reason(error)}; {BUILD_FIRST}"
            ) from error


def _trace(
    connection: duckdb.DuckDBPyConnection,
    manifest: dict[str, Any],
    target: Path,
    kpi_id: str,
    period: str,
    slice_: str | None,
) -> Trace:
    definition, row, label = find(connection, kpi_id, period, slice_)
    figure = Figure(
        definition["numerator_measure"],
        definition["denominator_measure"],
        row["grain"],
        row["period_start_date"],
        row["period_end_date"],
        row["slice"],
        row["slice_value"],
    )
    audit = read_audit(manifest, target)
    _check_systems(connection, audit, target)
    recomputation = recompute(figure, audit)
    audits = fetch(
        connection,
        "select * from audit.audit_kpis where kpi_id = ? and grain = ? and period_start_date = ?"
        " and slice = ? and slice_value = ?",
        *(row["kpi_id"], figure.grain, figure.start, figure.slice, figure.slice_value),
    )
    return Trace(
        definition,
        row,
        label,
        lineage(connection, manifest, list(figure.measures.values())),
        recomputation,
        fetch(connection, recomputation.statement)[0] if recomputation else {},
        loads(connection, manifest, audit, recomputation) if recomputation else [],
        audits[0] if audits else None,
    )


def _check_systems(connection: duckdb.DuckDBPyConnection, audit: Audit, target: Path) -> None:
    """Refuse a manifest of other systems than were built: what it gives would seem to differ."""
    sold = connection.execute(
        "select distinct source_system from marts.fct_baskets where source_system is not null"
    ).fetchall()
    if missing := sorted({system for (system,) in sold} - audit.systems):
        raise PublishingError(
            f"dbt's record {target / 'manifest.json'}: expected audits of every system with"
            f" baskets in the warehouse, found none of {', '.join(missing)}; run `dbt compile` with"
            " the source_systems that were built"
        )
