"""Print what a run of the pipeline did, and the company's main figures by month.

Reads what dbt and dlt wrote: `target/run_results.json` and the warehouse.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parent.parent

# The tables of the sources; dlt's own begin with an underscore.
RAW_TABLES = """
select table_schema, table_name
from information_schema.columns
where
    table_schema like 'raw!_%' escape '!'
    and table_schema not like '%!_staging' escape '!'
    and column_name = '_dlt_load_id'
    and table_name not like '!_%' escape '!'
    and table_name not in ('load_control_totals', 'quarantine')
order by table_schema, table_name
"""

# The latest load of a source is the one that just ran, with or without news.
LOADED = """
with latest as (
    select max(load_id) as load_id from {schema}._dlt_loads
)

select
    count(*) filter (where _dlt_load_id = latest.load_id) as loaded,
    count(*) as held
from {schema}."{table}"
cross join latest
"""

MONTHS = """
with months as (
    select
        dates.month_start_date,
        count(*) as baskets,
        count(distinct baskets.household_id) as active_households,
        sum(baskets.line_count) as lines,
        sum(baskets.gross_sales_usd) as gross_sales_usd,
        sum(baskets.net_sales_usd) as net_sales_usd
    from marts.fct_baskets as baskets
    inner join marts.dim_dates as dates
        on baskets.business_date = dates.business_date
    group by dates.month_start_date
)

select
    strftime(month_start_date, '%Y-%m') as month,
    gross_sales_usd as "gross sales $",
    net_sales_usd as "net sales $",
    baskets,
    active_households as households,
    lines,
    cast(net_sales_usd / baskets as decimal(18, 2)) as "$ a basket"
from months
order by month_start_date desc
limit 12
"""


def aligned(rows: list[tuple[object, ...]]) -> str:
    """Lay rows out as a table: the first column to the left, figures to the right."""
    cells = [[value if isinstance(value, str) else f"{value:,}" for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        f"  {first:<{widths[0]}}"
        + "".join(f"  {cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True))
        for first, *rest in cells
    )


def summary(connection: duckdb.DuckDBPyConnection, run_results: dict) -> str:
    """Give the summary as text.

    Args:
        connection: The warehouse.
        run_results: dbt's record of its latest invocation (`run_results.json`).
    """
    tables = connection.execute(RAW_TABLES).fetchall()
    loaded = [
        (
            f"{schema.removeprefix('raw_')}.{table}",
            *connection.execute(LOADED.format(schema=schema, table=table)).fetchone(),
        )
        for schema, table in tables
    ]
    built = Counter(
        (result["unique_id"].split(".")[0], result["status"]) for result in run_results["results"]
    )
    months = connection.execute(MONTHS)
    heading = tuple(column[0] for column in months.description)
    parts = [
        "Rows",
        aligned([("table", "loaded now", "in warehouse"), *loaded]),
        "",
        f"Models built: {built['model', 'success']}   seeds: {built['seed', 'success']}   "
        f"snapshots: {built['snapshot', 'success']}   data tests passed: {built['test', 'pass']} "
        f"of {sum(count for (kind, _), count in built.items() if kind == 'test')}",
        "",
        "Main figures (business months; the newest may not be over)",
        aligned([heading, *reversed(months.fetchall())]),
    ]
    return "\n".join(parts)


def main() -> None:
    """Print the summary of the latest run."""
    warehouse = ROOT / os.environ.get("TALLY_WAREHOUSE", "warehouse/tally.duckdb")
    target = Path(os.environ.get("DBT_TARGET_PATH", "target"))
    run_results = json.loads((ROOT / target / "run_results.json").read_text())
    with duckdb.connect(warehouse, read_only=True) as connection:
        print("\n" + summary(connection, run_results))
    print(f"\nWarehouse      {warehouse}")
    # A build that was not published yet has neither.
    for name, path in (
        ("KPIs", ROOT / os.environ.get("TALLY_SERVING", "serving") / "kpis.duckdb"),
        ("All published", ROOT / os.environ.get("TALLY_SERVING", "serving") / "tally.duckdb"),
        ("Report", ROOT / "reports" / "kpi.html"),
    ):
        if path.is_file():
            print(f"{name:<15}{path}")
    print(f"Documentation  {ROOT / target / 'index.html'} (dbt docs serve)")


if __name__ == "__main__":
    main()
