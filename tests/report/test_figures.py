from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from reading import differences, is_shown_as, parse

PAGES = ("kpi.html", "kpi-mail.html")


def fetch(path: Path, query: str, *parameters: object) -> list[tuple]:
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        return connection.execute(query, parameters).fetchall()


@pytest.mark.parametrize("name", PAGES)
def test_every_figure_is_that_of_kpi_values(reports, published, name):
    page = parse(reports / name)
    assert len(page.with_data("kpi")) > 30
    assert differences(page, published) == []


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        # A value for machines, one for people, and the figure of another period.
        (r'(data-field="value" data-value="\d*)\d(\.)', r"\g<1>X\2"),
        (r'(<p class="value"><a [^>]*>\$\d)', r"\g<1>9"),
        (r'(data-period="2017-)12(-01"[^>]*data-field="value")', r"\g<1>11\2"),
    ],
)
def test_a_changed_figure_is_found(reports, published, pattern, replacement):
    text = (reports / "kpi.html").read_text()
    tampered, count = re.subn(pattern, replacement, text, count=1)
    assert count == 1
    # One digit more than what was there, whatever that was.
    digit = re.search(r"(\d)(?=\.)", text[re.search(pattern, text).start() :]).group(1)
    tampered = tampered.replace("X.", f"{(int(digit) + 1) % 10}.", 1)
    assert len(differences(parse(tampered), published)) == 1


@pytest.mark.parametrize("name", PAGES)
def test_rates_change_by_points_and_all_else_in_percent(reports, published, name):
    rates = {
        kpi
        for (kpi,) in fetch(published, "from seeds.kpi_catalog select kpi_id where unit = 'rate'")
    }
    page = parse(reports / name)
    for field, ending in {"change": " pts", "relative_change": "%"}.items():
        changes = [
            figure
            for figure in page.with_data("kpi")
            if figure.data("field") == field
            and figure.data("slice") == "all"
            and figure.data("value")
        ]
        assert changes
        for figure in changes:
            assert (figure.data("kpi") in rates) == (field == "change")
            assert figure.text.endswith(ending)


def test_the_page_has_the_figures_that_it_should(reports, published):
    figures = parse(reports / "kpi.html").with_data("field")
    shown = {(figure.data("kpi"), figure.data("grain")) for figure in figures}
    expected = fetch(
        published, "select distinct kpi_id, grain from marts.kpi_values where slice = 'all'"
    )
    assert set(expected) <= shown
    departments = {
        figure.data("slice-value") for figure in figures if figure.data("slice") == "department"
    }
    assert departments == {"GROCERY", "PRODUCE", "FUEL", "DRUG GM", "Unknown"}


def test_the_trends_are_those_of_kpi_values(reports, published):
    trend = parse(reports / "kpi.html").embedded()["trend"]
    rows = fetch(
        published,
        """
        select kpi_id, grain, period_start_date, value, target, signal_rule, is_complete_period,
            baseline_mean, lower_limit, upper_limit
        from marts.kpi_values
        where slice = 'all'
        order by kpi_id, grain, period_start_date
        """,
    )
    expected: dict[str, list[tuple]] = {}
    for kpi_id, grain, *rest in rows:
        expected.setdefault(f"{kpi_id}/{grain}", []).append(tuple(rest))
    assert trend["series"].keys() == expected.keys()
    for key, series in trend["series"].items():
        periods = [date.fromisoformat(period) for period in series["periods"]]
        assert periods == [row[0] for row in expected[key]]
        assert series["values"] == [row[1] for row in expected[key]]
        assert (series["targets"] or [None] * len(periods)) == [row[2] for row in expected[key]]
        assert {int(at): rule for at, rule in series["signals"].items()} == {
            at: row[3] for at, row in enumerate(expected[key]) if row[3]
        }
        assert series["incomplete"] == [at for at, row in enumerate(expected[key]) if not row[4]]
        assert all(map(is_shown_as, series["texts"], (row[1] for row in expected[key])))
        # One mean and one pair of limits a series: the page carries them once.
        for position, name in ((5, "mean"), (6, "lower"), (7, "upper")):
            values = {row[position] for row in expected[key]} - {None}
            found = series[name]
            assert ({found["value"]} if found else set()) == values
            assert found is None or is_shown_as(found["text"], found["value"])


@pytest.mark.parametrize("name", PAGES)
def test_drivers_are_those_of_kpi_drivers_and_add_up(reports, published, name):
    figures = [
        figure
        for figure in parse(reports / name).with_data("source")
        if figure.data("source") == "marts.kpi_drivers"
    ]
    sums: dict[tuple, Decimal] = {}
    changes = {}
    for figure in figures:
        grain, period = figure.data("grain"), figure.data("period")
        value, driver = Decimal(figure.data("value")), figure.data("driver")
        assert is_shown_as(figure.text, value)
        if figure.data("field") == "contribution_usd":
            part = (grain, figure.data("decomposition"))
            sums[part] = sums.get(part, Decimal(0)) + value
            if driver != "others":
                assert fetch(
                    published,
                    "select contribution_usd from marts.kpi_drivers where grain = ?"
                    " and period_start_date = ? and decomposition = ? and driver = ?",
                    grain,
                    period,
                    figure.data("decomposition"),
                    driver,
                ) == [(value,)]
        else:
            column = figure.data("field")
            assert fetch(
                published,
                f"select distinct {column} from marts.kpi_drivers where grain = ?"
                " and period_start_date = ?",
                grain,
                period,
            ) == [(value,)]
            changes |= {grain: value} if column == "change_usd" else {}
    assert sums
    assert all(total == changes[grain] for (grain, _), total in sums.items())


def test_cohorts_are_those_of_the_household_months(reports, published):
    expected = {
        (cohort.isoformat(), str(months), field): value
        for cohort, months, households, active in fetch(
            published,
            """
            select first_month, datediff('month', first_month, month_start_date), count(*),
                count_if(is_active)
            from (
                select *, min(month_start_date) over (partition by household_id) as first_month
                from marts.fct_household_months
            )
            group by all
            """,
        )
        for field, value in {"household_count": households, "active_count": active}.items()
        if field == "active_count" or months == 0
    }
    page = parse(reports / "kpi.html")
    found = {
        (figure.data("cohort"), figure.data("months-since"), figure.data("field")): figure
        for figure in page.with_data("cohort")
    }
    assert {key: int(figure.data("value")) for key, figure in found.items()} == expected
    for (cohort, _, field), figure in found.items():
        size = expected[cohort, "0", "household_count"]
        value = Decimal(expected[figure.data("cohort"), figure.data("months-since"), field])
        assert is_shown_as(figure.text, value if field == "household_count" else 100 * value / size)


def test_campaigns_are_those_of_the_campaign_households(reports, published):
    expected = {
        (str(campaign), field): Decimal(value)
        for campaign, targets, redeeming, redemptions in fetch(
            published,
            "select campaign_id, count(*), count_if(has_redeemed), sum(redemption_count)"
            " from marts.fct_campaign_households group by 1",
        )
        for field, value in {
            "target_count": targets,
            "redeeming_count": redeeming,
            "redemption_count": redemptions,
            "redemption_rate": Decimal(redeeming) / targets,
        }.items()
    }
    figures = parse(reports / "kpi.html").with_data("campaign")
    found = {(f.data("campaign"), f.data("field")): Decimal(f.data("value")) for f in figures}
    assert found == expected
    assert all(is_shown_as(f.text, Decimal(f.data("value"))) for f in figures)


def test_audits_are_those_of_audit_kpis(reports, published):
    page = parse(reports / "kpi.html")
    expected = {
        (kpi, field): value
        for kpi, count, differing in fetch(
            published,
            "select kpi_id, count(*), count_if(not is_equal) from audit.audit_kpis group by 1",
        )
        for field, value in {"figure_count": count, "differing_count": differing}.items()
    }
    found = {
        (e.data("audit-kpi"), e.data("audit-field")): int(e.data("value"))
        for e in page.with_data("audit-kpi")
    }
    assert found == expected
    recomputed = [e for e in page.with_data("source") if e.data("source") == "audit.audit_kpis"]
    assert len(recomputed) >= 3 * 18
    for figure in recomputed:
        ((value,),) = fetch(
            published,
            f"select {figure.data('field')} from audit.audit_kpis"
            " where kpi_id = ? and grain = ? and period_start_date = ? and slice = 'all'",
            figure.data("kpi"),
            figure.data("grain"),
            figure.data("period"),
        )
        assert figure.data("value") == f"{value:f}"
        assert is_shown_as(figure.text, value)


@pytest.mark.parametrize("name", PAGES)
def test_freshness_is_that_of_the_published_version(reports, published, name):
    ((version, published_at, through, figures, controls),) = fetch(
        published,
        "select version_id, published_at, data_through_date, audited_figure_count,"
        " control_total_count from published_versions",
    )
    shown = {e.data("fresh"): e for e in parse(reports / name).with_data("fresh")}
    assert shown["version_id"].text == version
    assert shown["data_through_date"].attributes["datetime"] == through.isoformat()
    assert shown["data_through_date"].text == "31 Dec 2017"
    assert shown["published_at"].attributes["datetime"] == published_at.isoformat()
    assert f"{published_at:%H:%M} UTC" in shown["published_at"].text
    assert shown["audited_figure_count"].text == f"{figures:,}"
    assert shown["control_total_count"].text == f"{controls:,}"
    # Nothing is in quarantine, and nothing is said of it.
    assert "quarantined_row_count" not in shown


@pytest.mark.parametrize("name", PAGES)
def test_every_figure_links_to_the_definition_of_its_kpi(reports, published, name):
    page = parse(reports / name)
    ids = page.ids()
    assert len(ids) == len(set(ids))
    links = [e.attributes["href"] for e in page.elements if e.tag == "a"]
    assert {link[1:] for link in links} <= set(ids)
    cards = {e.data("definition"): e.attributes["id"] for e in page.with_data("definition")}
    catalog = {kpi for (kpi,) in fetch(published, "select kpi_id from seeds.kpi_catalog")}
    assert cards.keys() == catalog
    # Those without a text are for the page's script to fill.
    figures = [e for e in page.elements if e.attributes.get("class") == "figure" and e.text]
    assert all(figure.tag == "a" for figure in figures)
    for figure in figures:
        if figure.data("kpi"):
            assert figure.attributes["href"] == f"#{cards[figure.data('kpi')]}"
        else:
            assert figure.attributes["href"][1:] in cards.values()


def test_each_definition_says_what_the_catalog_says(reports, published):
    page = parse(reports / "kpi.html")
    cards = {e.data("definition"): e.text for e in page.with_data("definition")}
    for kpi, *texts in fetch(
        published, "select kpi_id, kpi_name, question, caveats, owner from seeds.kpi_catalog"
    ):
        assert all(text in cards[kpi] for text in texts)
        assert f"make trace KPI={kpi} PERIOD=2017-12" in cards[kpi]
