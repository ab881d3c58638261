"""Write, audit, publish: what dbt built reaches people whole, or not at all.

dbt writes to the warehouse file, which nobody else reads meanwhile. When every test and audit
passed, the tables that people read are written to a new file beside the published one, read back
and compared, and only then put in its place.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from publishing.database import Fingerprint, fingerprint, identifier, reason
from publishing.dbt_record import BUILD_AGAIN, Build
from publishing.errors import PublishingError
from publishing.tested import WAREHOUSE, Tested, latest_build, tested
from publishing.versions import (
    IN_THE_MAKING,
    Version,
    clean,
    forget,
    keep,
    kept_versions,
    only_one,
    seal,
    serve,
    served_version,
)

# Schemas whose tables are published; of the seeds those of the KPIs.
PUBLISHED_SCHEMAS = ("marts", "audit", "seeds")
PUBLISHED_SEEDS = "kpi_"

CREATE_RECORD = """
create table published_versions (
    version_id varchar not null,
    published_at timestamptz not null,
    dbt_invocation_id varchar not null,
    dlt_load_ids map(varchar, varchar) not null,
    data_through_date date,
    audited_figure_count bigint not null,
    control_total_count bigint not null
);

create table published_tables (
    version_id varchar not null,
    table_schema varchar not null,
    table_name varchar not null,
    row_count bigint not null,
    checksum varchar not null
);

comment on table published_versions is
    'One row a version: this one, and those that were kept when it was published.';
comment on column published_versions.dlt_load_ids is 'Source to the latest load that is in it.';
comment on column published_versions.data_through_date is 'Last complete business date.';
comment on column published_versions.audited_figure_count is
    'Figures of marts.kpi_values recomputed from the raw tables, all equal.';
comment on column published_versions.control_total_count is
    'Counts and sums at the source found again in the warehouse, all in agreement.';
comment on table published_tables is 'One row a table of this version.';
comment on column published_tables.checksum is
    'Sum of the hashes of all rows: select sum(hash(t)) from <table> as t.';
"""


@dataclass(frozen=True)
class Published:
    """What a publish came to.

    Attributes:
        version: The version of this build.
        is_new: Whether it was published now; no when the build was published before.
        is_served: Whether it is what people read; no when it was rolled back from.
        removed: Versions that are no longer kept.
    """

    version: Version
    is_new: bool
    is_served: bool
    removed: list[str]


def publish(warehouse: Path, serving: Path, target: Path, versions_to_keep: int) -> Published:
    """Publish what the latest dbt build made, if every test and audit passed.

    Args:
        warehouse: The file that dbt builds in; read only.
        serving: Folder of the published file; made where it is not there.
        target: dbt's folder of artifacts.
        versions_to_keep: How many versions to keep, this one included.

    Raises:
        PublishingError: nothing was published.
    """
    build = latest_build(warehouse, target)
    with only_one(serving):
        new = serving / f"{IN_THE_MAKING}tally.duckdb"
        try:
            return _publish(warehouse, serving, new, build, versions_to_keep)
        except duckdb.Error as error:
            raise PublishingError(
                f"serving folder {serving}: expected to write the new file, found: {reason(error)};"
                " make room or mend the cause, and publish again"
            ) from error
        finally:
            clean(serving)


def _publish(
    warehouse: Path, serving: Path, new: Path, build: Build, versions_to_keep: int
) -> Published:
    kept = kept_versions(serving)
    connection = duckdb.connect(new)
    try:
        found = tested(connection, warehouse, build)
        served = served_version(serving)
        same = [version for version in kept if version.dbt_invocation_id == build.invocation_id]
        if same and served:
            version = same[-1]
            return Published(
                version,
                is_new=False,
                is_served=version.version_id == served.version_id,
                removed=forget(serving, kept, served, versions_to_keep),
            )
        history = kept[max(0, len(kept) - versions_to_keep + 1) :]
        version = _describe(connection, build, found, kept)
        tables = _copy_tables(connection, build, found)
        _record(connection, version, history, tables)
        connection.execute(f"detach {WAREHOUSE}")
        connection.execute("checkpoint")
    finally:
        connection.close()
    _read_back(new, tables)
    # Readers that forget `read_only=True` are refused, and versions cannot be changed by mistake.
    new.chmod(new.stat().st_mode & 0o555)
    seal(serving, new, version.version_id)
    with _uninterrupted():
        serve(serving, new)
        keep(serving, version.version_id)
        removed = forget(serving, [*kept, version], version, versions_to_keep)
    total = sum(held.row_count for held in tables.values())
    return Published(
        replace(version, row_count=total), is_new=True, is_served=True, removed=removed
    )


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait: the block takes milliseconds, and to say 'interrupted' would be untrue."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _describe(
    connection: duckdb.DuckDBPyConnection,
    build: Build,
    found: Tested,
    kept: list[Version],
) -> Version:
    data_through: date | None
    (data_through,) = connection.execute(
        f"select max(period_end_date) from {WAREHOUSE}.marts.kpi_values"
        " where grain = 'day' and is_complete_period"
    ).fetchone()
    now = datetime.now(UTC)
    if kept:
        # A clock that was set back must not make the new version older than the others.
        now = max(now, kept[-1].published_at + timedelta(microseconds=1))
    return Version(
        version_id=f"{now:%Y%m%dT%H%M%SZ}-{build.invocation_id[:8]}",
        published_at=now,
        dbt_invocation_id=build.invocation_id,
        dlt_load_ids=found.dlt_load_ids,
        data_through_date=data_through,
        audited_figure_count=found.audited.figure_count,
        control_total_count=found.audited.control_total_count,
        row_count=0,
    )


def _copy_tables(
    connection: duckdb.DuckDBPyConnection, build: Build, found: Tested
) -> dict[tuple[str, str], Fingerprint]:
    """Copy the tables that this build made; give what the warehouse holds of each.

    Tables that the build did not make are leftovers of models that are gone: nothing tested them.
    """
    wanted = sorted(
        (schema, name)
        for schema, name in build.relations
        if schema in PUBLISHED_SCHEMAS and (schema != "seeds" or name.startswith(PUBLISHED_SEEDS))
    )
    if missing := sorted(set(wanted) - set(found.tables)):
        raise PublishingError(
            f"warehouse: expected the table {'.'.join(missing[0])} that dbt built, found none;"
            f" {BUILD_AGAIN}"
        )
    connection.begin()
    for schema in PUBLISHED_SCHEMAS:
        connection.execute(f"create schema {identifier(schema)}")
    for schema, name in wanted:
        table = f"{identifier(schema)}.{identifier(name)}"
        connection.execute(f"create table {table} as select * from {WAREHOUSE}.{table}")
    connection.commit()
    return {table: found.tables[table] for table in wanted}


def _record(
    connection: duckdb.DuckDBPyConnection,
    version: Version,
    history: list[Version],
    tables: dict[tuple[str, str], Fingerprint],
) -> None:
    connection.execute(CREATE_RECORD)
    for kept in (*history, version):
        connection.execute(
            "insert into published_versions values (?, ?, ?, map(?, ?), ?, ?, ?)",
            [
                kept.version_id,
                kept.published_at,
                kept.dbt_invocation_id,
                list(kept.dlt_load_ids),
                list(kept.dlt_load_ids.values()),
                kept.data_through_date,
                kept.audited_figure_count,
                kept.control_total_count,
            ],
        )
    connection.executemany(
        "insert into published_tables values (?, ?, ?, ?, ?)",
        [[version.version_id, *table, *held] for table, held in tables.items()],
    )


def _read_back(new: Path, tables: dict[tuple[str, str], Fingerprint]) -> None:
    """Hold the finished file against the warehouse, table by table."""
    if new.with_name(f"{new.name}.wal").exists():
        raise PublishingError(
            f"new file {new}: expected no write-ahead log beside it, found one; publish again"
        )
    with duckdb.connect(new, read_only=True) as connection:
        connection.execute("set enable_progress_bar = false")
        for (schema, name), expected in tables.items():
            found = fingerprint(connection, f"{identifier(schema)}.{identifier(name)}")
            if found != expected:
                raise PublishingError(
                    f"new file {new}: expected {schema}.{name} with {expected.row_count:,} rows and"
                    f" checksum {expected.checksum}, found {found.row_count:,} and"
                    f" {found.checksum}; check the disk and publish again"
                )
