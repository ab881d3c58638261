"""The published files and the versions of them that are kept.

    serving/<name>.duckdb                  what people open: a link to current/<name>.duckdb
    serving/current                        a link to the version that is served
    serving/versions/<version>/            the files of a version, the oldest first to go
    serving/versions/<version>/seal.json   what each of them is, byte by byte

A published file is never written again. A new version takes the place of the one before in one
step, the rename of the link `current`, for all files at once: who has a file open keeps what they
opened, and who opens it next sees the new one whole.
"""

from __future__ import annotations

import difflib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb

from publishing.database import connect_for_reading, open_for_reading, reason
from publishing.errors import PublishingError, UsageError

PUBLISH_FIRST = "publish with `python -m publishing publish`"

# What is being made; whatever is left of it was never served.
IN_THE_MAKING = ".new-"
CURRENT = "current"
NEXT = f"{IN_THE_MAKING}{CURRENT}"
LOCK = ".lock"
SEAL = "seal.json"

# The published file that has the KPIs, and no row of a person; alerts and report read it.
KPIS = "kpis"

# A file lists its version and the versions that were kept when it was published; its tables
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


def published_file(serving: Path, name: str) -> Path:
    """Give the file that people open."""
    return serving / f"{name}.duckdb"


def version_folder(serving: Path, version_id: str) -> Path:
    """Give the folder that the files of a version are in."""
    return serving / "versions" / version_id


def seal(folder: Path) -> None:
    """Write down what the finished files of a version are, before they are served.

    Whoever may read one of them may read the seal, and reach both.
    """
    files = sorted(folder.glob("*.duckdb"))
    new = folder / SEAL
    new.write_text(
        json.dumps(
            {
                path.name: {
                    "size": path.stat().st_size,
                    "modified_ns": path.stat().st_mtime_ns,
                    "sha256": _sha256(path),
                }
                for path in files
            }
        )
    )
    readers = 0
    for path in files:
        readers |= path.stat().st_mode & 0o444
    new.chmod(readers)
    for path in (folder, folder.parent):
        # What decides on the group of new files (setgid) stays.
        path.chmod(path.stat().st_mode & 0o7000 | 0o700 | readers | readers >> 2)
    for path in (*files, new, folder):
        _to_disk(path)


def broken_seal(folder: Path, *, thorough: bool = False) -> str | None:
    """Say what is wrong with the files of a version, or nothing.

    Args:
        folder: That of the version.
        thorough: Read all of them, although sizes and times of change are those of then.
    """
    seal = folder / SEAL
    try:
        sealed = {
            name: (file["size"], file["modified_ns"], str(file["sha256"]))
            for name, file in json.loads(seal.read_text()).items()
        }
    except FileNotFoundError:
        return f"{seal}: expected what was published, found none"
    except OSError as error:
        return f"{seal}: expected what was published, found: {reason(error)}"
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return f"{seal}: expected what was published, found something else"
    try:
        there = {path.name: path for path in folder.glob("*.duckdb")}
        for name in sorted({*sealed, *there}):
            if name not in there:
                return f"{folder / name}: expected it as it was published, found none"
            if name not in sealed:
                return f"{folder / name}: expected no file that was not published, found one"
            *expected, sha256 = sealed[name]
            status = there[name].stat()
            # A copy that was put back has a time of its own, and may be what it was.
            if thorough or [status.st_size, status.st_mtime_ns] != expected:
                found = _sha256(there[name])
                if found != sha256:
                    return (
                        f"{folder / name}: expected it as it was published (sha256"
                        f" {sha256[:12]}), found it changed (sha256 {found[:12]})"
                    )
    except OSError as error:
        return f"{folder}: expected files that can be read, found: {reason(error)}"
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def current_folder(serving: Path) -> Path:
    """Give the folder of the version that is served.

    Raises:
        PublishingError: none is.
    """
    link = serving / CURRENT
    try:
        return version_folder(serving, link.readlink().name)
    except FileNotFoundError:
        found = "none"
    except OSError as error:
        found = f"something else ({reason(error)})"
    raise PublishingError(
        f"published file {link}: expected a link to the version that is served, found {found};"
        f" {PUBLISH_FIRST}"
    )


def unserved(serving: Path, folder: Path) -> str | None:
    """Say what is wrong with the way from what people open to a version's files, or nothing."""
    links = {serving / CURRENT: Path("versions", folder.name)}
    for path in sorted(folder.glob("*.duckdb")):
        links[published_file(serving, path.stem)] = Path(CURRENT, path.name)
    for link, expected in links.items():
        if not link.is_symlink() or link.readlink() != expected:
            found = f"one to {link.readlink()}" if link.is_symlink() else "something else"
            found = found if os.path.lexists(link) else "none"
            return f"{link}: expected a link to {expected}, found {found}"
    return None


@contextmanager
def open_served(serving: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, Version]]:
    """Open the served KPIs, if all is as it was published; with the version that they are of.

    Raises:
        PublishingError: there are none, they cannot be read, or somebody changed what is served.
    """
    while True:
        folder = current_folder(serving)
        try:
            connection = connect_for_reading(
                published_file(folder, KPIS), "published file", PUBLISH_FIRST
            )
        except PublishingError:
            if current_folder(serving) != folder:
                continue
            raise
        try:
            fault = unserved(serving, folder) or broken_seal(folder)
            # Another version may have taken its place meanwhile.
            if current_folder(serving) != folder:
                continue
            if fault:
                raise PublishingError(f"published file {fault}; {PUBLISH_FIRST}")
            yield connection, _own_version(connection, folder)
            return
        finally:
            connection.close()


def read_version(folder: Path) -> Version:
    """Read of which version the files of a folder are.

    Raises:
        PublishingError: they are no published files, are not of that version, or cannot be read.
    """
    path = published_file(folder, KPIS)
    with open_for_reading(path, "published file", PUBLISH_FIRST) as connection:
        return _own_version(connection, folder)


def _own_version(connection: duckdb.DuckDBPyConnection, folder: Path) -> Version:
    path = published_file(folder, KPIS)
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
    version = Version(*row, row_count=int(rows))
    if version.version_id != folder.name:
        raise PublishingError(
            f"published file {path}: expected version {folder.name}, found {version.version_id};"
            f" {PUBLISH_FIRST}"
        )
    return version


def kept_versions(serving: Path) -> list[Version]:
    """Give the versions that are kept and are as they were published, oldest first."""
    versions = []
    for folder in _folders(serving):
        try:
            version = read_version(folder)
        except PublishingError:
            # Reported by `strangers`; it must not stand in the way of the others.
            continue
        if not broken_seal(folder):
            versions.append(version)
    return sorted(versions, key=lambda version: (version.published_at, version.version_id))


def _folders(serving: Path) -> list[Path]:
    """Give what is in the folder of versions, but for what is being made."""
    return sorted(
        path for path in serving.glob("versions/*") if not path.name.startswith(IN_THE_MAKING)
    )


def strangers(serving: Path, versions: list[Version]) -> list[Path]:
    """Give what is no published file, or cannot be read, or is not as it was published."""
    read = {version_folder(serving, version.version_id) for version in versions}
    return sorted(
        {path for path in serving.glob("*") if not _is_of_a_publish(path)}
        | (set(_folders(serving)) - read)
    )


def _is_of_a_publish(path: Path) -> bool:
    if path.name in (CURRENT, LOCK, "versions") or path.name.startswith(IN_THE_MAKING):
        return True
    return path.is_symlink() and path.readlink() == Path(CURRENT, path.name)


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
        lock = (serving / LOCK).open("a")
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
        for path in (serving / CURRENT, *serving.glob("*.duckdb")):
            # As in a copy that followed links: no rename replaces it.
            if path.is_dir() and not path.is_symlink():
                raise PublishingError(
                    f"published file {path}: expected a link, found a folder; move it away"
                )
        try:
            clean(serving)
            yield
        except OSError as error:
            raise cannot_write(serving, error) from error


def clean(serving: Path) -> None:
    """End what a publish that was killed had begun to serve; remove what else it left behind."""
    link = serving / NEXT
    if link.is_symlink() and link.exists():
        _switch(serving, link)
    for folder in (serving, serving / "versions"):
        for path in folder.glob(f"{IN_THE_MAKING}*"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def close(serving: Path, modes: Mapping[str, int]) -> None:
    """Let nobody read more of the versions that are kept than of the one that is served.

    Args:
        serving: The serving folder.
        modes: Name of a published file to its mode; others are for the owner alone.
    """
    for path in serving.glob("versions/*/*.duckdb"):
        path.chmod(path.stat().st_mode & modes.get(path.stem, 0o400))


def cannot_write(serving: Path, error: OSError) -> PublishingError:
    """Say why the folder cannot be written."""
    return PublishingError(
        f"serving folder {serving}: expected a folder that can be written, found: {reason(error)};"
        " make room or set TALLY_SERVING to another one"
    )


def serve(serving: Path, new: Path, version_id: str) -> None:
    """Serve a finished and sealed version, in one step that survives a power cut.

    Args:
        serving: The serving folder.
        new: The folder that the version was made in, beside the other versions.
        version_id: Its name from now on.
    """
    # What is meant is said first: killed after it, the next publish or rollback ends it (`clean`).
    link = _link(serving / NEXT, Path("versions", version_id))
    new.rename(version_folder(serving, version_id))
    _to_disk(new.parent)
    _switch(serving, link)


def _switch(serving: Path, link: Path) -> None:
    """Serve the version that a link leads to; first make the links that people open."""
    for path in version_folder(serving, link.readlink().name).glob("*.duckdb"):
        opened, expected = published_file(serving, path.stem), Path(CURRENT, path.name)
        if not opened.is_symlink() or opened.readlink() != expected:
            _link(serving / f"{IN_THE_MAKING}{path.name}", expected).replace(opened)
    link.replace(serving / CURRENT)
    for path in serving.glob("*.duckdb"):
        # Of a file that is not published any more.
        if _is_of_a_publish(path) and not path.exists():
            path.unlink()
    _to_disk(serving)


def _link(path: Path, leads_to: Path) -> Path:
    path.unlink(missing_ok=True)
    path.symlink_to(leads_to)
    return path


def forget(serving: Path, versions: list[Version], in_use: list[Version], number: int) -> list[str]:
    """Remove all but the latest versions, never one that is in use.

    Args:
        serving: The serving folder.
        versions: Those that are kept, oldest first.
        in_use: Those that somebody may open.
        number: How many to keep.

    Returns:
        The ids of those that were removed.
    """
    removed = [
        version.version_id
        for version in versions[: max(0, len(versions) - number)]
        if version not in in_use
    ]
    for version_id in removed:
        # First out of sight: killed meanwhile, no half of it is left among the versions.
        hidden = version_folder(serving, f"{IN_THE_MAKING}{version_id}")
        shutil.rmtree(version_folder(serving, version_id).rename(hidden))
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
        folder = version_folder(serving, version.version_id)
        if fault := broken_seal(folder, thorough=True):
            raise PublishingError(f"published file {fault}; choose another version")
        # Killed before the switch, nothing happened: by another name than a publish's.
        link = serving / f"{IN_THE_MAKING}rollback"
        _switch(serving, _link(link, Path("versions", version.version_id)))
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


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
