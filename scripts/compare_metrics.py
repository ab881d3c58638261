"""Holds every metric of the semantic layer against kpi_values of the published file.

Run by `make metrics`: each KPI that is a metric, too, is
asked for at every slice and grain that is published, and must be the same, to the cent. Reads the
published file and the semantic manifest that `dbt parse` wrote. One process asks all: most of an
`mf query` is start-up.
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parent.parent

# What MetricFlow groups by for a slice, and for a grain.
SLICES = {
    "all": None,
    "department": "product__department",
    "brand_type": "product__brand_type",
    "store": "store",
    "household_income_band": "household__income_band",
    "campaign": "campaign",
}
GRAINS = {
    "day": "metric_time__day",
    "week": "metric_time__business_week",
    "month": "metric_time__month",
}

# What models/kpis/marts/_kpis__metrics.yml says that the semantic layer cannot say.
NO_METRIC = {"campaign_redemption_rate"}
REFUSED = {
    ("household_retention_rate", "all", "week"),
    ("household_retention_rate", "household_income_band", "week"),
    ("new_households", "store", "week"),
    ("new_households", "store", "month"),
}

# Ratios are published to six decimals.
LAST_DECIMAL = Decimal("0.000001")

# Differences that are printed; the table counts all.
SHOWN = 20

PUBLISHED = """
select kpi_id, slice, grain, period_start_date, slice_value, value, denominator is not null
from marts.kpi_values
"""

Figures = dict[tuple[date, str], Decimal | None]
Series = tuple[str, str, str]


def disagreements(
    published: Figures, queried: Mapping[tuple[date, str], Decimal], is_ratio: bool
) -> list[str]:
    """Name the figures of one metric, slice and grain that differ.

    Args:
        published: Values of kpi_values by start of period and slice value.
        queried: Values that the semantic layer gives, by the same; without its nulls.
        is_ratio: Whether the KPI has a denominator. A sum of nothing is published as 0, and a
            ratio of nothing as null; the semantic layer has no row for either.
    """
    tolerance = LAST_DECIMAL if is_ratio else 0
    # Before the first and after the latest period with sales nothing is published.
    periods = [period for period, _ in published]
    first, last = min(periods), max(periods)
    extra = {key for key in queried.keys() - published.keys() if first <= key[0] <= last}
    found = []
    for key in sorted(published.keys() | extra):
        expected = published.get(key)
        if not is_ratio:
            expected = expected or Decimal(0)
        value = queried.get(key, None if is_ratio else Decimal(0))
        if value is None and expected is None:
            continue
        if value is None or expected is None or abs(value - expected) > tolerance:
            period, slice_value = key
            found.append(f"{period} {slice_value}: published {expected}, metric {value}")
    return found


def read_published(serving_file: Path) -> tuple[dict[Series, Figures], set[str]]:
    """Give all that is published by KPI, slice and grain, and the KPIs that are ratios."""
    published: dict[Series, Figures] = defaultdict(dict)
    ratios = set()
    with duckdb.connect(serving_file, read_only=True) as connection:
        rows = connection.execute(PUBLISHED).fetchall()
    for kpi_id, slice_, grain, period, slice_value, value, is_ratio in rows:
        published[kpi_id, slice_, grain][period, slice_value] = value
        if is_ratio:
            ratios.add(kpi_id)
    return dict(published), ratios


class SemanticLayer:
    """MetricFlow on the published file."""

    def __init__(self, manifest: str):
        """Set dbt's adapter and MetricFlow up.

        Args:
            manifest: The text of `semantic_manifest.json`.
        """
        # It takes seconds to import, which one who has published nothing yet need not wait for.
        from dbt.adapters.factory import get_adapter_by_type
        from dbt_metricflow.cli.dbt_connectors.adapter_backed_client import AdapterBackedSqlClient
        from dbt_metricflow.cli.dbt_connectors.dbt_config_accessor import dbtProjectMetadata
        from metricflow.engine.metricflow_engine import MetricFlowEngine
        from metricflow_semantics.model.dbt_manifest_parser import (
            parse_manifest_from_dbt_generated_manifest,
        )
        from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

        dbtProjectMetadata.load_from_paths(profiles_path=ROOT, project_path=ROOT)
        self.engine = MetricFlowEngine(
            semantic_manifest_lookup=SemanticManifestLookup(
                parse_manifest_from_dbt_generated_manifest(manifest)
            ),
            sql_client=AdapterBackedSqlClient(get_adapter_by_type("duckdb")),
        )

    def query(self, metric: str, slice_: str, grain: str) -> dict[tuple[date, str], Decimal] | None:
        """Give a metric's values but nulls, by start of period and slice value; None if refused."""
        from metricflow.engine.metricflow_engine import MetricFlowQueryRequest
        from metricflow_semantics.errors.error_classes import InvalidQueryException

        names = [GRAINS[grain], *([SLICES[slice_]] if SLICES[slice_] else [])]
        request = MetricFlowQueryRequest.create(metric_names=[metric], group_by_names=names)
        try:
            table = self.engine.query(request).result_df
        except InvalidQueryException:
            return None
        at = [table.column_name_index(name) for name in (*names, metric)]
        rows = ([row[index] for index in at] for row in table.rows)
        return {
            (row[0].date(), str(row[1]) if SLICES[slice_] else "all"): Decimal(str(row[-1]))
            for row in rows
            if row[-1] is not None
        }


def compare(serving_file: Path, manifest: str) -> tuple[list[tuple], list[str]]:
    """Compare all; a row a KPI (name, series and figures compared, differences), and the faults."""
    published, ratios = read_published(serving_file)
    metrics = {metric["name"] for metric in json.loads(manifest)["metrics"]}
    layer = SemanticLayer(manifest)
    rows, faults = [], []
    for kpi_id in sorted({kpi_id for kpi_id, *_ in published}):
        if kpi_id not in metrics:
            if kpi_id not in NO_METRIC:
                faults.append(f"{kpi_id}: is published, and no metric")
            continue
        series = figures = differences = 0
        for slice_, grain in sorted(key[1:] for key in published if key[0] == kpi_id):
            name = f"{kpi_id} {slice_}/{grain}"
            queried = layer.query(kpi_id, slice_, grain)
            if (queried is None) != ((kpi_id, slice_, grain) in REFUSED):
                faults.append(f"{name}: is {'refused' if queried is None else 'no longer refused'}")
            if queried is None:
                continue
            found = disagreements(
                published[kpi_id, slice_, grain], queried, is_ratio=kpi_id in ratios
            )
            faults += [f"{name} {difference}" for difference in found]
            series += 1
            figures += len(published[kpi_id, slice_, grain])
            differences += len(found)
        rows.append((kpi_id, series, figures, differences))
    return rows, faults


def main() -> int:
    """Print what was compared; give 1 when anything differs."""
    # The same as in profiles.yml.
    serving_file = ROOT / os.environ.get("TALLY_SERVING", "serving") / "tally.duckdb"
    manifest = ROOT / os.environ.get("DBT_TARGET_PATH", "target") / "semantic_manifest.json"
    for path, command in ((serving_file, "make publish"), (manifest, "dbt parse")):
        if not path.is_file():
            print(f"error: {path} is not there; run '{command}' first", file=sys.stderr)
            return 1
    os.environ["DBT_TARGET"] = "serving"
    rows, faults = compare(serving_file, manifest.read_text())
    width = max(len(row[0]) for row in rows)
    print(f"{'metric':<{width}}  {'series':>6}  {'figures':>9}  {'differences':>11}")
    for metric, series, figures, differences in rows:
        print(f"{metric:<{width}}  {series:>6,}  {figures:>9,}  {differences:>11,}")
    for fault in faults[:SHOWN]:
        print(f"error: {fault}", file=sys.stderr)
    if len(faults) > SHOWN:
        print(f"error: and {len(faults) - SHOWN:,} more", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
