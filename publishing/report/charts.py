"""The charts, declared with Altair.

Colours are CSS variables, so that one chart serves light, dark and print; `svg` puts the light ones
in for readers that know no variables. Series that the reader switches are given by the page's
script under the name `series`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from textwrap import fill
from typing import Any

import altair as alt
import vl_convert

Spec = dict[str, Any]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

# The light half of report.css's colours (Okabe and Ito's, darkened where text is written in them).
LIGHT = {
    "ink": "#1b2430",
    "muted": "#5b6675",
    "line": "#d9dee5",
    "grid": "#eceff3",
    "surface": "#ffffff",
    "accent": "#0072b2",
    "band": "#e3edf5",
    "bad": "#c04a00",
    "good": "#00795a",
    "target": "#8a4a78",
    "total": "#6b7785",
}

# Vega formats for an axis, which takes as many decimals as its step needs; the figures themselves
# are written by formatting.py.
AXIS_FORMATS = {"usd": "$,f", "rate": "%", "count": ",f"}
# Thousands and millions of dollars, where the digits that it drops tell nothing apart.
SHORT_USD = "$,~s"

# What is drawn of a row of a series.
DRAWN = ("shown", "mean", "lower", "upper", "target")

# How signals are marked: by shape first, so that nobody needs to tell colours apart.
SIGNALS = {
    "above_upper_limit": ("Above its natural range", "triangle-up"),
    "below_lower_limit": ("Below its natural range", "triangle-down"),
    "eight_above_mean": ("Eight in a row above the mean", "diamond"),
    "eight_below_mean": ("Eight in a row below the mean", "square"),
}


def variable(name: str) -> str:
    """Give a colour as the CSS variable that carries it."""
    return f"var(--{name})"


def configured(chart: alt.LayerChart | alt.Chart) -> Spec:
    """Give the chart's specification in the look that all charts share."""
    return (
        chart.configure(
            background="transparent", font=FONT, autosize=alt.AutoSizeParams(type="fit-x")
        )
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=variable("muted"),
            titleColor=variable("muted"),
            gridColor=variable("grid"),
            domainColor=variable("line"),
            tickColor=variable("line"),
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            labelPadding=6,
        )
        .configure_legend(
            labelColor=variable("ink"),
            titleColor=variable("muted"),
            titleFontWeight="normal",
            labelFontSize=12,
            orient="top",
        )
        .to_dict()
    )


def axis(unit: str, values: Iterable[Decimal | float | None]) -> dict[str, Any]:
    """Give an axis on which the values, and the labels of different ticks, are told apart.

    Args:
        unit: `usd`, `rate` or `count`.
        values: All that is drawn.

    Returns:
        Vega's `format`, and the `domain` where the values have no extent of their own, else None.
    """
    known = [float(value) for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    size = max(abs(low), abs(high))
    if low == high:
        ends = sorted((0.9 * low, 1.1 * low)) if low else [0, 0.1 if unit == "rate" else 10]
        return {"format": AXIS_FORMATS[unit], "domain": ends}
    is_short = unit == "usd" and 1e4 <= size < 1e9 and high - low >= size / 100
    return {"format": SHORT_USD if is_short else AXIS_FORMATS[unit], "domain": None}


def trend(unit: str, rows: list[dict[str, Any]] | None = None, height: int = 320) -> Spec:
    """Draw a series with its natural limits, mean and target (a process behaviour chart).

    Args:
        unit: `usd`, `rate` or `count`, for the axis.
        rows: period, value, mean, lower, upper, target, signal, is_complete, and texts for the
            tooltip; None where the page's script gives them, and the axis with them.
        height: Height of the plot in pixels.
    """
    data = alt.InlineData(values=rows) if rows is not None else alt.NamedData(name="series")
    period = alt.X(
        "period:T",
        title=None,
        scale=alt.Scale(type="utc"),
        axis=alt.Axis(
            grid=False,
            labelOverlap=True,
            tickCount=8,
            labelFlush=True,
            # No hours between two days.
            labelExpr="utchours(datum.value) ? '' : datum.label",
        ),
    )
    y_axis = alt.Axis(tickCount=5, domain=False, ticks=False)
    scale = alt.Scale(zero=False, nice=True)
    if rows is not None:
        drawn = axis(unit, (row[field] for row in rows for field in DRAWN))
        y_axis.format, scale.domain = drawn["format"], drawn["domain"] or alt.Undefined
    base = alt.Chart(data).encode(x=period)

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title=None, scale=scale, axis=y_axis)

    def line(field: str, colour: str, dash: Sequence[int], width: float) -> alt.Chart:
        return base.mark_line(
            color=variable(colour), strokeDash=list(dash), strokeWidth=width, interpolate="step"
        ).encode(y=y(field))

    tooltip = [
        alt.Tooltip("label:N", title="Period"),
        alt.Tooltip("text:N", title="Value"),
        alt.Tooltip("target_text:N", title="Target"),
        alt.Tooltip("note:N", title="Signal"),
    ]
    complete = base.transform_filter("datum.is_complete")
    names, shapes = zip(*SIGNALS.values(), strict=True)
    return configured(
        alt.layer(
            base.mark_area(color=variable("band"), interpolate="step").encode(
                y=y("lower"), y2="upper:Q"
            ),
            line("mean", "total", (), 1),
            line("target", "target", (7, 4), 2),
            complete.mark_line(color=variable("accent"), strokeWidth=1.75).encode(y=y("value")),
            base.transform_filter("datum.is_complete && !datum.signal")
            .mark_circle(color=variable("accent"), opacity=1)
            .encode(
                y=y("value"),
                size=alt.value(alt.expr("length(data('series')) > 100 ? 8 : 30"))
                if rows is None
                else alt.value(30),
                tooltip=tooltip,
            ),
            base.transform_filter("!datum.is_complete")
            .mark_point(
                color=variable("muted"), fill=variable("surface"), size=60, strokeDash=[2, 2]
            )
            .encode(y=y("shown"), tooltip=tooltip),
            base.transform_filter("datum.is_complete && datum.signal")
            .mark_point(
                filled=True,
                opacity=1,
                size=110,
                color=variable("bad"),
                stroke=variable("surface"),
                strokeWidth=1.25,
            )
            .encode(
                y=y("value"),
                shape=alt.Shape(
                    "signal:N", legend=None, scale=alt.Scale(domain=list(names), range=list(shapes))
                ),
                tooltip=tooltip,
            ),
        ).properties(width="container", height=height)
    )


def waterfall(
    steps: Sequence[tuple[str, Decimal, str]],
    total: tuple[str, Decimal, str],
    width: int | str = "container",
    step: int = 34,
) -> Spec:
    """Draw how contributions add up to a change, downwards from 0.

    Args:
        steps: Name, contribution and its text, each.
        total: Name, change and its text.
        width: Pixels, or `container` for that of the page.
        step: Pixels from bar to bar.
    """
    rows: list[dict[str, Any]] = []
    reached = Decimal(0)
    for name, contribution, text in steps:
        rows.append(_bar(len(rows), name, reached, reached + contribution, text))
        reached += contribution
    rows.append(_bar(len(rows), total[0], Decimal(0), total[1], total[2]) | {"kind": "total"})
    low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
    x = alt.X(
        "low:Q",
        title=None,
        scale=alt.Scale(
            domain=[low, high if high > low else low + 1],
            nice=False,
            # Figures stand to the right of their bars and need room there.
            range=[0, alt.expr("width - 88")],
        ),
        axis=alt.Axis(
            format=axis("usd", (low, high))["format"], tickCount=4, domain=False, ticks=False
        ),
    )
    order = [row["name"] for row in rows]
    y = alt.Y(
        "name:N",
        title=None,
        sort=order,
        axis=alt.Axis(
            labelExpr="slice(split(datum.value, '\\n'), 1)",
            labelColor=variable("ink"),
            domain=False,
            ticks=False,
            labelLimit=130,
            minExtent=104,
        ),
        scale=alt.Scale(paddingInner=0.35, paddingOuter=0.2),
    )
    tooltip = [alt.Tooltip("full:N", title="Part"), alt.Tooltip("text:N", title="Contribution")]
    base = alt.Chart(alt.InlineData(values=rows)).encode(y=y)
    bars = base.mark_bar(cornerRadius=2).encode(
        x=x,
        x2="high:Q",
        color=alt.Color(
            "kind:N",
            legend=None,
            scale=alt.Scale(
                domain=["more", "less", "total"],
                range=[variable("accent"), variable("bad"), variable("total")],
            ),
        ),
        tooltip=tooltip,
    )
    labels = base.mark_text(
        align="left", dx=6, color=variable("ink"), fontSize=12, fontWeight=600
    ).encode(x=alt.X("high:Q"), text="text:N")
    zero = (
        alt.Chart(alt.InlineData(values=[{"zero": 0}]))
        .mark_rule(color=variable("muted"), strokeWidth=1)
        .encode(x="zero:Q")
    )
    return configured(
        alt.layer(bars, zero, labels).properties(width=width, height=step * len(rows))
    )


def _bar(position: int, name: str, start: Decimal, end: Decimal, text: str) -> dict[str, Any]:
    # Names may begin alike, and each has its bar; more than two lines would reach the next one's.
    return {
        "name": f"{position}\n{fill(name, 14, max_lines=2, placeholder='…')}",
        "full": name,
        "low": float(min(start, end)),
        "high": float(max(start, end)),
        "text": text,
        "kind": "less" if end < start else "more",
    }


def campaigns(rows: list[dict[str, Any]]) -> Spec:
    """Draw campaigns by start, redemption rate, households targeted (size) and type (shape)."""
    types = sorted({row["type"] for row in rows})
    # From 0 on, as bars would be.
    rates = axis("rate", (0, *(row["rate"] for row in rows)))

    def by_type(channel: type[alt.Shape] | type[alt.Color], values: list[str]) -> Any:
        scale = alt.Scale(domain=types, range=values[: len(types)] or values[:1])
        # As many side by side as a phone has room for.
        legend = alt.Legend(columns=3, labelLimit=60)
        return channel("type:N", title="Type", scale=scale, legend=legend)

    return configured(
        alt.Chart(alt.InlineData(values=rows))
        .mark_point(filled=True, opacity=0.9, stroke=variable("surface"), strokeWidth=1)
        .encode(
            x=alt.X(
                "start:T",
                title=None,
                scale=alt.Scale(type="utc", padding=16),
                axis=alt.Axis(grid=False, labelOverlap=True, tickCount=8),
            ),
            y=alt.Y(
                "rate:Q",
                title="Households that redeemed",
                axis=alt.Axis(format=rates["format"], tickCount=5, domain=False, ticks=False),
                scale=alt.Scale(domain=rates["domain"] or alt.Undefined),
            ),
            size=alt.Size("targets:Q", legend=None, scale=alt.Scale(range=[50, 700])),
            shape=by_type(alt.Shape, ["circle", "square", "triangle-up", "diamond", "cross"]),
            color=by_type(
                alt.Color, [variable(name) for name in ("accent", "bad", "good", "target", "total")]
            ),
            tooltip=[
                alt.Tooltip("name:N", title="Campaign"),
                alt.Tooltip("dates:N", title="Runs"),
                alt.Tooltip("rate_text:N", title="Redeemed"),
                alt.Tooltip("targets:Q", title="Households targeted", format=","),
            ],
        )
        .properties(width="container", height=280)
    )


def sparkline(values: Sequence[Decimal | None], width: int = 132, height: int = 34) -> list[str]:
    """Give the points of a series' polylines, in pixels; it breaks where a value is missing."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return []
    low, high = min(known), max(known)
    lines: list[list[str]] = [[]]
    for position, value in enumerate(values):
        if value is None:
            lines.append([])
            continue
        x = 4 + (width - 8) * position / (len(values) - 1)
        share = float((value - low) / (high - low)) if high > low else 0.5
        lines[-1].append(f"{x:.1f},{4 + (height - 8) * (1 - share):.1f}")
    return [" ".join(line) for line in lines if line]


def svg(spec: Spec) -> str:
    """Draw a chart without a browser, in the light colours."""
    drawn = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    return re.sub(r"var\(--(\w+)\)", lambda found: LIGHT[found[1]], drawn)
