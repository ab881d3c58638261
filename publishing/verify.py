"""Whether warehouse and published files are still what was tested, looked at from outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from publishing.audits import Audited
from publishing.database import reason
from publishing.errors import PublishingError
from publishing.tested import latest_build, tested
from publishing.versions import (
    PUBLISH_FIRST,
    broken_seal,
    read_version,
    served_file,
)


@dataclass
class Verified:
    """What was looked at.

    Attributes:
        agreeing: What is as it was tested and published, a line each.
        faults: What is not, a line each.
    """

    agreeing: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def verify(warehouse: Path, serving: Path, target: Path) -> Verified:
    """Hold the warehouse against its build, and every published file against its seal.

    Args:
        warehouse: The file that dbt builds in.
        serving: Folder of the published files.
        target: dbt's folder of artifacts.
    """
    verified = Verified()
    try:
        audited = _tested(warehouse, target)
        verified.agreeing.append(
            f"warehouse {warehouse}: as its latest build left it;"
            f" {audited.figure_count:,} figures and {audited.control_total_count:,} control totals"
            " audited"
        )
    except PublishingError as error:
        verified.faults.append(str(error))
    paths = [served_file(serving), *sorted(serving.glob("versions/*.duckdb"))]
    for path in paths:
        what = "published file" if path == paths[0] else "version"
        try:
            version = read_version(path)
        except PublishingError as error:
            verified.faults.append(str(error))
            continue
        version_id = version.version_id if path == paths[0] else path.stem
        if fault := broken_seal(serving, path, version_id, thorough=True):
            to_do = PUBLISH_FIRST if path == paths[0] else f"remove {path}"
            verified.faults.append(f"{what} {path}: {fault}; {to_do}")
        else:
            verified.agreeing.append(f"{what} {path}: as it was published")
    return verified


def _tested(warehouse: Path, target: Path) -> Audited:
    build = latest_build(warehouse, target)
    with duckdb.connect() as connection:
        try:
            return tested(connection, warehouse, build).audited
        except duckdb.Error as error:
            raise PublishingError(
                f"warehouse {warehouse}: expected to read it, found: {reason(error)}; put a copy of"
                " the file back, or load and build again"
            ) from error
