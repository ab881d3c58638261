"""Explains one number: what it means, the way it came, and the rows that it is made of."""

from __future__ import annotations

import difflib
import re
import textwrap
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from publishing import text
from publishing.database import identifier, open_for_reading, reason
from publishing.dbt_record import read_manifest
from publishing.errors import PublishingError, UsageError
from publishing.paths import project_variables
from publishing.recompute import Figure, Recomputation, recompute

BUILD_FIRST = "load with `python -m ingestion` and run `dbt build`"

PERIOD = re.compile(
    r"(?P<year>\d{4})-(?:W(?P<week>\d{1,3})|(?P<month>\d{2})(?:-(?P<day>\d{2}))?)", re.IGNORECASE
)

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
    loads: list[Load] = field(default_factory=list)
    audit: dict[str, Any] | None = None

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


PARTS = ("numerator", "denominator", "value")


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
        PublishingError: the warehouse or the manifest cannot be read.
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
    definition = _definition(connection, kpi_id)
    grain, start = _period(connection, period)
    row = _row(connection, definition, grain, start, period, _slice(slice_))
    figure = Figure(
        definition["numerator_measure"],
        definition["denominator_measure"],
        grain,
        row["period_start_date"],
        row["period_end_date"],
        row["slice"],
        row["slice_value"],
    )
    sources = manifest["sources"].values()
    raw_tables = {
        source["name"]: f"{source['schema']}.{source['identifier']}" for source in sources
    }
    recomputation = recompute(figure, raw_tables, project_variables(), _audit_sql(manifest, target))
    result: dict[str, Decimal | None] = {}
    loads: list[Load] = []
    if recomputation:
        result = {"denominator": None} | (_rows(connection, recomputation.statement) or [{}])[0]
        loads = _loads(connection, recomputation)
    audits = _rows(
        connection,
        "select * from audit.audit_kpis where kpi_id = ? and grain = ? and period_start_date = ?"
        " and slice = ? and slice_value = ?",
        [row[name] for name in ("kpi_id", "grain", "period_start_date", "slice", "slice_value")],
    )
    return Trace(
        definition,
        row,
        _label(connection, grain, row["period_start_date"]),
        _lineage(connection, manifest, figure),
        recomputation,
        result,
        loads,
        audits[0] if audits else None,
    )


def _rows(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: list[object] | None = None
) -> list[dict[str, Any]]:
    result = connection.execute(query, parameters)
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _nearest(wanted: str, known: list[str]) -> str:
    folded = {name.casefold(): name for name in known}
    matches = difflib.get_close_matches(wanted.casefold(), folded, n=3, cutoff=0.4)
    nearest = [folded[match] for match in matches]
    if nearest:
        return f"nearest: {', '.join(nearest)}"
    listed = ", ".join(sorted(known)[:10])
    return f"there are: {listed}{', ...' if len(known) > 10 else ''}"


def _definition(connection: duckdb.DuckDBPyConnection, kpi_id: str) -> dict[str, Any]:
    catalog = {row["kpi_id"]: row for row in _rows(connection, "select * from seeds.kpi_catalog")}
    if kpi_id not in catalog:
        raise UsageError(
            f"KPI {kpi_id}: expected one of seeds/kpi_catalog.csv, found none;"
            f" {_nearest(kpi_id, list(catalog))}"
        )
    return catalog[kpi_id]


def _period(connection: duckdb.DuckDBPyConnection, period: str) -> tuple[str, date]:
    """Give grain and first date of a period as people write it."""
    form = "a month 2017-06, a day 2017-06-15 or a business week 2017-W23"
    match = PERIOD.fullmatch(period.strip())
    if not match:
        raise UsageError(f"period {period}: expected {form}")
    year = int(match["year"])
    if match["week"] is None:
        try:
            start = date(year, int(match["month"]), int(match["day"] or 1))
        except ValueError as error:
            raise UsageError(f"period {period}: expected {form}, found: {error}") from None
        return ("day" if match["day"] else "month"), start
    number = int(match["week"])
    starts = dict(
        connection.execute(
            "select distinct business_week, week_start_date from marts.dim_dates"
            " where week_start_date in"
            " (select period_start_date from marts.kpi_values where grain = 'week')"
        ).fetchall()
    )
    if number not in starts:
        near = min(starts, key=lambda known: abs(known - number), default=None)
        raise UsageError(
            f"period {period}: expected a business week with data, found none; nearest:"
            f" {'none' if near is None else text.week(starts[near], near)}"
        )
    start = starts[number]
    # Weeks are counted on through the years, so the number alone says which it is.
    if year not in (start.year, date.fromordinal(start.toordinal() + 6).year):
        raise UsageError(
            f"period {period}: expected a business week of {year}, found that week {number} begins"
            f" {start}; nearest: {text.week(start, number)}"
        )
    return "week", start


def _slice(slice_: str | None) -> tuple[str, str]:
    if slice_ is None or slice_ == "all":
        return "all", "all"
    name, separator, value = slice_.partition("=")
    if not separator or not name or not value:
        raise UsageError(f"slice {slice_}: expected SLICE=VALUE, such as department=GROCERY")
    return name, value


def _row(
    connection: duckdb.DuckDBPyConnection,
    definition: dict[str, Any],
    grain: str,
    start: date,
    period: str,
    slice_: tuple[str, str],
) -> dict[str, Any]:
    """Find the figure; say what is wrong and what there is where it is not there."""
    kpi_id, (name, value) = definition["kpi_id"], slice_
    rows = _rows(
        connection,
        "select * from marts.kpi_values where kpi_id = ? and grain = ? and period_start_date = ?"
        " and slice = ? and slice_value = ?",
        [kpi_id, grain, start, name, value],
    )
    if len(rows) == 1:
        return rows[0]
    if len(rows) > 1:
        raise PublishingError(
            f"marts.kpi_values: expected one row of {kpi_id}, {period}, {name}={value}, found"
            f" {len(rows)}; run `dbt build` and read its failing tests"
        )

    def known(column: str, *conditions: tuple[str, object]) -> list[Any]:
        where = " and ".join(f"{identifier(key)} = ?" for key, _ in conditions)
        return [
            found
            for (found,) in connection.execute(
                f"select distinct {identifier(column)} from marts.kpi_values where {where}"
                " order by all",
                [given for _, given in conditions],
            ).fetchall()
        ]

    of_kpi = ("kpi_id", kpi_id)
    if name not in (slices := known("slice", of_kpi)):
        raise UsageError(
            f"slice {name}: expected one that {kpi_id} has, found none; {_nearest(name, slices)}"
        )
    if grain not in (grains := known("grain", of_kpi, ("slice", name))):
        raise UsageError(
            f"period {period}: expected a {' or '.join(grains)} for {kpi_id} by slice {name},"
            f" found a {grain}"
        )
    by_slice = (of_kpi, ("grain", grain), ("slice", name))
    if value not in (values := known("slice_value", *by_slice)):
        raise UsageError(
            f"slice {name}={value}: expected a value that {kpi_id} has by {grain}, found none;"
            f" {_nearest(value, values)}"
        )
    starts = known("period_start_date", *by_slice, ("slice_value", value))
    near = min(starts, key=lambda other: abs((other - start).days))
    first, last = (_label(connection, grain, found) for found in (starts[0], starts[-1]))
    raise UsageError(
        f"period {period}: expected a {grain} with data, {first} to {last}, found none; nearest:"
        f" {_label(connection, grain, near)}"
    )


def _label(connection: duckdb.DuckDBPyConnection, grain: str, start: date) -> str:
    found = connection.execute(
        "select business_week from marts.dim_dates where business_date = ?", [start]
    ).fetchone()
    if grain == "week" and not found:
        # The first week may begin before the calendar does.
        found = connection.execute(
            "select any_value(business_week) from marts.dim_dates where week_start_date = ?",
            [start],
        ).fetchone()
    return text.period(grain, start, found[0] if found else None)


def _audit_sql(manifest: dict[str, Any], target: Path) -> str | None:
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and node["name"] == "audit_measures":
            path = target / "compiled" / node["package_name"] / node["original_file_path"]
            return node.get("compiled_code") or (path.read_text() if path.is_file() else None)
    return None


def _lineage(
    connection: duckdb.DuckDBPyConnection, manifest: dict[str, Any], figure: Figure
) -> list[Step]:
    """Give what the figure went through, in the order in which it did."""
    nodes = {**manifest["nodes"], **manifest["sources"]}
    (mart,) = (key for key, node in nodes.items() if node["name"] == "kpi_values")
    ordered: list[str] = []

    def visit(key: str) -> None:
        if key in ordered:
            return
        for parent in _parents_of_measure(nodes, key, figure.measures):
            visit(parent)
        ordered.append(key)

    visit(mart)
    return [_step(connection, nodes[key]) for key in ordered]


def _parents_of_measure(nodes: dict[str, Any], key: str, measures: list[str]) -> list[str]:
    """Give the parents of a node; where it puts many measures in one column, those with ours."""
    parents = [
        parent
        for parent in nodes[key].get("depends_on", {}).get("nodes", [])
        if parent in nodes and nodes[parent]["resource_type"] != "test"
    ]
    if "measure_id" in nodes[key].get("columns", {}):
        return [
            parent
            for parent in parents
            if any(measure in nodes[parent].get("columns", {}) for measure in measures)
        ] or parents
    return parents


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


def _loads(connection: duckdb.DuckDBPyConnection, recomputation: Recomputation) -> list[Load]:
    loads = []
    for cte, table in recomputation.rows.items():
        schema = table.split(".")[0]
        loads += [
            Load(table, *found)
            for found in connection.execute(
                f"{recomputation.with_rows}\n"
                "select _dlt_load_id, any_value(loads.inserted_at), count(*)"
                f" from {cte} left join {schema}._dlt_loads as loads"
                f" on {cte}._dlt_load_id = loads.load_id"
                " group by _dlt_load_id order by _dlt_load_id"
            ).fetchall()
        ]
    return loads


def report(traced: Trace) -> str:
    """Lay a trace out for a terminal; its SQL can be copied as it is."""
    row, definition = traced.row, traced.definition
    sliced = "" if row["slice"] == "all" else f", {row['slice']} = {row['slice_value']}"
    return "\n".join(
        [
            f"{definition['kpi_name']}, {row['grain']} {traced.label}"
            f" ({row['period_start_date']} to {row['period_end_date']}){sliced}",
            "",
            "Definition",
            *_defined(definition),
            "",
            "Figure",
            *_valued(row, definition),
            "",
            "Way, with the rows of all periods",
            *text.aligned(
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
        "caveats": definition["caveats"] or text.NONE,
    }
    return [
        line
        for name, words in rows.items()
        for line in textwrap.wrap(
            words, 100, initial_indent=f"  {name:<13}", subsequent_indent=" " * 15
        )
    ]


def _valued(row: dict[str, Any], definition: dict[str, Any]) -> list[str]:
    unit = definition["unit"]
    figure = {
        "value": f"{text.figure(row['value'], unit)}  ({row['value']})",
        "numerator": f"{row['numerator']:,}",
        "denominator": None if row["denominator"] is None else f"{row['denominator']:,}",
        "previous": text.figure(row["previous_value"], unit),
        "change": text.change(row["value"], row["previous_value"], row["relative_change"], unit),
        "target": text.figure(row["target"], unit),
        "limits": None
        if row["lower_limit"] is None
        else f"{text.figure(row['lower_limit'], unit)} to {text.figure(row['upper_limit'], unit)}",
        "signal": row["signal_rule"] and row["signal_rule"].replace("_", " "),
        "status": f"{row['status']}: {STATUSES.get(row['status'], 'see kpi_values')}",
    }
    return [f"  {name:<13}{words or text.NONE}" for name, words in figure.items()]


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
        *text.aligned(compared, right=(1, 2)),
    ]


def _loaded(loads: list[Load]) -> list[str]:
    if not loads:
        return ["  no rows, or a measure whose rows are not known here"]
    return text.aligned(
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
