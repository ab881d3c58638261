"""A second company with other tables reaches the same marts by its staging models alone."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import yaml
from company import small_company
from dbt_project import BUILD, ROOT, DbtProject, copy_of_project, succeeded
from marts import differences, rows
from online_shop import ALONE, BOTH, SALES, load_online_shop, online_shop
from test_documentation import proven_twice, undescribed, unproven_keys, without_contract

# Loaded before the company, although it is built after it.
EARLIER = "1000000000.0"
# Another value of every variable of dbt_project.yml.
OTHER_VARIABLES = {
    "source_systems": ["retail_db", "online_shop"],
    "business_timezone": "Asia/Tokyo",
    "first_business_week_start_date": "2016-02-01",
    "kpi_baseline_periods": {"day": 9, "week": 10, "month": 11},
    "kpi_trailing_periods": {"day": 7, "week": 5, "month": 2},
    "published_files": {"tally": {"mode": "0400"}},
}
NO_SALES = "lines of cancelled or refunded orders; lines without an order"
SHOP_LINES = """
select
    basket_id, product_id, household_id,
    cast(business_date as varchar), business_week, quantity,
    cast(gross_sales_usd as varchar), cast(loyalty_discount_usd as varchar),
    cast(net_sales_usd as varchar), is_promoted, is_private_label
from marts.fct_sales_lines
where source_system = 'online_shop'
order by basket_id, product_id
"""


@pytest.fixture(scope="module")
def both(built: DbtProject, tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """The company as it was built, and then the shop with it, by a build that is incremental."""
    project = DbtProject(tmp_path_factory.mktemp("both"), small_company())
    project.restore(built.warehouse)
    load_online_shop(project.warehouse, online_shop(), EARLIER)
    project.dbt("--warn-error", *BUILD, *BOTH)
    project.dbt("docs", "generate", "--no-compile", *BOTH)
    return project


# What the marts have


def test_sales_lines_of_the_shop_are_those_computed_by_hand(both: DbtProject):
    assert both.fetch(SHOP_LINES) == [
        # Two lines of item 1: 19.99 + 10.00 less 2.00.
        (
            "web:1001",
            "web:1",
            "web:101",
            "2017-03-04",
            10,
            3,
            "29.99",
            "2.00",
            "27.99",
            False,
            False,
        ),
        ("web:1001", "web:2", "web:101", "2017-03-04", 10, 1, "4.50", "0.50", "4.00", False, True),
        # Nobody's account, an item that the catalog lacks.
        (
            "web:1002",
            "web:31",
            "Unknown",
            "2017-03-12",
            11,
            1,
            "3.10",
            "0.00",
            "3.10",
            False,
            False,
        ),
        ("web:1003", "web:2", "web:102", "2017-03-13", 12, 1, "5.00", "0.00", "5.00", False, True),
        ("web:1005", "web:1", "web:101", "2017-06-15", 25, 1, "9.99", "0.00", "9.99", False, False),
        ("web:1006", "web:3", "web:101", "2017-11-05", 45, 1, "1.25", "0.25", "1.00", False, True),
    ]


def test_lines_of_the_shop_are_of_no_known_store(both: DbtProject):
    stores = (
        "select distinct store_id from marts.fct_sales_lines where source_system = 'online_shop'"
    )
    assert both.fetch(stores) == [("Unknown",)]


def test_cancelled_and_refunded_orders_are_no_baskets(both: DbtProject):
    baskets = both.fetch(
        "select basket_id, line_count, cast(net_sales_usd as varchar)"
        " from marts.fct_baskets where source_system = 'online_shop' order by all"
    )
    assert baskets == [
        ("web:1001", 2, "31.99"),
        ("web:1002", 1, "3.10"),
        ("web:1003", 1, "5.00"),
        ("web:1005", 1, "9.99"),
        ("web:1006", 1, "1.00"),
    ]


def test_customers_are_never_households_of_the_same_number(both: DbtProject, built: DbtProject):
    households = "select household_id, has_purchased from marts.dim_households"
    assert both.fetch(f"{households} where source_system = 'online_shop' order by all") == [
        ("web:101", True),
        ("web:102", True),
        # Refunded, and never ordered.
        ("web:103", False),
        ("web:104", False),
    ]
    of_101 = "select * from marts.fct_household_months where household_id = 'rdb:101' order by all"
    assert both.fetch(of_101) == built.fetch(of_101) != []


def test_rows_of_the_company_are_as_without_the_shop(both: DbtProject, built: DbtProject):
    for table in ("fct_sales_lines", "fct_baskets", "dim_products", "dim_households", "dim_stores"):
        rows = f"select * from marts.{table} where source_system <> 'online_shop' order by all"
        assert both.fetch(rows) == built.fetch(rows) != []
    for table in ("fct_promotion_weeks", "fct_coupon_redemptions", "fct_campaign_households"):
        rows = f"select * from marts.{table} order by all"
        assert both.fetch(rows) == built.fetch(rows) != []


@pytest.mark.parametrize("grain", ["day", "week", "month"])
def test_kpis_are_the_sums_of_both(both: DbtProject, built: DbtProject, grain: str):
    def values(project: DbtProject, kpi: str) -> dict[str, Decimal]:
        return dict(
            project.fetch(
                "select cast(period_start_date as varchar), value from marts.kpi_values"
                f" where kpi_id = '{kpi}' and grain = '{grain}' and slice = 'all'"
            )
        )

    def start(day: str) -> str:
        ((first,),) = both.fetch(
            f"select cast(date_trunc('{grain}', date '{day}')::date as varchar)"
        )
        return first

    for kpi, index in (("net_sales", 0), ("gross_sales", 1)):
        expected = values(built, kpi)
        for day, amounts in SALES.items():
            expected[start(day)] = expected.get(start(day), Decimal(0)) + Decimal(amounts[index])
        assert values(both, kpi) == expected
    baskets = values(built, "baskets")
    for day in SALES:
        baskets[start(day)] = baskets.get(start(day), Decimal(0)) + 1
    assert values(both, "baskets") == baskets


def test_every_figure_of_both_is_audited_from_the_raw_tables(both: DbtProject, built: DbtProject):
    figures = both.fetch("select count(*) from marts.kpi_values")
    assert both.fetch("select count(*) from audit.audit_kpis where is_equal") == figures
    assert both.fetch("select count(*) from audit.audit_kpis") == figures
    assert figures > built.fetch("select count(*) from marts.kpi_values")


def test_every_table_of_the_shop_is_held_against_its_count(both: DbtProject):
    assert both.fetch(
        "select table_name, column_name, cast(source_value as integer),"
        " cast(mart_value as integer), difference_reason, verdict"
        " from audit.audit_controls where source_name = 'online_shop' order by all"
    ) == [
        ("customers", None, 4, 4, None, "agrees"),
        ("items", None, 4, 4, None, "agrees"),
        ("order_items", "discount_cents", 775, 275, NO_SALES, "agrees"),
        ("order_items", "list_price_cents", 10883, 5383, NO_SALES, "agrees"),
        ("order_items", "quantity", 14, 8, NO_SALES, "agrees"),
        (
            "order_items",
            None,
            9,
            6,
            f"{NO_SALES}; lines of one item in an order summed",
            "agrees",
        ),
        ("orders", None, 7, 5, "cancelled or refunded; paid without a line", "agrees"),
    ]


def test_everything_of_both_is_described(both: DbtProject):
    manifest, catalog = (
        json.loads((both.target / f"{name}.json").read_text()) for name in ("manifest", "catalog")
    )
    assert "model.tally.stg_online_shop__orders" in manifest["nodes"]
    assert list(undescribed(manifest, catalog)) == []


@pytest.mark.parametrize("gaps", [without_contract, unproven_keys, proven_twice])
def test_contracts_and_keys_of_both_are_whole(
    both: DbtProject, gaps: Callable[[dict], Iterable[str]]
):
    manifest = json.loads((both.target / "manifest.json").read_text())
    assert list(gaps(manifest)) == []


def test_nothing_of_the_shop_is_in_the_company_alone(built: DbtProject):
    manifest = json.loads((built.target / "manifest.json").read_text())
    nodes = [*manifest["nodes"], *manifest["sources"], *manifest["unit_tests"]]
    assert nodes and [name for name in nodes if "online_shop" in name] == []


def test_sql_of_the_shop_is_linted(tmp_path: Path):
    """`sqlfluff lint` passes over models that are not built; so here they are."""
    project = DbtProject(tmp_path, None, root=copy_of_project(tmp_path / "root"))
    shutil.copy(ROOT / ".sqlfluff", project.root)
    variables = project.root / "dbt_project.yml"
    replace(variables, "source_systems: [retail_db]", "source_systems: [retail_db, online_shop]")
    folders = ("models/staging/online_shop", "models/audit/online_shop")
    printed = succeeded(project.run("sqlfluff", "lint", *folders))
    assert "disabled" not in printed


def test_shop_alone_reaches_the_marts(tmp_path: Path):
    project = DbtProject(tmp_path, None)
    project.warehouse.parent.mkdir()
    load_online_shop(project.warehouse, online_shop())
    project.dbt("--warn-error", *BUILD, *ALONE)
    assert project.fetch(
        "select cast(sum(value) as decimal(18, 2)) from marts.kpi_values"
        " where kpi_id = 'net_sales' and grain = 'month' and slice = 'all'"
    ) == [(Decimal("51.08"),)]
    assert project.fetch("select distinct is_equal from audit.audit_kpis") == [(True,)]
    assert project.fetch("select count(*) from marts.dim_campaigns where not is_unknown") == [(0,)]


# What a company sets


def test_unit_tests_pass_with_any_variables(both: DbtProject, tmp_path: Path):
    """They say themselves which value of a variable their figures are of.

    Models and data tests pass without a warning in `test_sample.py`.
    """
    variables = yaml.safe_load((ROOT / "dbt_project.yml").read_text())["vars"]
    assert OTHER_VARIABLES.keys() == variables.keys()
    assert [name for name in variables if OTHER_VARIABLES[name] == variables[name]] == []
    printed = both.dbt(
        *("--warn-error", "test", "--select", "test_type:unit"),
        *("--vars", json.dumps(OTHER_VARIABLES)),
        DBT_TARGET_PATH=str(tmp_path),
    )
    assert re.search(r"[1-9]\d+ unit tests", printed)
    assert re.search(r"PASS=\d+ WARN=0 ERROR=0 SKIP=0", printed)


# Incremental builds


@pytest.fixture(scope="module")
def workbench_of_both(both: DbtProject, tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """A copy of what is built, to go on from."""
    project = DbtProject(tmp_path_factory.mktemp("workbench_of_both"), small_company())
    project.restore(both.warehouse)
    return project


def test_shop_that_joins_later_is_built_as_from_nothing(workbench_of_both: DbtProject):
    project = workbench_of_both
    incremental = project.keep("joined")
    project.dbt("run", "--full-refresh", *BOTH)
    assert differences(incremental, project.warehouse) == []


def test_news_of_the_shop_is_built_as_from_nothing(workbench_of_both: DbtProject):
    project = workbench_of_both
    shop = online_shop()
    # Order 1005 is refunded, 1004 was paid after all, 1006 was placed a day before, a line of
    # 1001 has another price, and there is a late order.
    status = {1004: "paid", 1005: "refunded"}
    shop["orders"] = [
        (number, customer, placed_at, status.get(number, old))
        for number, customer, placed_at, old in shop["orders"]
        if number != 1006
    ]
    shop["orders"] += [(1006, 101, "2017-11-04T12:00:00Z", "paid")]
    shop["orders"] += [(1008, 104, "2017-02-01T12:00:00Z", "paid")]
    shop["order_items"][2] = (1001, 3, 2, 1, 450, 150)
    shop["order_items"] += [(1008, 1, 1, 1, 999, 99)]
    load_online_shop(project.warehouse, shop)

    project.dbt("--warn-error", *BUILD, *BOTH)

    lines = project.fetch(
        "select basket_id, cast(business_date as varchar),"
        " cast(sum(net_sales_usd) as varchar) from marts.fct_sales_lines"
        " where source_system = 'online_shop' group by all order by all"
    )
    assert lines == [
        ("web:1001", "2017-03-04", "30.99"),
        ("web:1002", "2017-03-12", "3.10"),
        ("web:1003", "2017-03-13", "5.00"),
        ("web:1004", "2017-03-20", "45.00"),
        ("web:1006", "2017-11-04", "1.00"),
        ("web:1008", "2017-02-01", "9.00"),
    ]
    incremental = project.keep("news")
    project.dbt("run", "--full-refresh", *BOTH)
    assert differences(incremental, project.warehouse) == []


def test_rows_of_the_shop_that_are_gone_leave_the_facts(workbench_of_both: DbtProject):
    project = workbench_of_both
    shop = online_shop()
    # A gift, in a basket of its own and beside something else.
    shop["orders"] += [(1009, 104, "2017-02-03T12:00:00Z", "paid")]
    shop["order_items"] += [(1009, 1, 2, 1, 0, 0), (1003, 2, 4, 1, 0, 0)]
    load_online_shop(project.warehouse, shop)
    project.dbt("run", *BOTH)
    before = project.keep("before_rows_went")
    # As a load leaves it whose rows are deleted or in quarantine now: no row says what went.
    gone = {"orders": "id = 1002", "order_items": "order_id = 1009 or item_id = 4"}
    # One of two rows of the same line.
    gone["order_items"] += " or (order_id = 1001 and line_number = 2)"
    with duckdb.connect(project.warehouse) as connection:
        for table, condition in gone.items():
            connection.execute(f"delete from raw_online_shop.{table} where {condition}")

    project.dbt("run", *BOTH)

    incremental = project.keep("rows_went")
    for day in ("2017-02-03", "2017-03-04", "2017-03-12", "2017-03-13"):
        for table in ("fct_sales_lines", "fct_baskets"):
            of_day = f"business_date = date '{day}'"
            assert rows(before, table, of_day) != rows(incremental, table, of_day), (table, day)
    project.dbt("run", "--full-refresh", *BOTH)
    assert differences(incremental, project.warehouse) == []


def test_dates_without_news_of_the_shop_are_not_written(workbench_of_both: DbtProject):
    def written() -> list[tuple]:
        return [
            row
            for table in ("fct_sales_lines", "fct_baskets")
            for row in project.fetch(
                f"select count(*), bit_xor(hash(rowid, t)) from marts.{table} as t"
            )
        ]

    project = workbench_of_both
    before = written()
    project.dbt("run", "--select", "fct_sales_lines", "fct_baskets", *BOTH)
    assert written() == before


# The history of a system that is not built for a time


def test_history_of_a_system_that_is_not_built_stays(both: DbtProject, tmp_path: Path):
    """Its rows are not taken for deleted; what is deleted when it is back is recorded."""
    keys = {"products": "product_id", "households": "household_id"}

    def built_after(deletions: dict[str, str], *variables: str) -> dict[str, Counter]:
        """Take the snapshots after rows were deleted at the source, and test them."""
        with duckdb.connect(project.warehouse) as connection:
            for table, condition in deletions.items():
                deleted = connection.execute(f"delete from {table} where {condition}").fetchone()
                assert deleted == (1,)
        taken = [f"snap_{name}" for name in keys]
        views = ["int_shared__products_unioned", "int_shared__survey_answers_unioned"]
        selected = ("--indirect-selection", "cautious", "--select", *views, *taken)
        project.dbt("--warn-error", *BUILD, *selected, *variables)
        return {
            name: Counter(
                project.fetch(f"select {key}, dbt_is_deleted, * from snapshots.snap_{name}")
            )
            for name, key in keys.items()
        }

    project = DbtProject(tmp_path, None)
    project.restore(both.warehouse)
    # The latest version of item 4 says that it is deleted.
    before = built_after({"raw_online_shop.items": "id = 4"}, *BOTH)
    assert {("web:4", "False"), ("web:4", "True")} <= {row[:2] for row in before["products"]}
    assert built_after({}) == before
    assert built_after({}, *ALONE) == before

    deletions = {
        "raw_online_shop.items": "id = 3",
        "raw_retail_db.demographics": "household_id = 102",
    }
    after = built_after(deletions, *BOTH)

    for name, key in (("products", "web:3"), ("households", "rdb:102")):
        (former,) = before[name] - after[name]
        assert former[:2] == (key, "False")
        closed, deleted = sorted(after[name] - before[name], key=lambda row: row[1])
        assert (closed[:2], deleted[:2]) == ((key, "False"), (key, "True"))


# A staging model that does not keep the contract


@pytest.fixture(scope="module")
def broken(both: DbtProject, tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    folder = tmp_path_factory.mktemp("broken")
    project = DbtProject(folder, None, root=copy_of_project(folder / "root"))
    project.restore(both.warehouse)
    return project


@pytest.fixture
def staging(broken: DbtProject) -> Iterator[Path]:
    folder = broken.root / "models/staging/online_shop"
    texts = {path: path.read_text() for path in folder.glob("*.sql")}
    yield folder
    for path, text in texts.items():
        path.write_text(text)


def replace(path: Path, original: str, changed: str) -> None:
    text = path.read_text()
    assert text.count(original) == 1, (path.name, original)
    path.write_text(text.replace(original, changed))


@pytest.mark.parametrize(
    ("original", "changed", "found"),
    [
        pytest.param(
            "        summed.quantity,\n",
            "",
            "column quantity of sales_lines: expected bigint, found none; add it there",
            id="missing",
        ),
        pytest.param(
            "        cast(null as {{ dbt.type_string() }}) as store_id,\n",
            "",
            "column store_id of sales_lines: expected string, found none; add it there, as"
            " cast(null as string) where the system has none",
            id="missing_and_optional",
        ),
        pytest.param(
            "        {{ usd('summed.list_price_usd - summed.discount_usd') }} as net",
            "        cast(summed.list_price_usd - summed.discount_usd as double) as net",
            "column net_sales_usd of sales_lines: expected decimal(18,2), found double; cast it"
            " there",
            id="another_type",
        ),
        pytest.param(
            "        paid.sold_at\n",
            "        cast(paid.sold_at as timestamp with time zone) as sold_at\n",
            "column sold_at of sales_lines: expected timestamp, found timestamp with time zone;"
            " cast it there",
            id="with_a_time_zone",
        ),
    ],
)
def test_column_that_is_missing_or_of_another_type_is_one_line(
    broken: DbtProject, staging: Path, original: str, changed: str, found: str
):
    replace(staging / "stg_online_shop__sales_lines.sql", original, changed)
    completed = broken.run(
        "dbt", "--no-use-colors", "run", "--select", "stg_online_shop__sales_lines+", *BOTH
    )
    assert completed.returncode == 1
    lines = [line.strip() for line in completed.stdout.splitlines()]
    assert lines.count(f"staging model stg_online_shop__sales_lines: {found}") == 1
    # What reads it is not built on it.
    assert "OK created sql view model intermediate.int_sales__lines_priced" not in completed.stdout


OTHERS = (
    "staging model stg_online_shop__sales_lines: column household_id: expected ids that begin with"
    " web:, found others; wrap the column in source_key there"
)


@pytest.mark.parametrize(
    ("file", "original", "changed", "finding"),
    [
        pytest.param(
            "stg_online_shop__orders.sql",
            "{{ source_key('online_shop', 'customer_id') }} as household_id",
            "cast(customer_id as varchar) as household_id",
            OTHERS,
            id="without_its_code",
        ),
        pytest.param(
            "stg_online_shop__sales_lines.sql",
            "        paid.household_id,\n",
            "        replace(paid.household_id, 'web:', 'rdb:') as household_id,\n",
            OTHERS,
            id="of_another_system",
        ),
        pytest.param(
            "stg_online_shop__sales_lines.sql",
            "        paid.household_id,\n",
            "        left(paid.household_id, 4) as household_id,\n",
            OTHERS,
            id="of_nothing",
        ),
        pytest.param(
            "stg_online_shop__order_items.sql",
            "source_key('online_shop', 'item_id')",
            "source_key('online_shop', 'cast(item_id as decimal(38, 9))')",
            "staging model stg_online_shop__sales_lines: column product_id: expected ids of"
            " products, found none of its ids there; load both in one type, or cast them to one"
            " there",
            id="of_another_type",
        ),
        pytest.param(
            "stg_online_shop__sales_lines.sql",
            "        summed.quantity,\n",
            "        nullif(summed.quantity, 3) as quantity,\n",
            "staging model stg_online_shop__sales_lines: column quantity: expected a value, found"
            " null; leave the row out there or give it a value",
            id="null",
        ),
    ],
)
def test_id_of_another_form_and_missing_value_are_one_line(
    broken: DbtProject, staging: Path, file: str, original: str, changed: str, finding: str
):
    replace(staging / file, original, changed)
    selected = [f"stg_online_shop__{name}" for name in ("orders", "order_items", "sales_lines")]
    broken.dbt("run", "--select", *selected, *BOTH)
    completed = broken.run(
        "dbt", "--no-use-colors", "test", "--select", "assert_staging_keeps_its_contract", *BOTH
    )
    assert completed.returncode == 1
    assert "in test assert_staging_keeps_its_contract" in completed.stdout
    failures = "select finding from test_failures.assert_staging_keeps_its_contract"
    # Ids that are all of another form are none of the customers' either.
    assert (finding,) in broken.fetch(failures)


NO_SYSTEM = "[], source_systems()"
ENTITIES = "'entities': {'sales_lines': 'a', 'load_control_totals': 'b'}"
WHOLE = f"{ENTITIES}, 'dated_tables': ['c']"
# What the macro is called with, and what it finds.
FAULTS = {
    "['retail_db', 'web_shop'], source_systems()": (
        "source_systems: expected some of retail_db, online_shop, found web_shop; add it to"
        " macros/source_systems.sql"
    ),
    "'retail_db', source_systems()": (
        "source_systems: expected a list of retail_db, online_shop, found retail_db; write it as"
        " [retail_db]"
    ),
    NO_SYSTEM: (
        "source_systems: expected a list of retail_db, online_shop, found []; write it as"
        " [retail_db]"
    ),
    "['shop'], {'shop': {'entities': {'sales_lines': 'stg_shop__lines'}}}": (
        "source_systems: expected shop to have load_control_totals, found none; add its staging"
        " model to macros/source_systems.sql"
    ),
    "['shop'], {'shop': {'entities': {'sales_lines': 'a', 'load_control_totals': 'b',"
    " 'product': 'c'}}}": (
        "source_systems: expected entities of macros/entities.sql, found product of shop; correct"
        " it in macros/source_systems.sql"
    ),
    f"['shop'], {{'shop': {{{ENTITIES}, 'dated_tables': []}}}}": (
        "source_systems: expected shop to have dated_tables, found none; name its tables with rows"
        " of single days in macros/source_systems.sql"
    ),
    f"['shop'], {{'shop': {{{WHOLE}}}}}": (
        "source_systems: expected a code of shop, of small letters and digits, found none; correct"
        " it in macros/source_systems.sql"
    ),
    f"['shop'], {{'shop': {{'code': 'a:b', {WHOLE}}}}}": (
        "source_systems: expected a code of shop, of small letters and digits, found a:b; correct"
        " it in macros/source_systems.sql"
    ),
    # Of systems that are not built, too: they may have been, and be again.
    f"['shop'], {{'shop': {{'code': 'a', {WHOLE}}}, 'till': {{'code': 'a', {WHOLE}}}}}": (
        "source_systems: expected a code each, found a of shop and of till; change that of the one"
        " that was built last in macros/source_systems.sql"
    ),
    "['retail_db', 'online_shop'], source_systems()": "",
}


@pytest.fixture(scope="module")
def told(built: DbtProject, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What macros give, asked of dbt at once: faults of variables, and the columns of entities."""
    faults = [f"source_systems_fault({given}) | string" for given in FAULTS]
    rows = (
        "{% set told = [] %}{% for fault in [" + ", ".join(faults) + "] %}"
        "{% do told.append(['faults', fault]) %}{% endfor %}"
        "{% for entity, contract in entities().items() %}"
        "{% for kind in ['required', 'optional'] %}{% for column in contract[kind] %}"
        "{% do told.append(['columns', entity ~ ' ' ~ kind ~ ' ' ~ column]) %}"
        "{% endfor %}{% endfor %}{% endfor %}"
        "{% for about, line in told %}select {{ loop.index }} as place, '{{ about }}' as about,"
        " '{{ line }}' as line{% if not loop.last %} union all {% endif %}{% endfor %}"
        " order by place"
    )
    # What dbt said of the build is for others to read.
    target = tmp_path_factory.mktemp("told")
    arguments = ("--quiet", "show", "--inline", rows, "--limit", "-1", "--output", "json")
    shown = built.dbt(*arguments, DBT_TARGET_PATH=str(target))
    lines: dict[str, list[str]] = {}
    for row in json.loads(shown)["show"]:
        lines.setdefault(row["about"], []).append(row["line"])
    return lines


def test_wrong_variable_is_one_line(broken: DbtProject):
    completed = broken.run("dbt", "--no-use-colors", "parse", "--vars", "{source_systems: []}")
    assert completed.returncode == 2
    lines = [line.strip() for line in completed.stdout.splitlines()]
    assert lines.count(f"dbt_project.yml: {FAULTS[NO_SYSTEM]}") == 1


def test_wrong_variables_are_named(told: dict[str, list[str]]):
    assert told["faults"] == list(FAULTS.values())


# What is written about it


def test_table_of_entities_is_the_contract(told: dict[str, list[str]]):
    """`docs/your-own-source.md` lists the columns that staging must have, and no others."""
    written = {
        name: {
            "required": re.findall(r"`(\w+)`", required),
            "optional": re.findall(r"`(\w+)`", may),
        }
        for name, required, may in re.findall(
            r"^\| `(\w+)` \|[^|]*\|([^|]*)\|([^|]*)\|$",
            (ROOT / "docs/your-own-source.md").read_text(),
            re.MULTILINE,
        )
    }
    contract: dict[str, dict[str, list[str]]] = {}
    for row in told["columns"]:
        name, kind, column = row.split()
        entity = contract.setdefault(name, {"required": [], "optional": []})
        # Written once for all: every entity has it.
        if column != "load_id":
            entity[kind].append(column)
    assert {name: {k: sorted(v) for k, v in kinds.items()} for name, kinds in written.items()} == {
        name: {k: sorted(v) for k, v in kinds.items()} for name, kinds in contract.items()
    }


def test_raw_tables_of_the_tests_are_those_of_the_sources(both: DbtProject):
    """The shop of the tests has the columns that the sources describe."""
    manifest = json.loads((both.target / "manifest.json").read_text())
    with duckdb.connect(both.warehouse, read_only=True) as connection:
        for source in manifest["sources"].values():
            if source["source_name"] == "online_shop":
                found = connection.execute(
                    f"describe raw_online_shop.{source['identifier']}"
                ).fetchall()
                assert {name for name, *_ in found} == set(source["columns"])
