"""The same models and the same KPIs, whether the company is read from files or from servers."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from company import small_company
from dbt_project import BUILD, WITHOUT_TESTS, DbtProject, succeeded
from online_shop import BOTH, COLUMNS, online_shop
from servers import DatabaseShop, MariaDbShop, PostgresShop

# Which load brought a row, and when, differs; nothing else does.
OF_THE_LOAD = ("load_id", "counted_at", "dbt_updated_at", "dbt_valid_from", "dbt_scd_id")

TABLES = """
select schema_name, table_name
from duckdb_tables()
where schema_name in ('marts', 'snapshots') or table_name = 'audit_kpis'
order by all
"""


def contents(warehouse: Path) -> dict[tuple[str, str], tuple]:
    """Give rows and checksum of every table that is built."""
    with duckdb.connect(warehouse, read_only=True) as connection:
        found = {}
        for schema, table in connection.execute(TABLES).fetchall():
            columns = [
                name
                for (name, *_) in connection.execute(f"describe {schema}.{table}").fetchall()
                if name not in OF_THE_LOAD
            ]
            found[schema, table] = connection.execute(
                f"select count(*), sum(hash({', '.join(columns)})) from {schema}.{table}"
            ).fetchone()
        return found


@pytest.fixture(scope="module")
def from_files(built: DbtProject) -> dict[tuple[str, str], tuple]:
    return contents(built.warehouse)


@pytest.fixture(params=[PostgresShop, MariaDbShop], ids=["postgresql", "mysql"])
def shop(request: pytest.FixtureRequest) -> Iterator[DatabaseShop]:
    with request.param(small_company()) as shop:
        yield shop


def test_marts_and_kpis_are_the_same_from_a_server(
    shop: DatabaseShop, tmp_path: Path, from_files: dict[tuple[str, str], tuple]
):
    project = DbtProject(tmp_path, small_company())
    project.load(**shop.environment)
    project.dbt(*BUILD, *WITHOUT_TESTS)
    assert ("marts", "kpi_values") in from_files
    assert contents(project.warehouse) == from_files

    # What changes at the server is in the figures after the next build, and the audits agree.
    shop.execute("update transactions set sales_value = sales_value + 1000.01")
    project.load("--reconcile", **shop.environment)
    everything_else(project, shop)
    (sales,) = project.fetch("select sum(net_sales_usd) from marts.fct_sales_lines")[0]
    ((at_source,),) = shop.execute("select sum(sales_value) from transactions")
    assert sales == at_source
    changed = contents(project.warehouse)
    assert changed["marts", "kpi_values"] != from_files["marts", "kpi_values"]
    assert changed["marts", "dim_products"] == from_files["marts", "dim_products"]

    password = shop.credentials["password"].encode()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"dbt.log", "manifest.json", "run_results.json", "catalog.json"} <= {
        path.name for path in files
    }
    assert {"serving", "reports", "warehouse"} <= {
        path.relative_to(tmp_path).parts[0] for path in files
    }
    assert [path for path in files if password in path.read_bytes()] == []


def everything_else(project: DbtProject, shop: DatabaseShop) -> None:
    """Run what `make run` does after a load, where the password is in the environment."""
    environment = {
        **shop.environment,
        "TALLY_SERVING": str(project.folder / "serving"),
        "TALLY_REPORTS": str(project.folder / "reports"),
    }
    printed = [
        project.dbt("--log-level-file", "debug", *BUILD, **environment),
        succeeded(project.run("python", "-m", "publishing", "publish", **environment)),
        succeeded(project.run("python", "-m", "publishing", "report", **environment)),
        project.dbt("docs", "generate", "--no-compile", **environment),
        succeeded(project.run("python", "scripts/summarize_run.py", **environment)),
    ]
    assert shop.credentials["password"] not in "".join(printed)


def test_a_second_company_is_loaded_from_its_own_tables_beside_the_first(tmp_path: Path):
    with PostgresShop(small_company()) as shop:
        for table, columns in COLUMNS.items():
            shop.execute(f"create table {table} ({columns})")
            shop.execute(f"grant select on {table} to {shop.username}")
            for row in online_shop()[table]:
                shop.execute(f"insert into {table} values ({', '.join(['%s'] * len(row))})", row)
        environment = {
            **shop.environment,
            "SOURCES__ONLINE_SHOP__TYPE": "postgresql",
            "SOURCES__ONLINE_SHOP__CREDENTIALS": shop.reader_url,
        }
        # So many that one of them may break a rule.
        shop.execute(
            "insert into orders select n, 101, '2017-01-05T12:00:00Z', 'cancelled'"
            " from generate_series(2001, 2150) as n"
        )
        project = DbtProject(tmp_path, small_company())
        project.load(**environment)
        project.dbt(*BUILD, *WITHOUT_TESTS, *BOTH)
        sales = (
            "select sum(net_sales_usd) from marts.fct_baskets where source_system = 'online_shop'"
        )
        assert project.fetch(sales) == [(Decimal("51.08"),)]

        # An order that is refunded later leaves its day, and so does one that goes into quarantine;
        # the audits agree.
        shop.execute("update orders set status = 'refunded' where id = 1003")
        shop.execute("update orders set status = 'lost' where id = 1005")
        project.load(**environment)
        assert project.fetch("select rule from raw_online_shop.quarantine") == [
            ("the status is known",)
        ]
        project.dbt(*BUILD, *BOTH)
        assert project.fetch(sales) == [(Decimal("36.09"),)]
