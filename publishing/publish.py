"""Write, audit, publish: what dbt built reaches people whole, or not at all.

dbt writes to the warehouse file, which nobody else reads meanwhile. When every test and audit
passed, the tables that people read are written to new files beside the published ones, read back
and compared, and only then put in their place.
"""

from __future__ import annotations

import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from publishing.database import Fingerprint, fingerprint, identifier, literal, reason
from publishing.dbt_record import BUILD_AGAIN, Build
from publishing.errors import PublishingError
from publishing.published_files import PublishedFile, published_files
from publishing.tested import WAREHOUSE, Tested, latest_build, tested
from publishing.versions import (
    IN_THE_MAKING,
    Version,
    broken_seal,
    clean,
    close,
    forget,
    kept_versions,
    only_one,
    published_file,
    seal,
    serve,
    served_version,
    version_folder,
)

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
    published_in varchar[] not null,
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
comment on column published_tables.published_in is
    'Files that have it, without .duckdb: this one, or others of the version.';
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
        variables: Of the build, those that are not the project's own.
    """

    version: Version
    is_new: bool
    is_served: bool
    removed: list[str]
    variables: dict[str, Any]


@dataclass(frozen=True)
class _Table:
    schema: str
    name: str
    published_in: tuple[str, ...]
    held: Fingerprint

    @property
    def identifier(self) -> str:
        return f"{identifier(self.schema)}.{identifier(self.name)}"


def publish(warehouse: Path, serving: Path, target: Path, versions_to_keep: int) -> Published:
    """Publish what the latest dbt build made, if every test and audit passed.

    Args:
        warehouse: The file that dbt builds in; read only.
        serving: Folder of the published files; made where it is not there.
        target: dbt's folder of artifacts.
        versions_to_keep: How many versions to keep, this one included.

    Raises:
        PublishingError: nothing was published.
    """
    build = latest_build(warehouse, target)
    files = published_files()
    with only_one(serving):
        new = version_folder(serving, f"{IN_THE_MAKING}version")
        # Closed to others until it is sealed: whoever may read what is in it is not asked before.
        new.mkdir(mode=0o700)
        try:
            return _publish(warehouse, serving, new, build, files, versions_to_keep)
        except duckdb.Error as error:
            raise PublishingError(
                f"serving folder {serving}: expected to write the new files, found:"
                f" {reason(error)}; make room or mend the cause, and publish again"
            ) from error
        finally:
            clean(serving)


def _publish(
    warehouse: Path,
    serving: Path,
    new: Path,
    build: Build,
    files: dict[str, PublishedFile],
    versions_to_keep: int,
) -> Published:
    kept = kept_versions(serving)
    with duckdb.connect(config={"temp_directory": str(new)}) as connection:
        found = tested(connection, warehouse, build)
        tables = _tables(connection, build, files, found)
        served = served_version(serving)
        same = [version for version in kept if version.dbt_invocation_id == build.invocation_id]
        if same and served and _is_as_configured(serving, served, files):
            version = same[-1]
            return Published(
                version,
                is_new=False,
                is_served=version.version_id == served.version_id,
                removed=forget(serving, kept, [served], versions_to_keep),
                variables=build.variables,
            )
        history = kept[max(0, len(kept) - versions_to_keep + 1) :]
        version = _describe(connection, serving, build, found, kept, tables)
        for file in files.values():
            _write(connection, published_file(new, file.name), file, version, history, tables)
    for file in files.values():
        path = published_file(new, file.name)
        _read_back(path, [table for table in tables if file.name in table.published_in])
        # Readers that forget `read_only=True` are refused, and nobody changes it by mistake.
        path.chmod(file.mode)
    seal(new)
    with _uninterrupted():
        serve(serving, new, version.version_id)
        # What was served until now, somebody may be about to open: DuckDB looks where a link leads
        # to, and then opens that.
        in_use = [version, *([served] if served else [])]
        removed = forget(serving, [*kept, version], in_use, versions_to_keep)
        close(serving, {file.name: file.mode for file in files.values()})
    return Published(
        version, is_new=True, is_served=True, removed=removed, variables=build.variables
    )


def _is_as_configured(serving: Path, served: Version, files: dict[str, PublishedFile]) -> bool:
    """Whether what is served is in the files, and for the readers, that the project says now.

    All of it is read, for who asks to publish wants it right.
    """
    folder = version_folder(serving, served.version_id)
    modes = {path.stem: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.duckdb")}
    expected = {file.name: file.mode for file in files.values()}
    return modes == expected and not broken_seal(folder, thorough=True)


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
    serving: Path,
    build: Build,
    found: Tested,
    kept: list[Version],
    tables: list[_Table],
) -> Version:
    data_through: date | None
    (data_through,) = connection.execute(
        f"select max(period_end_date) from {WAREHOUSE}.marts.kpi_values"
        " where grain = 'day' and is_complete_period"
    ).fetchone()
    now = datetime.now(UTC)
    if kept:
        # A clock that was set back must not make the new version older than the others; ids, which
        # have seconds, are in the same order.
        now = max(now, kept[-1].published_at + timedelta(seconds=1))
    # Published anew within a second, where somebody changed what was published.
    while version_folder(serving, version_id := _version_id(now, build)).exists():
        now += timedelta(seconds=1)
    return Version(
        version_id=version_id,
        published_at=now,
        dbt_invocation_id=build.invocation_id,
        dlt_load_ids=found.dlt_load_ids,
        data_through_date=data_through,
        audited_figure_count=found.audited.figure_count,
        control_total_count=found.audited.control_total_count,
        row_count=sum(table.held.row_count for table in tables),
    )


def _version_id(published_at: datetime, build: Build) -> str:
    return f"{published_at:%Y%m%dT%H%M%SZ}-{build.invocation_id[:8]}"


def _tables(
    connection: duckdb.DuckDBPyConnection,
    build: Build,
    files: dict[str, PublishedFile],
    found: Tested,
) -> list[_Table]:
    """Give the tables to publish: of those that this build made, those that say so.

    Tables that the build did not make are leftovers of models that are gone: nothing tested them.
    """
    tables = []
    for (schema, name), names in sorted(build.published_in.items()):
        what = f"{schema}.{name}: meta: published_in"
        if unknown := [file for file in names if file not in files]:
            raise PublishingError(
                f"{what}: expected some of {', '.join(files)}, which are the published_files in"
                f" dbt_project.yml, found {unknown[0]}"
            )
        if (schema, name) not in found.tables:
            raise PublishingError(
                f"{what}: expected the table that dbt built, found no table of that name (a view is"
                f" not published); {BUILD_AGAIN}"
            )
        table = _Table(schema, name, names, found.tables[schema, name])
        columns = connection.execute(
            f"select column_name from (describe {WAREHOUSE}.{table.identifier})"
        ).fetchall()
        for file in names:
            if file in {schema for schema, _ in build.published_in}:
                raise PublishingError(
                    f"{what}: expected a file that is not called as a schema in it, for a query"
                    f" could mean both, found {file}; give it another name in published_files"
                )
            for (column,) in columns:
                if column.lower() in files[file].without_columns:
                    raise PublishingError(
                        f"{what}: expected no column {column} in a table of {file}.duckdb, found"
                        f" one; publish {schema}.{name} in another file, or make it a table"
                        " without that column"
                    )
        tables.append(table)
    for file in files:
        if not any(file in table.published_in for table in tables):
            raise PublishingError(
                f"{file}.duckdb: expected tables of dbt's latest build that say so (meta:"
                f" published_in: [{file}]), found none; {BUILD_AGAIN}"
            )
    return tables


def _write(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    file: PublishedFile,
    version: Version,
    history: list[Version],
    tables: list[_Table],
) -> None:
    """Write a new file: its tables, as the warehouse has them, and the record of the version."""
    connection.execute(f"attach {literal(str(path))} as new")
    connection.execute("use new")
    connection.begin()
    own = [table for table in tables if file.name in table.published_in]
    for schema in sorted({table.schema for table in own}):
        connection.execute(f"create schema {identifier(schema)}")
    for table in own:
        connection.execute(
            f"create table {table.identifier} as select * from {WAREHOUSE}.{table.identifier}"
        )
    _record(connection, version, history, tables)
    connection.commit()
    connection.execute("use memory")
    connection.execute("checkpoint new")
    connection.execute("detach new")


def _record(
    connection: duckdb.DuckDBPyConnection,
    version: Version,
    history: list[Version],
    tables: list[_Table],
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
    for table in tables:
        connection.execute(
            "insert into published_tables values (?, ?, ?, ?, ?, ?)",
            [
                version.version_id,
                table.schema,
                table.name,
                list(table.published_in),
                *table.held,
            ],
        )


def _read_back(new: Path, tables: list[_Table]) -> None:
    """Hold a finished file against the warehouse, table by table."""
    if new.with_name(f"{new.name}.wal").exists():
        raise PublishingError(
            f"new file {new}: expected no write-ahead log beside it, found one; publish again"
        )
    with duckdb.connect(new, read_only=True) as connection:
        connection.execute("set enable_progress_bar = false")
        for table in tables:
            found, expected = fingerprint(connection, table.identifier), table.held
            if found != expected:
                raise PublishingError(
                    f"new file {new}: expected {table.schema}.{table.name} with"
                    f" {expected.row_count:,} rows and checksum {expected.checksum}, found"
                    f" {found.row_count:,} and {found.checksum}; check the disk and publish again"
                )
