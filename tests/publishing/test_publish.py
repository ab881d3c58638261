"""What is published: all of an audited build, or nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from dbt_project import DbtProject
from edits import FIRST_FIGURE
from synthetic import Shop, is_whole, one_error

import publishing.versions
from publishing.errors import PublishingError
from publishing.versions import read_version

# What a published file holds


def test_published_tables_are_the_warehouse_s(shop: Shop):
    done = shop.run("publish")
    assert done.returncode == 0, done.stderr
    with duckdb.connect(shop.served, read_only=True) as connection:
        connection.execute(f"attach '{shop.warehouse}' as warehouse (read_only)")
        in_warehouse, published = (
            set(
                connection.execute(
                    "select schema_name, table_name from duckdb_tables()"
                    f" where database_name {condition}"
                    " and (schema_name in ('marts', 'audit')"
                    " or schema_name = 'seeds' and table_name like 'kpi%')"
                ).fetchall()
            )
            for condition in ("= 'warehouse'", "<> 'warehouse'")
        )
        assert published == in_warehouse
        assert {
            ("marts", "kpi_values"),
            ("audit", "audit_kpis"),
            ("seeds", "kpi_catalog"),
        } < published
        for schema, name in published:
            table = f'"{schema}"."{name}"'
            for left, right in ((table, f"warehouse.{table}"), (f"warehouse.{table}", table)):
                assert not connection.execute(
                    f"(from {left}) except all (from {right})"
                ).fetchall(), name
            assert (
                connection.execute(f"describe {table}").fetchall()[0][:2]
                == connection.execute(f"describe warehouse.{table}").fetchall()[0][:2]
            )
        recorded = connection.execute(
            "select table_schema, table_name from published_tables"
        ).fetchall()
        assert sorted(recorded) == sorted(published)
        schemas = {
            name
            for (name,) in connection.execute(
                "select distinct schema_name from duckdb_tables()"
                " where database_name <> 'warehouse'"
            ).fetchall()
        }
        assert schemas == {"main", "marts", "audit", "seeds"}
    assert is_whole(shop.served)


def test_the_record_says_what_was_published(shop: Shop):
    before = datetime.now(UTC)
    printed = shop.run("publish").stdout
    (version,) = shop.query("from published_versions", shop.served)
    version_id, at, invocation, loads, through, figures, totals = version
    assert before <= at <= datetime.now(UTC)
    assert invocation == shop.record()["metadata"]["invocation_id"]
    assert loads == {
        source: shop.query(f"select max(load_id) from raw_{source}._dlt_loads")[0][0]
        for source in ("retail_db", "promotion_feed")
    }
    assert str(through) == "2017-12-31"
    assert [(figures,)] == shop.query("select count(*) from marts.kpi_values")
    assert [(totals,)] == shop.query(
        "select count(*) from audit.audit_controls where verdict = 'agrees'"
    )
    assert version_id in printed and f"{figures:,} figures, {totals} control totals" in printed
    ((rows,),) = shop.query("select sum(row_count)::bigint from published_tables", shop.served)
    assert f"rows           {rows:,}\n" in printed


def test_no_log_and_no_half_made_file_is_left(shop: Shop):
    shop.publish()
    assert shop.leftovers() == []
    assert shop.kept() == [shop.version_id()]
    for name in ("tally", "kpis"):
        opened = shop.serving / f"{name}.duckdb"
        assert opened.samefile(shop.version(shop.kept()[0]) / f"{name}.duckdb")
        assert opened.stat().st_mode & 0o222 == 0


def test_a_leftover_of_a_model_that_is_gone_is_not_published(shop: Shop):
    shop.change("create table marts.fct_gone as select 1 as untested")
    shop.publish()
    assert (
        shop.query("select * from published_tables where table_name = 'fct_gone'", shop.served)
        == []
    )


def test_a_build_that_is_published_is_not_published_again(open_shop: Shop):
    inode, version = open_shop.served.stat().st_ino, open_shop.version_id()
    done = open_shop.run("publish")
    assert done.returncode == 0
    assert done.stdout.startswith("nothing new to publish: ") and version in done.stdout
    assert open_shop.served.stat().st_ino == inode
    assert len(open_shop.kept()) == 1 and open_shop.leftovers() == []


# What is refused


def refused(shop: Shop, **environment: str) -> str:
    line = one_error(shop.run("publish", **environment), 1)
    assert line.startswith("error: nothing was published: ")
    return line.removeprefix("error: nothing was published: ")


def test_a_test_that_fails_is_named(dbt_shop: Shop, project: DbtProject):
    dbt_shop.change("update seeds.age_bands set band_order = null where age_band = '65+'")
    project.run("dbt", "build", "--select", "not_null_age_bands_band_order")
    line = refused(dbt_shop)
    assert line.startswith("test not_null_age_bands_band_order: expected it to pass, found fail")
    assert "1 rows" in line and "test_failures" in line and "run `dbt build" in line


def test_a_build_of_a_selection_is_refused(dbt_shop: Shop, project: DbtProject):
    project.run("dbt", "build", "--select", "age_bands")
    line = refused(dbt_shop)
    assert "expected every model and data test, found model " in line and "left out" in line


@pytest.mark.parametrize("command", ["run", "test", "compile"])
def test_another_command_after_the_build_is_refused(published: Shop, command: str):
    record = published.record()
    record["args"]["which"] = command
    published.write_record(record)
    assert f"expected a `dbt build`, found `dbt {command}`; run `dbt build" in refused(published)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("test", "fail"),
        ("test", "error"),
        ("test", "warn"),
        ("test", "skipped"),
        ("model", "error"),
        ("model", "skipped"),
        ("seed", "error"),
        ("snapshot", "error"),
        ("model", "a status of a dbt to come"),
    ],
)
def test_whatever_did_not_pass_is_named(published: Shop, kind: str, status: str):
    record = published.record()
    result = next(item for item in record["results"] if item["unique_id"].startswith(f"{kind}."))
    result["status"] = status
    published.write_record(record)
    line = refused(published)
    assert line.startswith(f"{kind} {result['unique_id'].split('.')[2]}: expected it to ")
    assert f"found {status}" in line


def test_the_cause_is_named_before_what_was_skipped_for_it(published: Shop):
    record = published.record()
    record["results"][0]["status"] = record["results"][1]["status"] = "skipped"
    record["results"][-1]["status"] = "fail"
    published.write_record(record)
    line = refused(published)
    assert line.split(":")[0].split()[1] == record["results"][-1]["unique_id"].split(".")[2]
    assert "(and 2 more)" in line


def test_a_data_test_that_never_ran_is_named(published: Shop):
    record = published.record()
    gone = next(item for item in record["results"] if "assert_kpis_agree" in item["unique_id"])
    record["results"].remove(gone)
    published.write_record(record)
    assert "found test assert_kpis_agree_with_raw left out" in refused(published)


def switch_off(shop: Shop, name: str) -> None:
    """Let dbt's record be of a project in which this is disabled."""
    path = shop.target / "manifest.json"
    manifest, record = json.loads(path.read_text()), shop.record()
    (key,) = (key for key, node in manifest["nodes"].items() if node["name"] == name)
    manifest["nodes"][key]["config"]["enabled"] = False
    record["results"] = [item for item in record["results"] if item["unique_id"] != key]
    path.write_text(json.dumps(manifest))
    shop.write_record(record)


def test_what_is_switched_off_need_not_have_run_and_is_not_published(shop: Shop):
    for name in ("fct_campaign_households", "stg_retail_db__products", "assert_slices_add_up"):
        switch_off(shop, name)
    shop.publish()
    tables = {
        name for (name,) in shop.query("select table_name from published_tables", shop.served)
    }
    assert "dim_campaigns" in tables and "fct_campaign_households" not in tables


def test_what_never_ran_is_named_beside_what_is_switched_off(published: Shop):
    switch_off(published, "assert_slices_add_up")
    record = published.record()
    gone = next(item for item in record["results"] if "stg_retail_db__coupons" in item["unique_id"])
    record["results"].remove(gone)
    published.write_record(record)
    assert "found model stg_retail_db__coupons left out; " in refused(published)


def test_all_systems_are_published(both: Shop, tmp_path: Path):
    shop = Shop(tmp_path, both.folder)
    printed = shop.run("publish").stdout
    # What is not as the project says is not published without a word.
    assert '  variables      {"source_systems": ["retail_db", "online_shop"]} (--vars)\n' in printed
    version = read_version(shop.version(shop.version_id()))
    assert {"retail_db", "promotion_feed", "online_shop"} == set(version.dlt_load_ids)
    systems = "select distinct source_system from marts.fct_baskets order by 1"
    assert shop.query(systems, shop.served) == [("online_shop",), ("retail_db",)]


def test_a_build_of_another_warehouse_is_refused(published: Shop):
    record = published.record()
    for result in record["results"]:
        if result["relation_name"]:
            result["relation_name"] = result["relation_name"].replace('"tally"', '"pr"')
    published.write_record(record)
    assert "expected one of tally, found one of pr" in refused(published)


@pytest.mark.parametrize("name", ["run_results.json", "manifest.json"])
@pytest.mark.parametrize("content", [None, "{", ""])
def test_a_record_that_cannot_be_read_is_said_to_be_so(
    published: Shop, name: str, content: str | None
):
    if content is None:
        (published.target / name).unlink()
    else:
        (published.target / name).write_text(content)
    line = refused(published)
    assert name in line and "run `dbt build" in line


def test_a_load_after_the_build_is_refused(published: Shop):
    published.change(
        "insert into raw_promotion_feed._dlt_loads select '9999999999.9', schema_name, status,"
        " now(), schema_version_hash from raw_promotion_feed._dlt_loads limit 1"
    )
    line = refused(published)
    assert "expected one that read load 9999999999.9 of promotion_feed, which was" in line


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param(
            f"update marts.kpi_values set value = value + 0.01 where {FIRST_FIGURE}",
            "changed since the audit: reported",
            id="value",
        ),
        pytest.param(
            f"update marts.kpi_values set numerator = numerator + 0.01 where {FIRST_FIGURE}",
            "changed since the audit: reported",
            id="numerator",
        ),
        pytest.param(
            f"update marts.kpi_values set value = null where {FIRST_FIGURE}",
            "changed since the audit: reported None",
            id="value lost",
        ),
        pytest.param(
            f"delete from audit.audit_kpis where {FIRST_FIGURE}", "not audited", id="not audited"
        ),
        pytest.param(
            f"delete from marts.kpi_values where {FIRST_FIGURE}", "not reported", id="not reported"
        ),
        pytest.param(
            f"update audit.audit_kpis set is_equal = false where {FIRST_FIGURE}",
            "not equal: reported",
            id="verdict",
        ),
        pytest.param(
            "alter table audit.audit_kpis alter is_equal drop not null;"
            f"update audit.audit_kpis set is_equal = null where {FIRST_FIGURE}",
            "not equal: reported",
            id="no verdict",
        ),
        pytest.param(
            f"update audit.audit_kpis set reported_value = 0 where {FIRST_FIGURE}",
            "changed since the audit: reported",
            id="audit of another value",
        ),
        pytest.param(
            "update audit.audit_kpis set recomputed_value = recomputed_value + 1"
            f" where {FIRST_FIGURE}",
            "not equal: reported",
            id="recomputed value",
        ),
        pytest.param(
            f"update audit.audit_kpis set recomputed_denominator = 1 where {FIRST_FIGURE}",
            "not equal: reported",
            id="recomputed denominator",
        ),
    ],
)
def test_a_figure_that_its_audit_does_not_bear_out_is_named(
    published: Shop, change: str, fault: str
):
    published.change(change)
    line = refused(published)
    assert line.startswith("KPI net_sales, month from 2017-06-01, department = GROCERY: " + fault)
    assert "recomputed from the raw tables" in line and "more)" not in line


def test_both_figures_are_in_the_message_and_how_many_more(published: Shop):
    ((value,),) = published.query(f"select value from marts.kpi_values where {FIRST_FIGURE}")
    published.change(
        "update marts.kpi_values set value = value + 1 where kpi_id = 'net_sales' and"
        " grain = 'month' and slice_value = 'GROCERY' and period_start_date >= date '2017-06-01'"
    )
    line = refused(published)
    assert f"reported {value + 1}, recomputed from the raw tables {value} (and 6 more)" in line


def test_an_audit_that_is_older_than_the_figures_is_refused(published: Shop):
    # Figures and audit agreed each with themselves; then the figures were made anew.
    published.change(
        "update marts.kpi_values set value = value * 2, numerator = numerator * 2"
        " where kpi_id = 'gross_sales' and grain = 'week'"
    )
    line = refused(published)
    assert line.startswith("KPI gross_sales, week from ") and "changed since the audit" in line


def test_a_figure_that_is_there_twice_is_refused(published: Shop):
    published.change(
        f"insert into marts.kpi_values select * from marts.kpi_values where {FIRST_FIGURE}"
    )
    assert "expected one audit for each of the" in refused(published)


def test_no_figures_at_all_are_refused(published: Shop):
    published.change("delete from marts.kpi_values", "delete from audit.audit_kpis")
    assert "and at least one, found 0 audits" in refused(published)


@pytest.mark.parametrize("verdict", ["'differs'", "null"])
def test_a_control_total_that_differs_is_named(published: Shop, verdict: str):
    published.change(
        "alter table audit.audit_controls alter verdict drop not null",
        f"update audit.audit_controls set verdict = {verdict}, mart_value = 1409"
        " where table_name = 'transactions' and measure = 'row_count'",
    )
    line = refused(published)
    assert line.startswith("control total retail_db.transactions, row_count: expected 1410.00")
    assert "fct_sales_lines 1409.00" in line


def test_no_control_totals_are_refused(published: Shop):
    published.change("delete from audit.audit_controls")
    assert "audit_controls: expected control totals" in refused(published)


def test_a_table_that_is_gone_is_named(published: Shop):
    published.change("drop table marts.fct_household_months")
    line = refused(published)
    assert line.startswith("warehouse: marts.fct_household_months: expected ")
    assert "found no table" in line


def test_checks_come_before_the_word_that_nothing_is_new(open_shop: Shop):
    open_shop.change(f"update marts.kpi_values set value = 0 where {FIRST_FIGURE}")
    assert "changed since the audit" in refused(open_shop)


def test_a_new_file_that_does_not_hold_what_the_warehouse_holds_is_not_served(
    published: Shop, monkeypatch: pytest.MonkeyPatch
):
    def fingerprint(connection: duckdb.DuckDBPyConnection, table: str):
        found = original(connection, table)
        return found._replace(checksum="0") if table == '"marts"."dim_stores"' else found

    original = publishing.publish.fingerprint
    monkeypatch.setattr("publishing.publish.fingerprint", fingerprint)
    with pytest.raises(PublishingError, match=r"expected marts\.dim_stores with"):
        published.publish()


# The machine


def test_a_missing_warehouse_is_said_to_be_so(published: Shop):
    line = refused(published, TALLY_WAREHOUSE=str(published.folder / "tally.duckdb"))
    assert "expected a DuckDB file, found none; load with `python -m ingestion`" in line


def test_a_warehouse_that_is_no_database_is_said_to_be_so(published: Shop):
    published.warehouse.write_text("not a database" * 1000)
    assert f"warehouse {published.warehouse}: expected a DuckDB file" in refused(published)


def test_a_warehouse_that_is_being_written_is_said_to_be_so(published: Shop):
    code = (
        f"import duckdb; c = duckdb.connect({str(published.warehouse)!r});"
        " print('open', flush=True); input()"
    )
    writer = subprocess.Popen(
        [shutil.which("python"), "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        writer.stdout.readline()
        line = refused(published)
    finally:
        writer.communicate(b"\n")
    assert "warehouse" in line and "lock" in line and "end the process" in line


def test_a_second_publish_at_the_same_time_is_refused(shop: Shop):
    code = (
        "import sys, publishing.publish as p\n"
        "read_back = p._read_back\n"
        "def wait(*a):\n    p._read_back = read_back\n    print('at it', flush=True)\n"
        "    input()\n    read_back(*a)\n"
        "p._read_back = wait\n"
        "import publishing.__main__ as m\nsys.exit(m.main(['publish']))"
    )
    first = shop.popen("-c", code, stdin=subprocess.PIPE)
    assert first.stdout.readline() == "at it\n"
    for command in ("publish", "rollback"):
        line = one_error(shop.run(command), 1)
        assert "found one that is running; wait for its end" in line
    _, errors = first.communicate("\n", timeout=60)
    assert first.returncode == 0, errors
    assert is_whole(shop.served) and shop.leftovers() == [] and len(shop.kept()) == 1


def test_the_lock_of_a_publish_that_was_killed_is_free(open_shop: Shop):
    code = (
        "import os, signal, publishing.publish as p; "
        "p._read_back = lambda *_: os.kill(os.getpid(), signal.SIGKILL); "
        "import publishing.__main__ as m; m.publish = p.publish; m.main(['publish'])"
    )
    open_shop.build_again()
    assert open_shop.python("-c", code).returncode == -signal.SIGKILL
    assert open_shop.leftovers() != []
    assert open_shop.run("publish").returncode == 0
    assert open_shop.leftovers() == [] and len(open_shop.kept()) == 2


@pytest.mark.parametrize("serving", ["/proc/serving", "/dev/null", "{folder}/file/serving"])
def test_a_serving_folder_that_cannot_be_written_is_said_to_be_so(shop: Shop, serving: str):
    (shop.folder / "file").touch()
    line = refused(shop, TALLY_SERVING=serving.format(folder=shop.folder))
    assert line.startswith("serving folder ") and "expected a folder that can be written" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes whatever a folder's permissions are")
def test_a_serving_folder_without_permission_is_said_to_be_so(published: Shop):
    published.serving.chmod(0o555)
    try:
        assert "expected a folder that can be written" in refused(published)
    finally:
        published.serving.chmod(0o755)


@pytest.mark.parametrize("extra", [1, 6, 10])
def test_a_full_disk_leaves_what_is_published(shop: Shop, tmp_path: Path, extra: int):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)]
    if (
        shutil.which("mount") is None
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("a small disk cannot be mounted here")
    try:
        shop.serving = disk / "serving"
        shop.served = shop.serving / "tally.duckdb"
        shop.environment["TALLY_SERVING"] = str(shop.serving)
        shop.publish()
        version = shop.version_id()
        used = shutil.disk_usage(disk).used // 2**20 + extra
        subprocess.run(["mount", "-o", f"remount,size={used}m", str(disk)], check=True)
        shop.build_again()
        line = refused(shop)
        assert "No space left on device" in line and "make room" in line
        assert shop.version_id() == version and is_whole(shop.served)
        assert shop.leftovers() == []
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        assert shop.run("publish").returncode == 0
    finally:
        subprocess.run(["umount", str(disk)], check=True)


INTERRUPTS = {
    "between statements": "p._read_back = lambda *_: os.kill(os.getpid(), signal.SIGINT)",
    # DuckDB sometimes ends the statement first; those of a publish take seconds at most.
    "in a statement": (
        "import threading; "
        "kill = lambda: os.kill(os.getpid(), signal.SIGINT); "
        "p._write = lambda c, *_: (threading.Timer(0.1, kill).start(), c.execute("
        "'select count(*) from range(200000000) t(a) where hash(a) % 7 = 3').fetchall())"
    ),
}


@pytest.mark.parametrize("interrupt", INTERRUPTS.values(), ids=INTERRUPTS)
def test_an_interrupt_publishes_nothing_and_says_so(published: Shop, interrupt: str):
    code = (
        f"import os, signal, sys, publishing.publish as p\n{interrupt}\n"
        "import publishing.__main__ as m\nsys.exit(m.main(['publish']))"
    )
    assert one_error(published.python("-c", code), 130).startswith("interrupted: ")


def test_an_interrupt_at_the_last_moment_does_not_undo_what_is_served(open_shop: Shop):
    invocation = open_shop.build_again()
    code = (
        "import os, signal, sys, publishing.publish as p\n"
        "serve = p.serve\n"
        "def slow(*a):\n    serve(*a)\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "p.serve = slow\n"
        "import publishing.__main__ as m\nsys.exit(m.main(['publish']))"
    )
    done = open_shop.python("-c", code)
    assert done.returncode == 0, done.stderr
    assert invocation[:8] in open_shop.version_id() and len(open_shop.kept()) == 2


@pytest.mark.parametrize(
    ("moment", "is_served"),
    {
        "p.seal": False,
        "v._link": False,
        "v.Path.rename": False,
        "v.Path.replace": True,
    }.items(),
)
def test_killed_at_a_moment_the_next_one_serves_it_once(
    open_shop: Shop, moment: str, is_served: bool
):
    """Until the switch is said to be meant nothing is served; then the next one ends it."""
    first, invocation = open_shop.version_id(), open_shop.build_again()
    code = (
        "import os, signal, publishing.publish as p, publishing.versions as v\n"
        f"{moment} = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
        "import publishing.__main__ as m\nm.main(['publish'])"
    )
    assert open_shop.python("-c", code).returncode == -signal.SIGKILL
    assert open_shop.version_id() == first and is_whole(open_shop.served)
    done = open_shop.run("publish")
    assert done.returncode == 0, done.stderr
    assert ("which is served" in done.stdout) == is_served
    assert invocation[:8] in open_shop.version_id() and len(open_shop.kept()) == 2
    assert open_shop.leftovers() == [] and open_shop.is_whole(open_shop.version_id())


def test_killed_at_any_moment_what_is_served_stays_whole(open_shop: Shop):
    started = time.monotonic()
    open_shop.build_again()
    assert open_shop.command("publish", "--keep", "2").returncode == 0
    lasts = time.monotonic() - started
    killed = 0
    for moment in range(8):
        open_shop.build_again()
        process = open_shop.popen("-m", "publishing", "publish", "--keep", "2")
        # From the imports to the end.
        time.sleep(lasts * (0.2 + 0.9 * moment / 8))
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        assert is_whole(open_shop.served)
        for name in open_shop.kept():
            if not name.startswith("."):
                assert open_shop.is_whole(name)
    assert killed >= 4
    open_shop.build_again()
    assert open_shop.command("publish", "--keep", "2").returncode == 0
    assert open_shop.leftovers() == [] and 1 <= len(open_shop.kept()) <= 2


# Readers

READER = """
import json, sys, time
from pathlib import Path
import duckdb

path, stop, is_patient = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "patient"
seen, reads, torn, opened_inodes = set(), 0, [], set()

def read(connection):
    global reads
    versions = connection.execute("select distinct version_id from published_tables").fetchall()
    lines, = connection.execute("select sum(net_sales_usd) from marts.fct_sales_lines").fetchone()
    baskets, = connection.execute("select sum(net_sales_usd) from marts.fct_baskets").fetchone()
    months, = connection.execute(
        "select sum(net_sales_usd) from marts.fct_household_months").fetchone()
    reads += 1
    if not (len(versions) == 1 and lines == baskets == months):
        torn.append([str(versions), str(lines), str(baskets), str(months)])
    seen.add((versions[0][0], lines))
    return versions[0][0], lines

print("ready", flush=True)
while not stop.exists():
    with duckdb.connect(path, read_only=True, config={"threads": 1}) as connection:
        opened = read(connection)
        while is_patient and len(opened_inodes) < 6 and not stop.exists():
            # Whatever is published meanwhile: it reads what it opened.
            if (again := read(connection)) != opened:
                torn.append([str(opened), str(again)])
            opened_inodes.add(path.stat().st_ino)
            time.sleep(0.05)
        opened_inodes.clear()
with duckdb.connect(path, read_only=True) as connection:
    read(connection)
print(json.dumps({"reads": reads, "versions": len({v for v, _ in seen}),
    "totals": len({t for _, t in seen}), "torn": torn}))
"""


def test_readers_never_notice_a_publish(shop: Shop):
    shop.change(
        # Without their constraints, which tie the columns of a row together.
        *(
            f"create or replace table marts.{name} as from marts.{name}"
            for name in ("fct_sales_lines", "fct_baskets", "fct_household_months")
        ),
        # And small, for many of them.
        *(
            f"delete from {name} where grain <> 'month' or slice <> 'all'"
            for name in ("marts.kpi_values", "audit.audit_kpis", "audit.audit_measures")
        ),
    )
    shop.shrink("fct_sales_lines", "fct_baskets", "fct_household_months", "kpi_values")
    shop.publish_again()
    stop = shop.folder / "stop"
    readers = [
        shop.popen("-c", READER, str(shop.served), str(stop), kind) for kind in ("hasty", "patient")
    ]
    try:
        for reader in readers:
            assert reader.stdout.readline() == "ready\n"
        for _ in range(25):
            # The three tables have the same total in each version, and another one in the next.
            shop.change(
                "update marts.fct_sales_lines set net_sales_usd = net_sales_usd + 1",
                "update marts.fct_baskets set net_sales_usd = net_sales_usd + line_count",
                "update marts.fct_household_months set net_sales_usd = net_sales_usd"
                " + (select count(*) from marts.fct_sales_lines) where rowid = 0",
            )
            shop.publish_again(keep=1)
    finally:
        stop.touch()
        outcomes = [reader.communicate(timeout=30) for reader in readers]
    for reader, (_, errors) in zip(readers, outcomes, strict=True):
        assert reader.returncode == 0, errors
        assert errors == ""
    hasty, patient = (json.loads(printed) for printed, _ in outcomes)
    assert hasty["torn"] == [] and hasty["versions"] == hasty["totals"] > 10, hasty
    assert hasty["reads"] > 50
    assert patient["torn"] == [] and patient["versions"] == patient["totals"] >= 2, patient


# Versions that are kept


def test_the_latest_versions_are_kept(shop: Shop):
    published = [shop.publish_again(keep=3).version.version_id for _ in range(5)]
    assert shop.kept() == sorted(version for version in published[-3:])
    listed = shop.query(
        "select version_id from published_versions order by published_at", shop.served
    )
    assert listed == [(version,) for version in published[-3:]]
    for name in shop.kept():
        assert shop.is_whole(name)


def test_keep_reaches_publish_and_what_is_removed_is_said(open_shop: Shop):
    first = open_shop.version_id()
    open_shop.publish_again()
    open_shop.build_again()
    printed = open_shop.run("publish", "--keep", "2").stdout
    assert len(open_shop.kept()) == 2 and f"removed        {first}" in printed
    # The same build once more, and fewer versions.
    assert open_shop.run("publish", "--keep", "1").returncode == 0
    assert open_shop.kept() == [open_shop.version_id()]


def test_a_clock_that_was_set_back_does_not_change_the_order(shop: Shop):
    class Past(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2001, 1, 1, tzinfo=tz)

    first = shop.publish().version
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("publishing.publish.datetime", Past)
        second = shop.publish_again().version
    assert second.published_at > first.published_at
    assert [version.version_id for version in publishing.versions.kept_versions(shop.serving)] == [
        first.version_id,
        second.version_id,
    ]


@pytest.mark.parametrize("opened", ["tally.duckdb", "kpis.duckdb", "current"])
def test_what_is_put_in_place_of_a_served_file_is_replaced(open_shop: Shop, opened: str):
    path = open_shop.serving / opened
    path.unlink()
    path.write_text("damaged")
    line = one_error(open_shop.run("alerts"), 1)
    assert f"{path}: expected a link to" in line and "publish with" in line
    assert str(path) in open_shop.run("verify").stderr
    done = open_shop.run("publish")
    assert done.returncode == 0 and done.stdout.startswith("published "), done.stderr
    assert open_shop.is_whole(open_shop.version_id()) and open_shop.leftovers() == []


def test_what_is_no_published_file_is_told(open_shop: Shop):
    for name in ("old.duckdb", "versions/20170101T000000Z-00000000.duckdb"):
        (open_shop.serving / name).write_text("of nobody")
    listed = open_shop.run("versions").stdout
    verified = open_shop.run("verify")
    assert verified.returncode == 1
    for name in ("old.duckdb", "20170101T000000Z-00000000.duckdb"):
        assert f"{name}  cannot be read, or is not what was published; remove " in listed
        assert f"{name}: expected what was published alone, found it; remove " in verified.stderr


# Two files


def test_the_kpis_have_no_row_of_a_person_and_may_be_read_by_all(open_shop: Shop):
    kpis = open_shop.serving / "kpis.duckdb"
    names = {name for (name,) in open_shop.query("select table_name from duckdb_tables()", kpis)}
    assert {"kpi_values", "kpi_alerts", "kpi_catalog", "audit_kpis"} < names
    households = {
        row[0]
        for table in ("fct_baskets", "fct_household_months", "dim_households")
        for row in open_shop.query(f"select household_id from marts.{table}")
    }
    baskets = {row[0] for row in open_shop.query("select basket_id from marts.fct_baskets")}
    # By what is in the columns, whatever they are called.
    for name in names - {"published_tables", "published_versions"}:
        ((schema, columns),) = open_shop.query(
            "select schema_name, list(column_name) from duckdb_columns()"
            f" where table_name = '{name}' and data_type = 'BIGINT' group by all"
            f" union all select schema_name, [] from duckdb_tables() where table_name = '{name}'"
            " limit 1",
            kpis,
        )
        for column in columns:
            values = {
                row[0]
                for row in open_shop.query(f'select distinct "{column}" from {schema}.{name}', kpis)
            }
            for people in (households, baskets):
                assert len(values & people) < len(people) / 2, (name, column)
    tally = open_shop.serving / "tally.duckdb"
    assert (kpis.stat().st_mode & 0o777, tally.stat().st_mode & 0o777) == (0o444, 0o440)
    assert kpis.resolve().parent.stat().st_mode & 0o777 == 0o755


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what dbt_project.yml says of the published files."""

    def say(**files: object) -> None:
        monkeypatch.setattr(
            "publishing.published_files.project_variables", lambda: {"published_files": files}
        )

    return say


def test_modes_are_those_of_the_project_whatever_the_umask(shop: Shop, files):
    files(kpis={"mode": "0440"}, tally={"mode": "0400"})
    before = os.umask(0o077)
    try:
        shop.serving.mkdir()
        # New folders and files in it are of its group.
        shop.serving.chmod(0o2750)
        shop.publish()
    finally:
        os.umask(before)
    assert {
        name: oct(stat.S_IMODE((shop.serving / name).stat().st_mode))
        for name in (".", "versions", "current", "current/seal.json", "kpis.duckdb", "tally.duckdb")
    } == {
        ".": "0o2750",
        "versions": "0o2750",
        "current": "0o2750",
        "current/seal.json": "0o440",
        "kpis.duckdb": "0o440",
        "tally.duckdb": "0o400",
    }


@pytest.mark.parametrize(
    ("setting", "expected"),
    {
        "no kpis": ({"tally": {"mode": "0440"}}, "expected files by name, one of them kpis"),
        "a number": ({"kpis": {"mode": 288}}, "expected permissions to read and no others"),
        "a number of that form": ({"kpis": {"mode": 440}}, "expected permissions to read and no"),
        "to write": ({"kpis": {"mode": "0644"}}, "expected permissions to read and no others"),
        "a word": ({"kpis": "0444"}, "kpis: expected `mode` and perhaps `without_columns`"),
        "a path": (
            {"kpis": {"mode": "0444"}, "../x": {"mode": "0444"}},
            "expected a name of lower-case letters",
        ),
        "columns": (
            {"kpis": {"mode": "0444", "without_columns": "household_id"}},
            "without_columns: expected names of columns, found: household_id",
        ),
        "a name that tables have and files do not": (
            {"kpis": {"mode": "0444"}},
            "meta: published_in: expected some of kpis",
        ),
        "a person's id": (
            {
                "kpis": {"mode": "0444"},
                "tally": {"mode": "0444", "without_columns": ["HOUSEHOLD_ID"]},
            },
            "expected no column household_id in a table of tally.duckdb",
        ),
    }.values(),
)
def test_published_files_that_are_not_of_their_form_are_refused(
    published: Shop, files, setting: dict, expected: str
):
    files(**setting)
    assert expected in refused(published)


def test_a_file_that_is_called_as_a_schema_is_refused(published: Shop, files):
    files(kpis={"mode": "0444"}, tally={"mode": "0440"}, marts={"mode": "0440"})
    path = published.target / "manifest.json"
    manifest = json.loads(path.read_text())
    for node in manifest["nodes"].values():
        if "published_in" in node["config"]["meta"]:
            node["config"]["meta"]["published_in"].append("marts")
    path.write_text(json.dumps(manifest))
    assert "expected a file that is not called as a schema in it" in refused(published)


def test_what_was_published_is_closed_where_the_project_says_so(open_shop: Shop, files):
    first = open_shop.version_id()
    files(kpis={"mode": "0440"}, tally={"mode": "0400"})
    assert open_shop.run("publish").stdout.startswith("published ")
    assert open_shop.version_id() != first
    for version_id in (first, open_shop.version_id()):
        assert [
            stat.S_IMODE((open_shop.version(version_id) / name).stat().st_mode)
            for name in ("kpis.duckdb", "tally.duckdb")
        ] == [0o440, 0o400]
        assert open_shop.run("publish").stdout.startswith("nothing new")
    assert open_shop.run("verify").returncode == 0


def test_what_is_being_made_is_closed(shop: Shop):
    """Killed before it is sealed, too."""
    code = (
        "import os, signal, publishing.publish as p\n"
        "p.seal = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "import publishing.__main__ as m\nm.main(['publish'])"
    )
    assert shop.python("-c", code).returncode == -signal.SIGKILL
    (made,) = (shop.serving / "versions").iterdir()
    assert (made / "tally.duckdb").exists()
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_rot_that_leaves_the_time_of_change_is_mended_by_what_verify_says(open_shop: Shop):
    path = (open_shop.serving / "kpis.duckdb").resolve()
    whole, times = bytearray(path.read_bytes()), path.stat()
    whole[len(whole) // 2] ^= 0xFF
    path.chmod(0o644)
    path.write_bytes(whole)
    path.chmod(0o444)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert "publish with `python -m publishing publish`" in open_shop.run("verify").stderr
    assert open_shop.run("publish").stdout.startswith("published ")
    assert open_shop.is_whole(open_shop.version_id())


@pytest.mark.parametrize("name", ["current", "kpis.duckdb"])
def test_a_folder_in_place_of_a_link_is_named(published: Shop, name: str):
    """As in a copy of the serving folder that followed the links."""
    path = published.serving / name
    target = path.readlink()
    path.unlink()
    path.mkdir()
    assert refused(published).startswith(f"published file {path}: expected a link, found a folder")
    path.rmdir()
    path.symlink_to(target)


def test_a_file_that_is_not_published_any_more_leaves_no_link(open_shop: Shop, files):
    files(kpis={"mode": "0444"}, tally={"mode": "0440"}, more={"mode": "0400"})
    path = open_shop.target / "manifest.json"
    whole = path.read_text()
    manifest = json.loads(whole)
    for node in manifest["nodes"].values():
        if node["name"] == "dim_dates":
            node["config"]["meta"]["published_in"].append("more")
    path.write_text(json.dumps(manifest))
    open_shop.publish()
    assert (open_shop.serving / "more.duckdb").exists()
    files(kpis={"mode": "0444"}, tally={"mode": "0440"})
    path.write_text(whole)
    open_shop.publish()
    assert not os.path.lexists(open_shop.serving / "more.duckdb")
    assert open_shop.run("verify").returncode == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads whatever the permissions are")
def test_who_may_not_reach_a_version_is_told_so(open_shop: Shop):
    (open_shop.serving / "versions").chmod(0o000)
    try:
        line = one_error(open_shop.run("alerts"), 1)
    finally:
        (open_shop.serving / "versions").chmod(0o755)
    assert "Permission denied" in line and "ask whoever publishes" in line


def test_what_is_no_table_is_not_left_out_without_a_word(published: Shop):
    path = published.target / "manifest.json"
    manifest = json.loads(path.read_text())
    for node in manifest["nodes"].values():
        if node["name"] == "int_kpis__catalog_checked":
            node["config"]["meta"]["published_in"] = ["kpis"]
    path.write_text(json.dumps(manifest))
    line = refused(published)
    assert line.startswith("intermediate.int_kpis__catalog_checked: meta: published_in: expected")
    assert "a view is not published" in line


def test_a_file_without_a_table_is_not_published(published: Shop):
    """As after an update of the project, before it is built again."""
    path = published.target / "manifest.json"
    manifest = json.loads(path.read_text())
    for node in manifest["nodes"].values():
        node["config"]["meta"] = {}
    path.write_text(json.dumps(manifest))
    line = refused(published)
    assert line.startswith("kpis.duckdb: expected tables of dbt's latest build that say so")


def test_the_report_and_the_alerts_need_the_kpis_alone(open_shop: Shop, tmp_path: Path):
    code = (
        "import duckdb\nconnect = duckdb.connect\n"
        "def kpis(path=':memory:', *a, **k):\n"
        "    assert 'tally.duckdb' not in str(path), path\n    return connect(path, *a, **k)\n"
        "duckdb.connect = kpis\n"
        "import publishing.__main__ as m\n"
        f"assert m.main(['report', '--folder', {str(tmp_path / 'reports')!r}]) == 0\n"
        "assert m.main(['alerts']) == 0"
    )
    done = open_shop.python("-c", code)
    assert done.returncode == 0, done.stderr
