"""Reads from the published KPIs what the report shows; nothing is computed anew but sums of rows.

Rows are dicts by column name. Amounts and rates are decimals, as DuckDB has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from publishing import database
from publishing.versions import Version, open_served

Row = dict[str, Any]

GRAINS = ("month", "week", "day")
# Periods of a trend that the page carries, latest first: what a screen can show.
TREND_PERIODS = {"day": 366, "week": 157, "month": 60}
COHORTS = 13
HEADLINES = 8


@dataclass(frozen=True)
class Report:
    """All that the page and the mail show.

    Attributes:
        version: Which version the file is of, and how fresh.
        kpis: Rows of the catalog, in its order, each with `is_ratio`.
        latest: Start of the latest complete period, by grain.
        latest_business_week: Number of the latest complete week.
        series: Rows of kpi_values for the whole company, by (kpi_id, grain), oldest first.
        alerts: Rows of kpi_alerts with the figure's mean, the most severe first.
        drivers: Rows of kpi_drivers for the latest complete period, by grain.
        departments: One row a department, with its figures of the latest complete month by KPI.
        cohorts: One row a cohort and month since its first purchase.
        campaigns: One row a campaign that has begun, the latest first.
        audits: Counts of compared and differing figures, by kpi_id.
        audited: The audit's row of each KPI's latest complete period, whole company, by
            (kpi_id, grain).
        quarantined: Tables of the sources of which rows are in quarantine, with their number.
    """

    version: Version
    kpis: list[Row]
    latest: dict[str, date]
    latest_business_week: int | None
    series: dict[tuple[str, str], list[Row]]
    alerts: list[Row]
    drivers: dict[str, list[Row]]
    departments: list[Row]
    cohorts: list[Row]
    campaigns: list[Row]
    audits: dict[str, Row]
    audited: dict[tuple[str, str], Row]
    quarantined: list[Row]

    def latest_figure(self, kpi_id: str, grain: str) -> Row | None:
        """Give the row of a KPI's latest complete period, None where it has none."""
        for row in reversed(self.series.get((kpi_id, grain), [])):
            if row["period_start_date"] == self.latest.get(grain):
                return row
        return None

    def latest_grain(self, kpi_id: str) -> str | None:
        """Give the longest grain that a KPI has a latest figure of, None where it has none."""
        return next((grain for grain in GRAINS if self.latest_figure(kpi_id, grain)), None)

    def headlines(self) -> list[Row]:
        """Give the KPIs to show first: those with a monthly target or alert, then the others.

        A target says that the company has set its mind to it; an alert, that it moved.
        """
        moved = {alert["kpi_id"] for alert in self.alerts if alert["grain"] == "month"}

        def is_after(kpi: Row) -> bool:
            figure = self.latest_figure(kpi["kpi_id"], "month")
            has_target = figure is not None and figure["target"] is not None
            return not (has_target or kpi["kpi_id"] in moved)

        first = [kpi["kpi_id"] for kpi in sorted(self.kpis, key=is_after)[:HEADLINES]]
        return [kpi for kpi in self.kpis if kpi["kpi_id"] in first]


def read(serving: Path) -> Report:
    """Read the published KPIs, a file that is opened for reading only.

    Raises:
        PublishingError: nothing is published, it cannot be read, or somebody changed it.
    """
    with open_served(serving) as (connection, version):
        return _read(connection, version)


def _read(connection: duckdb.DuckDBPyConnection, version: Version) -> Report:
    fetch = partial(database.fetch, connection)
    latest = {
        row["grain"]: row["period_start_date"]
        for row in fetch("""
            select grain, max(period_start_date) as period_start_date
            from marts.kpi_values
            where is_complete_period
            group by grain
        """)
    }
    return Report(
        version=version,
        kpis=fetch(
            "select *, denominator_measure is not null as is_ratio from seeds.kpi_catalog"
            " order by rowid"
        ),
        latest=latest,
        latest_business_week=next(
            (
                row["business_week"]
                for row in fetch(
                    "select business_week from marts.dim_dates where business_date = ?",
                    latest.get("week"),
                )
            ),
            None,
        ),
        series=_series(fetch),
        alerts=fetch("""
            select alerts.*, figures.baseline_mean, figures.period_end_date, figures.change
            from marts.kpi_alerts as alerts
            left join marts.kpi_values as figures
                on
                    alerts.kpi_id = figures.kpi_id
                    and alerts.grain = figures.grain
                    and alerts.period_start_date = figures.period_start_date
                    and figures.slice = 'all'
            left join seeds.kpi_catalog as catalog on alerts.kpi_id = catalog.kpi_id
            order by
                case severity when 'critical' then 0 when 'warning' then 1 else 2 end,
                case alerts.grain when 'month' then 0 when 'week' then 1 else 2 end,
                catalog.rowid
        """),
        drivers={
            grain: fetch(
                """
                select *
                from marts.kpi_drivers
                where grain = ? and period_start_date = ?
                order by
                    case driver
                        when 'active_households' then 0
                        when 'visits_per_active_household' then 1
                        else 2
                    end,
                    abs(contribution_usd) desc,
                    driver
                """,
                grain,
                start,
            )
            for grain, start in latest.items()
        },
        departments=_departments(fetch, latest.get("month")),
        cohorts=_cohorts(fetch),
        campaigns=_campaigns(fetch),
        quarantined=fetch("""
            select source_name, table_name, cast(quarantined_value as bigint) as row_count
            from audit.audit_controls
            where is_latest_load and measure = 'row_count' and quarantined_value > 0
            order by source_name, table_name
        """),
        audits={
            row["kpi_id"]: row
            for row in fetch("""
                select
                    kpi_id,
                    count(*) as figure_count,
                    count(*) filter (where is_equal is not true) as differing_count,
                    max(abs(difference)) as largest_difference
                from audit.audit_kpis
                group by kpi_id
            """)
        },
        audited={
            (row["kpi_id"], row["grain"]): row
            for grain, start in latest.items()
            for row in fetch(
                """
                select *
                from audit.audit_kpis
                where slice = 'all' and grain = ? and period_start_date = ?
                """,
                grain,
                start,
            )
        },
    )


def _series(fetch: Any) -> dict[tuple[str, str], list[Row]]:
    series: dict[tuple[str, str], list[Row]] = {}
    for row in fetch("""
        select *
        from marts.kpi_values
        where slice = 'all'
        order by kpi_id, grain, period_start_date
    """):
        series.setdefault((row["kpi_id"], row["grain"]), []).append(row)
    return {key: rows[-TREND_PERIODS.get(key[1], 60) :] for key, rows in series.items()}


def _departments(fetch: Any, month: date | None) -> list[Row]:
    departments: dict[str, Row] = {}
    for row in fetch(
        """
        select *
        from marts.kpi_values
        where
            slice = 'department'
            and grain = 'month'
            and period_start_date = ?
            and kpi_id in ('net_sales', 'retailer_discount_rate')
        """,
        month,
    ):
        departments.setdefault(row["slice_value"], {})[row["kpi_id"]] = row
    known = [row for row in departments.values() if "net_sales" in row]
    return sorted(
        known,
        key=lambda row: (-(row["net_sales"]["value"] or 0), row["net_sales"]["slice_value"]),
    )


def _cohorts(fetch: Any) -> list[Row]:
    rows = fetch(
        """
        select
            cohort_month_start_date as cohort_month,
            month_start_date,
            months_since_first_purchase as months_since,
            household_count,
            active_household_count as active_count
        from marts.fct_cohort_months
        where cohort_month_start_date in (
            select distinct cohort_month_start_date
            from marts.fct_cohort_months
            order by cohort_month_start_date desc
            limit ?
        )
        order by cohort_month, months_since
        """,
        COHORTS,
    )
    # In Python, because DuckDB divides decimals as doubles.
    return [
        row | {"active_share": Decimal(row["active_count"]) / row["household_count"]}
        for row in rows
    ]


def _campaigns(fetch: Any) -> list[Row]:
    rows = fetch("""
        select
            campaigns.campaign_id,
            campaigns.campaign_type,
            campaigns.start_date,
            campaigns.end_date,
            results.targeted_household_count as target_count,
            results.redeeming_household_count as redeeming_count,
            results.redemption_count
        from marts.dim_campaigns as campaigns
        inner join marts.fct_campaign_results as results
            on campaigns.campaign_id = results.campaign_id
        order by campaigns.start_date desc, campaigns.campaign_id desc
    """)
    return [
        row
        | {
            "redemption_rate": Decimal(row["redeeming_count"]) / row["target_count"]
            if row["target_count"]
            else None
        }
        for row in rows
    ]
