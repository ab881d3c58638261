"""A trace as text for a terminal."""

from __future__ import annotations

from typing import Any

from publishing import formatting
from publishing.trace.lineage import Load
from publishing.trace.tracing import PARTS, Trace

STATUSES = {
    "incomplete": "the period is not over, or began before the data",
    "no_value": "a ratio of nothing",
    "off_target": "misses its target by more than the tolerance",
    "improved": "a signal, the good way",
    "worsened": "a signal, the bad way",
    "changed": "a signal; neither way is good",
    "stable": "within its limits: noise",
    "no_baseline": "neither target nor limits yet",
}


def report(traced: Trace) -> str:
    """Lay a trace out for a terminal; its SQL can be copied as it is."""
    row, definition = traced.row, traced.definition
    sliced = ""
    if row["slice"] != "all":
        sliced = f", {row['slice']} = {formatting.quoted(row['slice_value'])}"
    return "\n".join(
        [
            formatting.shown(
                f"{definition['kpi_name']}, {row['grain']} {traced.label}"
                f" ({row['period_start_date']} to {row['period_end_date']}){sliced}"
            ),
            "",
            "Definition",
            *_defined(definition),
            "",
            "Figure",
            *_valued(row, definition),
            "",
            "Way, with the rows of all periods",
            *formatting.aligned(
                [(step.layer, step.name, _count(step.row_count)) for step in traced.lineage],
                right=(2,),
            ),
            "",
            *_recomputed(traced),
            "",
            "Loads that brought its rows",
            *_loaded(traced.loads),
            "",
            "Audit",
            _audited(traced),
        ]
    )


def _count(rows: int | None) -> str:
    return "not built" if rows is None else f"{rows:,}"


def _defined(definition: dict[str, Any]) -> list[str]:
    numerator, denominator = definition["numerator_measure"], definition["denominator_measure"]
    rows = {
        "id": definition["kpi_id"],
        "question": definition["question"],
        "parts": f"{numerator} / {denominator}" if denominator else numerator,
        "unit": definition["unit"],
        "owner": definition["owner"],
        "caveats": definition["caveats"] or formatting.MISSING,
    }
    return [
        line
        for name, words in rows.items()
        for line in formatting.wrapped(words, 100, f"  {name:<13}", " " * 15)
    ]


def _valued(row: dict[str, Any], definition: dict[str, Any]) -> list[str]:
    def in_unit(field: str) -> str:
        return formatting.in_unit(row[field], definition["unit"])

    def measure(part: str) -> str:
        return formatting.measure(row[part], definition[f"{part}_measure"] or "")

    signal = row["signal_rule"]
    has_limits = row["lower_limit"] is not None
    figure = {
        "value": f"{in_unit('value')}  ({row['value']})",
        "numerator": measure("numerator"),
        "denominator": measure("denominator"),
        "previous": in_unit("previous_value"),
        "change": formatting.change(
            row["value"], row["previous_value"], row["relative_change"], definition["unit"]
        ),
        "target": in_unit("target"),
        "limits": f"{in_unit('lower_limit')} to {in_unit('upper_limit')}" if has_limits else None,
        "signal": signal.replace("_", " ") if signal else None,
        "status": f"{row['status']}: {STATUSES.get(row['status'], 'see kpi_values')}",
    }
    return [
        formatting.shown(f"  {name:<13}{words or formatting.MISSING}")
        for name, words in figure.items()
    ]


def _recomputed(traced: Trace) -> list[str]:
    if traced.recomputation is None:
        return ["From the raw tables", "  no statement for this measure; run `dbt compile`"]
    compared = [("", "reported", "from the raw tables", "")]
    for name in PARTS:
        reported, found = traced.row[name], traced.result.get(name)
        if name == "denominator" and traced.definition["denominator_measure"] is None:
            continue
        compared.append((name, str(reported), str(found), "" if reported == found else "differs"))
    return [
        "From the raw tables, in any DuckDB with the warehouse file open",
        "",
        traced.recomputation.statement,
        "",
        *formatting.aligned(compared, right=(1, 2)),
    ]


def _loaded(loads: list[Load]) -> list[str]:
    if not loads:
        return ["  no rows, or a measure whose rows are not known here"]
    return formatting.aligned(
        [
            ("table", "load", "complete at (UTC)", "rows of the period"),
            *(
                (
                    load.table,
                    load.load_id,
                    f"{load.completed_at:%Y-%m-%d %H:%M:%S}" if load.completed_at else "unknown",
                    f"{load.row_count:,}",
                )
                for load in loads
            ),
        ],
        right=(3,),
    )


def _audited(traced: Trace) -> str:
    audit = traced.audit
    if audit is None:
        return "  not audited: run `dbt build`"
    recomputed = f"recomputed {audit['recomputed_value']}, difference {audit['difference']}"
    if traced.is_audited:
        return f"  agrees: {recomputed}"
    if not audit["is_equal"]:
        return f"  differs: {recomputed}; read audit.audit_kpis, mend the cause, run `dbt build`"
    return (
        f"  the figure changed after its audit, which saw {audit['reported_value']}"
        f" ({recomputed}): run `dbt build`"
    )
