from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest
from reading import differences, parse

from publishing.errors import PublishingError
from publishing.formatting import shown
from publishing.report import page, write

HOSTILE = """<script>window.hacked = 1</script></script>"' onload=x &amp; {{ 7*7 }} \U0001f34e"""
SQL_HOSTILE = HOSTILE.replace("'", "''")

HOSTILE_STATEMENTS = (
    f"update seeds.kpi_catalog set kpi_name = '{SQL_HOSTILE}', question = '{SQL_HOSTILE}',"
    f" action = '{SQL_HOSTILE}', caveats = '{SQL_HOSTILE}', owner = '{SQL_HOSTILE}'"
    " where kpi_id = 'net_sales'",
    f"update marts.kpi_alerts set kpi_name = '{SQL_HOSTILE}', action = '{SQL_HOSTILE}',"
    f" caveats = '{SQL_HOSTILE}', owner = '{SQL_HOSTILE}', severity = 'critical'",
    f"update marts.kpi_values set slice_value = '{SQL_HOSTILE}' where slice_value = 'GROCERY'",
    f"update marts.kpi_drivers set driver = '{SQL_HOSTILE}' where driver = 'GROCERY'",
    f"update marts.dim_campaigns set campaign_type = '{SQL_HOSTILE}' where campaign_id = 'rdb:1'",
    *(
        f"update {table} set kpi_id = 'li\"nes<b> x' where kpi_id = 'lines'"
        for table in (
            "seeds.kpi_catalog",
            "marts.kpi_values",
            "marts.kpi_alerts",
            "audit.audit_kpis",
        )
    ),
)


def test_hostile_text_is_shown_and_is_no_markup(alter, tmp_path):
    path = alter(*HOSTILE_STATEMENTS)
    for written in write(path.parent, tmp_path):
        text = written.read_text(encoding="utf-8")
        shown = parse(text)
        scripts = [e for e in shown.elements if e.tag == "script"]
        assert len(scripts) == (3 if written.name == "kpi.html" else 0)
        assert "<script>window.hacked" not in text
        assert HOSTILE in shown.text()
        assert not [e for e in shown.elements if "onload" in e.attributes]
        assert differences(shown, path) == []
        ids = shown.ids()
        assert len(ids) == len(set(ids))
        assert {e.attributes["href"][1:] for e in shown.elements if e.tag == "a"} <= set(ids)
    embedded = parse(tmp_path / "kpi.html").embedded()
    assert HOSTILE in {kpi["name"] for kpi in embedded["trend"]["kpis"]}


CONTROL = "a\\b\r\n\t\x1b[31m\0\u202e\u200b"
SQL_CONTROL = " || ".join(f"chr({ord(character)})" for character in CONTROL)


def test_nothing_of_a_text_is_obeyed_by_the_page(alter, tmp_path):
    path = alter(
        f"update seeds.kpi_catalog set kpi_name = kpi_id || {SQL_CONTROL}, owner = {SQL_CONTROL},"
        f" action = {SQL_CONTROL}, caveats = {SQL_CONTROL}, question = {SQL_CONTROL}",
        f"update marts.kpi_alerts set kpi_name = {SQL_CONTROL}, action = {SQL_CONTROL},"
        f" owner = {SQL_CONTROL}, caveats = {SQL_CONTROL}, severity = 'critical'",
        f"update marts.kpi_values set slice_value = {SQL_CONTROL} where slice_value = 'GROCERY'",
        # What it looks like is another one's name.
        f"update marts.kpi_values set slice_value = '{shown(CONTROL)}'"
        " where slice_value = 'PRODUCE'",
        f"update marts.kpi_drivers set driver = {SQL_CONTROL} where driver = 'GROCERY'",
        f"update marts.dim_campaigns set campaign_type = {SQL_CONTROL}",
    )
    for written in write(path.parent, tmp_path):
        page = parse(written)
        for element in page.elements:
            texts = [*element.attributes.values()]
            if element.tag not in ("script", "style"):
                texts.append(element.text)
            for text in texts:
                assert all(character.isprintable() or character == "\n" for character in text)
        assert shown(CONTROL) in page.text()
        assert differences(page, path) == []
    page = parse(tmp_path / "kpi.html")
    departments = {e.data("slice-value") for e in page.with_data("slice-value")}
    assert {shown(CONTROL), shown(shown(CONTROL))} < departments
    embedded = json.dumps(page.embedded(), default=str, ensure_ascii=False)
    assert "\u202e" not in embedded and r"\u0000" not in embedded


def test_sentences_over_several_lines_are_sentences(alter, tmp_path):
    path = alter("update seeds.kpi_catalog set caveats = 'Not' || chr(10) || '  yet.'")
    for written in write(path.parent, tmp_path):
        assert "Not yet." in parse(written).text()


MISSING = {
    "no targets and texts": (
        "delete from seeds.kpi_targets",
        "update marts.kpi_values set target = null, is_on_target = null",
        "update marts.kpi_alerts set target = null, status = 'worsened', caveats = null",
        "update seeds.kpi_catalog set caveats = null, baseline_from = null",
    ),
    "a KPI of nulls": (
        "update marts.kpi_values set value = null, numerator = null, denominator = null,"
        " previous_value = null, change = null, relative_change = null, baseline_mean = null,"
        " lower_limit = null, upper_limit = null, signal_rule = null, status = 'no_value'"
        " where kpi_id in ('net_sales', 'household_retention_rate')",
        "delete from marts.kpi_alerts where kpi_id in ('net_sales', 'household_retention_rate')",
    ),
    "a KPI without figures": (
        "delete from marts.kpi_values where kpi_id = 'net_sales'",
        "delete from audit.audit_kpis where kpi_id = 'net_sales'",
        "delete from marts.kpi_alerts where kpi_id = 'net_sales'",
        "update marts.kpi_values set status = 'puzzling'",
    ),
    "no complete period": (
        "update marts.kpi_values set is_complete_period = false, status = 'incomplete'",
        "delete from marts.kpi_alerts",
    ),
    "weeks and no dates": (
        "delete from marts.kpi_values where grain <> 'week'",
        "delete from marts.kpi_alerts where grain <> 'week'",
        "update marts.dim_campaigns set start_date = null",
    ),
    "nothing at all": (
        "delete from marts.kpi_values",
        "delete from marts.kpi_alerts",
        "delete from marts.kpi_drivers",
        "delete from marts.fct_cohort_months",
        "delete from marts.fct_campaign_results",
        "delete from marts.dim_campaigns",
        "delete from audit.audit_kpis",
        "update published_versions set data_through_date = null",
    ),
}


@pytest.mark.parametrize("statements", MISSING.values(), ids=MISSING.keys())
def test_missing_data_leaves_a_whole_page(alter, tmp_path, statements):
    path = alter(*statements)
    for written in write(path.parent, tmp_path):
        shown = parse(written)
        assert written.read_text().rstrip().endswith("</html>")
        assert len(shown.with_data("definition")) == 18
        assert "None" not in shown.text()
        assert differences(shown, path) == []


def test_without_alerts_nothing_needs_a_decision(alter, tmp_path):
    write(alter("delete from marts.kpi_alerts").parent, tmp_path)
    assert "Nothing needs a decision" in parse(tmp_path / "kpi.html").text()
    assert "Nothing: no KPI is off its target" in parse(tmp_path / "kpi-mail.html").text()


def test_an_alert_says_why_what_to_do_and_who(alter, tmp_path):
    path = alter(
        "delete from marts.kpi_alerts",
        """
        insert into marts.kpi_alerts by name
        select figures.* exclude (status, signal_rule), catalog.kpi_name, catalog.unit,
            'below_lower_limit' as signal_rule, 'off_target' as status, 'critical' as severity,
            catalog.action, catalog.caveats, catalog.owner
        from (
            select kpi_id, grain, period_start_date, value, previous_value, relative_change,
                target, lower_limit, upper_limit, status, signal_rule
            from marts.kpi_values
            where kpi_id = 'net_sales' and grain = 'month' and slice = 'all'
                and period_start_date = '2017-12-01'
        ) as figures
        inner join seeds.kpi_catalog as catalog on figures.kpi_id = catalog.kpi_id
        """,
    )
    for written in write(path.parent, tmp_path):
        text = " ".join(parse(written).text().split())
        for part in (
            "Critical",
            "Off target",
            "Target $385,000 missed.",
            "Below its natural range of",
            "Look at the drivers: fewer households, fewer visits or smaller baskets?",
        ):
            assert part in text, (written.name, part)
        assert differences(parse(written), path) == []


def test_departments_that_are_not_named_are_summed(alter, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "DEPARTMENT_STEPS", 2)
    monkeypatch.setattr(page, "DEPARTMENTS_SHOWN", 2)
    write(alter().parent, tmp_path)
    shown = parse(tmp_path / "kpi.html")
    drivers = [e for e in shown.with_data("decomposition") if e.data("grain") == "month"]
    parts = [e for e in drivers if e.data("decomposition") == "departments"]
    assert [e.data("driver") == "others" for e in parts] == [False, False, True]
    (change,) = {
        e.data("value")
        for e in shown.with_data("source")
        if e.data("field") == "change_usd" and e.data("grain") == "month"
    }
    assert sum(Decimal(e.data("value")) for e in parts) == Decimal(change)
    # The table names them all, those that are folded in, too.
    named = {e.data("slice-value") for e in shown.with_data("slice")}
    assert named == {"all", "GROCERY", "PRODUCE", "FUEL", "DRUG GM", "Unknown"}


def test_a_month_that_is_not_over_is_no_headline(alter, tmp_path):
    path = alter(
        "update marts.kpi_values set is_complete_period = false, status = 'incomplete'"
        " where grain = 'month' and period_start_date = '2017-12-01'",
        "delete from marts.kpi_alerts where grain = 'month'",
    )
    for written in write(path.parent, tmp_path):
        shown = parse(written)
        (title,) = [e.text for e in shown.elements if e.tag == "h1"]
        assert title == "Key figures, November 2017"
        months = {e.data("period") for e in shown.with_data("kpi") if e.data("grain") == "month"}
        assert months == {"2017-11-01"}
    shown = parse(tmp_path / "kpi.html")
    # Its cohorts are shown so far as they go, and say so.
    assert "December 2017 is not over and marked with *" in shown.text()
    ends = [e.text for e in shown.with_data("cohort") if e.data("cohort") == "2017-01-01"]
    assert [text.endswith("*") for text in ends] == [False] * (len(ends) - 1) + [True]


def test_rows_in_quarantine_are_said_at_the_top(alter, tmp_path):
    path = alter(
        "update audit.audit_controls set quarantined_value = 1234"
        " where is_latest_load and table_name = 'transactions' and measure = 'row_count'",
        "update audit.audit_controls set quarantined_value = 2"
        " where is_latest_load and table_name = 'products' and measure = 'row_count'",
        # Of an amount, and of an earlier load: no rows of today.
        "update audit.audit_controls set quarantined_value = 99 where measure = 'amount_sum'",
        "insert into audit.audit_controls select * replace (false as is_latest_load,"
        " 99 as quarantined_value) from audit.audit_controls where table_name = 'coupons'",
    )
    for written in write(path.parent, tmp_path):
        shown = parse(written)
        notes = [e.text for e in shown.with_data("fresh") if "quarantined" in e.data("fresh")]
        assert set(notes) == {
            "Rows of the sources that broke a rule and are in no figure: 2 of retail_db.products,"
            " 1,234 of retail_db.transactions"
        }


def test_a_difference_of_an_audit_is_said_at_the_top(alter, tmp_path):
    path = alter(
        "update audit.audit_kpis set is_equal = false, difference = 0.000001"
        " where kpi_id = 'net_sales' and grain = 'month' and slice = 'all'"
        " and period_start_date = '2017-12-01'"
    )
    for written in write(path.parent, tmp_path):
        shown = parse(written)
        notes = [e.text for e in shown.with_data("fresh") if e.data("fresh") == "differing_count"]
        assert notes
        assert all(note.startswith("1 of ") and note.endswith("differs") for note in notes)
    (card,) = [
        e
        for e in parse(tmp_path / "kpi.html").with_data("definition")
        if e.data("definition") == "net_sales"
    ]
    # Too small for the unit's decimals, and yet shown.
    assert "0.000001" in card.text


def test_nothing_is_asked_of_the_network(reports):
    for name in ("kpi.html", "kpi-mail.html"):
        for element in parse(reports / name).elements:
            for attribute, value in element.attributes.items():
                if attribute in ("src", "href", "srcset", "action", "data", "poster"):
                    assert value.startswith("#") or value == "data:,", (element.tag, value)
                if attribute == "style":
                    assert "url(" not in value
            if element.tag == "style":
                assert "url(" not in element.text
                assert "@import" not in element.text
    policy = next(
        e.attributes["content"]
        for e in parse(reports / "kpi.html").elements
        if e.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert re.search(r"script-src( 'sha256-[\w+/]+=*'){2};", policy)


def test_the_mail_has_no_script_and_is_small(reports):
    mail = reports / "kpi-mail.html"
    assert mail.stat().st_size < 200_000
    assert not [e for e in parse(mail).elements if e.tag == "script"]
    assert "var(--" not in mail.read_text()
    assert len([e for e in parse(mail).elements if e.tag == "svg"]) == 2
    assert (reports / "kpi.html").stat().st_size < 1_600_000


def test_the_same_file_gives_the_same_report(published, reports, tmp_path):
    for written in write(published.parent, tmp_path):
        assert written.read_bytes() == (reports / written.name).read_bytes()


def test_a_failure_leaves_the_old_files(published, tmp_path, monkeypatch):
    for name in ("kpi.html", "kpi-mail.html"):
        (tmp_path / name).write_text("old")

    def fails(_: object) -> str:
        raise RuntimeError("no room")

    monkeypatch.setattr(page, "mail", fails)
    with pytest.raises(RuntimeError, match="no room"):
        write(published.parent, tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "kpi.html": "old",
        "kpi-mail.html": "old",
    }


def test_a_half_written_file_is_removed(tmp_path):
    old = tmp_path / "kpi.html"
    old.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        page._replace(old, "new \ud800")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_the_files_are_readable_as_others_are(reports, tmp_path):
    usual = tmp_path / "usual"
    usual.touch()
    assert (reports / "kpi.html").stat().st_mode == usual.stat().st_mode


def test_a_file_that_is_not_published_is_refused(tmp_path):
    with pytest.raises(PublishingError, match="published file"):
        write(tmp_path / "none", tmp_path / "reports")
    assert not (tmp_path / "reports").exists()


def test_different_kpis_have_different_anchors():
    names = ["a b", "a-b", "a_b", "a-20-b", 'a"b', "a<b", "\U0001f34e", ""]
    anchors = [page.anchor(name) for name in names]
    assert len(set(anchors)) == len(names)
    assert all(re.fullmatch(r"kpi-[\w-]*", anchor, re.ASCII) for anchor in anchors)
