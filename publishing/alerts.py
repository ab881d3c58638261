"""What needs a decision: the alerts of the published file, in words."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import duckdb

from publishing import formatting
from publishing.database import fetch, reason
from publishing.errors import PublishingError
from publishing.versions import KPIS, PUBLISH_FIRST, open_served, published_file

SEVERITIES = ("critical", "warning", "notice")

ALERTS = """
select
    alerts.*,
    dates.business_week
from marts.kpi_alerts as alerts
left join marts.dim_dates as dates
    on alerts.period_start_date = dates.business_date
order by
    alerts.kpi_name,
    case alerts.grain when 'day' then 1 when 'week' then 2 else 3 end
"""

RULES = {
    "above_upper_limit": "above its upper limit of {upper_limit}",
    "below_lower_limit": "below its lower limit of {lower_limit}",
    "eight_above_mean": "eight periods in a row above its mean",
    "eight_below_mean": "eight periods in a row below its mean",
}


def read_alerts(serving: Path) -> tuple[list[dict[str, Any]], str]:
    """Read the alerts of the published file, and through which date its data is.

    Raises:
        PublishingError: nothing is published, or it cannot be read.
    """
    with open_served(serving) as (connection, version):
        try:
            alerts = fetch(connection, ALERTS)
        except duckdb.Error as error:
            raise PublishingError(
                f"published file {published_file(serving, KPIS)}: expected the alerts, found:"
                f" {reason(error)}; {PUBLISH_FIRST}"
            ) from error
    return alerts, str(version.data_through_date)


def why(alert: dict[str, Any]) -> str:
    """Say in words why an alert is there: its target, its signal, or both."""
    unit, value = alert["unit"], alert["value"]
    reasons = []
    if alert["status"] == "off_target":
        side = "below" if value < alert["target"] else "above"
        reasons.append(f"{side} its target of {formatting.in_unit(alert['target'], unit)}")
    if alert["signal_rule"]:
        limits = {
            name: formatting.in_unit(alert[name], unit) for name in ("lower_limit", "upper_limit")
        }
        reasons.append(RULES[alert["signal_rule"]].format(**limits))
    return "; ".join(reasons)


def report(alerts: list[dict[str, Any]], through: str, width: int) -> str:
    """Lay the alerts out by severity, with what to do below each.

    Args:
        alerts: Rows of kpi_alerts.
        through: Last complete business date.
        width: Columns of the terminal.
    """
    lines = [f"Alerts of the latest complete periods, data through {through}"]
    for severity in SEVERITIES:
        chosen = [alert for alert in alerts if alert["severity"] == severity]
        lines += ["", f"{severity} ({len(chosen)})"]
        if not chosen:
            continue
        rows = [("KPI", "period", "value", "change", "owner", "why"), *map(_cells, chosen)]
        heading, *table = formatting.aligned(rows, right=(2, 3))
        lines.append(heading)
        for alert, line in zip(chosen, table, strict=True):
            lines.append(line)
            lines += textwrap.wrap(
                alert["action"],
                max(width, 60),
                initial_indent="      do: ",
                subsequent_indent="          ",
            )
    if alerts:
        first = min(alerts, key=lambda alert: SEVERITIES.index(alert["severity"]))
        lines += [
            "",
            f"Check any of them: python -m publishing trace --kpi {first['kpi_id']}"
            f" --period {_period(first)}",
        ]
    return "\n".join(lines)


def has_severity(alerts: list[dict[str, Any]], severity: str) -> bool:
    """Whether there is an alert of a severity or of a worse one."""
    worse = SEVERITIES[: SEVERITIES.index(severity) + 1]
    return any(alert["severity"] in worse for alert in alerts)


def _period(alert: dict[str, Any]) -> str:
    return formatting.period_code(
        alert["period_start_date"], alert["grain"], alert["business_week"]
    )


def _cells(alert: dict[str, Any]) -> tuple[str, ...]:
    return (
        alert["kpi_name"],
        _period(alert)
        # The number is the retailer's own: say when that week is.
        + (f" from {alert['period_start_date']}" if alert["grain"] == "week" else ""),
        formatting.in_unit(alert["value"], alert["unit"]),
        formatting.change(
            alert["value"], alert["previous_value"], alert["relative_change"], alert["unit"]
        ),
        alert["owner"],
        why(alert),
    )
