"""What is published is what was tested: a killed build and what a hand changed since are not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from company import small_company
from dbt_project import BUILD, DbtProject, copy_of_project
from edits import EDITS, FIRST_FIGURE, SERVED_EDITS, edit_served
from synthetic import Shop, one_error
from test_publish import refused


@pytest.mark.parametrize("edit", EDITS)
def test_what_a_hand_changed_after_the_build_is_not_published(published: Shop, edit: str):
    relation, statement = EDITS[edit]
    published.change(statement)
    line = refused(published)
    assert line.startswith("warehouse: ") and f"{relation}: expected " in line
    assert "changed it after the build" in line and "run `dbt build" in line

    done = published.run("verify")
    assert done.returncode == 1
    assert relation in done.stderr and "as it was published" in done.stdout


def test_what_the_build_left_behind_is_verified(published: Shop):
    done = published.run("verify")
    assert (done.returncode, done.stderr) == (0, "")
    ((figures,),) = published.query("select count(*) from marts.kpi_values")
    assert f"{figures:,} figures" in done.stdout
    (version,) = published.kept()
    assert done.stdout.splitlines()[1:] == [
        f"version {version}, which is served: {published.version(version)} is as it was published"
    ]


# Builds that did not end, or came later


def killed_build(project: DbtProject, root: Path) -> None:
    """Build with a broken dimension, and be killed when the dimension is made."""
    copy_of_project(root)
    model = root / "models/marts/customers/dim_households.sql"
    text = model.read_text()
    assert text.count("select * from final") == 1
    model.write_text(text.replace("select * from final", "select * from final limit 7"))
    process = subprocess.Popen(
        ["dbt", "--no-use-colors", "--log-level-file", "none", *BUILD],
        cwd=root,
        env={**project.environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        for line in process.stdout:
            if "OK created" in line and "dim_households" in line:
                os.kill(process.pid, signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL


def test_a_killed_build_is_not_published_under_the_record_of_the_one_before(
    small_build: Path, traced: Shop, tmp_path: Path
):
    shop = Shop(tmp_path / "shop", traced.folder)
    version = shop.version_id()
    shop.build_again()
    project = DbtProject(tmp_path / "shop", None)
    record = (shop.target / "run_results.json").read_bytes()
    killed_build(project, tmp_path / "root")
    assert shop.query("select count(*) from marts.dim_households") == [(7,)]
    # dbt writes its record at the end: that of the build before stands there as it was.
    assert (shop.target / "run_results.json").read_bytes() == record

    line = refused(shop)
    assert "which did not come to its end, wrote to it" in line and "`dbt build` of 20" in line
    assert shop.version_id() == version
    shutil.rmtree(tmp_path / "root")


@pytest.mark.parametrize("command", ["run", "snapshot", "seed"])
def test_what_another_command_wrote_after_the_build_is_not_published(published: Shop, command: str):
    published.change(
        "insert into builds.builds select build_number + 1, 'later', "
        f"'{command}', dlt_load_ids, now(), now() from builds.builds"
        " order by build_number desc limit 1"
    )
    line = refused(published)
    assert f"a `dbt {command}` of " in line and "did not come to its end" not in line


def test_a_build_that_did_not_end_is_not_published(published: Shop):
    published.change(
        "update builds.builds set ended_at = null"
        " where build_number = (select max(build_number) from builds.builds)"
    )
    assert "expected a build that came to its end, found that the `dbt build`" in refused(published)


def test_a_warehouse_without_a_record_is_not_published(published: Shop):
    published.change("drop schema builds cascade")
    assert "expected a record of its builds, found none" in refused(published)


def test_dbt_s_own_record_holds_what_is_there(project: DbtProject):
    """Counted here by other means than the hook's."""
    project.dbt(*BUILD)
    (build,) = project.fetch(
        "select dbt_invocation_id, dbt_command, ended_at >= began_at, len(dlt_load_ids)"
        " from builds.builds order by build_number desc limit 1"
    )
    record = json.loads((project.target / "run_results.json").read_text())
    assert build == (record["metadata"]["invocation_id"], "build", True, 2)
    held = {
        (schema, name): rows
        for schema, name, rows in project.fetch(
            "select table_schema, table_name, row_count from builds.build_tables"
        )
    }
    tables = project.fetch(
        "select table_schema, table_name from information_schema.tables"
        " where table_type = 'BASE TABLE' and table_schema not in ('builds', 'test_failures')"
    )
    assert set(held) == set(tables) and len(tables) > 40
    for (schema, name), rows in held.items():
        assert project.fetch(f'select count(*) from "{schema}"."{name}"') == [(rows,)]


def test_a_build_of_a_part_vouches_for_nothing(project: DbtProject):
    project.dbt("build", "--select", "age_bands")
    assert project.fetch("select count(*) from builds.build_tables") == [(0,)]
    assert project.fetch(
        "select ended_at is not null from builds.builds order by build_number desc limit 1"
    ) == [(True,)]


def test_tests_alone_leave_the_record_as_it_is(project: DbtProject):
    before = project.fetch("select * from builds.builds order by build_number")
    project.dbt("test", "--select", "age_bands")
    assert project.fetch("select * from builds.builds order by build_number") == before


# Clocks


def test_a_build_under_a_clock_that_was_set_back_is_refused(project: DbtProject, tmp_path: Path):
    later = Shop(tmp_path, project.folder)
    later.change("update builds.builds set ended_at = timestamptz '2099-01-02 03:04:05+00'")
    versions = later.query("select * from snapshots.snap_products order by all")
    builder = DbtProject(tmp_path, None)
    done = builder.run("dbt", "--no-use-colors", *BUILD)
    assert done.returncode == 2
    assert "clock: expected a time after that of the latest build" in done.stdout
    assert "2099-01-02 03:04:05 UTC, found 20" in done.stdout
    assert later.query("select * from snapshots.snap_products order by all") == versions


@pytest.mark.parametrize("what", ["load", "build"])
def test_a_load_under_a_clock_that_was_set_back_is_refused(
    small_build: Path, tmp_path: Path, what: str
):
    project = DbtProject(tmp_path, small_company())
    project.copy(small_build)
    shop = Shop(tmp_path / "other", small_build)
    shop.change(
        "update raw_retail_db._dlt_loads set inserted_at = timestamptz '2099-01-02 03:04:05+00'"
        if what == "load"
        else "update builds.builds set ended_at = timestamptz '2099-01-02 03:04:05+00'"
    )
    project.restore(shop.warehouse)
    rows = project.fetch("select count(*) from raw_retail_db._dlt_loads")
    done = project.run("python", "-m", "ingestion")
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: clock: ")
    assert f"after that of the latest {what}, 2099-01-02 03:04:05 UTC, found 20" in line
    assert project.fetch("select count(*) from raw_retail_db._dlt_loads") == rows


# Published files


@pytest.mark.parametrize(
    ("edit", "name"), [*((edit, "kpis") for edit in SERVED_EDITS), ("cent", "tally")]
)
def test_a_served_file_that_was_edited_is_told_by_all_that_read_it(
    open_shop: Shop, tmp_path: Path, edit: str, name: str
):
    path = edit_served(open_shop, SERVED_EDITS[edit], name)
    for command in (("alerts",), ("report", "--folder", str(tmp_path / "reports"))):
        line = one_error(open_shop.run(*command), 1)
        assert line.startswith(f"error: published file {path}: expected ")
        assert "publish with `python -m publishing publish`" in line
    assert not (tmp_path / "reports").exists()
    listed = open_shop.run("versions").stdout.splitlines()
    assert not any(line.endswith(" served") for line in listed)
    assert "is not what was published; remove" in listed[-1]
    verified = open_shop.run("verify")
    assert verified.returncode == 1
    faults = verified.stderr.splitlines()
    assert faults and all(str(path.parent) in fault for fault in faults)


def test_a_served_file_that_was_edited_is_published_anew(open_shop: Shop):
    figure = f"select value from marts.kpi_values where {FIRST_FIGURE}"
    kpis = open_shop.serving / "kpis.duckdb"
    value = open_shop.query(figure, kpis)
    edited = edit_served(open_shop, SERVED_EDITS["cent"])
    assert open_shop.query(figure, edited) != value
    done = open_shop.run("publish")
    assert done.returncode == 0 and done.stdout.startswith("published ")
    assert open_shop.query(figure, kpis) == value
    assert open_shop.run("alerts").returncode == 0


def test_a_copy_of_a_published_file_that_is_put_back_is_read(open_shop: Shop, tmp_path: Path):
    path = open_shop.served.resolve()
    kept = Path(shutil.copyfile(path, tmp_path / "copy"))
    assert kept.stat().st_mtime_ns != path.stat().st_mtime_ns
    kept.replace(path)
    assert open_shop.run("alerts").returncode == 0


def test_a_published_file_without_its_seal_is_told(open_shop: Shop):
    seal = open_shop.version(open_shop.version_id()) / "seal.json"
    seal.unlink()
    assert f"{seal}: expected what was published, found none" in one_error(
        open_shop.run("alerts"), 1
    )


@pytest.mark.parametrize("name", ["tally.duckdb", "kpis.duckdb"])
def test_a_file_of_a_version_that_is_gone_or_one_too_many_is_told(open_shop: Shop, name: str):
    folder = open_shop.version(open_shop.version_id())
    (folder / "more.duckdb").write_bytes((folder / name).read_bytes())
    assert "more.duckdb: expected" in one_error(open_shop.run("alerts"), 1)
    (folder / "more.duckdb").unlink()
    (folder / name).unlink()
    assert f"{folder / name}: expected" in one_error(open_shop.run("alerts"), 1)


@pytest.mark.parametrize("content", ["{", "[]", "null", "{}"])
def test_a_seal_that_cannot_be_read_is_told(open_shop: Shop, content: str):
    seal = open_shop.version(open_shop.version_id()) / "seal.json"
    seal.chmod(0o644)
    seal.write_text(content)
    assert "expected " in one_error(open_shop.run("alerts"), 1)
    assert open_shop.run("publish").returncode == 0
    assert open_shop.run("alerts").returncode == 0
