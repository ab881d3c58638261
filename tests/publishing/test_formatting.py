"""Figures, periods and tables as the terminal and the report write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from publishing import formatting


@pytest.mark.parametrize(
    ("value", "unit", "options", "text"),
    [
        ("421720.450000", "usd", {}, "$421,720.45"),
        ("-0.005", "usd", {}, "\N{MINUS SIGN}$0.01"),
        ("1234.5", "usd", {"signed": True}, "+$1,234.50"),
        ("0", "usd", {"signed": True}, "$0.00"),
        ("99999999999999.99", "usd", {}, "$99,999,999,999,999.99"),
        ("0.144450", "rate", {}, "14.45%"),
        ("0.14445", "rate", {"signed": True}, "+14.45 pts"),
        ("-0.000004", "rate", {"signed": True}, "0.00 pts"),
        ("2062.000000", "count", {}, "2,062"),
        ("9.884096", "count", {}, "9.88"),
        ("-12.000000", "count", {"signed": True}, "\N{MINUS SIGN}12"),
        ("0.125", "count", {"signed": True}, "+0.13"),
    ],
)
def test_figures_are_written_in_their_unit(value, unit, options, text):
    assert formatting.in_unit(Decimal(value), unit, **options) == text


@pytest.mark.parametrize("unit", ["usd", "rate", "count"])
def test_a_missing_figure_is_a_dash(unit):
    assert formatting.in_unit(None, unit) == "\N{EN DASH}"
    assert formatting.change(None, Decimal(1), None, unit) == "\N{EN DASH}"
    assert formatting.change(Decimal(1), None, None, unit) == "\N{EN DASH}"


def test_a_measure_is_written_in_the_unit_of_its_name():
    assert formatting.measure(Decimal("1410.00"), "line_count") == "1,410"
    assert formatting.measure(Decimal("1410.00"), "net_sales_usd") == "$1,410.00"


@pytest.mark.parametrize(
    ("value", "previous", "relative", "unit", "text"),
    [
        ("110", "100", "0.1", "usd", "+10.0%"),
        ("90", "100", "-0.1", "count", "\N{MINUS SIGN}10.0%"),
        ("0.125", "0.25", "-0.5", "rate", "\N{MINUS SIGN}12.50 pts"),
    ],
)
def test_rates_change_by_points_and_all_else_in_percent(value, previous, relative, unit, text):
    assert formatting.change(Decimal(value), Decimal(previous), Decimal(relative), unit) == text


def test_an_exact_number_has_all_its_digits():
    assert formatting.exact(Decimal("-1234.000001")) == "\N{MINUS SIGN}1,234.000001"
    assert formatting.exact(Decimal("385000.000000")) == "385,000"
    assert formatting.exact(None) == "\N{EN DASH}"


@pytest.mark.parametrize(
    ("start", "grain", "week", "name", "code"),
    [
        (date(2017, 12, 1), "month", None, "December 2017", "2017-12"),
        (date(2017, 12, 5), "day", None, "5 Dec 2017", "2017-12-05"),
        (date(2017, 5, 29), "week", 23, "week of 29 May 2017", "2017-W23"),
        # Most of its days are in 2017; most of the next one's in 2018.
        (date(2016, 12, 29), "week", 1, "week of 29 Dec 2016", "2017-W01"),
        (date(2017, 12, 30), "week", 54, "week of 30 Dec 2017", "2018-W54"),
    ],
)
def test_a_period_is_named_for_people_and_coded_for_trace(start, grain, week, name, code):
    assert formatting.period(start, grain) == name
    assert formatting.period_code(start, grain, week) == code


def test_a_moment_is_in_utc():
    east = timezone(timedelta(hours=2))
    assert formatting.moment(datetime(2018, 1, 1, 1, 30, tzinfo=east)) == "31 Dec 2017, 23:30 UTC"
    assert formatting.moment(datetime(2018, 1, 1, 1, 30, tzinfo=UTC)) == "1 Jan 2018, 01:30 UTC"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GROCERY, 5 % \N{EN DASH} \U0001f34e", "GROCERY, 5 % \N{EN DASH} \U0001f34e"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("nul\0bell\a", r"nul\x00bell\x07"),
        ("\u202egnp.exe \u2066x\u2069", r"\u202egnp.exe \u2066x\u2069"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("no\xa0break\x85\u2028", r"no\xa0break\x85\u2028"),
        ("surrogate\udcff", r"surrogate\udcff"),
        (r"a\nb", r"a\\nb"),
    ],
)
def test_what_cannot_be_seen_is_shown(text: str, shown: str):
    assert formatting.shown(text) == shown


def test_sentences_are_on_one_line_and_within_the_width():
    text = "Look at\nthe \x1b[31mdrivers\t then. " * 5
    lines = formatting.wrapped(text, 40, "do: ", "    ")
    assert all(len(line) <= 40 and line.isprintable() for line in lines) and len(lines) > 3
    assert " ".join(lines).split() == ["do:", *formatting.prose(text).split()]


@pytest.mark.parametrize(
    ("text", "quoted"),
    [("a b", "a b"), (" a", "' a'"), ("a ", "'a '"), ("", "''"), ("a,b", "'a,b'")],
)
def test_a_text_whose_ends_cannot_be_seen_is_in_quotes(text: str, quoted: str):
    assert formatting.quoted(text) == quoted


def test_columns_are_aligned_by_what_is_shown():
    assert formatting.aligned([("a\n", "1"), ("abc", "2")], indent=0) == [r"a\n  1", "abc  2"]


def test_columns_are_aligned():
    rows = [("KPI", "value"), ("Net sales", "\N{MINUS SIGN}$5.00"), ("Lines", "1")]
    assert formatting.aligned(rows, right=(1,)) == [
        "  KPI         value",
        "  Net sales  \N{MINUS SIGN}$5.00",
        "  Lines           1",
    ]
