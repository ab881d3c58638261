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
    current_folder,
    kept_versions,
    read_version,
    strangers,
    unserved,
    version_folder,
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
    versions = kept_versions(serving)
    folders = [version_folder(serving, version.version_id) for version in versions]
    served = None
    try:
        served = current_folder(serving)
        if fault := unserved(serving, served):
            verified.faults.append(f"published file {fault}; {PUBLISH_FIRST}")
        read_version(served)
    except PublishingError as error:
        verified.faults.append(str(error))
    for folder in folders:
        if fault := broken_seal(folder, thorough=True):
            to_do = PUBLISH_FIRST if folder == served else f"remove {folder}"
            verified.faults.append(f"published file {fault}; {to_do}")
        else:
            verified.agreeing.append(
                f"version {folder.name}{', which is served' if folder == served else ''}:"
                f" {folder} is as it was published"
            )
    for path in strangers(serving, versions):
        fault = broken_seal(path) if path.is_dir() else None
        verified.faults.append(
            f"published file {fault or f'{path}: expected what was published alone, found it'};"
            f" {PUBLISH_FIRST if path == served else f'remove {path}'}"
        )
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
