"""Puts the report together: figures that link to their definition, charts, and the two files."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shlex
import tempfile
from datetime import date
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from publishing import formatting
from publishing.report import charts, queries
from publishing.report.queries import GRAINS, Report, Row

TEMPLATES = Path(__file__).parent / "templates"

# Departments that the page and the waterfall name; the others are there on request, or in one sum.
DEPARTMENTS_SHOWN = 12
DEPARTMENT_STEPS = 8
# Below it, a share of a cohort says little: one household more moves it by five points.
SMALL_COHORT = 20

DRIVER_WORDS = {
    "active_households": "Active households",
    "visits_per_active_household": "Visits per household",
    "average_basket_value": "Basket value",
}
DIRECTION_WORDS = {"up": "Up is good", "down": "Down is good", "none": "Neither way is good"}
SEVERITY_WORDS = {"critical": "Critical", "warning": "Warning", "notice": "Notice"}
STATUS_WORDS = {
    "stable": "Steady",
    "on_target": "On target",
    "off_target": "Off target",
    "improved": "Improved",
    "worsened": "Worsened",
    "changed": "Changed",
    "incomplete": "Incomplete period",
    "no_value": "No value",
    "no_baseline": "No baseline yet",
}


def write(serving: Path, folder: Path) -> list[Path]:
    """Write `kpi.html` and `kpi-mail.html` from the published file.

    Args:
        serving: Folder of the published file.
        folder: Where the files go; made where it is not there.

    Returns:
        The files. Either is the old one or the new one at any time, never half of it.
    """
    report = queries.read(serving)
    # Both are drawn before the first is written: a failure leaves both as they were.
    pages = {"kpi.html": page(report), "kpi-mail.html": mail(report)}
    folder.mkdir(parents=True, exist_ok=True)
    return [_replace(folder / name, content) for name, content in pages.items()]


def page(report: Report) -> str:
    """Draw the page, which carries its charts' JavaScript and asks no network for anything."""
    context = _context(report)
    vega = _vega()
    behaviour = _script((TEMPLATES / "report.js").read_text(encoding="utf-8"))
    return (
        _environment(report)
        .get_template("kpi.html.j2")
        .render(
            **context,
            style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),  # noqa: S704
            scripts=[Markup(vega), Markup(behaviour)],  # noqa: S704
            script_hashes=[_hash(vega), _hash(behaviour)],
            data=_json({"trend": _trend_data(report), "charts": _charts(report, context)}),
        )
    )


def mail(report: Report) -> str:
    """Draw the mail: no script, charts as SVG, styles at the elements."""
    context = _context(report)
    figure = report.latest_figure("net_sales", "month")
    drivers = context["drivers"].get("month")
    trend = charts.trend("usd", _trend_rows(report, "net_sales", "month"), height=200)
    trend["width"] = 560
    return (
        _environment(report)
        .get_template("kpi-mail.html.j2")
        .render(
            **context,
            net_sales=figure,
            trend_svg=Markup(charts.svg(trend)) if figure else None,  # noqa: S704
            drivers_svg=Markup(charts.svg(_waterfall(drivers["households"], 560, 44)))  # noqa: S704
            if drivers
            else None,
        )
    )


def _environment(report: Report) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "linked": partial(_linked, {kpi["kpi_id"]: kpi for kpi in report.kpis}),
        "day": formatting.day,
        "moment": formatting.moment,
        "words": formatting.words,
        "percent": formatting.percent,
        "usd": formatting.usd,
        "number": formatting.number,
        "anchor": anchor,
        "exact": formatting.exact,
        "opening": formatting.opening,
    }
    environment.globals |= {
        "period": formatting.period,
        "in_unit": formatting.in_unit,
        "measure": formatting.measure,
        "sparkline": charts.sparkline,
        "status_words": STATUS_WORDS,
        "direction_words": DIRECTION_WORDS,
        "severity_words": SEVERITY_WORDS,
        "signals": charts.SIGNALS,
        "colours": charts.LIGHT,
        "grains": GRAINS,
        "small_cohort": SMALL_COHORT,
    }
    return environment


def _context(report: Report) -> dict[str, Any]:
    """Give what both templates need, with the figures as links to their definitions."""
    kpis = {kpi["kpi_id"]: kpi for kpi in report.kpis}

    def figure(row: Row, field: str, *, tab: bool = True) -> Markup:
        """Write a field of kpi_values as a link that also says, to machines, what it is."""
        kpi = kpis[row["kpi_id"]]
        value = row[field]
        return _link(
            anchor(kpi["kpi_id"]),
            _text(kpi, field, value),
            {
                "kpi": kpi["kpi_id"],
                "grain": row["grain"],
                "period": row["period_start_date"].isoformat(),
                "slice": row.get("slice", "all"),
                "slice-value": row.get("slice_value", "all"),
                "field": field,
                "value": _plain(value),
            },
            tab=tab,
        )

    def other(
        text: str, value: object, kpi_id: str, source: str, *, tab: bool = True, **key: object
    ) -> Markup:
        """Write a figure of another table than kpi_values; `key` says which row and field."""
        attributes = {"source": source, "value": _plain(value)} | {
            name.replace("_", "-"): _plain(part) for name, part in key.items()
        }
        target = anchor(kpi_id) if kpi_id in kpis else "definitions"
        return _link(target, text, attributes, tab=tab)

    return {
        "report": report,
        "kpis": kpis,
        "figure": figure,
        "other": other,
        "status": _status,
        "headlines": report.headlines(),
        "decisions": [row for row in report.alerts if row["severity"] != "notice"],
        "notices": [row for row in report.alerts if row["severity"] == "notice"],
        "drivers": {grain: found for grain in GRAINS if (found := _drivers(report, grain))},
        "departments_shown": DEPARTMENTS_SHOWN,
        "largest_sales": max(
            (abs(row["net_sales"]["value"] or 0) for row in report.departments), default=Decimal(0)
        ),
        "cohorts": _cohorts(report),
        "trace": partial(_trace, report),
        "audit_total": sum(row["figure_count"] for row in report.audits.values()),
        "audit_differing": sum(row["differing_count"] for row in report.audits.values()),
    }


def _linked(kpis: dict[str, Row], text: str) -> Markup:
    """Put names with links in the place of the KPIs' ids that a text mentions."""
    parts = []
    for word in re.split(r"(\w+)", text or ""):
        # An id of one word is more likely to be that word.
        if word in kpis and "_" in word:
            name = kpis[word]["kpi_name"]
            parts.append(Markup('<a href="#{}">{}</a>').format(anchor(word), name.lower()))
        elif word == "kpi_drivers":
            parts.append(Markup('<a href="#drivers">the drivers</a>'))
        else:
            parts.append(Markup("{}").format(word))
    return Markup("").join(parts)


def anchor(kpi_id: str) -> str:
    """Give the id of a KPI's card; different KPIs have different ones, whatever their names."""
    return "kpi-" + re.sub(r"[^A-Za-z0-9_]", lambda found: f"-{ord(found[0]):x}-", kpi_id)


def _link(target: str, text: str, attributes: dict[str, str], *, tab: bool) -> Markup:
    # In dense tables the heading's link is the one that the keyboard stops at.
    stop = Markup("") if tab else Markup(' tabindex="-1"')
    data = Markup("").join(
        Markup(' data-{}="{}"').format(name, value) for name, value in attributes.items()
    )
    return Markup('<a class="figure" href="#{}"{}{}>{}</a>').format(target, stop, data, text)


def _plain(value: object) -> str:
    """Write a value as machines read it: exact, without an exponent; nothing for None."""
    if value is None:
        return ""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _text(kpi: Row, field: str, value: Decimal | None) -> str:
    if value is None:
        return formatting.MISSING
    if field in ("numerator", "denominator"):
        return formatting.measure(value, kpi[f"{field}_measure"] or "")
    if field == "target" and kpi["unit"] == "rate":
        return f"{formatting.exact(value * 100)}%"
    if field == "target" and value == value.to_integral_value():
        # Targets are round; their cents would say nothing.
        return f"{'$' if kpi['unit'] == 'usd' else ''}{formatting.exact(value)}"
    if field == "relative_change":
        return formatting.relative_change(value)
    return formatting.in_unit(value, kpi["unit"], signed=field == "change")


def _status(row: Row) -> str:
    """Give the status to show: a steady KPI that is on its target is said to be on target."""
    if row["status"] == "stable" and row.get("is_on_target"):
        return "on_target"
    return row["status"]


def _trace(report: Report, kpi_id: str, grain: str) -> str:
    """Give the command that shows how a KPI's latest figure comes about."""
    period = formatting.period_code(report.latest[grain], grain, report.latest_business_week)
    return f"make trace KPI={shlex.quote(kpi_id)} PERIOD={period}"


def _drivers(report: Report, grain: str) -> dict[str, Any] | None:
    rows = report.drivers.get(grain, [])
    if not rows:
        return None
    departments = [row for row in rows if row["decomposition"] == "departments"]
    shown = departments[:DEPARTMENT_STEPS]
    rest = departments[DEPARTMENT_STEPS:]
    first = rows[0]
    total = {
        "name": "Change",
        "value": first["change_usd"],
        "row": first,
        "field": "change_usd",
    }

    def step(row: Row, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "value": row["contribution_usd"],
            "row": row,
            "field": "contribution_usd",
        }

    others = []
    if rest:
        others = [
            {
                "name": f"{len(rest)} others",
                "value": sum((row["contribution_usd"] for row in rest), Decimal(0)),
                "row": None,
                "field": "contribution_usd",
            }
        ]
    return {
        "grain": grain,
        "period_start_date": first["period_start_date"],
        "net_sales_usd": first["net_sales_usd"],
        "previous_net_sales_usd": first["previous_net_sales_usd"],
        "change_usd": first["change_usd"],
        "households": {
            "total": total,
            "steps": [
                step(row, DRIVER_WORDS.get(row["driver"], row["driver"]))
                for row in rows
                if row["decomposition"] == "households"
            ],
        },
        "departments": {
            "total": total,
            "steps": [*(step(row, row["driver"]) for row in shown), *others],
        }
        if departments
        else None,
    }


def _waterfall(part: dict[str, Any], width: int | str = "container", step: int = 34) -> charts.Spec:
    total = part["total"]
    return charts.waterfall(
        [
            (step["name"], step["value"], formatting.usd(step["value"], signed=True))
            for step in part["steps"]
        ],
        (total["name"], total["value"], formatting.usd(total["value"], signed=True)),
        width,
        step,
    )


def _cohorts(report: Report) -> dict[str, Any]:
    """Lay cohorts out as a table: a row a cohort, a column a month since its first purchase."""
    table: dict[date, list[Row]] = {}
    for row in report.cohorts:
        table.setdefault(row["cohort_month"], []).append(row)
    widest = max((row["months_since"] for row in report.cohorts), default=0)
    last = max((row["month_start_date"] for row in report.cohorts), default=None)
    return {
        "rows": table,
        "columns": list(range(widest + 1)),
        # The month that the data ends in may not be over.
        "partial_month": last if last and last != report.latest.get("month") else None,
    }


def _charts(report: Report, context: dict[str, Any]) -> dict[str, charts.Spec]:
    drawn = {f"trend-{unit}": charts.trend(unit) for unit in charts.AXIS_FORMATS}
    for grain, found in context["drivers"].items():
        drawn[f"drivers-{grain}"] = _waterfall(found["households"], step=72)
        if found["departments"]:
            drawn[f"departments-{grain}"] = _waterfall(found["departments"])
    shown = [row for row in report.campaigns if row["redemption_rate"] is not None]
    if shown:
        drawn["campaigns"] = charts.campaigns(
            [
                {
                    "name": f"Campaign {row['campaign_id']}",
                    "type": row["campaign_type"] or "Unknown",
                    "start": row["start_date"].isoformat(),
                    "dates": f"{formatting.day(row['start_date'])} to "
                    f"{formatting.day(row['end_date'])}",
                    "rate": float(row["redemption_rate"]),
                    "rate_text": formatting.percent(row["redemption_rate"]),
                    "targets": row["target_count"],
                }
                for row in shown
                if row["start_date"] and row["end_date"]
            ]
        )
    return drawn


def _trend_data(report: Report) -> dict[str, Any]:
    """Give every KPI's series by columns, with the texts that people read."""
    series = {}
    labels: dict[str, dict[str, str]] = {grain: {} for grain in GRAINS}
    for kpi in report.kpis:
        for grain in GRAINS:
            rows = report.series.get((kpi["kpi_id"], grain))
            if not rows:
                continue
            for row in rows:
                start = row["period_start_date"]
                labels[grain][start.isoformat()] = formatting.opening(
                    formatting.period(start, grain)
                )
            series[f"{kpi['kpi_id']}/{grain}"] = {
                "periods": [row["period_start_date"].isoformat() for row in rows],
                "values": [row["value"] for row in rows],
                "texts": [_text(kpi, "value", row["value"]) for row in rows],
                "targets": _column(rows, "target"),
                "target_texts": {
                    str(float(row["target"])): _text(kpi, "target", row["target"])
                    for row in rows
                    if row["target"] is not None
                },
                "signals": {
                    position: row["signal_rule"]
                    for position, row in enumerate(rows)
                    if row["signal_rule"]
                },
                "axis": charts.axis(kpi["unit"], _drawn(rows)),
                "incomplete": [
                    position for position, row in enumerate(rows) if not row["is_complete_period"]
                ],
                **{
                    name: _constant(kpi, rows, field)
                    for name, field in {
                        "mean": "baseline_mean",
                        "lower": "lower_limit",
                        "upper": "upper_limit",
                    }.items()
                },
            }
    return {
        "kpis": [
            {
                "id": kpi["kpi_id"],
                "name": kpi["kpi_name"],
                "unit": kpi["unit"],
                "anchor": anchor(kpi["kpi_id"]),
                "question": kpi["question"],
                "direction": DIRECTION_WORDS.get(kpi["good_direction"], ""),
            }
            for kpi in report.kpis
        ],
        "labels": labels,
        "signals": {rule: name for rule, (name, _) in charts.SIGNALS.items()},
        "series": series,
    }


def _drawn(rows: list[Row]) -> list[Decimal | None]:
    """Give what the page's script draws of a series; incomplete periods stretch no axis."""

    def column(*fields: str) -> list[Decimal | None]:
        return [row[field] for row in rows for field in fields]

    ends = [row["value"] for row in rows if row["is_complete_period"]]
    ends += column("lower_limit", "upper_limit")
    if all(end is None for end in ends):
        ends = column("value")
    return [*ends, *column("baseline_mean", "target")]


def _column(rows: list[Row], field: str) -> list[Any] | None:
    values = [row[field] for row in rows]
    return values if any(value is not None for value in values) else None


def _constant(kpi: Row, rows: list[Row], field: str) -> dict[str, Any] | None:
    """Give the one mean or limit of a series; the baseline sets it once."""
    for row in reversed(rows):
        if row[field] is not None:
            return {"value": row[field], "text": _text(kpi, field, row[field])}
    return None


def _trend_rows(report: Report, kpi_id: str, grain: str) -> list[dict[str, Any]]:
    """Give a series as rows for a chart that is drawn without a browser."""

    def plain(value: Decimal | None) -> float | None:
        return None if value is None else float(value)

    return [
        {
            "period": row["period_start_date"].isoformat(),
            "value": plain(row["value"]),
            "shown": plain(row["value"]),
            "mean": plain(row["baseline_mean"]),
            "lower": plain(row["lower_limit"]),
            "upper": plain(row["upper_limit"]),
            "target": plain(row["target"]),
            "signal": charts.SIGNALS.get(row["signal_rule"], (None,))[0],
            "is_complete": row["is_complete_period"],
        }
        for row in report.series.get((kpi_id, grain), [])
    ]


def _json(value: object) -> Markup:
    """Write data for a script element; nothing in it can end the element."""
    text = json.dumps(value, default=float, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704


@cache
def _vega() -> str:
    """Give Vega's JavaScript, which takes seconds to bundle and is always the same."""
    return _script(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def _script(text: str) -> str:
    """Make a script safe to stand in HTML; browsers read its line ends as LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("</script", "<\\/script")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _replace(path: Path, text: str) -> Path:
    """Write a file whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        # As if it had been made in the usual way: mkstemp lets only the owner read.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path
