"""A company whose ids are texts of any letters has the figures of the one whose ids are numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from company import small_company
from dbt_project import BUILD, DbtProject

# Columns of ids in the raw tables.
IDS = ("basket_id", "product_id", "household_id", "store_id", "manufacturer_id", "campaign_id",
       "coupon_upc")  # fmt: skip
# Slices whose values are keys.
BY_KEY = ("store", "campaign")


def as_text(own_id: int) -> str:
    """Give another name to an id: each differs from a neighbour's in a capital letter alone."""
    letter = "Aa"[own_id % 2]
    return f" {letter}/{own_id // 2:09d}%2F'한:é "


def id_columns(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, str]]:
    for schema, table, column in connection.execute(
        "select table_schema, table_name, column_name from information_schema.columns"
        f" where table_schema like 'raw_%' and column_name in {IDS} order by all"
    ).fetchall():
        yield f"{schema}.{table}", column


@pytest.fixture(scope="module")
def of_texts(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    project = DbtProject(tmp_path_factory.mktemp("of_texts"), small_company())
    project.load()
    with duckdb.connect(project.warehouse) as connection:
        connection.create_function("as_text", as_text, ["BIGINT"], "VARCHAR")
        renamed = list(id_columns(connection))
        for table, column in renamed:
            connection.execute(
                f"alter table {table} alter {column} type varchar using as_text({column})"
            )
        assert {column for _, column in renamed} == set(IDS)
    project.dbt("--warn-error", *BUILD)
    return project


def figures(warehouse: Path, of_numbers: bool) -> list[tuple]:
    """Give all figures; keys of numbers as they are where those are texts."""

    def named(key: str) -> str:
        code, _, own_id = key.partition(":")
        return f"{code}:{as_text(int(own_id))}" if own_id else key

    with duckdb.connect(warehouse, read_only=True) as connection:
        rows = connection.execute(
            "select slice, slice_value, * exclude (slice, slice_value) from marts.kpi_values"
        ).fetchall()
    if of_numbers:
        rows = [(slice_, named(value) if slice_ in BY_KEY else value, *rest)
                for slice_, value, *rest in rows]  # fmt: skip
    return sorted(rows, key=repr)


def test_figures_are_those_of_the_company_of_numbers(of_texts: DbtProject, built: DbtProject):
    found = figures(of_texts.warehouse, of_numbers=False)
    assert found == figures(built.warehouse, of_numbers=True)
    sliced = {slice_ for slice_, *_ in found}
    assert sliced.issuperset(BY_KEY)


def test_every_figure_is_audited(of_texts: DbtProject):
    audited = of_texts.fetch("select is_equal, count(*) from audit.audit_kpis group by all")
    assert audited == [(True, *of_texts.fetch("select count(*) from marts.kpi_values")[0])]


def test_a_key_is_the_id_of_its_source(of_texts: DbtProject):
    keys = of_texts.fetch(
        "select product_id from marts.dim_products where is_in_catalog order by all"
    )
    own_ids = of_texts.fetch("select product_id from raw_retail_db.products order by all")
    assert keys == [(f"rdb:{own_id}",) for (own_id,) in own_ids] != []


def test_nobody_known_is_nobody_of_the_source(of_texts: DbtProject, tmp_path: Path):
    """Null, empty and blank ids, and a text that is the name of the unknown member."""
    project = DbtProject(tmp_path, None)
    project.restore(of_texts.warehouse)
    nobody = (None, "", "  ", "\t\n")
    with duckdb.connect(project.warehouse) as connection:
        baskets = [
            key
            for (key,) in connection.execute(
                "select distinct basket_id from raw_retail_db.transactions order by all limit ?",
                [len(nobody) + 1],
            ).fetchall()
        ]
        for basket, household in zip(baskets, (*nobody, "Unknown"), strict=True):
            connection.execute(
                "update raw_retail_db.transactions set household_id = ? where basket_id = ?",
                [household, basket],
            )
        found = dict(
            connection.execute(
                "select basket_id, any_value(household_id)"
                " from intermediate.int_sales__lines_priced group by all"
            ).fetchall()
        )
    assert [found[f"rdb:{basket}"] for basket in baskets] == [
        *("Unknown" for _ in nobody),
        "rdb:Unknown",
    ]
