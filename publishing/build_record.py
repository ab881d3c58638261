"""The warehouse's own record of its builds, which dbt's hooks write (macros/build_record.sql).

dbt's artifacts say that everything passed, of a warehouse that they have not seen since. The record
says which build made the tables that are there, whether it came to its end, and what they held.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from publishing.database import Fingerprint, fetch, fingerprint, identifier, reason
from publishing.dbt_record import BUILD_AGAIN, Build
from publishing.errors import PublishingError

LATEST = """
select build_number, dbt_invocation_id, dbt_command, dlt_load_ids, began_at, ended_at
from {database}.builds.builds
order by build_number desc
limit 1
"""

HELD = """
select table_schema, table_name, table_columns, row_count, checksum
from {database}.builds.build_tables
where build_number = ?
order by table_schema, table_name
"""


@dataclass(frozen=True)
class Recorded:
    """The build that made what is in the warehouse.

    Attributes:
        dlt_load_ids: All loads that it read.
        tables: (schema, name) to what the table held at its end.
        columns: (schema, name) to the names and types of its columns, which the sum of its rows
            says nothing of: 12.34 and 1,234 have one hash.
    """

    dlt_load_ids: frozenset[str]
    tables: dict[tuple[str, str], Fingerprint]
    columns: dict[tuple[str, str], list[str]]


def recorded_build(connection: duckdb.DuckDBPyConnection, database: str, build: Build) -> Recorded:
    """Give the warehouse's record of the build that dbt's artifacts are of.

    Args:
        connection: Has the warehouse attached.
        database: Quoted name that it is attached under.
        build: What dbt's artifacts say.

    Raises:
        PublishingError: another build came after it, it did not end, or there is no record.
    """
    try:
        latest = fetch(connection, LATEST.format(database=database))
    except duckdb.CatalogException:
        latest = []
    if not latest:
        raise PublishingError(
            f"warehouse: expected a record of its builds, found none; {BUILD_AGAIN}"
        )
    found = latest[0]
    began = f"`dbt {found['dbt_command']}` of {found['began_at']:%Y-%m-%d %H:%M:%S} UTC"
    if found["dbt_invocation_id"] != build.invocation_id:
        ended = "" if found["ended_at"] else ", which did not come to its end,"
        raise PublishingError(
            f"warehouse: expected it as dbt's latest build on record ({build.invocation_id}) left"
            f" it, found that a {began}{ended} wrote to it; {BUILD_AGAIN}"
        )
    try:
        held = connection.execute(
            HELD.format(database=database), [found["build_number"]]
        ).fetchall()
    except duckdb.BinderException:
        # It was written before columns were.
        held = []
    if not found["ended_at"] or not held:
        raise PublishingError(
            f"warehouse: expected a build that came to its end, found that the {began} did not;"
            f" {BUILD_AGAIN}"
        )
    return Recorded(
        frozenset(found["dlt_load_ids"]),
        {(schema, name): Fingerprint(*table) for schema, name, _, *table in held},
        {(schema, name): columns for schema, name, columns, *_ in held},
    )


def changed_since(
    connection: duckdb.DuckDBPyConnection, database: str, recorded: Recorded
) -> list[str]:
    """Give what is not as it was when the build ended, one line each.

    Args:
        connection: Has the warehouse attached.
        database: Quoted name that it is attached under.
        recorded: What was there then.
    """
    found = []
    for (schema, name), held in recorded.tables.items():
        expected = f"{schema}.{name}: expected {held.row_count:,} rows as they were tested"
        relation = f"{database}.{identifier(schema)}.{identifier(name)}"
        try:
            now = fingerprint(connection, relation)
            columns = [
                f"{column} {column_type}"
                for column, column_type, *_ in connection.execute(f"describe {relation}").fetchall()
            ]
        except duckdb.CatalogException:
            found.append(f"{expected}, found no table")
            continue
        except duckdb.Error as error:
            found.append(f"{expected}, found {reason(error)}")
            continue
        if now.row_count != held.row_count:
            found.append(f"{expected}, found {now.row_count:,}")
        elif now != held:
            found.append(f"{expected}, found rows of other contents")
        elif columns != recorded.columns[schema, name]:
            found.append(f"{expected}, found other names or types of columns")
    return found
