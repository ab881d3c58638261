"""Damaged files and folders that cannot be written: one line, a code, and nothing is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from disks import read_only
from faults import FULL
from stage import AFTER, BEFORE, COMMANDS, SITUATIONS, Stage, differing, digest, error_line


def garbage(path: Path) -> None:
    path.write_bytes(b"garbage " * 4000)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 3)


def by_name(damage: Callable[[Path], None]) -> str:
    return damage.__name__


DAMAGES = pytest.mark.parametrize(
    "damage", [garbage, truncate] if FULL else [truncate], ids=by_name
)


def damaged(path: Path, damage: Callable[[Path], None]) -> str | None:
    path.chmod(0o644)
    damage(path)
    return digest(path)


def last_line(stage: Stage, command: str) -> str:
    """Give the line that a command fails with; before dbt's last one is where in dbt it failed."""
    came_to = stage.run(command, 2)
    if command != "dbt build":
        return error_line(came_to)
    assert came_to.code == 2, came_to
    return came_to.out.strip().splitlines()[-1]


@pytest.mark.parametrize("damage", [garbage, truncate], ids=by_name)
@pytest.mark.parametrize("command", COMMANDS if FULL else ["ingestion", "publish"])
def test_damaged_warehouse(stage: Stage, command: str, damage, tried):
    row = tried(command, "damaged warehouse", damage.__name__)
    stage.restore("built 2")
    whole, served = stage.warehouse.read_bytes(), digest(stage.served)
    remains = damaged(stage.warehouse, damage)

    line = last_line(stage, command)

    assert str(stage.warehouse) in line
    assert "is not a valid DuckDB" in line or "Could not read enough bytes" in line, line
    assert command == "dbt build" or "move the file away" in line or "file that is damaged" in line
    # What can be saved of it is still there.
    assert (digest(stage.warehouse), digest(stage.served)) == (remains, served)
    assert {path.name for path in stage.warehouse.parent.iterdir()} == {"tally.duckdb"}
    stage.warehouse.write_bytes(whole)
    assert stage.run("publish", 2).code == 0
    assert differing(stage.published_now(), stage.published[2]) == []
    row["recovered"] = "a copy put back"


@pytest.mark.parametrize("command", ["ingestion", "dbt build"])
def test_read_only_warehouse_folder(stage: Stage, command: str, tried):
    row = tried(command, "warehouse folder read-only", SITUATIONS[command, 2])
    stage.restore(BEFORE[command, 2])
    warehouse, served = digest(stage.warehouse), digest(stage.served)
    with read_only(stage.warehouse.parent):
        line = last_line(stage, command)
    assert str(stage.warehouse) in line
    assert "Read-only file system" in line or "Permission denied" in line
    assert command == "dbt build" or "see to it that it can be written" in line
    assert (digest(stage.warehouse), digest(stage.served)) == (warehouse, served)
    if command == "ingestion" or FULL:
        came_to = stage.run(command, 2) if command == "ingestion" else stage.build_without_tests(2)
        assert came_to.code == 0, came_to
        assert differing(stage.held(), stage.contents[AFTER[command, 2]]) == []
        row["recovered"] = "next run, once it can be written"


def test_publish_only_reads_the_warehouse(stage: Stage, tried):
    row = tried("publish", "warehouse folder read-only", SITUATIONS["publish", 2])
    stage.restore("built 2")
    with read_only(stage.warehouse.parent):
        came_to = stage.run("publish", 2)
    assert came_to.code == 0, came_to
    assert differing(stage.published_now(), stage.published[2]) == []
    row["recovered"] = "needs not write there"


def test_serving_folder_that_cannot_be_written(stage: Stage, tried):
    row = tried("publish", "serving folder read-only", SITUATIONS["publish", 2])
    stage.restore("built 2")
    served, files = digest(stage.served), stage.serving_files()
    with read_only(stage.serving):
        line = error_line(stage.run("publish", 2))
    assert "nothing was published" in line and str(stage.serving) in line
    assert "Read-only file system" in line or "Permission denied" in line
    assert (digest(stage.served), stage.serving_files()) == (served, files)
    assert stage.run("publish", 2).code == 0
    assert differing(stage.published_now(), stage.published[2]) == []
    row["recovered"] = "next run, once it can be written"


@pytest.mark.parametrize("name", ["served", "kpis"])
@DAMAGES
def test_damaged_served_file(stage: Stage, damage, name: str, tried):
    row = tried("publish", f"damaged served file: {name}", damage.__name__)
    stage.restore("built 2")
    path = getattr(stage, name).resolve()
    remains = damaged(path, damage)
    line = error_line(stage.run_other("python", "-m", "publishing", "alerts"))
    assert str(path) in line and "publish with" in line
    assert digest(path) == remains

    came_to = stage.run("publish", 2)

    assert came_to.code == 0, came_to
    assert differing(stage.published_now(), stage.published[2]) == []
    row["recovered"] = "next publish"


@DAMAGES
def test_damaged_served_file_is_replaced_by_a_rollback(stage: Stage, damage, tried):
    row = tried("rollback", "damaged served file", damage.__name__)
    stage.restore("published 2")
    damaged(stage.served.resolve(), damage)
    came_to = stage.run_other("python", "-m", "publishing", "rollback")
    assert came_to.code == 0, came_to
    assert differing(stage.published_now(), stage.published[1]) == []
    row["recovered"] = "rollback"


@DAMAGES
def test_damaged_kept_version(stage: Stage, damage, tried):
    row = tried("publish", "damaged kept version", damage.__name__)
    stage.restore("built 2")
    (version,) = stage.versions()
    folder = stage.serving / "versions" / version
    remains = damaged(folder / "tally.duckdb", damage)

    came_to = stage.run("publish", 2)

    assert came_to.code == 0, came_to
    assert differing(stage.published_now(), stage.published[2]) == []
    listed = stage.run_other("python", "-m", "publishing", "versions")
    assert f"cannot be read, or is not what was published; remove {folder}" in listed.out, listed
    came_to = stage.run_other("python", "-m", "publishing", "rollback", version)
    assert version in error_line(came_to, came_to.code)
    assert digest(folder / "tally.duckdb") == remains
    assert differing(stage.published_now(), stage.published[2]) == []
    row["recovered"] = "next publish"
