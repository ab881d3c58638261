"""One SQL statement that gives a figure from the raw tables: to read, to copy, to run.

It begins with what the audit reads of each system that is built, as dbt compiled it, and counts in
it what the figure counts. Counting is written per measure here; a test holds every measure, grain
and slice against the models. A measure that is not here is taken from dbt's compiled SQL of
audit_measures, which has all of them and is long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from textwrap import indent

from publishing.database import literal
from publishing.trace.audit import MEASURES_MODEL, Audit

# Measure to what is counted and how, over the rows of its population.
MEASURES: dict[str, tuple[str, str]] = {
    "net_sales_usd": ("sales", "sum(net_cents) * 0.01"),
    "gross_sales_usd": ("sales", "sum(net_cents + loyalty_cents + match_cents) * 0.01"),
    "retailer_discount_usd": ("sales", "sum(loyalty_cents + match_cents) * 0.01"),
    "private_label_net_sales_usd": ("sales", "sum(net_cents) filter (where is_private) * 0.01"),
    "promoted_net_sales_usd": ("sales", "sum(net_cents) filter (where is_promoted) * 0.01"),
    "line_count": ("sales", "count(*)"),
    "loyalty_discount_line_count": ("sales", "count(*) filter (where loyalty_cents > 0)"),
    "basket_count": ("sales", "count(distinct basket_id)"),
    "active_household_count": ("sales", "count(distinct household_id)"),
    "new_household_count": (
        "sales",
        "count(distinct household_id) filter (\n"
        "    where household_id in (select household_id from newcomers)\n"
        ")",
    ),
    "previous_active_household_count": (
        "visits",
        "count(distinct household_id) filter (where is_previous)",
    ),
    "retained_household_count": (
        "visits",
        "count(distinct household_id) filter (\n"
        "    where\n"
        "        is_previous\n"
        "        and household_id in (select household_id from visits where not is_previous)\n"
        ")",
    ),
    "coupon_redemption_count": ("redeemed", "count(*)"),
    "redeeming_household_count": ("redeemed", "count(distinct household_id)"),
    "running_target_count": ("targeted", "count(*)"),
    "redeeming_target_count": ("targeted", "count(*) filter (where has_redeemed)"),
}

# Kind of rows to the slices that its models have a column of.
SLICES = {
    "lines": {"department", "brand_type", "household_income_band", "store"},
    "redemptions": {"campaign"},
    "targets": {"campaign"},
}


@dataclass(frozen=True)
class Figure:
    """Which figure it is.

    Attributes:
        numerator: Measure.
        denominator: Measure; None for a sum.
        grain: day, week or month.
        start: First business date of the period.
        end: Last one.
        slice: `all` or what is sliced by.
        slice_value: `all` or which.
    """

    numerator: str
    denominator: str | None
    grain: str
    start: date
    end: date
    slice: str
    slice_value: str

    @property
    def measures(self) -> dict[str, str]:
        """Its measures by part: the numerator and, of a ratio, the denominator."""
        parts = {"numerator": self.numerator, "denominator": self.denominator}
        return {part: measure for part, measure in parts.items() if measure}

    @property
    def previous_start(self) -> date:
        """First business date of the period before."""
        last = self.start - timedelta(days=1)
        return {
            "day": last,
            "week": self.start - timedelta(days=7),
            "month": last.replace(day=1),
        }[self.grain]


@dataclass(frozen=True)
class Recomputation:
    """How a figure is made from the raw tables.

    Attributes:
        statement: Gives numerator, denominator and value in one row.
        rows: CTEs whose rows are counted, each with the kind of rows that they are.
        with_rows: The statement as far as the CTEs go.
    """

    statement: str
    rows: dict[str, str]
    with_rows: str


@dataclass(frozen=True)
class Population:
    """Rows that measures count.

    Attributes:
        rows: Kind of rows that it is some of.
        others: Kinds that it is looked up in, too.
        write: Gives its CTEs.
    """

    rows: str
    others: tuple[str, ...]
    write: Callable[[Figure], dict[str, str]]

    @property
    def reads(self) -> tuple[str, ...]:
        """All kinds of rows that it needs."""
        return self.rows, *self.others


def recompute(figure: Figure, audit: Audit) -> Recomputation | None:
    """Write the statement.

    Args:
        figure: Which figure.
        audit: That of the systems that are built.

    Returns:
        None where dbt has not compiled what it needs.
    """
    if not all(model.sql for model in audit.models):
        return None
    if not _is_written(figure, audit):
        return _from_measures(figure, audit)
    populations = {MEASURES[measure][0] for measure in figure.measures.values()}
    read, counted = {}, {}
    # In the order of POPULATIONS, so that a statement is the same whenever it is asked for.
    for name in POPULATIONS:
        if name in populations:
            for rows in POPULATIONS[name].reads:
                read |= _read(audit, rows)
            counted |= POPULATIONS[name].write(figure)
    parts = {}
    for part, measure in figure.measures.items():
        population, expression = MEASURES[measure]
        parts[part] = f"select coalesce({expression}, 0)\nfrom {population}"
    rows = {name: POPULATIONS[name].rows for name in POPULATIONS if name in populations}
    return _recomputation({**read, **counted}, parts, rows)


def _is_written(figure: Figure, audit: Audit) -> bool:
    """Whether the figure's measures are written here, over rows that some system has."""
    for measure in figure.measures.values():
        if measure not in MEASURES:
            return False
        population = POPULATIONS[MEASURES[measure][0]]
        if figure.slice not in {"all", *SLICES[population.rows]}:
            return False
        if not all(audit.of(rows) for rows in population.reads):
            return False
    return True


def _read(audit: Audit, rows: str) -> dict[str, str]:
    """Give the CTEs with all systems' rows of a kind: what dbt compiled, and their union."""
    models = audit.of(rows)
    union = "\nunion all by name\n".join(f"select * from {model.name}" for model in models)
    return {**{model.name: model.sql for model in models}, rows: union}


def _from_measures(figure: Figure, audit: Audit) -> Recomputation | None:
    if not audit.measures_sql:
        return None
    measures = audit.measures_sql
    # The SQL from the raw tables takes the place of the models' names.
    for model in audit.models:
        measures = measures.replace(model.relation, model.name)
    parts = {
        part: _select(
            ["coalesce(any_value(measure_value), 0)"],
            MEASURES_MODEL,
            [
                f"measure_id = {literal(measure)}",
                f"grain = {literal(figure.grain)}",
                f"period_start_date = date '{figure.start}'",
                f"slice = {literal(figure.slice)}",
                f"slice_value = {_literal(figure.slice_value)}",
            ],
        )
        for part, measure in figure.measures.items()
    }
    ctes = {model.name: model.sql for model in audit.models}
    return _recomputation({**ctes, MEASURES_MODEL: measures}, parts, {})


def _recomputation(
    ctes: dict[str, str], parts: dict[str, str], rows: dict[str, str]
) -> Recomputation:
    """Put a statement together.

    Args:
        ctes: Name to body.
        parts: Numerator and denominator, a query each.
        rows: See Recomputation.
    """
    with_rows = "with " + ",\n\n".join(
        f"{name} as (\n{_indented(body)}\n)" for name, body in ctes.items()
    )
    columns = ",\n".join(
        f"cast((\n{_indented(query)}\n) as decimal(28, 2)) as {part}"
        for part, query in parts.items()
    )
    value = (
        "cast(numerator as double) / cast(nullif(denominator, 0) as double)"
        if "denominator" in parts
        else "numerator"
    )
    statement = f"""\
{with_rows},

parts as (
    select
{_indented(_indented(columns))}
)

select
    *,
    cast({value} as decimal(28, 6)) as value
from parts;"""
    return Recomputation(statement, rows, with_rows)


def _sales(figure: Figure) -> dict[str, str]:
    ctes = {"sales": _select(["*"], "lines", [_within(figure, "local_date"), *_sliced(figure)])}
    if any("newcomers" in MEASURES[measure][1] for measure in figure.measures.values()):
        ctes["newcomers"] = (
            "select household_id\nfrom lines\n"
            f"group by household_id\nhaving min(local_date) >= date '{figure.start}'"
        )
    return ctes


def _visits(figure: Figure) -> dict[str, str]:
    conditions = [
        f"local_date between date '{figure.previous_start}' and date '{figure.end}'",
        # Nobody is followed from a period that began before the data.
        f"date '{figure.previous_start}' >= (select min(local_date) from lines)",
        *_sliced(figure),
    ]
    columns = ["*", f"local_date < date '{figure.start}' as is_previous"]
    return {"visits": _select(columns, "lines", conditions)}


def _redeemed(figure: Figure) -> dict[str, str]:
    conditions = [_within(figure, "redemption_date"), *_sliced(figure)]
    return {"redeemed": _select(["*"], "redemptions", conditions)}


def _targeted(figure: Figure) -> dict[str, str]:
    has_redeemed = f"""\
exists (
    select 1 from redemptions
    where
        redemptions.household_id = targets.household_id
        and redemptions.campaign = targets.campaign
        and redemptions.{_within(figure, "redemption_date")}
) as has_redeemed"""
    conditions = [
        f"start_date <= date '{figure.end}'",
        f"end_date >= date '{figure.start}'",
        *_sliced(figure),
    ]
    return {"targeted": _select(["*", has_redeemed], "targets", conditions)}


POPULATIONS = {
    "sales": Population("lines", (), _sales),
    "visits": Population("lines", (), _visits),
    "redeemed": Population("redemptions", (), _redeemed),
    "targeted": Population("targets", ("redemptions",), _targeted),
}


def _within(figure: Figure, column: str) -> str:
    return f"{column} between date '{figure.start}' and date '{figure.end}'"


def _sliced(figure: Figure) -> list[str]:
    if figure.slice == "all":
        return []
    return [f"{figure.slice} = {_literal(figure.slice_value)}"]


def _literal(text: str) -> str:
    """Quote a text for SQL that is copied: what is no visible character goes by its number."""
    parts = [
        literal("".join(run)) if is_seen else " || ".join(f"chr({ord(one)})" for one in run)
        for is_seen, run in groupby(text, str.isprintable)
    ]
    return " || ".join(parts) or "''"


def _select(columns: Iterable[str], source: str, conditions: Iterable[str]) -> str:
    listed, conjunction = ",\n".join(columns), "\nand ".join(conditions)
    return f"""\
select
{_indented(listed)}
from {source}
where
{_indented(conjunction)}"""


def _indented(body: str) -> str:
    return indent(body, "    ")
