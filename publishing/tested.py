"""Whether a warehouse is what dbt's latest build made, tested and audited."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from publishing.audits import Audited, passed_audits
from publishing.build_record import Recorded, changed_since, recorded_build
from publishing.database import Fingerprint, cannot_open, identifier, literal
from publishing.dbt_record import BUILD_AGAIN, Build, passed_build
from publishing.errors import PublishingError

LOAD_FIRST = "load with `python -m ingestion`, then " + BUILD_AGAIN

# The warehouse as it is attached to the new file.
WAREHOUSE = '"warehouse"'

LOADS = """
select
    {source} as source_name,
    load_id,
    inserted_at
from {database}.{schema}._dlt_loads
"""


@dataclass(frozen=True)
class Tested:
    """A warehouse that is what its build made.

    Attributes:
        dlt_load_ids: Source to its latest load.
        audited: How much was audited.
        tables: (schema, name) to what the table holds.
    """

    dlt_load_ids: dict[str, str]
    audited: Audited
    tables: dict[tuple[str, str], Fingerprint]


def latest_build(warehouse: Path, target: Path) -> Build:
    """Give the latest build of a warehouse, if there is one and dbt says that everything passed.

    Args:
        warehouse: The file that dbt builds in.
        target: dbt's folder of artifacts.

    Raises:
        PublishingError: there is no warehouse, or its latest build cannot be published.
    """
    if not warehouse.is_file():
        raise PublishingError(
            f"warehouse {warehouse}: expected a DuckDB file, found none; {LOAD_FIRST}"
        )
    return passed_build(target, warehouse.stem)


def tested(connection: duckdb.DuckDBPyConnection, warehouse: Path, build: Build) -> Tested:
    """Attach a warehouse that is, table by table, what a build made and audited.

    Args:
        connection: Where it is attached as WAREHOUSE.
        warehouse: The file that dbt builds in; read only.
        build: What dbt's artifacts say of its latest build.

    Raises:
        PublishingError: it is not: the first cause is named.
    """
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set enable_progress_bar = false")
    # The whole sample is read and copied in less; above it DuckDB spills to disk.
    connection.execute("set memory_limit = '2GB'")
    _attach(connection, warehouse)
    recorded = recorded_build(connection, WAREHOUSE, build)
    loads = _loads_before(connection, recorded)
    # Before what changed: of a figure the audit says more.
    audited = passed_audits(connection, WAREHOUSE)
    if changed := changed_since(connection, WAREHOUSE, recorded):
        more = f" (and {len(changed) - 1:,} more)" if len(changed) > 1 else ""
        raise PublishingError(
            f"warehouse: {changed[0]}{more}; somebody changed it after the build: load the table"
            f" whole where it is raw (`python -m ingestion --full-refresh`), {BUILD_AGAIN}"
        )
    return Tested(loads, audited, recorded.tables)


def _attach(connection: duckdb.DuckDBPyConnection, warehouse: Path) -> None:
    try:
        connection.execute(f"attach {literal(str(warehouse))} as {WAREHOUSE} (read_only)")
    except duckdb.Error as error:
        raise cannot_open(
            warehouse, "warehouse", "move the file away, load and build again", error
        ) from error


def _loads_before(connection: duckdb.DuckDBPyConnection, recorded: Recorded) -> dict[str, str]:
    """Give the latest load of each source; the build must have read all loads that there are."""
    schemas = connection.execute(
        "select schema_name from duckdb_tables() where database_name = 'warehouse'"
        " and table_name = '_dlt_loads' order by schema_name"
    ).fetchall()
    if not schemas:
        raise PublishingError(f"warehouse: expected loads of dlt, found none; {LOAD_FIRST}")
    loads = " union all ".join(
        LOADS.format(
            source=literal(schema.removeprefix("raw_")),
            database=WAREHOUSE,
            schema=identifier(schema),
        )
        for (schema,) in schemas
    )
    later = connection.execute(
        f"select source_name, load_id, inserted_at from ({loads})"
        " where not list_contains(?, load_id) order by inserted_at desc limit 1",
        [sorted(recorded.dlt_load_ids)],
    ).fetchone()
    if later:
        source, load_id, completed_at = later
        raise PublishingError(
            f"dbt's latest build: expected one that read load {load_id} of {source}, which was"
            f" complete {completed_at:%Y-%m-%d %H:%M:%S} UTC, found one that began before;"
            f" {BUILD_AGAIN}"
        )
    latest = connection.execute(
        f"select source_name, max_by(load_id, inserted_at) from ({loads})"
        " group by source_name order by source_name"
    ).fetchall()
    return dict(latest)
