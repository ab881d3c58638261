"""Reads the reports' figures out of their HTML, as somebody who audits them would."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb

from publishing.formatting import shown

VOID = {"meta", "link", "br", "img", "input", "hr", "circle", "path", "rect", "use", "polyline"}


@dataclass
class Element:
    """An element with its attributes and all text in it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""

    def data(self, name: str) -> str | None:
        """Give a data attribute."""
        return self.attributes.get(f"data-{name}")


@dataclass
class Page(HTMLParser):
    """Everything that a page has, in order."""

    elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop().tag != tag:
            pass

    def handle_data(self, data: str) -> None:
        is_script = self._open and self._open[-1].tag == "script"
        for element in self._open[-1:] if is_script else self._open:
            element.text += data

    def with_data(self, name: str) -> list[Element]:
        """Give the elements that have a data attribute."""
        return [element for element in self.elements if f"data-{name}" in element.attributes]

    def ids(self) -> list[str]:
        """Give every id, in order."""
        return [e.attributes["id"] for e in self.elements if "id" in e.attributes]

    def text(self) -> str:
        """Give what is shown."""
        return next(element for element in self.elements if element.tag == "body").text

    def embedded(self) -> dict[str, Any]:
        """Give the data of the page's script."""
        (script,) = [e for e in self.elements if e.attributes.get("id") == "data"]
        return json.loads(script.text, parse_float=Decimal)


def parse(path_or_text: Path | str) -> Page:
    """Read a page."""
    page = Page()
    page.feed(
        path_or_text.read_text(encoding="utf-8") if isinstance(path_or_text, Path) else path_or_text
    )
    return page


def is_shown_as(text: str, value: Decimal | int | None) -> bool:
    """Tell whether a text says a value, rounded to the digits that the text has."""
    if value is None or text == "\N{EN DASH}":
        return value is None and text == "\N{EN DASH}"
    plain = text.replace("\N{MINUS SIGN}", "-")
    scale = 100 if "%" in plain or "pts" in plain else 1
    for part in ("$", ",", "%", "pts", "+", "*"):
        plain = plain.replace(part, "")
    shown = Decimal(plain.strip())
    step = Decimal(1).scaleb(min(shown.as_tuple().exponent, 0))
    return shown == (Decimal(value) * scale).quantize(step, ROUND_HALF_UP)


def differences(page: Page, published: Path) -> list[str]:
    """Compare every figure that a page takes from kpi_values; give those that differ."""
    figures = [e for e in page.with_data("kpi") if e.data("field") and not e.data("source")]
    with duckdb.connect(published, read_only=True) as connection:
        cursor = connection.execute("select * from marts.kpi_values")
        names = [column[0] for column in cursor.description]
        keys = [names.index(name) for name in KEY]
        rows = {
            tuple(
                shown(row[position]) if isinstance(row[position], str) else row[position]
                for position in keys
            ): dict(zip(names, row, strict=True))
            for row in cursor.fetchall()
        }
    found = []
    for figure in figures:
        key = (
            figure.data("kpi"),
            figure.data("grain"),
            date.fromisoformat(figure.data("period")),
            figure.data("slice"),
            figure.data("slice-value"),
        )
        expected = rows[key][figure.data("field")]
        stated = Decimal(figure.data("value")) if figure.data("value") else None
        if stated != expected or not is_shown_as(figure.text, expected):
            found.append(f"{key} {figure.data('field')}: {expected}, shown as {figure.text}")
    return found


KEY = ("kpi_id", "grain", "period_start_date", "slice", "slice_value")
