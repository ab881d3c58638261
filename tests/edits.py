"""Edits by hand, after a build and of what is published: one cent, one row, one label."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
from synthetic import Shop

FIRST_FIGURE = (
    "kpi_id = 'net_sales' and grain = 'month' and period_start_date = date '2017-06-01'"
    " and slice = 'department' and slice_value = 'GROCERY'"
)

# At every stage: what is changed, and how.
EDITS = {
    "raw amount": (
        "raw_retail_db.transactions",
        "update raw_retail_db.transactions set sales_value = sales_value + 0.01"
        " where rowid = (select min(rowid) from raw_retail_db.transactions)",
    ),
    "raw row": (
        "raw_retail_db.products",
        "delete from raw_retail_db.products where product_id = 30",
    ),
    "raw label": (
        "raw_retail_db.products",
        "update raw_retail_db.products set department = 'GROCERIES' where product_id = 1",
    ),
    "control total": (
        "raw_retail_db.load_control_totals",
        "update raw_retail_db.load_control_totals set value = 1",
    ),
    "snapshot": (
        "snapshots.snap_products",
        "update snapshots.snap_products set dbt_valid_from = dbt_valid_from - interval 1 day",
    ),
    "fact amount": (
        "marts.fct_sales_lines",
        "update marts.fct_sales_lines set net_sales_usd = net_sales_usd + 0.01,"
        " customer_paid_usd = customer_paid_usd + 0.01, gross_sales_usd = gross_sales_usd + 0.01"
        " where rowid = (select min(rowid) from marts.fct_sales_lines)",
    ),
    "fact row twice": (
        "marts.fct_baskets",
        "insert into marts.fct_baskets from marts.fct_baskets limit 1",
    ),
    "dimension label": (
        "marts.dim_households",
        "update marts.dim_households set age_band = '?' where household_id = 'rdb:101'",
    ),
    "column names": (
        "marts.fct_sales_lines",
        "alter table marts.fct_sales_lines rename column net_sales_usd to passing;"
        "alter table marts.fct_sales_lines rename column gross_sales_usd to net_sales_usd;"
        "alter table marts.fct_sales_lines rename column passing to gross_sales_usd",
    ),
    # The same digits, and so the same hashes, with the point at another place.
    "column type": (
        "marts.fct_baskets",
        "create or replace table marts.fct_baskets as select * replace"
        " (cast(net_sales_usd / 100 as decimal(18, 4)) as net_sales_usd) from marts.fct_baskets",
    ),
    "target": (
        "marts.kpi_values",
        f"update marts.kpi_values set target = 1 where {FIRST_FIGURE}",
    ),
    "status": (
        "marts.kpi_values",
        f"update marts.kpi_values set status = 'off_target' where {FIRST_FIGURE}",
    ),
    "figures and audits together": (
        "audit.audit_kpis",
        "update marts.kpi_values set value = value + 1 where kpi_id = 'net_sales';"
        "update audit.audit_kpis set reported_value = reported_value + 1,"
        " recomputed_value = recomputed_value + 1 where kpi_id = 'net_sales'",
    ),
    "alerts emptied": ("marts.kpi_alerts", "delete from marts.kpi_alerts"),
    "drivers doubled": (
        "marts.kpi_drivers",
        "insert into marts.kpi_drivers from marts.kpi_drivers",
    ),
    "catalog": (
        "seeds.kpi_catalog",
        "update seeds.kpi_catalog set action = caveats where kpi_id = 'net_sales'",
    ),
    "table gone": ("snapshots.snap_households", "drop table snapshots.snap_households"),
}


def edit_served(shop: Shop, statement: str, name: str = "kpis") -> Path:
    """Change a served file in place, as a hand does; give where it lies."""
    path = (shop.serving / f"{name}.duckdb").resolve()
    mode = path.stat().st_mode
    path.chmod(0o644)
    with duckdb.connect(path) as connection:
        connection.execute(statement)
    path.chmod(mode)
    return path


SERVED_EDITS = {
    "cent": "update marts.kpi_values set value = value + 0.01 where kpi_id = 'net_sales'",
    "label": "update seeds.kpi_catalog set action = 'Do nothing.' where kpi_id = 'net_sales'",
    "row": "delete from marts.kpi_alerts",
    "record and table": "delete from marts.kpi_alerts;"
    "update published_tables set row_count = 0, checksum = '0' where table_name = 'kpi_alerts'",
    "version": "update published_versions set version_id = 'x'; update published_tables set"
    " version_id = 'x'",
}


# A change of one value in one row, by its column's type.
CHANGES = {
    "DECIMAL": ("one cent", "{column} + 0.01"),
    "DOUBLE": ("one cent", "{column} + 0.01"),
    "BIGINT": ("one more", "{column} + 1"),
    "INTEGER": ("one more", "{column} + 1"),
    "VARCHAR": ("one label", "{column} || '?'"),
    "BOOLEAN": ("one yes or no", "not {column}"),
    "DATE": ("one day", "{column} + 1"),
    "TIMESTAMP": ("one second", "{column} + interval 1 second"),
}


def edits_of_tables(
    shop: Shop, schema: str, path: Path | None = None
) -> Iterator[tuple[str, str, str]]:
    """Give edits of every table of a schema: of a value of each type, of a row.

    Args:
        shop: Where.
        schema: Whose tables.
        path: The file; None for the warehouse.

    Yields:
        The table, what is done to it, and the statement.
    """
    for table, columns in shop.query(
        "select table_name, list({name: column_name, type: data_type} order by column_index)"
        " from duckdb_columns()"
        f" where schema_name = '{schema}' and (schema_name, table_name) in"
        " (select (schema_name, table_name) from duckdb_tables()) group by all order by all",
        path,
    ):
        relation = f'{schema}."{table}"'
        first = f"rowid = (select min(rowid) from {relation}"
        for kind, (what, changed) in CHANGES.items():
            of_kind = [column["name"] for column in columns if column["type"].startswith(kind)]
            if of_kind:
                name = f'"{of_kind[0]}"'
                yield (
                    f"{schema}.{table}",
                    what,
                    f"update {relation} set {name} = {changed.format(column=name)}"
                    f" where {first} where {name} is not null)",
                )
        yield f"{schema}.{table}", "one row less", f"delete from {relation} where {first})"
        yield (
            f"{schema}.{table}",
            "one row twice",
            f"insert into {relation} from {relation} limit 1",
        )
