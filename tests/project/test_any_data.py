"""What a source may hold goes the whole way, and what may not is named with what to do.

The small company ten weeks earlier, so that it sells before business week 1 and before its KPIs
are valid; with texts of all kinds, among them words of the project's own, amounts in a currency
of large numbers, and a month without sales.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from company import TIMEZONE, Rows, business_week, small_company
from dbt_project import BUILD, DbtProject

EARLIER = timedelta(weeks=10)
WITHOUT_SALES = date(2017, 7, 1)
KPIS_FROM = date(2016, 12, 26)
FACTOR = 10**10
TEXTS = (
    *("all", "Unknown", "unknown", "none", "null", "-1", "9999-12-31", "", " ", "\u00a0\u200b"),
    *("GROCERY", "grocery", " GROCERY", "GROCERY ", "O'Brien", '"quoted"', "a\nb", "a\tb\\"),
    *("a|b", "a,b", "a=b; drop table x --", "{{ 1 / 0 }}", "%", "_", "<b>&amp;</b>"),
    *("\U0001f34e", "e\u0301", "\u00e9", "\u0130", "x" * 1000),
)
# What changes at the source, the test that says so and what it says. Nothing is wrong with the
# models: somebody has to say what the news means.
NEWS = {
    "brand that is neither": (
        "update raw_retail_db.products set brand = 'private' where product_id = 1",
        "accepted_values_dim_products_brand_type__National__Private__Unknown",
        "Map it to Private or National in the staging model",
    ),
    "income of a new band": (
        "update raw_retail_db.demographics set income = '300K+' where household_id = 101",
        "relationships_dim_households_income_band__income_band__ref_income_bands_",
        "seeds/income_bands.csv does not have: add it there",
    ),
    "campaign that is not described": (
        "delete from raw_retail_db.campaign_descriptions where campaign_id = 2",
        "relationships_dim_coupons_campaign_id__campaign_id__ref_dim_campaigns_",
        "Add it at the source, or leave its rows out",
    ),
    "weeks counted from another day": (
        "update raw_retail_db.transactions set week = week + 1 where week = 20",
        "assert_business_week_agrees_with_source",
        "set business_timezone to the shop's and first_business_week_start_date to the Monday",
    ),
    "promotion at no place": (
        "update raw_promotion_feed.promotions set display_location = '0', mailer_location = '0'"
        " where rowid = (select min(rowid) from raw_promotion_feed.promotions)",
        "assert_staging_keeps_its_contract",
        "A row here is a column or a table that does not do so, and says what to do",
    ),
}


def company() -> dict[str, Rows]:
    rows = small_company()
    for number, product in enumerate(rows["products"]):
        names = ("department", "product_category", "product_type", "package_size")
        product.update((name, TEXTS[number - offset]) for offset, name in enumerate(names))
    for number, answers in enumerate(rows["demographics"]):
        names = ("home_ownership", "marital_status", "household_size", "household_comp")
        answers.update((name, TEXTS[number - 7 * offset]) for offset, name in enumerate(names))
    for text, campaign in zip(TEXTS, rows["campaign_descriptions"], strict=False):
        campaign["campaign_type"] = text
    for line in rows["transactions"]:
        line["transaction_timestamp"] -= EARLIER
        line["week"] = business_week(sold_on(line))
        for amount in ("sales_value", "retail_disc", "coupon_disc", "coupon_match_disc"):
            line[amount] = round(line[amount] * FACTOR, 2)
    rows["transactions"] = [
        line for line in rows["transactions"] if month(sold_on(line)) != WITHOUT_SALES
    ]
    rows["promotions"] = [
        row | {"week": row["week"] - 10} for row in rows["promotions"] if row["week"] > 10
    ]
    return rows


def sold_on(line: dict[str, object]) -> date:
    return line["transaction_timestamp"].replace(tzinfo=UTC).astimezone(TIMEZONE).date()


def month(day: date) -> date:
    return day.replace(day=1)


@pytest.fixture(scope="module")
def anything(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """The company, loaded and built: everything passes."""
    project = DbtProject(tmp_path_factory.mktemp("anything"), company())
    project.load()
    project.dbt("--warn-error", *BUILD)
    return project


def test_texts_are_those_of_the_source(anything: DbtProject):
    known = "select distinct {} from marts.{} where not is_unknown order by all"
    departments = {text for (text,) in anything.fetch(known.format("department", "dim_products"))}
    assert departments == set(TEXTS)
    types = {text for (text,) in anything.fetch(known.format("campaign_type", "dim_campaigns"))}
    assert types == set(TEXTS[:4])


def test_departments_of_any_name_have_their_own_sales(anything: DbtProject):
    departments = {row["product_id"]: row["department"] for row in company()["products"]}
    expected: dict[tuple[date, str], Decimal] = defaultdict(Decimal)
    for line in company()["transactions"]:
        if month(sold_on(line)) > KPIS_FROM:
            department = departments.get(line["product_id"], "Unknown")
            expected[month(sold_on(line)), department] += Decimal(str(line["sales_value"]))

    found = anything.fetch(
        "select period_start_date, slice_value, value from marts.kpi_values"
        " where kpi_id = 'net_sales' and grain = 'month' and slice = 'department' and value <> 0"
    )

    assert {(start, text): value for start, text, value in found} == expected
    # More than 18 digits with their decimals hold.
    assert sum(expected.values()) > 10**12 * 12


def test_department_called_all_is_not_the_whole(anything: DbtProject):
    drivers = anything.fetch(
        "select count(*), count(*) filter (contribution_usd <> change_usd)"
        " from marts.kpi_drivers where decomposition = 'departments' and driver = 'all'"
        " and change_usd <> 0"
    )
    ((count, of_its_own),) = drivers
    assert count > 300 and of_its_own > count * 0.9


def test_sales_before_week_1_are_there_and_of_no_kpi(anything: DbtProject):
    first = min(sold_on(line) for line in company()["transactions"])
    assert anything.fetch(
        "select min(business_date), min(business_week) from marts.fct_sales_lines"
    ) == [(first, business_week(first))]
    assert business_week(first) < 1
    firsts = "select min(period_start_date) from marts.{} where grain = '{}'"
    for grain, start, second in (
        ("day", KPIS_FROM, KPIS_FROM + timedelta(days=1)),
        ("week", KPIS_FROM, KPIS_FROM + timedelta(weeks=1)),
        ("month", date(2017, 1, 1), date(2017, 2, 1)),
    ):
        assert anything.fetch(firsts.format("kpi_values", grain)) == [(start,)]
        assert anything.fetch(firsts.format("kpi_drivers", grain)) == [(second,)]


def test_month_without_sales_is_a_figure_of_nothing(anything: DbtProject):
    assert anything.fetch(
        "select kpi_id, value from marts.kpi_values where grain = 'month' and slice = 'all'"
        f" and period_start_date = date '{WITHOUT_SALES}'"
        " and kpi_id in ('net_sales', 'baskets', 'average_basket_value') order by all"
    ) == [("average_basket_value", None), ("baskets", 0), ("net_sales", 0)]


def test_single_day_is_built(tmp_path: Path):
    rows = company()
    rows["transactions"] = rows["transactions"][-1:]
    project = DbtProject(tmp_path, rows)
    project.load()
    project.dbt("--warn-error", *BUILD)
    assert project.fetch(
        "select period_start_date, is_complete_period from marts.kpi_values"
        " where kpi_id = 'net_sales' and grain = 'day' and slice = 'all'"
    ) == [(sold_on(rows["transactions"][0]), True)]
    assert project.fetch("select count(*) from marts.kpi_drivers") == [(0,)]


def test_news_that_somebody_has_to_decide_on_is_named_with_what_to_do(
    anything: DbtProject, tmp_path: Path
):
    project = DbtProject(tmp_path, None)
    project.restore(anything.warehouse)
    with duckdb.connect(project.warehouse) as connection:
        for statement, *_ in NEWS.values():
            assert connection.execute(statement).fetchone() != (0,)
    dimensions = ("dim_products", "dim_households", "dim_campaigns", "dim_coupons")
    project.dbt("run", "--select", *dimensions)

    told = project.run(
        "dbt", "--no-use-colors", "test", "--select", *(t for _, t, _ in NEWS.values())
    )

    assert told.returncode == 1
    for _, test, advice in NEWS.values():
        (line,) = (line for line in told.stdout.splitlines() if f"{test}: " in line)
        assert advice in line
    assert project.fetch("select finding from test_failures.assert_staging_keeps_its_contract") == [
        (
            "staging model stg_promotion_feed__promotions: column display_location: expected a"
            " place on display or in the mailer, found 0, no place, for both; leave the row out"
            " there",
        )
    ]
