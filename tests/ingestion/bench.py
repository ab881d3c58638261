"""A bench for loads: a company's source files and a warehouse, in a folder of their own."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb
from company import Rows, small_company, write_company
from dbt_project import run
from environment import ENVIRONMENT, ROOT

from ingestion.configuration import OF_SAMPLE
from ingestion.load import LoadedTable, load
from ingestion.sample import Sample
from ingestion.tables import TABLES as DECLARED
from ingestion.tables import Table

TIMEZONE = "America/New_York"

# What the sample has files of.
TABLES = tuple(table for table in DECLARED if table.source in OF_SAMPLE)
BY_NAME = {table.name: table for table in TABLES}


@dataclass
class Bench:
    """The source files of one company and the warehouse that they are loaded into."""

    folder: Path
    company: dict[str, Rows] = field(default_factory=small_company)

    def __post_init__(self) -> None:
        self.write_source()

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def warehouse(self) -> Path:
        return self.folder / "warehouse" / "tally.duckdb"

    def write_source(self) -> None:
        """Write the company's tables as they are now."""
        write_company(self.source, self.company)

    def file(self, name: str) -> Path:
        return self.source / f"{name}.parquet"

    def rewrite(self, name: str, select: str) -> None:
        """Write a source file anew as `select ... from source` has it."""
        query = f"with source as (from read_parquet('{self.file(name)}')) {select}"
        with duckdb.connect() as connection:
            connection.sql(query).write_parquet(f"{self.file(name)}.new")
        shutil.move(f"{self.file(name)}.new", self.file(name))

    def load(
        self, until: date | None = None, tables: Sequence[Table] = TABLES, **options: bool
    ) -> dict[str, LoadedTable]:
        sample = Sample(TIMEZONE, until, self.source)
        sources = {table.source: sample for table in tables}
        loaded = load(tables, sources, self.warehouse, **options)
        return {item.table.name: item for item in loaded}

    def environment(self, **variables: str) -> dict[str, str]:
        return {
            **ENVIRONMENT,
            "SOURCES__SAMPLE__FOLDER": str(self.source),
            "TALLY_WAREHOUSE": str(self.warehouse),
            **variables,
        }

    def command(
        self, *arguments: str, cwd: Path = ROOT, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `python -m ingestion` on this bench."""
        return run(("python", "-m", "ingestion", *arguments), cwd, self.environment(**variables))

    def query(self, sql: str) -> list[tuple]:
        with duckdb.connect(self.warehouse, read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def source_rows(self, name: str) -> Counter[tuple]:
        """The rows of a source file, each with how often it is there."""
        columns = ", ".join(BY_NAME[name].columns)
        with duckdb.connect() as connection:
            query = f"select {columns} from read_parquet('{self.file(name)}')"
            return Counter(connection.execute(query).fetchall())

    def rows(self, name: str) -> Counter[tuple]:
        """The rows of a loaded table without dlt's columns, each with how often it is there."""
        columns = ", ".join(BY_NAME[name].columns)
        return Counter(self.query(f"select {columns} from {raw(name)}"))

    def contents(self) -> dict[str, Counter[tuple]]:
        """The rows of all loaded tables without dlt's columns."""
        return {name: self.rows(name) for name in BY_NAME}

    def load_ids(self, name: str) -> dict[tuple, str]:
        """The rows of a loaded table, each with the load that brought it."""
        columns = ", ".join(BY_NAME[name].columns)
        return {
            tuple(row): load_id
            for *row, load_id in self.query(f"select {columns}, _dlt_load_id from {raw(name)}")
        }

    def totals(self, name: str) -> list[dict[tuple[str, str | None], str | None]]:
        """The control totals of a table, one entry a load, in the order of the loads."""
        loads: dict[str, dict[tuple[str, str | None], str | None]] = {}
        for load_id, measure, column, value in self.query(
            "select _dlt_load_id, measure, column_name, value"
            f" from raw_{BY_NAME[name].source}.load_control_totals"
            f" where table_name = '{name}' and not starts_with(measure, 'quarantined')"
            " order by counted_at"
        ):
            loads.setdefault(load_id, {})[measure, column] = value
        return list(loads.values())

    def fingerprint(self) -> dict[str, tuple]:
        """All that the warehouse holds, dlt's own tables included."""
        if not self.warehouse.exists():
            return {}
        with duckdb.connect(self.warehouse, read_only=True) as connection:
            tables = connection.execute(
                "select schema_name || '.' || table_name, sql from duckdb_tables()"
            ).fetchall()
            return {
                name: (
                    sql,
                    *connection.execute(
                        f"select count(*), sum(hash(held)) from {name} as held"
                    ).fetchone(),
                )
                for name, sql in tables
            }

    def files(self) -> set[str]:
        """Every file and folder on the bench."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}


def raw(name: str) -> str:
    """The loaded table's name in the warehouse."""
    return f"raw_{BY_NAME[name].source}.{name}"
