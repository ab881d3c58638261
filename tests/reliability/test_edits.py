"""Edits by hand in every table, one after the other: all commands refuse what is not what it was.

`tests/publishing/test_build_record.py` tries some at every stage; here are all tables.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from edits import SERVED_EDITS, edit_served, edits_of_tables
from faults import FULL
from stage import Stage
from synthetic import Shop, one_error

pytestmark = pytest.mark.skipif(not FULL, reason="in the full form: make reliability")

# Rows as they were loaded, those that were set aside and the control totals; histories; what was
# typed; facts and KPIs; their audits.
SCHEMAS = (
    *("raw_retail_db", "raw_promotion_feed", "snapshots", "seeds"),
    *("intermediate", "marts", "audit"),
)

# What publishing is told by, and what is kept of a test that failed.
NOT_PUBLISHED = {"builds", "test_failures"}

NOTHING = "error: nothing was published: "


@pytest.fixture
def shop(stage: Stage, tmp_path: Path) -> Shop:
    """The second build, where the first one is served."""
    return Shop(tmp_path / "shop", stage.folder / "built 2")


class Rows:
    """What was tried of one schema, a row of the table at the end for each kind of edit."""

    def __init__(self, tried: Callable[..., dict], commands: str, schema: str):
        self._tried = tried
        self._commands = commands
        self._schema = schema
        self.by_kind: dict[str, dict] = {}

    def refused(self, kind: str) -> None:
        """Note that one more edit of a kind was refused."""
        if kind not in self.by_kind:
            situation = f"{self._schema}: {kind}"
            self.by_kind[kind] = self._tried(self._commands, "edit", situation, times=0)
            self.by_kind[kind]["recovered"] = "both refused"
        self.by_kind[kind]["times"] += 1


def test_every_schema_is_edited(shop: Shop, tried):
    found = {schema for (schema,) in shop.query("select schema_name from duckdb_tables()")}
    assert found - NOT_PUBLISHED == {*SCHEMAS}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_warehouse(shop: Shop, tmp_path: Path, schema: str, tried):
    whole, version = Path(shutil.copy(shop.warehouse, tmp_path)), shop.version_id()
    rows, verified = Rows(tried, "publish, verify", schema), set()
    for table, kind, statement in edits_of_tables(shop, schema):
        shutil.copy(whole, shop.warehouse)
        if not changes(shop.warehouse, statement):
            continue
        line = one_error(shop.run("publish"), 1)
        assert line.startswith(NOTHING), statement
        # Of a load that is not there, a figure and a control other checks say more.
        said = line.removeprefix(NOTHING)
        assert f"{table}: expected" in said or said.startswith(FIRST_TOLD), (statement, said)
        assert shop.version_id() == version
        # It reads as publish does.
        if table not in verified:
            verified.add(table)
            done = shop.run("verify")
            assert done.returncode == 1 and said.partition(":")[0] in done.stderr
        rows.refused(kind)
    assert len(rows.by_kind) >= 3
    shutil.copy(whole, shop.warehouse)
    done = shop.run("publish")
    assert done.returncode == 0 and done.stdout.startswith("published "), done


FIRST_TOLD = (
    "dbt's latest build: expected one that read load",
    *("KPI ", "control ", "audit_kpis: expected ", "audit_controls: expected "),
)


def changes(path: Path, statement: str) -> bool:
    """Make an edit; whether it changed anything, where a constraint did not refuse it."""
    with duckdb.connect(path) as connection:
        connection.execute("set TimeZone = 'UTC'")
        try:
            ((count,),) = connection.execute(statement).fetchall()
        except duckdb.ConstraintException:
            return False
    return count > 0


@pytest.mark.parametrize("name", ["kpis", "tally"])
def test_served_file(shop: Shop, tmp_path: Path, name: str, tried):
    path = (shop.serving / f"{name}.duckdb").resolve()
    whole = Path(shutil.copy2(path, tmp_path))
    rows = Rows(tried, "alerts, verify", f"served {path.name}")
    edits = [edit for schema in SCHEMAS for edit in edits_of_tables(shop, schema, path)]
    for _, kind, statement in edits:
        edit_served(shop, statement, name)
        line = one_error(shop.run("alerts"), 1)
        assert line.startswith(f"error: published file {path}: expected "), statement
        done = shop.run("verify")
        assert done.returncode == 1 and str(path) in done.stderr, statement
        rows.refused(kind)
        path.chmod(0o644)
        shutil.copyfile(whole, path)
        shutil.copystat(whole, path)
    assert len(rows.by_kind) >= 5
    assert shop.run("alerts").returncode == 0


@pytest.mark.parametrize("edit", SERVED_EDITS)
def test_version_to_roll_back_to(shop: Shop, edit: str, tried):
    """The time of change is put back, too."""
    row = tried("rollback, verify", "edit", f"version that is kept: {edit}")
    first = shop.version_id()
    shop.publish()
    kept, served = shop.version(first) / "kpis.duckdb", shop.version_id()
    before = kept.stat()
    kept.chmod(0o644)
    with duckdb.connect(kept) as connection:
        connection.execute(SERVED_EDITS[edit])
    os.utime(kept, ns=(before.st_atime_ns, before.st_mtime_ns))

    for arguments in (("rollback",), ("rollback", first)):
        done = shop.run(*arguments)
        assert done.returncode != 0 and done.stderr.startswith("error: "), done
        assert shop.version_id() == served
    done = shop.run("verify")
    assert done.returncode == 1 and str(kept) in done.stderr
    assert shop.run("alerts").returncode == 0
    row["recovered"] = "both refused"
