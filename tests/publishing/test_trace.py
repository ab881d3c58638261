"""One number, explained down to the source rows."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from project.online_shop import SALES
from synthetic import Shop, one_error

from publishing import trace
from publishing.__main__ import main
from publishing.formatting import quoted, shown
from publishing.trace import recompute, tracing
from publishing.trace.audit import Audit, AuditModel
from publishing.trace.find import find

FIGURES = """
select
    kpi_id,
    grain,
    period_start_date,
    slice,
    slice_value
from marts.kpi_values
qualify
    row_number() over (
        partition by kpi_id, grain, slice
        order by hash(kpi_id, period_start_date, slice_value)
    ) = 1
    -- Which rows are of a period is a matter of more than its own dates here.
    or (kpi_id in ('household_retention_rate', 'campaign_redemption_rate') and slice = 'all')
"""


def traced_by(shop: Shop, kpi: str, period: str, slice_: str | None = None) -> trace.Trace:
    return trace.trace(shop.warehouse, shop.target, kpi, period, slice_)


@pytest.fixture(scope="module")
def output(traced: Shop) -> str:
    done = traced.run(
        "trace",
        "--kpi",
        "average_basket_value",
        "--period",
        "2017-06",
        "--slice",
        "department=GROCERY",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("systems", ["traced", "both"])
def test_every_measure_grain_and_slice_is_reproduced_from_the_raw_tables(
    systems: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
):
    traced = request.getfixturevalue(systems)
    # What is the same for all is read once; the way and the loads are tested apart.
    connection = duckdb.connect(traced.warehouse, read_only=True)
    manifest = tracing.read_manifest(traced.target)
    monkeypatch.setattr(tracing, "open_for_reading", lambda *_: contextlib.nullcontext(connection))
    monkeypatch.setattr(tracing, "read_manifest", lambda _: manifest)
    monkeypatch.setattr(tracing, "lineage", lambda *_: [])
    monkeypatch.setattr(tracing, "loads", lambda *_: [])
    figures = traced.query(FIGURES)
    catalog = traced.query("select numerator_measure, denominator_measure from seeds.kpi_catalog")
    assert len({kpi for kpi, *_ in figures}) == len(catalog)
    assert {measure for parts in catalog for measure in parts if measure} <= set(recompute.MEASURES)
    weeks = dict(
        traced.query(
            "select week_start_date, any_value(business_week) from marts.dim_dates group by 1"
        )
    )
    for kpi, grain, start, slice_, value in figures:
        asked = {
            "day": str(start),
            "week": f"{start.year}-W{weeks.get(start)}",
            "month": f"{start:%Y-%m}",
        }[grain]
        found = traced_by(traced, kpi, asked, None if slice_ == "all" else f"{slice_}={value}")
        assert found.is_reproduced, (kpi, asked, slice_, value, found.result, found.row)
        assert found.is_confirmed
        assert "measure_id" not in found.recomputation.statement
    connection.close()


def test_a_measure_that_is_not_written_out_comes_from_the_compiled_audit(
    traced: Shop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delitem(recompute.MEASURES, "basket_count")
    found = traced_by(traced, "average_basket_value", "2017-06", "department=PRODUCE")
    assert "measure_id = 'basket_count'" in found.recomputation.statement
    assert found.is_confirmed
    assert "rows are not known here" in trace.report(found)


def test_without_the_compiled_audit_a_measure_that_is_not_written_out_is_not_confirmed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delitem(recompute.MEASURES, "basket_count")
    manifest = json.loads((shop.target / "manifest.json").read_text())
    (audit,) = (node for node in manifest["nodes"].values() if node["name"] == "audit_measures")
    compiled = shop.target / "compiled" / audit["package_name"] / audit["original_file_path"]
    statement = compiled.read_text()
    compiled.unlink()
    assert traced_by(shop, "average_basket_value", "2017-06").is_confirmed
    del audit["compiled_code"]
    (shop.target / "manifest.json").write_text(json.dumps(manifest))
    compiled.write_text(statement)
    assert traced_by(shop, "average_basket_value", "2017-06").is_confirmed
    compiled.unlink()
    found = traced_by(shop, "average_basket_value", "2017-06")
    assert found.is_audited and not found.is_confirmed
    assert "no statement for this measure; run `dbt compile`" in trace.report(found)


@pytest.mark.parametrize(
    ("period", "is_followed"),
    # The data begin on Sunday 1 January: week 1 was not seen from its first day, the month was.
    [("2017-W2", False), ("2017-W3", True), ("2017-01", False), ("2017-02", True)],
)
def test_nobody_is_followed_from_a_period_that_began_before_the_data(
    traced: Shop, period: str, is_followed: bool
):
    found = traced_by(traced, "household_retention_rate", period)
    assert (found.result["denominator"] > 0) == is_followed
    assert (found.result["value"] is not None) == is_followed
    assert found.is_confirmed


def test_the_statement_asks_only_for_what_the_figure_needs(traced: Shop):
    def statement(kpi: str, slice_: str | None = None) -> str:
        return traced_by(traced, kpi, "2017-06", slice_).recomputation.statement

    sales, redemptions = "audit_retail_db__lines", "audit_retail_db__redemptions"
    assert sales in statement("net_sales") and redemptions not in statement("net_sales")
    assert "newcomers" not in statement("net_sales")
    assert redemptions in statement("coupon_redemptions")
    assert sales not in statement("coupon_redemptions")
    assert "department = 'GROCERY'" in statement("net_sales", "department=GROCERY")
    # Which store it is, the statement says in the words of the raw table.
    by_store = statement("net_sales", "store=rdb:1")
    assert "coalesce('rdb:' || transactions.store_id, 'Unknown') as store" in by_store


def test_the_statement_can_be_copied_and_run_as_it_is(traced: Shop, output: str):
    statement = output[output.index("\nwith ") : output.index(";\n") + 1]
    ((numerator, denominator, value),) = traced.query(
        "select numerator, denominator, value from marts.kpi_values where"
        " kpi_id = 'average_basket_value' and grain = 'month' and slice_value = 'GROCERY'"
        " and period_start_date = date '2017-06-01'"
    )
    with duckdb.connect(traced.warehouse, read_only=True) as connection:
        for timezone in ("UTC", "Asia/Tokyo"):
            connection.execute(f"set TimeZone = '{timezone}'")
            assert connection.execute(statement).fetchall() == [(numerator, denominator, value)]
    assert re.search(rf"value +{value} +{value}\n", output)
    assert "raw_retail_db" in statement and "marts" not in statement


def test_definition_and_figure_are_shown(traced: Shop, output: str):
    ((question, caveats, owner),) = traced.query(
        "select question, caveats, owner from seeds.kpi_catalog"
        " where kpi_id = 'average_basket_value'"
    )
    ((value, numerator, denominator, previous, status, lower),) = traced.query(
        "select value, numerator, denominator, previous_value, status, lower_limit"
        " from marts.kpi_values where"
        " kpi_id = 'average_basket_value' and grain = 'month' and slice_value = 'GROCERY'"
        " and period_start_date = date '2017-06-01'"
    )
    assert output.startswith(
        "Average basket value, month 2017-06 (2017-06-01 to 2017-06-30), department = GROCERY\n"
    )
    for words in (
        question,
        caveats,
        f"owner        {owner}",
        "net_sales_usd / basket_count",
        f"${value:,.2f}",
        f"numerator    ${numerator:,.2f}",
        f"denominator  {denominator:,.0f}\n",
        f"previous     ${previous:,.2f}",
        f"${lower:,.2f} to ",
        f"status       {status}: ",
    ):
        assert words in output, words


def test_the_way_goes_from_the_sources_to_the_mart_with_the_rows_of_each(traced: Shop):
    steps = traced_by(traced, "net_sales", "2017-06").lineage
    names = [step.name.split(".")[1] for step in steps]
    way = [
        "transactions",
        "stg_retail_db__transactions",
        "int_sales__lines_priced",
        "fct_sales_lines",
        "int_kpis__lines_attributed",
        "int_kpis__sales_measured",
        "int_kpis__measures_unpivoted",
        "int_kpis__values_computed",
        "kpi_values",
    ]
    assert [name for name in names if name in way] == way
    assert names[-1] == "kpi_values" and len(names) == len(set(names))
    assert [step.layer for step in steps if step.name.split(".")[1] in way][:4] == [
        "source",
        "staging",
        "intermediate",
        "marts",
    ]
    for step in steps:
        assert traced.query(f"select count(*) from {step.name}") == [(step.row_count,)]
    assert "int_kpis__retention_measured" not in names


def test_a_step_that_is_not_built_is_said_to_be_so(shop: Shop):
    shop.change("drop table intermediate.int_kpis__measures_unpivoted")
    printed = trace.report(traced_by(shop, "net_sales", "2017-06"))
    assert re.search(r"int_kpis__measures_unpivoted +not built\n", printed)


def test_the_way_is_that_of_the_measures(traced: Shop):
    def names(kpi: str) -> set[str]:
        return {step.name.split(".")[1] for step in traced_by(traced, kpi, "2017-06").lineage}

    assert "int_kpis__retention_measured" in names("household_retention_rate")
    assert "int_kpis__sales_measured" not in names("household_retention_rate")
    assert "int_kpis__redemptions_measured" in names("coupon_redemptions")


def test_the_loads_that_brought_the_rows_are_shown(shop: Shop):
    june = (
        "transaction_timestamp at time zone 'UTC' at time zone 'America/New_York'"
        " between '2017-06-01' and '2017-06-30 23:59:59.999'"
    )
    shop.change(
        "insert into raw_retail_db._dlt_loads select '9.9', schema_name, status,"
        " timestamptz '2017-07-01 12:00:00+00', schema_version_hash"
        " from raw_retail_db._dlt_loads limit 1",
        f"update raw_retail_db.transactions set _dlt_load_id = '9.9' where {june} and store_id = 1",
    )
    loads = {load.load_id: load for load in traced_by(shop, "net_sales", "2017-06").loads}
    counts = shop.query(
        f"select _dlt_load_id, count(*) from raw_retail_db.transactions where {june} group by all"
    )
    assert len(counts) == 2
    assert {load.table for load in loads.values()} == {"raw_retail_db.transactions"}
    assert {load_id: load.row_count for load_id, load in loads.items()} == dict(counts)
    assert f"{loads['9.9'].completed_at:%Y-%m-%d %H:%M}" == "2017-07-01 12:00"


@pytest.mark.parametrize(
    ("period", "dates"),
    [
        ("2017-06", "month 2017-06 (2017-06-01 to 2017-06-30)"),
        ("2017-06-15", "day 2017-06-15 (2017-06-15 to 2017-06-15)"),
        ("2017-W23", "week 2017-W23 (2017-05-29 to 2017-06-04)"),
        ("2017-w23", "week 2017-W23 (2017-05-29 to 2017-06-04)"),
        ("2017-W1", "week 2016-W01 (2016-12-26 to 2017-01-01)"),
        ("2016-W01", "week 2016-W01 (2016-12-26 to 2017-01-01)"),
        ("2017-W53", "week 2017-W53 (2017-12-25 to 2017-12-31)"),
    ],
)
def test_a_period_is_said_with_its_dates_and_as_it_can_be_asked_for(
    traced: Shop, period: str, dates: str
):
    found = traced_by(traced, "net_sales", period)
    assert trace.report(found).startswith(f"Net sales, {dates}\n")
    with duckdb.connect(traced.warehouse, read_only=True) as connection:
        assert find(connection, "net_sales", found.label, None)[1] == found.row


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["net_sale", "2017-06"], "KPI net_sale: .* nearest: net_sales"),
        (["Net_Sales", "2017-06"], "nearest: net_sales"),
        (["zzz", "2017-06"], "there are: active_households, "),
        (["net_sales", "2018-06"], "2017-01 to 2017-12, found none; nearest: 2017-12"),
        (["net_sales", "2016-11-30"], "nearest: 2017-01-01"),
        (["net_sales", "2017-W54"], "nearest: 2017-W53"),
        (["net_sales", "2018-W23"], "week 23 begins 2017-05-29; nearest: 2017-W23"),
        (["net_sales", "June"], "expected a month 2017-06, a day"),
        (["net_sales", "2017-13"], "month must be in 1..12"),
        # Python says it in other words from version to version.
        (["net_sales", "2017-02-30"], r"day (is out of|30 must be in) range"),
        (["household_retention_rate", "2017-06-15"], "expected a month or week"),
        (["net_sales", "2017-06", "departmen=GROCERY"], "nearest: department"),
        (["net_sales", "2017-06", "campaign=1"], "slice campaign: expected one that net_sales has"),
        (["net_sales", "2017-06", "department=GROCRY"], "nearest: GROCERY"),
        (["net_sales", "2017-06", "department=grocery"], "nearest: GROCERY"),
        (["net_sales", "2017-06", "department"], "expected SLICE=VALUE"),
        (["net_sales", "2017-06", "department="], "expected a value that net_sales has"),
        (["net_sales", "2017-06", "department=x' or 'a'='a"], "expected a value that net_sales"),
    ],
)
def test_what_is_not_there_is_answered_with_the_nearest(
    traced: Shop,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    nearest: str,
):
    monkeypatch.setenv("TALLY_WAREHOUSE", str(traced.warehouse))
    monkeypatch.setenv("DBT_TARGET_PATH", str(traced.target))
    kpi, period, *slice_ = arguments
    options = ["--kpi", kpi, "--period", period, *(f"--slice={value}" for value in slice_)]
    assert main(["trace", *options]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert printed.err.startswith("error: ") and re.search(nearest, printed.err), printed.err


# Of departments: all that a terminal would obey, that SQL or the option would take for their own,
# and lengths. The last is the form that an argument cannot have: it is typed as it is shown.
DEPARTMENTS = {
    "GROCERY": "GRO\nCERY\r\t\x1b[31m\u202e\u200b\x85\u2028\xa0",
    "PRODUCE": " =lead 'quo\"te', \\n {{ 1 }} \U0001f34e trail ",
    "FUEL": "X" * 500,
    "DRUG GM": "nul\0",
}
SENTENCES = "\x1b[2J Sales\r\n\u202e rise.\0"


@pytest.fixture(scope="module")
def hostile(traced: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A company whose texts hold what a terminal obeys; for reading only."""
    shop = Shop(tmp_path_factory.mktemp("hostile"), traced.folder)
    sentences = " || ".join(f"chr({ord(character)})" for character in SENTENCES)
    with duckdb.connect(shop.warehouse) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for name, other in DEPARTMENTS.items():
            for table, column in (
                ("raw_retail_db.products", "department"),
                ("marts.kpi_values", "slice_value"),
                ("audit.audit_kpis", "slice_value"),
            ):
                connection.execute(
                    f"update {table} set {column} = ? where {column} = ?", [other, name]
                )
        connection.execute(
            f"update seeds.kpi_catalog set kpi_name = {sentences}, question = {sentences},"
            f" owner = {sentences}, caveats = {sentences}"
        )
    shop.change_served(
        f"update marts.kpi_alerts set kpi_name = {sentences}, owner = {sentences},"
        f" action = {sentences}, kpi_id = kpi_id || {sentences}"
    )
    return shop


def is_tame(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("department", DEPARTMENTS.values(), ids=DEPARTMENTS)
def test_any_text_of_a_source_is_traced_as_it_is_and_as_it_is_shown(hostile: Shop, department: str):
    ((period,),) = hostile.query(
        "select strftime(max(period_start_date), '%Y-%m') from marts.kpi_values"
        " where kpi_id = 'net_sales' and grain = 'month' and value > 0"
        f" and slice_value = {recompute._literal(department)}"
    )
    arguments = ("trace", "--kpi", "net_sales", "--period", period, "--slice")
    done = hostile.run(*arguments, f"department={department}")
    assert done.returncode == 0, done.stderr
    assert f"department = {shown(quoted(department))}" in done.stdout.splitlines()[0]
    assert is_tame(done.stdout)
    assert hostile.run(*arguments, f"department={shown(department)}").stdout == done.stdout
    # What is printed is what was run.
    statement = done.stdout[done.stdout.index("\nwith ") : done.stdout.index(";\n") + 1]
    ((_, value),) = hostile.query(statement)
    assert value > 0


def test_an_empty_text_is_a_value_like_others(traced: Shop):
    figure = recompute.Figure(
        "line_count", None, "day", date(2017, 6, 1), date(2017, 6, 1), "department", ""
    )
    line = "date '2017-06-01' as local_date, '' as department"
    audit = Audit((audit_model("first", "lines", line),), None)
    statement = recompute.recompute(figure, audit).statement
    assert duckdb.sql(statement).fetchone()[0] == 1


def test_nothing_of_the_data_is_obeyed_by_the_terminal(hostile: Shop):
    for arguments in (
        ("alerts",),
        ("trace", "--kpi", "net_sales", "--period", "2017-06", "--slice", "department=\x1b[2J"),
        ("trace", "--kpi", SENTENCES, "--period", "2017-06"),
        ("trace", "--kpi", "net_sales", "--period", SENTENCES),
        ("rollback", SENTENCES),
        ("versions",),
    ):
        done = hostile.run(*arguments)
        assert done.stdout + done.stderr and is_tame(done.stdout + done.stderr), arguments
        assert done.stderr.count("\n") <= 1


def test_a_figure_that_is_there_twice_is_one_line(shop: Shop):
    shop.change(
        "insert into marts.kpi_values select * from marts.kpi_values where kpi_id = 'net_sales'"
        " and grain = 'month' and slice = 'all'"
    )
    line = one_error(shop.run("trace", "--kpi", "net_sales", "--period", "2017-06"), 1)
    assert "expected one row of net_sales, 2017-06, all=all, found 2; run `dbt build`" in line


def test_a_number_that_the_raw_tables_do_not_give_is_said_to_differ(shop: Shop):
    shop.change(
        "update marts.kpi_values set value = value + 1 where kpi_id = 'net_sales'"
        " and grain = 'month' and period_start_date = date '2017-06-01' and slice = 'all'"
    )
    done = shop.run("trace", "--kpi", "net_sales", "--period", "2017-06")
    assert done.returncode == 1
    assert re.search(r"value +[\d.]+ +[\d.]+  differs\n", done.stdout)
    assert "the figure changed after its audit" in done.stdout


def test_raw_rows_that_changed_since_the_build_are_noticed(shop: Shop):
    # The audit, which is of the build, still agrees.
    shop.change("update raw_retail_db.transactions set sales_value = sales_value + 1")
    done = shop.run("trace", "--kpi", "net_sales", "--period", "2017-06")
    assert done.returncode == 1
    assert re.search(r"value +[\d.]+ +[\d.]+  differs\n", done.stdout)
    assert "  agrees: recomputed" in done.stdout


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ("update audit.audit_kpis set is_equal = false", "  differs: recomputed "),
        ("delete from audit.audit_kpis", "  not audited: "),
    ],
)
def test_the_verdict_of_the_audit_is_shown(shop: Shop, change: str, verdict: str):
    shop.change(change)
    found = traced_by(shop, "net_sales", "2017-06")
    assert found.is_reproduced and not found.is_confirmed
    assert trace.report(found).splitlines()[-1].startswith(verdict)


def test_the_warehouse_is_only_read(traced: Shop, output: str):
    before = traced.warehouse.read_bytes()
    traced_by(traced, "net_sales", "2017-06")
    assert traced.warehouse.read_bytes() == before
    assert [path.name for path in traced.warehouse.parent.iterdir()] == ["tally.duckdb"]


def test_without_a_warehouse_or_a_manifest_there_is_one_line(shop: Shop):
    arguments = ("trace", "--kpi", "net_sales", "--period", "2017-06")
    line = one_error(shop.run(*arguments, TALLY_WAREHOUSE=str(shop.folder / "none")), 1)
    assert "expected a DuckDB file, found none; load with" in line
    (shop.target / "manifest.json").unlink()
    assert "manifest.json: expected a file, found none" in one_error(shop.run(*arguments), 1)


def test_a_warehouse_that_is_not_built_is_said_to_be_so(shop: Shop, tmp_path: Path):
    empty = tmp_path / "empty.duckdb"
    duckdb.connect(empty).close()
    line = one_error(
        shop.run("trace", "--kpi", "x", "--period", "2017-06", TALLY_WAREHOUSE=str(empty)), 1
    )
    assert "expected the tables of a whole build" in line


# Several source systems


def tables_of_loads(found: trace.Trace) -> list[str]:
    return [load.table for load in found.loads]


RETAIL = "raw_retail_db.transactions"
ONLINE = "raw_online_shop.orders, raw_online_shop.order_items"


@pytest.mark.parametrize(
    ("kpi", "period", "slice_", "of_online_shop", "tables"),
    [
        ("net_sales", "2017-03", None, "40.09", [RETAIL, ONLINE]),
        ("baskets", "2017-03", None, "3", [RETAIL, ONLINE]),
        # Customers 101 and 102, who are not households 101 and 102.
        ("active_households", "2017-03", None, "2", [RETAIL, ONLINE]),
        ("net_sales", "2017-03", "department=GROCERY", "27.99", [RETAIL, ONLINE]),
        ("net_sales", "2017-03", "department=BEAUTY", "9.00", [ONLINE]),
        ("coupon_redemptions", "2017-06", None, "0", ["raw_retail_db.coupon_redemptions"]),
    ],
)
def test_a_figure_is_that_of_all_systems(
    traced: Shop,
    both: Shop,
    kpi: str,
    period: str,
    slice_: str | None,
    of_online_shop: str,
    tables: list[str],
):
    found = traced_by(both, kpi, period, slice_)
    value = (
        "select coalesce(sum(value), 0) from marts.kpi_values where grain = 'month'"
        f" and kpi_id = '{kpi}' and period_start_date = date '{period}-01'"
        f" and slice_value = '{slice_.split('=')[1] if slice_ else 'all'}'"
    )
    ((of_both,),), ((of_retail,),) = both.query(value), traced.query(value)
    assert found.result["value"] == of_both == of_retail + Decimal(of_online_shop)
    assert found.is_confirmed
    assert tables_of_loads(found) == tables


def test_the_sql_of_every_system_is_shown_and_can_be_run_as_it_is(both: Shop):
    found = traced_by(both, "average_basket_value", "2017-03")
    statement = found.recomputation.statement
    assert statement in trace.report(found)
    assert "raw_retail_db" in statement and "raw_online_shop" in statement
    with duckdb.connect(both.warehouse, read_only=True) as connection:
        connection.execute("set TimeZone = 'Asia/Tokyo'")
        assert connection.execute(statement).fetchall() == [tuple(found.result.values())]


def test_a_measure_that_is_not_written_out_is_that_of_all_systems(
    both: Shop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delitem(recompute.MEASURES, "basket_count")
    found = traced_by(both, "baskets", "2017-03")
    assert found.is_confirmed
    assert '"raw_online_shop"' in found.recomputation.statement
    # From the raw tables, not from the views on them.
    assert '"audit"."' not in found.recomputation.statement


def test_loads_are_those_of_every_system(both: Shop, tmp_path: Path):
    shop = Shop(tmp_path, both.folder)
    shop.change(
        "insert into raw_online_shop._dlt_loads"
        " values ('9.9', 'online_shop', 0, timestamptz '2017-07-01 12:00:00+00')",
        # One of the two lines of item 1, and all of a cancelled order.
        "update raw_online_shop.order_items set _dlt_load_id = '9.9'"
        " where (order_id, line_number) = (1001, 1) or order_id = 1004",
    )
    loads = traced_by(shop, "net_sales", "2017-03").loads
    ((of_retail, first),) = shop.query(
        "select any_value(_dlt_load_id), count(*) from raw_retail_db.transactions"
        " where transaction_timestamp at time zone 'UTC' at time zone 'America/New_York'"
        " between '2017-03-01' and '2017-03-31 23:59:59.999'"
    )
    ((of_online, completed_at),) = shop.query(
        "select load_id, inserted_at from raw_online_shop._dlt_loads where load_id <> '9.9'"
    )
    assert [(load.table, load.load_id, load.row_count) for load in loads] == [
        (RETAIL, of_retail, first),
        (ONLINE, of_online, 3),
        (ONLINE, "9.9", 1),
    ]
    assert loads[1].completed_at == completed_at
    assert f"{loads[2].completed_at:%Y-%m-%d %H:%M}" == "2017-07-01 12:00"


def test_raw_rows_of_any_system_that_changed_since_the_build_are_noticed(
    both: Shop, tmp_path: Path
):
    shop = Shop(tmp_path, both.folder)
    shop.change("update raw_online_shop.order_items set discount_cents = discount_cents + 1")
    found = traced_by(shop, "net_sales", "2017-03")
    # Of the five lines of paid orders in that month.
    assert found.row["value"] - found.result["value"] == Decimal("0.05")
    assert not found.is_reproduced and found.is_audited
    done = shop.run("trace", "--kpi", "net_sales", "--period", "2017-03")
    assert done.returncode == 1
    assert re.search(r"value +[\d.]+ +[\d.]+  differs\n", done.stdout)
    # A month without sales of the shop.
    assert not any(day.startswith("2017-05") for day in SALES)
    assert traced_by(shop, "net_sales", "2017-05").is_confirmed


def test_a_record_without_a_system_that_was_built_is_refused(
    both: Shop, traced: Shop, tmp_path: Path
):
    # As after a `dbt ls` without the variable that the build had.
    shop = Shop(tmp_path, both.folder)
    shutil.copy(traced.target / "manifest.json", shop.target / "manifest.json")
    line = one_error(shop.run("trace", "--kpi", "net_sales", "--period", "2017-03"), 1)
    assert "found none of online_shop; run `dbt compile` with the source_systems" in line


def audit_model(system: str, rows: str, *selects: str) -> AuditModel:
    name = f"audit_{system}__{rows}"
    sql = " union all ".join(f"select {columns}" for columns in selects)
    return AuditModel(name, system, rows, f'"tally"."audit"."{name}"', sql, ())


def counted(audit: Audit, *measures: str) -> tuple[Decimal, ...]:
    """Give numerator and denominator of June 2017."""
    period = ("month", date(2017, 6, 1), date(2017, 6, 30))
    figure = recompute.Figure(*measures, *period, "all", "all")
    return duckdb.sql(recompute.recompute(figure, audit).statement).fetchone()[:2]


def test_households_and_baskets_are_counted_by_their_keys():
    line = (
        "'{0}:1' as basket_id, '{0}:7' as household_id, date '{1}' as local_date, {2} as net_cents"
    )
    # The columns in another order, and a household that came before.
    other = (
        "{2} as net_cents, date '{1}' as local_date, '{0}:7' as household_id, '{0}:1' as basket_id"
    )
    first, third = (line.format(system, "2017-06-01", 150) for system in ("first", "third"))
    audit = Audit(
        (
            audit_model("first", "lines", first),
            audit_model(
                "second",
                "lines",
                other.format("second", "2017-06-02", 250),
                other.format("second", "2017-05-02", 250),
            ),
            audit_model("third_of_them", "lines", third, third),
        ),
        None,
    )
    assert counted(audit, "net_sales_usd", "basket_count") == (Decimal("7.00"), 3)
    assert counted(audit, "new_household_count", "active_household_count") == (2, 3)
    # Nobody is followed from May, which began before the data.
    assert counted(audit, "retained_household_count", "previous_active_household_count") == (0, 0)


def test_a_household_that_redeemed_is_that_which_was_targeted():
    target = (
        "'{0}:7' as household_id, '{0}:1' as campaign, date '2017-06-01' as start_date,"
        " date '2017-06-30' as end_date"
    )
    redemption = (
        "'first:7' as household_id, 'first:1' as campaign, date '2017-06-09' as redemption_date"
    )
    audit = Audit(
        (
            audit_model("first", "targets", target.format("first")),
            audit_model("first", "redemptions", redemption),
            audit_model("second", "targets", target.format("second")),
        ),
        None,
    )
    assert counted(audit, "redeeming_target_count", "running_target_count") == (1, 2)


def test_rows_that_no_system_has_are_left_to_the_compiled_audit():
    figure = recompute.Figure(
        "running_target_count", None, "month", date(2017, 6, 1), date(2017, 6, 30), "all", "all"
    )
    lines = (audit_model("first", "lines", "1 as basket_id"),)
    assert recompute.recompute(figure, Audit(lines, None)) is None
    recomputation = recompute.recompute(figure, Audit(lines, "select 1 as measure_value"))
    assert "from audit_measures" in recomputation.statement


def test_without_the_compiled_sql_of_a_system_there_is_no_statement():
    figure = recompute.Figure(
        "line_count", None, "month", date(2017, 6, 1), date(2017, 6, 30), "all", "all"
    )
    compiled = audit_model("first", "lines", "date '2017-06-01' as local_date")
    missing = AuditModel("audit_second__lines", "second", "lines", '"second"', None, ())
    assert recompute.recompute(figure, Audit((compiled,), None)) is not None
    assert recompute.recompute(figure, Audit((compiled, missing), None)) is None
