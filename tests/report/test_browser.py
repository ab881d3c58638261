from __future__ import annotations

import re

import pytest
from reading import differences, parse
from test_page import HOSTILE, HOSTILE_STATEMENTS, MISSING

from publishing.report import write

# Every chart that is to be seen has been drawn.
DRAWN = """
[...document.querySelectorAll('.chart')]
    .filter((place) => place.offsetParent !== null)
    .every((place) => place.querySelector('svg .mark-group'))
"""


def shown(browser, path, **options):
    browser.open(path, **options)
    browser.wait_for(DRAWN)


def is_quiet(browser, path):
    """Nothing was logged, and nothing but the page itself was asked for."""
    assert browser.run("document.title")
    assert browser.complaints() == []
    return browser.requests() == [path.as_uri()]


def test_charts_are_drawn_without_complaint_or_network(browser, reports):
    page = reports / "kpi.html"
    shown(browser, page)
    assert browser.run("document.querySelectorAll('.chart svg').length") == 4
    assert browser.run("document.querySelectorAll('#chart-trend path').length") > 5
    assert is_quiet(browser, page)


def test_the_policy_forbids_the_network_and_foreign_scripts(browser, reports):
    shown(browser, reports / "kpi.html")
    violated = """
        new Promise((done) => {
            document.addEventListener(
                'securitypolicyviolation', (event) => done(event.effectiveDirective), {once: true}
            );
            %s
        })
    """
    fetches = "fetch('http://127.0.0.1:9/').catch(() => {});"
    assert browser.run(violated % fetches) == "connect-src"
    adds = """
        const script = document.createElement('script');
        script.textContent = 'window.hacked = 1';
        document.body.append(script);
    """
    assert browser.run(violated % adds).startswith("script-src")
    assert browser.run("window.hacked") is None


def test_the_selects_switch_kpi_and_grain(browser, reports, published):
    page = reports / "kpi.html"
    shown(browser, page)
    choose = """
        (() => {
            const select = document.getElementById('%s');
            select.value = '%s';
            select.dispatchEvent(new Event('change'));
        })()
    """
    before = browser.run("document.querySelector('#chart-trend svg').outerHTML")
    browser.run(choose % ("trend-kpi", "household_retention_rate"))
    assert browser.run("document.getElementById('trend-name').textContent") == (
        "Household retention rate"
    )
    browser.wait_for("document.querySelector('#chart-trend svg').textContent.includes('%')")
    assert browser.run("document.querySelector('#chart-trend svg').outerHTML") != before
    # It has no days: the page offers none.
    assert browser.run("document.querySelector('#trend-grain [value=day]').disabled") is True
    assert browser.run("document.getElementById('trend-link').hash") == (
        "#kpi-household_retention_rate"
    )
    browser.run(choose % ("trend-kpi", "net_sales"))
    browser.run(choose % ("trend-grain", "day"))
    assert browser.run("document.querySelector('#trend-table tbody').rows.length") == 365
    table = parse(browser.run("document.getElementById('trend-table').outerHTML"))
    assert len(table.with_data("kpi")) == 2 * 365
    assert differences(table, published) == []
    browser.run(choose % ("trend-grain", "week"))
    assert browser.run("document.querySelector('#trend-table tbody').rows.length") == 53
    assert browser.run("document.querySelector('[data-legend=incomplete]').hidden") is False
    # A KPI without the grain that was chosen falls back to one that it has.
    browser.run(choose % ("trend-grain", "day"))
    browser.run(choose % ("trend-kpi", "household_retention_rate"))
    assert browser.run("document.getElementById('trend-grain').value") == "month"
    browser.run(choose % ("driver-grain", "week"))
    browser.wait_for(DRAWN)
    assert browser.run("document.querySelector('[data-driver-grain=month]').hidden") is True
    assert browser.run("document.querySelectorAll('[data-driver-grain=week] svg').length") == 2
    assert is_quiet(browser, page)


def test_a_figure_leads_to_its_definition(browser, reports):
    shown(browser, reports / "kpi.html")
    browser.run("document.querySelector('.cards .value a').click()")
    card = "document.querySelector('.definition:target')"
    browser.wait_for(f"{card} !== null")
    assert browser.run(f"{card}.dataset.definition") == "net_sales"
    assert browser.run(f"{card}.getBoundingClientRect().top") < 900


def test_the_keyboard_reaches_the_content_first(browser, reports):
    shown(browser, reports / "kpi.html")
    for kind in ("keyDown", "keyUp"):
        browser.send(
            "Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9
        )
    assert browser.run("document.activeElement.className") == "skip"
    assert browser.run("document.activeElement.getBoundingClientRect().left") >= 0


@pytest.mark.parametrize("name", ["kpi.html", "kpi-mail.html"])
def test_a_phone_need_not_scroll_sideways(browser, reports, name):
    shown(browser, reports / name, width=360, height=780)
    browser.run("document.querySelectorAll('details').forEach((one) => one.open = true)")
    assert browser.run("document.documentElement.scrollWidth") == 360
    beyond = browser.run("""
        [...document.querySelectorAll('body *')]
            .filter((one) => !one.closest('.scroll, nav, .skip, .symbols, .hidden-text'))
            .filter((one) => one.getBoundingClientRect().right > 360.5)
            .map((one) => one.outerHTML.slice(0, 90))
    """)
    assert beyond == []


LONG = "W" * 5000
LONG_STATEMENTS = (
    f"update seeds.kpi_catalog set caveats = '{LONG}', question = '{LONG}', action = '{LONG}',"
    f" owner = '{LONG}', kpi_name = kpi_id || '{LONG[:200]}'",
    f"update marts.kpi_alerts set kpi_name = '{LONG[:200]}', action = '{LONG}', owner = '{LONG}',"
    f" caveats = '{LONG}', severity = 'critical'",
    f"update marts.kpi_values set slice_value = slice_value || '{LONG[:500]}'"
    " where slice = 'department'",
    f"update marts.kpi_drivers set driver = driver || '{LONG[:500]}'"
    " where decomposition = 'departments'",
    f"update marts.dim_campaigns set campaign_type = campaign_type || '{LONG[:300]}'",
)


def test_long_words_widen_no_page(browser, alter, tmp_path):
    write(alter(*LONG_STATEMENTS).parent, tmp_path)
    for name in ("kpi.html", "kpi-mail.html"):
        for width in (360, 1280):
            shown(browser, tmp_path / name, width=width)
            browser.run("document.querySelectorAll('details').forEach((one) => one.open = true)")
            assert browser.run("document.documentElement.scrollWidth") == width, name
            # Nor is what scrolls wider for it, or a name squeezed by its neighbour.
            widths = browser.run("""
                ({
                    most: Math.max(...[...document.querySelectorAll('table')]
                        .map((one) => one.scrollWidth)),
                    least: Math.min(...[...document.querySelectorAll('tbody th')]
                        .map((one) => one.offsetWidth).filter(Boolean)),
                })
            """)
            assert widths["most"] < 1800 and widths["least"] >= 60, (name, width, widths)


def test_a_report_of_one_day_has_an_axis(browser, alter, tmp_path):
    path = alter(
        "delete from marts.kpi_values"
        " where not (grain = 'day' and period_start_date = date '2017-06-15')",
        "update marts.kpi_values set lower_limit = null, upper_limit = null, baseline_mean = null,"
        " signal_rule = null, target = null",
        "delete from marts.kpi_alerts",
        "delete from marts.kpi_drivers",
    )
    write(path.parent, tmp_path)
    shown(browser, tmp_path / "kpi.html")
    for kpi in ("net_sales", "retailer_discount_rate", "baskets", "coupon_redemptions"):
        browser.run(f"""
            (() => {{
                document.querySelector('#chart-trend').replaceChildren();
                const select = document.getElementById('trend-kpi');
                select.value = '{kpi}';
                select.dispatchEvent(new Event('change'));
            }})()
        """)
        browser.wait_for(DRAWN)
        labels = browser.run(
            "[...document.querySelectorAll('#chart-trend .role-axis-label text')]"
            ".map((one) => one.textContent)"
        )
        assert len(set(labels)) == len(labels) > 4, (kpi, labels)
        assert browser.run("document.getElementById('trend-summary').textContent").count(
            ". 1 period, no signals."
        )


LUMINANCE = """
    (() => {
        const [r, g, b] = getComputedStyle(document.querySelector('%s')).%s
            .match(/[0-9.]+/g).slice(0, 3)
            .map((part) => part / 255)
            .map((part) => part <= .03928 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b;
    })()
"""


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_text_and_charts_can_be_read_in_light_and_dark(browser, reports, is_dark):
    page = reports / "kpi.html"
    shown(browser, page, is_dark=is_dark)
    surface = browser.run(LUMINANCE % (".panel", "backgroundColor"))
    assert (surface < 0.1) is is_dark
    for place, colour in (
        (".card .value", "color"),
        (".lead", "color"),
        (".legend", "color"),
        (".badge", "color"),
        ("#chart-trend .role-axis-label text", "fill"),
        ("[data-chart^=drivers] .role-axis-label text", "fill"),
    ):
        text = browser.run(LUMINANCE % (place, colour))
        contrast = (max(text, surface) + 0.05) / (min(text, surface) + 0.05)
        assert contrast >= 4.5, place
    assert is_quiet(browser, page)


@pytest.mark.parametrize("name", ["kpi.html", "kpi-mail.html"])
@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_it_prints(browser, reports, name, is_dark):
    shown(browser, reports / name, is_dark=is_dark)
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 2


def test_hostile_text_is_not_run(browser, alter, tmp_path):
    write(alter(*HOSTILE_STATEMENTS).parent, tmp_path)
    for name in ("kpi.html", "kpi-mail.html"):
        shown(browser, tmp_path / name)
        assert browser.run("window.hacked") is None
        assert HOSTILE in browser.run("document.body.textContent")
        assert is_quiet(browser, tmp_path / name)


@pytest.mark.parametrize("what", ["nothing at all", "a KPI of nulls", "no complete period"])
def test_missing_data_raises_nothing_in_the_browser(browser, alter, tmp_path, what):
    write(alter(*MISSING[what]).parent, tmp_path)
    page = tmp_path / "kpi.html"
    browser.open(page)
    browser.wait_for("document.getElementById('trend-kpi').options.length === 18")
    assert is_quiet(browser, page)
