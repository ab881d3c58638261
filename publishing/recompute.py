"""One SQL statement that gives a figure from the raw tables: to read, to copy, to run.

It is written per measure and asks only for what the figure needs. It shares nothing with the
models; a test holds every measure, grain and slice against them. A measure that is not here is
taken from dbt's compiled SQL of audit_measures, which has all of them and is long.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from publishing.database import literal

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
    "coupon_redemption_count": ("redemptions", "count(*)"),
    "redeeming_household_count": ("redemptions", "count(distinct household_id)"),
    "running_target_count": ("targets", "count(*)"),
    "redeeming_target_count": ("targets", "count(*) filter (where has_redeemed)"),
}

# Slice to its value in the raw tables, and the table that is joined for it.
LINE_SLICES = {
    "department": ("coalesce(products.department, 'Unknown')", "products"),
    "brand_type": ("coalesce(products.brand, 'Unknown')", "products"),
    "household_income_band": ("coalesce(demographics.income, 'Unknown')", "demographics"),
    "store": ("cast(coalesce(transactions.store_id, {unknown_key}) as varchar)", None),
}

JOINS = {
    "products": "left join {products} as products\n"
    "        on transactions.product_id = products.product_id",
    "demographics": "left join {demographics} as demographics\n"
    "        on transactions.household_id = demographics.household_id",
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
    def measures(self) -> list[str]:
        """Its parts."""
        return [part for part in (self.numerator, self.denominator) if part]


@dataclass(frozen=True)
class Recomputation:
    """How a figure is made from the raw tables.

    Attributes:
        statement: Gives numerator, denominator and value in one row.
        rows: CTEs whose rows are counted, each with the raw table that its load ids are of.
        with_rows: The statement as far as the CTEs go.
    """

    statement: str
    rows: dict[str, str]
    with_rows: str


def recompute(
    figure: Figure,
    raw_tables: dict[str, str],
    variables: dict[str, object],
    audit_sql: str | None,
) -> Recomputation | None:
    """Write the statement.

    Args:
        figure: Which figure.
        raw_tables: Table of the source to its quoted name in the warehouse.
        variables: The dbt project's.
        audit_sql: dbt's compiled SQL of audit_measures, for what is not written here.

    Returns:
        None where the figure is not written here and there is no compiled SQL.
    """
    populations = {MEASURES[measure][0] for measure in figure.measures if measure in MEASURES}
    is_known = all(measure in MEASURES for measure in figure.measures) and all(
        figure.slice == "all"
        or figure.slice in (LINE_SLICES if population in ("sales", "visits") else ("campaign",))
        for population in populations
    )
    if not is_known:
        if audit_sql is None:
            return None
        return _from_audit(figure, audit_sql)
    ctes, rows = [], {}
    for population in sorted(populations):
        written, driver = WRITERS[population](figure, raw_tables, variables)
        ctes += written
        rows[population] = raw_tables[driver]
    with_rows = "with " + ",\n\n".join(f"{name} as (\n{_indented(body)}\n)" for name, body in ctes)
    parts = {
        name: f"select coalesce({MEASURES[measure][1]}, 0)\nfrom {MEASURES[measure][0]}"
        for name, measure in (("numerator", figure.numerator), ("denominator", figure.denominator))
        if measure
    }
    return Recomputation(f"{with_rows},\n\n{_ending(parts)}", rows, with_rows)


def _from_audit(figure: Figure, audit_sql: str) -> Recomputation:
    parts = {
        name: "select coalesce(any_value(measure_value), 0)\n"
        "from measures\n"
        "where\n"
        f"    measure_id = {literal(measure)}\n"
        f"    and grain = {literal(figure.grain)}\n"
        f"    and period_start_date = date '{figure.start}'\n"
        f"    and slice = {literal(figure.slice)}\n"
        f"    and slice_value = {literal(figure.slice_value)}"
        for name, measure in (("numerator", figure.numerator), ("denominator", figure.denominator))
        if measure
    }
    with_rows = f"with measures as (\n{_indented(audit_sql.strip())}\n)"
    return Recomputation(f"{with_rows},\n\n{_ending(parts)}", {}, with_rows)


def _ending(parts: dict[str, str]) -> str:
    columns = ",\n".join(
        f"        cast((\n{_indented(_indented(_indented(query)))}\n"
        f"        ) as decimal(18, 2)) as {name}"
        for name, query in parts.items()
    )
    value = (
        "round(cast(numerator as double) / cast(nullif(denominator, 0) as double), 6)"
        if "denominator" in parts
        else "numerator"
    )
    return (
        f"parts as (\n    select\n{columns}\n)\n\n"
        f"select\n    *,\n    cast({value} as decimal(18, 6)) as value\nfrom parts;"
    )


def _local_date(column: str, variables: dict[str, object]) -> str:
    timezone = literal(str(variables["business_timezone"]))
    return f"cast({column} at time zone 'UTC' at time zone {timezone} as date)"


def _sales(
    figure: Figure, raw_tables: dict[str, str], variables: dict[str, object]
) -> tuple[list[tuple[str, str]], str]:
    local_date = _local_date("transactions.transaction_timestamp", variables)
    needed = {
        "basket_id": "transactions.basket_id",
        "household_id": "transactions.household_id",
        "net_cents": "cast(round(transactions.sales_value * 100) as bigint) as net_cents",
        "loyalty_cents": "cast(round(transactions.retail_disc * 100) as bigint) as loyalty_cents",
        "match_cents": "cast(round(transactions.coupon_match_disc * 100) as bigint) as match_cents",
    }
    counted = " ".join(MEASURES[part][1] for part in figure.measures)
    columns = [column for name, column in needed.items() if name in counted]
    joins = set()
    if "private_label_net_sales_usd" in figure.measures:
        columns.append("coalesce(products.brand = 'Private', false) as is_private")
        joins.add("products")
    if "promoted_net_sales_usd" in figure.measures:
        columns.append(
            "exists (\n"
            f"        select 1 from {raw_tables['promotions']} as promotions\n"
            "        where\n"
            "            promotions.product_id = transactions.product_id\n"
            "            and promotions.store_id = transactions.store_id\n"
            "            and promotions.week = transactions.week\n"
            "    ) as is_promoted"
        )
    columns.append("transactions._dlt_load_id")
    conditions = [f"{local_date}\n        between date '{figure.start}' and date '{figure.end}'"]
    _add_slice(figure, variables, conditions, joins)
    ctes = [("sales", _select(columns, "transactions", joins, conditions, raw_tables))]
    if "new_household_count" in figure.measures:
        ctes.append(
            (
                "newcomers",
                f"select household_id\nfrom {raw_tables['transactions']} as transactions\n"
                f"group by household_id\nhaving min({local_date}) >= date '{figure.start}'",
            )
        )
    return ctes, "transactions"


def _visits(
    figure: Figure, raw_tables: dict[str, str], variables: dict[str, object]
) -> tuple[list[tuple[str, str]], str]:
    before = figure.start - timedelta(days=1)
    previous_start = {
        "day": before,
        "week": figure.start - timedelta(days=7),
        "month": before.replace(day=1),
    }[figure.grain]
    local_date = _local_date("transactions.transaction_timestamp", variables)
    columns = [
        "transactions.household_id",
        f"{local_date}\n        < date '{figure.start}' as is_previous",
        "transactions._dlt_load_id",
    ]
    conditions = [
        f"{local_date}\n        between date '{previous_start}' and date '{figure.end}'",
    ]
    joins: set[str] = set()
    _add_slice(figure, variables, conditions, joins)
    return [
        ("visits", _select(columns, "transactions", joins, conditions, raw_tables))
    ], "transactions"


def _redemptions(
    figure: Figure, raw_tables: dict[str, str], variables: dict[str, object]
) -> tuple[list[tuple[str, str]], str]:
    conditions = [
        f"cast(redemption_date as date) between date '{figure.start}' and date '{figure.end}'",
        *_of_campaign(figure, "campaign_id"),
    ]
    columns = ["household_id", "_dlt_load_id"]
    return [
        ("redemptions", _select(columns, "coupon_redemptions", set(), conditions, raw_tables))
    ], "coupon_redemptions"


def _targets(
    figure: Figure, raw_tables: dict[str, str], variables: dict[str, object]
) -> tuple[list[tuple[str, str]], str]:
    body = (
        "select\n"
        "    exists (\n"
        f"        select 1 from {raw_tables['coupon_redemptions']} as redemptions\n"
        "        where\n"
        "            redemptions.household_id = campaigns.household_id\n"
        "            and redemptions.campaign_id = campaigns.campaign_id\n"
        "            and cast(redemptions.redemption_date as date)\n"
        f"                between date '{figure.start}' and date '{figure.end}'\n"
        "    ) as has_redeemed,\n"
        "    campaigns._dlt_load_id\n"
        f"from {raw_tables['campaigns']} as campaigns\n"
        f"inner join {raw_tables['campaign_descriptions']} as descriptions\n"
        "    on campaigns.campaign_id = descriptions.campaign_id\n"
        "where\n"
        f"    cast(descriptions.start_date as date) <= date '{figure.end}'\n"
        f"    and cast(descriptions.end_date as date) >= date '{figure.start}'"
    )
    for condition in _of_campaign(figure, "campaigns.campaign_id"):
        body += f"\n    and {condition}"
    return [("targets", body)], "campaigns"


WRITERS = {
    "sales": _sales,
    "visits": _visits,
    "redemptions": _redemptions,
    "targets": _targets,
}


def _of_campaign(figure: Figure, column: str) -> list[str]:
    if figure.slice == "all":
        return []
    return [f"cast({column} as varchar) = {literal(figure.slice_value)}"]


def _add_slice(
    figure: Figure, variables: dict[str, object], conditions: list[str], joins: set[str]
) -> None:
    if figure.slice == "all":
        return
    expression, join = LINE_SLICES[figure.slice]
    expression = expression.format(unknown_key=variables["unknown_key"])
    conditions.append(f"{expression} = {literal(figure.slice_value)}")
    if join:
        joins.add(join)


def _select(
    columns: list[str],
    table: str,
    joins: set[str],
    conditions: list[str],
    raw_tables: dict[str, str],
) -> str:
    lines = [
        "select\n    " + ",\n    ".join(columns),
        f"from {raw_tables[table]} as {table}",
        *(
            JOINS[join].format(**raw_tables).replace("\n        ", "\n    ")
            for join in sorted(joins)
        ),
        "where\n    " + "\n    and ".join(conditions),
    ]
    return "\n".join(lines)


def _indented(body: str) -> str:
    return "\n".join(f"    {line}" if line else line for line in body.split("\n"))
