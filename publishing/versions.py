"""The published file and the versions of it that are kept.

    serving/tally.duckdb                   what people open
    serving/versions/<version>.duckdb      hard links of what was published, the oldest first to go
    serving/versions/<version>.json        the seal of each: what the file is, byte by byte

A published file is never written again: a new one takes its place in one step (rename), so that
who has it open keeps what they opened, and who opens it next sees the new one whole.
"""

from __future__ import annotations

import difflib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb

from publishing.database import connect_for_reading, open_for_reading, reason
from publishing.errors import PublishingError, UsageError

PUBLISH_FIRST = "publish with `python -m publishing publish`"

# Files that are being made; whatever is left of one was never served.
IN_THE_MAKING = ".new-"

# A version's file lists itself and the versions that were kept when it was published; its tables
# are its own alone.
OWN_VERSION = """
select
    version_id,
    published_at,
    dbt_invocation_id,
    dlt_load_ids,
    data_through_date,
    audited_figure_count,
    control_total_count
from published_versions
where version_id = (select any_value(version_id) from published_tables)
"""


@dataclass(frozen=True)
class Version:
    """A published version, as its file has it.

    Attributes:
        version_id: Time of publication and the beginning of dbt's invocation id.
        published_at: When (UTC).
        dbt_invocation_id: The build that it is of.
        dlt_load_ids: Source to its latest load.
        data_through_date: Last complete business date.
        audited_figure_count: Figures recomputed from the raw tables, all equal.
        control_total_count: Control totals of the loads, all in agreement.
        row_count: Rows of all tables.
    """

    version_id: str
    published_at: datetime
    dbt_invocation_id: str
    dlt_load_ids: dict[str, str]
    data_through_date: date
    audited_figure_count: int
    control_total_count: int
    row_count: int


def served_file(serving: Path) -> Path:
    """Give the file that people open."""
    return serving / "tally.duckdb"


def version_file(serving: Path, version_id: str) -> Path:
    """Give the file that a version is kept in."""
    return serving / "versions" / f"{version_id}.duckdb"


def seal_file(serving: Path, version_id: str) -> Path:
    """Give the file that says what a version's file is."""
    return serving / "versions" / f"{version_id}.json"


def seal(serving: Path, path: Path, version_id: str) -> None:
    """Write down what a finished file is, before it is served."""
    status = path.stat()
    new = serving / "versions" / f"{IN_THE_MAKING}{version_id}.json"
    new.write_text(
        json.dumps(
            {
                "version_id": version_id,
                "size": status.st_size,
                "modified_ns": status.st_mtime_ns,
                "sha256": _sha256(path),
            }
        )
    )
    new.chmod(new.stat().st_mode & 0o555)
    _to_disk(new)
    new.replace(seal_file(serving, version_id))


def broken_seal(
    serving: Path, path: Path, version_id: str, *, thorough: bool = False
) -> str | None:
    """Say what is wrong with a published file, or nothing.

    Args:
        serving: The serving folder.
        path: The file.
        version_id: The version that it says it is.
        thorough: Read all of it, although size and time of change are those of then.
    """
    seal = seal_file(serving, version_id)
    try:
        sealed = json.loads(seal.read_text())
        expected = {name: sealed[name] for name in ("size", "modified_ns", "sha256")}
    except FileNotFoundError:
        return f"expected {seal}, which says what was published, found none"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"expected {seal} to say what was published, found: {reason(error)}"
    status = path.stat()
    # A copy that was put back has a time of its own, and may be what it was.
    if thorough or (status.st_size, status.st_mtime_ns) != (
        expected["size"],
        expected["modified_ns"],
    ):
        found = _sha256(path)
        if found != expected["sha256"]:
            return (
                f"expected it as it was published (sha256 {expected['sha256'][:12]}), found it"
                f" changed (sha256 {found[:12]})"
            )
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def open_served(serving: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, Version]]:
    """Open the served file, if it is as it was published; with the version that it is.

    Raises:
        PublishingError: there is none, it cannot be read, or somebody changed it.
    """
    path = served_file(serving)
    while True:
        connection = connect_for_reading(path, "published file", PUBLISH_FIRST)
        try:
            before = path.stat().st_ino
            version = _own_version(connection, path)
            fault = broken_seal(serving, path, version.version_id)
            # Another version may have taken its place meanwhile.
            if fault and path.stat().st_ino != before:
                continue
            if fault:
                raise PublishingError(f"published file {path}: {fault}; {PUBLISH_FIRST}")
            yield connection, version
            return
        finally:
            connection.close()


def read_version(path: Path) -> Version:
    """Read of which version a file is.

    Raises:
        PublishingError: it is no published file, or cannot be read.
    """
    with open_for_reading(path, "published file", PUBLISH_FIRST) as connection:
        return _own_version(connection, path)


def _own_version(connection: duckdb.DuckDBPyConnection, path: Path) -> Version:
    try:
        row = connection.execute(OWN_VERSION).fetchone()
        (rows,) = connection.execute("select sum(row_count) from published_tables").fetchone()
    except duckdb.Error as error:
        row, found = None, reason(error)
    else:
        found = "none"
    if row is None:
        raise PublishingError(
            f"published file {path}: expected a row of its version, found: {found}; {PUBLISH_FIRST}"
        )
    return Version(*row, row_count=int(rows))


def kept_versions(serving: Path) -> list[Version]:
    """Give the versions that are kept and are as they were published, oldest first."""
    versions = []
    for path in serving.glob("versions/*.duckdb"):
        try:
            version = read_version(path)
        except PublishingError:
            # Reported by `damaged`; it must not stand in the way of the others.
            continue
        if version.version_id == path.stem and not broken_seal(serving, path, path.stem):
            versions.append(version)
    return sorted(versions, key=lambda version: (version.published_at, version.version_id))


def damaged(serving: Path, versions: list[Version]) -> list[Path]:
    """Give the kept files that cannot be read or are not as they were published."""
    read = {version_file(serving, version.version_id) for version in versions}
    return sorted(set(serving.glob("versions/*.duckdb")) - read)


def served_version(serving: Path) -> Version | None:
    """Give the version that is served; None where nothing is, or it is not as it was published."""
    try:
        with open_served(serving) as (_, version):
            return version
    except PublishingError:
        return None


@contextmanager
def only_one(serving: Path) -> Iterator[None]:
    """Let one process at a time change what is served; clean up after one that was killed.

    Raises:
        PublishingError: another one is at it, or the folder cannot be written.
    """
    try:
        serving.mkdir(parents=True, exist_ok=True)
        (serving / "versions").mkdir(exist_ok=True)
        lock = (serving / ".lock").open("a")
    except OSError as error:
        raise cannot_write(serving, error) from error
    with lock:
        # The system releases it when the process ends, however it ends.
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PublishingError(
                f"serving folder {serving}: expected no other publish or rollback, found one that"
                " is running; wait for its end"
            ) from None
        try:
            clean(serving)
            _keep_served(serving)
            yield
        except OSError as error:
            raise cannot_write(serving, error) from error


def clean(serving: Path) -> None:
    """Remove what a publish that did not come to its end left behind."""
    for folder in (serving, serving / "versions"):
        for path in folder.glob(f"{IN_THE_MAKING}*"):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    # Of a publish that was killed before it served what it had sealed.
    served = _version_id(served_file(serving))
    for path in serving.glob("versions/*.json"):
        if path.stem != served and not path.with_suffix(".duckdb").exists():
            path.unlink()


def _version_id(path: Path) -> str | None:
    try:
        return read_version(path).version_id
    except PublishingError:
        return None


def cannot_write(serving: Path, error: OSError) -> PublishingError:
    """Say why the folder cannot be written."""
    return PublishingError(
        f"serving folder {serving}: expected a folder that can be written, found: {reason(error)};"
        " make room or set TALLY_SERVING to another one"
    )


def serve(serving: Path, path: Path) -> None:
    """Put a finished file in the place of the served one, in one step that survives a power cut."""
    for written in (path, path.parent):
        _to_disk(written)
    path.replace(served_file(serving))
    _to_disk(serving)


def keep(serving: Path, version_id: str) -> None:
    """Keep the served file as a version."""
    _link(served_file(serving), version_file(serving, version_id))


def forget(serving: Path, versions: list[Version], served: Version, number: int) -> list[str]:
    """Remove all but the latest versions, never the one that is served.

    Args:
        serving: The serving folder.
        versions: Those that are kept, oldest first.
        served: The one that is served.
        number: How many to keep.

    Returns:
        The ids of those that were removed.
    """
    removed = [
        version.version_id
        for version in versions[: max(0, len(versions) - number)]
        if version.version_id != served.version_id
    ]
    for version_id in removed:
        version_file(serving, version_id).unlink()
        seal_file(serving, version_id).unlink(missing_ok=True)
    return removed


def roll_back(serving: Path, version_id: str | None = None) -> tuple[Version, bool]:
    """Serve a kept version again.

    Args:
        serving: The serving folder.
        version_id: Which; None for the one before the one that is served.

    Returns:
        The version, and whether it was another one that was served before.

    Raises:
        UsageError: there is no such version.
        PublishingError: there is none before, or its file does not hold what was published.
    """
    if not serving.is_dir():
        raise PublishingError(
            f"serving folder {serving}: expected published versions, found none; {PUBLISH_FIRST}"
        )
    with only_one(serving):
        versions, served = kept_versions(serving), served_version(serving)
        version = _wanted(versions, served, version_id)
        if served and version.version_id == served.version_id:
            return version, False
        path = version_file(serving, version.version_id)
        if fault := broken_seal(serving, path, version.version_id, thorough=True):
            raise PublishingError(f"version {version.version_id}: {fault}; choose another version")
        new = serving / f"{IN_THE_MAKING}rollback.duckdb"
        _link(path, new)
        serve(serving, new)
        return version, True


def _wanted(versions: list[Version], served: Version | None, version_id: str | None) -> Version:
    by_id = {version.version_id: version for version in versions}
    if version_id is None:
        earlier = [
            version
            for version in versions
            if served is None or version.published_at < served.published_at
        ]
        if not earlier:
            raise PublishingError(
                "expected a version before the served one, found none;"
                " `python -m publishing versions` lists what is kept"
            )
        return earlier[-1]
    if version_id not in by_id:
        nearest = difflib.get_close_matches(version_id, by_id, n=3, cutoff=0.4) or [*by_id][-3:]
        raise UsageError(
            f"version {version_id}: expected one that is kept, found none;"
            f" nearest: {', '.join(nearest) or 'none is kept'}"
        )
    return by_id[version_id]


def _keep_served(serving: Path) -> None:
    """Keep the served version where a publish was killed after serving it."""
    served = served_version(serving)
    if served and not version_file(serving, served.version_id).exists():
        keep(serving, served.version_id)


def _link(path: Path, link: Path) -> None:
    new = link.with_name(f"{IN_THE_MAKING}{link.name.removeprefix(IN_THE_MAKING)}")
    new.unlink(missing_ok=True)
    try:
        os.link(path, new)
    except OSError:
        # Not every file system has hard links.
        shutil.copy2(path, new)
    new.replace(link)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
