"""dbt's own record of what it built and tested: `run_results.json` and `manifest.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from publishing.errors import PublishingError

BUILD_AGAIN = "run `dbt build --exclude-resource-type unit_test` and publish again"

# What a test or a model must have come to; 'no-op' is what dbt says of what it has nothing to do
# for. A warning is not a pass.
PASSED = {"success", "pass", "no-op"}


@dataclass(frozen=True)
class Build:
    """A build of the whole project in which everything passed.

    Attributes:
        invocation_id: dbt's id of it.
        published_in: (schema, name) of the tables that are to be published, to the files that have
            them, without .duckdb.
    """

    invocation_id: str
    published_in: dict[tuple[str, str], tuple[str, ...]]


def read_manifest(target: Path) -> dict[str, Any]:
    """Read the project as dbt last saw it, without what is switched off: dbt never builds it."""
    manifest = _read(target / "manifest.json")
    return manifest | {
        kind: {
            key: node for key, node in manifest[kind].items() if node["config"].get("enabled", True)
        }
        for kind in ("nodes", "sources")
    }


def passed_build(target: Path, database: str) -> Build:
    """Give dbt's latest invocation, if it built the whole project and everything passed.

    Args:
        target: dbt's folder of artifacts.
        database: Name of the database that must have been built: the warehouse file's stem.

    Raises:
        PublishingError: it was no build, or of a selection, or of another warehouse, or
            something failed, warned, was skipped or never ran.
    """
    record, manifest = _read(target / "run_results.json"), read_manifest(target)
    command = record["args"].get("which", "unknown command")
    if command != "build":
        raise PublishingError(
            f"dbt's latest invocation: expected a `dbt build`, found `dbt {command}`; {BUILD_AGAIN}"
        )
    _all_passed(record["results"], manifest)
    _all_ran(record["results"], manifest)
    # Of the record, not of the manifest, which other commands (`dbt ls`) write, too.
    databases = {
        result["relation_name"].split(".")[0].strip('"')
        for result in record["results"]
        if result.get("relation_name")
    }
    if others := databases - {database}:
        raise PublishingError(
            f"dbt's latest build: expected one of {database}, found one of"
            f" {', '.join(sorted(others))}; {BUILD_AGAIN}"
        )
    return Build(
        invocation_id=record["metadata"]["invocation_id"],
        published_in={
            (node["schema"], node["alias"]): tuple(files)
            for node in manifest["nodes"].values()
            if node["resource_type"] in ("model", "seed", "snapshot")
            and (files := node["config"]["meta"].get("published_in"))
        },
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = "none"
    except (OSError, ValueError) as error:
        found = f"one that cannot be read ({error})"
    raise PublishingError(f"dbt's record {path}: expected a file, found {found}; {BUILD_AGAIN}")


def _all_passed(results: list[dict[str, Any]], manifest: dict[str, Any]) -> None:
    # What is skipped is so because of something else that failed: name the cause first.
    failed = sorted(
        (result for result in results if result["status"] not in PASSED),
        key=lambda result: result["status"] == "skipped",
    )
    if not failed:
        return
    first = failed[0]
    kind, name = _named(first["unique_id"], manifest)
    found = first["status"]
    if first.get("failures"):
        found += f" with {first['failures']:,} rows"
    elif first.get("message"):
        found += " (" + " ".join(str(first["message"]).split())[:160] + ")"
    rows = first.get("relation_name") if kind == "test" and first.get("failures") else None
    raise PublishingError(
        f"{kind} {name}: expected it to {'pass' if 'test' in kind else 'succeed'}, found {found}"
        f"{_and_more(failed)}; "
        + (f"read its rows in {rows}, mend the cause, " if rows else "mend the cause, ")
        + BUILD_AGAIN
    )


def _all_ran(results: list[dict[str, Any]], manifest: dict[str, Any]) -> None:
    ran = {result["unique_id"] for result in results}
    missing = [
        node_id
        for node_id, node in sorted(manifest["nodes"].items())
        if node["resource_type"] in ("model", "seed", "snapshot", "test")
        and node["config"].get("materialized") != "ephemeral"
        and node_id not in ran
    ]
    if missing:
        kind, name = _named(missing[0], manifest)
        raise PublishingError(
            f"dbt's latest build: expected every model and data test, found {kind} {name} left out"
            f"{_and_more(missing)}; {BUILD_AGAIN}"
        )


def _named(node_id: str, manifest: dict[str, Any]) -> tuple[str, str]:
    node = manifest["nodes"].get(node_id) or manifest.get("unit_tests", {}).get(node_id) or {}
    return node_id.split(".")[0].replace("_", " "), node.get("name", node_id.split(".")[2])


def _and_more(items: list[Any]) -> str:
    return f" (and {len(items) - 1:,} more)" if len(items) > 1 else ""
