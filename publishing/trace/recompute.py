"""One SQL statement that gives a figure from the raw tables: to read, to copy, to run.

It is written per measure and asks only for what the figure needs. It shares nothing with the
models; a test holds every measure, grain and slice against them. A measure that is not here is
taken from dbt's compiled SQL of audit_measures, which has all of them and is long.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from textwrap import indent

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

# Columns of sales; a statement has those that its measures name.
SALES_COLUMNS = {
    "basket_id": "transactions.basket_id",
    "household_id": "transactions.household_id",
    "net_cents": "cast(round(transactions.sales_value * 100) as bigint) as net_cents",
    "loyalty_cents": "cast(round(transactions.retail_disc * 100) as bigint) as loyalty_cents",
    "match_cents": "cast(round(transactions.coupon_match_disc * 100) as bigint) as match_cents",
    "is_private": "coalesce(products.brand = 'Private', false) as is_private",
    "is_promoted": """\
exists (
    select 1 from {promotions} as promotions
    where
        promotions.product_id = transactions.product_id
        and promotions.store_id = transactions.store_id
        and promotions.week = transactions.week
) as is_promoted""",
}

# Slice to its value in the raw tables.
TRANSACTION_SLICES = {
    "department": "coalesce(products.department, 'Unknown')",
    "brand_type": "coalesce(products.brand, 'Unknown')",
    "household_income_band": "coalesce(demographics.income, 'Unknown')",
    "store": "cast(coalesce(transactions.store_id, {unknown_key}) as varchar)",
}

# What transactions are joined to, where a column or slice is of it, and by which key.
JOINS = {"demographics": "household_id", "products": "product_id"}


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
        raw_tables: Table of the source to its name in the warehouse.
        variables: The dbt project's.
        audit_sql: dbt's compiled SQL of audit_measures, for what is not written here.

    Returns:
        None where the figure is not written here and there is no compiled SQL.
    """
    if not _is_written(figure):
        return _from_audit(figure, audit_sql) if audit_sql else None
    ctes, rows, parts = {}, {}, {}
    for part, measure in figure.measures.items():
        population, counted = MEASURES[measure]
        parts[part] = f"select coalesce({counted}, 0)\nfrom {population}"
        write, table = POPULATIONS[population]
        ctes |= write(figure, raw_tables, variables)
        rows[population] = raw_tables[table]
    return _recomputation(ctes, parts, rows)


def _is_written(figure: Figure) -> bool:
    return all(
        measure in MEASURES and figure.slice in _slices(MEASURES[measure][0])
        for measure in figure.measures.values()
    )


def _slices(population: str) -> set[str]:
    of_transactions = POPULATIONS[population][1] == "transactions"
    return {"all", *TRANSACTION_SLICES} if of_transactions else {"all", "campaign"}


def _from_audit(figure: Figure, audit_sql: str) -> Recomputation:
    parts = {
        part: _select(
            ["coalesce(any_value(measure_value), 0)"],
            "measures",
            [
                f"measure_id = {literal(measure)}",
                f"grain = {literal(figure.grain)}",
                f"period_start_date = date '{figure.start}'",
                f"slice = {literal(figure.slice)}",
                f"slice_value = {literal(figure.slice_value)}",
            ],
        )
        for part, measure in figure.measures.items()
    }
    return _recomputation({"measures": audit_sql.strip()}, parts, {})


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
        f"cast((\n{_indented(query)}\n) as decimal(18, 2)) as {part}"
        for part, query in parts.items()
    )
    value = (
        "round(cast(numerator as double) / cast(nullif(denominator, 0) as double), 6)"
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
    cast({value} as decimal(18, 6)) as value
from parts;"""
    return Recomputation(statement, rows, with_rows)


def _sales(
    figure: Figure, raw_tables: dict[str, str], variables: dict[str, object]
) -> dict[str, str]:
    local_date = _local_date(variables)
    counted = " ".join(MEASURES[measure][1] for measure in figure.measures.values())
    columns = [
        column.format(**raw_tables) for name, column in SALES_COLUMNS.items() if name in counted
    ]
    conditions = [f"{local_date}\n    between date '{figure.start}' and date '{figure.end}'"]
    ctes = {"sales": _of_transactions(columns, conditions, figure, raw_tables, variables)}
    if "newcomers" in counted:
        ctes["newcomers"] = (
            f"select household_id\nfrom {raw_tables['transactions']} as transactions\n"
            f"group by household_id\nhaving min({local_date}) >= date '{figure.start}'"
        )
    return ctes


def _visits(
    figure: Figure, raw_tables: dict[str, str], variables: dict[str, object]
) -> dict[str, str]:
    local_date = _local_date(variables)
    previous_start = figure.previous_start
    columns = [
        "transactions.household_id",
        f"{local_date}\n    < date '{figure.start}' as is_previous",
    ]
    conditions = [
        f"{local_date}\n    between date '{previous_start}' and date '{figure.end}'",
        # Nobody is followed from a period that began before the data.
        f"date '{previous_start}' >= (\n"
        f"    select min({local_date})\n"
        f"    from {raw_tables['transactions']} as transactions\n"
        ")",
    ]
    return {"visits": _of_transactions(columns, conditions, figure, raw_tables, variables)}


def _of_transactions(
    columns: list[str],
    conditions: list[str],
    figure: Figure,
    raw_tables: dict[str, str],
    variables: dict[str, object],
) -> str:
    """Select from the transactions of the figure's slice, joined to what that and columns need."""
    needing = list(columns)
    if figure.slice != "all":
        sliced = TRANSACTION_SLICES[figure.slice].format(**variables)
        conditions = [*conditions, f"{sliced} = {literal(figure.slice_value)}"]
        needing.append(sliced)
    source = f"{raw_tables['transactions']} as transactions"
    for table, key in JOINS.items():
        if any(f"{table}." in expression for expression in needing):
            source += (
                f"\nleft join {raw_tables[table]} as {table}\n"
                f"    on transactions.{key} = {table}.{key}"
            )
    return _select([*columns, "transactions._dlt_load_id"], source, conditions)


def _redemptions(
    figure: Figure, raw_tables: dict[str, str], _: dict[str, object]
) -> dict[str, str]:
    conditions = [
        f"cast(redemption_date as date) between date '{figure.start}' and date '{figure.end}'",
        *_of_campaign(figure, "campaign_id"),
    ]
    source = f"{raw_tables['coupon_redemptions']} as coupon_redemptions"
    return {"redemptions": _select(["household_id", "_dlt_load_id"], source, conditions)}


def _targets(figure: Figure, raw_tables: dict[str, str], _: dict[str, object]) -> dict[str, str]:
    has_redeemed = f"""\
exists (
    select 1 from {raw_tables["coupon_redemptions"]} as redemptions
    where
        redemptions.household_id = campaigns.household_id
        and redemptions.campaign_id = campaigns.campaign_id
        and cast(redemptions.redemption_date as date)
            between date '{figure.start}' and date '{figure.end}'
) as has_redeemed"""
    source = f"""\
{raw_tables["campaigns"]} as campaigns
inner join {raw_tables["campaign_descriptions"]} as descriptions
    on campaigns.campaign_id = descriptions.campaign_id"""
    conditions = [
        f"cast(descriptions.start_date as date) <= date '{figure.end}'",
        f"cast(descriptions.end_date as date) >= date '{figure.start}'",
        *_of_campaign(figure, "campaigns.campaign_id"),
    ]
    return {"targets": _select([has_redeemed, "campaigns._dlt_load_id"], source, conditions)}


# Population to what writes it, and the raw table whose rows it counts one by one.
POPULATIONS = {
    "sales": (_sales, "transactions"),
    "visits": (_visits, "transactions"),
    "redemptions": (_redemptions, "coupon_redemptions"),
    "targets": (_targets, "campaigns"),
}


def _of_campaign(figure: Figure, column: str) -> list[str]:
    if figure.slice == "all":
        return []
    return [f"cast({column} as varchar) = {literal(figure.slice_value)}"]


def _local_date(variables: dict[str, object]) -> str:
    timezone = literal(str(variables["business_timezone"]))
    timestamp = "transactions.transaction_timestamp"
    return f"cast({timestamp} at time zone 'UTC' at time zone {timezone} as date)"


def _select(columns: list[str], source: str, conditions: list[str]) -> str:
    listed, conjunction = ",\n".join(columns), "\nand ".join(conditions)
    return f"""\
select
{_indented(listed)}
from {source}
where
{_indented(conjunction)}"""


def _indented(body: str) -> str:
    return indent(body, "    ")
