"""The audits in the warehouse, held directly against the figures they are of."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from publishing.database import fetch
from publishing.dbt_record import BUILD_AGAIN
from publishing.errors import PublishingError

# The audit's own verdict is not enough: the figures may have changed since, so what it recomputed
# is compared with the figures as they are now. Both sides are counted apart, because a join would
# hide a key that is there twice.
KPI_FAILURES = """
select
    coalesce(figures.kpi_id, audits.kpi_id) as kpi_id,
    coalesce(figures.grain, audits.grain) as grain,
    coalesce(figures.period_start_date, audits.period_start_date) as period_start_date,
    coalesce(figures.slice, audits.slice) as slice,
    coalesce(figures.slice_value, audits.slice_value) as slice_value,
    figures.value as reported,
    audits.recomputed_value as recomputed,
    figures.numerator as reported_numerator,
    audits.recomputed_numerator,
    figures.denominator as reported_denominator,
    audits.recomputed_denominator,
    case
        when figures.kpi_id is null then 'not reported'
        when audits.kpi_id is null then 'not audited'
        when
            figures.value is distinct from audits.reported_value
            or figures.numerator is distinct from audits.reported_numerator
            or figures.denominator is distinct from audits.reported_denominator
            then 'changed since the audit'
        else 'not equal'
    end as fault,
    count(*) over () as failure_count
from {database}.marts.kpi_values as figures
full outer join {database}.audit.audit_kpis as audits
    on
        figures.kpi_id = audits.kpi_id
        and figures.grain = audits.grain
        and figures.period_start_date = audits.period_start_date
        and figures.slice = audits.slice
        and figures.slice_value = audits.slice_value
where
    fault <> 'not equal'
    or not coalesce(audits.is_equal, false)
    or figures.value is distinct from audits.recomputed_value
    or figures.numerator is distinct from audits.recomputed_numerator
    or figures.denominator is distinct from audits.recomputed_denominator
order by fault, kpi_id, grain, period_start_date, slice, slice_value
limit 1
"""

COUNTS = """
select
    (select count(*) from {database}.marts.kpi_values),
    (select count(*) from {database}.audit.audit_kpis)
"""

CONTROL_FAILURES = """
select
    source_name,
    table_name,
    measure,
    column_name,
    source_value,
    raw_value,
    staging_value,
    mart_name,
    mart_value,
    count(*) over () as failure_count
from {database}.audit.audit_controls
where verdict is null or verdict not in ('agrees', 'superseded')
order by source_name, table_name, measure, column_name
limit 1
"""


@dataclass(frozen=True)
class Audited:
    """How much was audited, all of it in agreement.

    Attributes:
        figure_count: Figures of kpi_values recomputed from the raw tables.
        control_total_count: Counts and sums of the latest loads found again in the warehouse.
    """

    figure_count: int
    control_total_count: int


def passed_audits(connection: duckdb.DuckDBPyConnection, database: str) -> Audited:
    """Check the audits of a warehouse.

    Args:
        connection: Has the warehouse attached.
        database: Quoted name that it is attached under.

    Raises:
        PublishingError: a figure is not audited, differs from what was recomputed, or changed
            since; or a control total differs.
    """
    figures, audits = connection.execute(COUNTS.format(database=database)).fetchone()
    if failed := fetch(connection, KPI_FAILURES.format(database=database)):
        raise PublishingError(_kpi_message(failed[0]))
    if figures != audits or not figures:
        raise PublishingError(
            f"audit_kpis: expected one audit for each of the {figures:,} figures of kpi_values,"
            f" and at least one, found {audits:,} audits; {BUILD_AGAIN}"
        )
    if failed := fetch(connection, CONTROL_FAILURES.format(database=database)):
        raise PublishingError(_control_message(failed[0]))
    (agreeing,) = connection.execute(
        f"select count(*) from {database}.audit.audit_controls where verdict = 'agrees'"
    ).fetchone()
    if not agreeing:
        raise PublishingError(
            "audit_controls: expected control totals of the latest loads, found none; load with"
            f" `python -m ingestion`, then {BUILD_AGAIN}"
        )
    return Audited(figures, agreeing)


def _kpi_message(failure: dict[str, object]) -> str:
    reported, recomputed = failure["reported"], failure["recomputed"]
    parts = ""
    if reported == recomputed:
        parts = (
            f" (of {failure['reported_numerator']} / {failure['reported_denominator']},"
            f" recomputed of {failure['recomputed_numerator']} /"
            f" {failure['recomputed_denominator']})"
        )
    stale = failure["fault"] in ("changed since the audit", "not audited")
    return (
        f"KPI {failure['kpi_id']}, {failure['grain']} from {failure['period_start_date']},"
        f" {failure['slice']} = {failure['slice_value']}: {failure['fault']}: reported {reported},"
        f" recomputed from the raw tables {recomputed}{parts}{_and_more(failure)}; "
        + ("" if stale else "read audit.audit_kpis where not is_equal, mend the cause, ")
        + BUILD_AGAIN
    )


def _control_message(failure: dict[str, object]) -> str:
    column = f" of {failure['column_name']}" if failure["column_name"] else ""
    return (
        f"control total {failure['source_name']}.{failure['table_name']},"
        f" {failure['measure']}{column}: expected {failure['source_value']} as the source counted,"
        f" found raw {failure['raw_value']}, staging {failure['staging_value']},"
        f" {failure['mart_name']} {failure['mart_value']}{_and_more(failure)};"
        " read audit.audit_controls, load the table whole (`python -m ingestion --table"
        f" {failure['source_name']}.{failure['table_name']} --full-refresh`), {BUILD_AGAIN}"
    )


def _and_more(failure: dict[str, object]) -> str:
    others = failure["failure_count"] - 1
    return f" (and {others:,} more)" if others else ""
