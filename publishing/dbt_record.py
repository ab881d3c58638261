"""dbt's own record of what it built and tested: `run_results.json` and `manifest.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from publishing.errors import PublishingError

BUILD_AGAIN = "run `dbt build --exclude-resource-type unit_test` and publish again"

# What a test or a model must have come to; 'no-op' is what dbt says of what it has nothing to do
# for. A warning is not a pass.
PASSED = {"success", "pass", "no-op"}

# What is read of dbt's files, as dbt writes it. A field with a question mark may be missing or
# null; `*` stands for every field; a list is of what it holds here.
Shape = type | dict[str, "Shape"] | list["Shape"]
OF_ALL: dict[str, Shape] = {
    "name": str,
    "resource_type": str,
    "schema": str,
    "config": {"meta?": {"published_in?": [str]}},
    "columns": dict,
    "relation_name?": str,
}
NODE: Shape = {
    **OF_ALL,
    "alias": str,
    "fqn": [str],
    "package_name": str,
    "original_file_path": str,
    "depends_on": {"nodes?": [str]},
    "compiled_code?": str,
}
MANIFEST: Shape = {
    "nodes": {"*": NODE},
    "sources": {"*": {**OF_ALL, "identifier": str}},
    "unit_tests?": {"*": {"name": str}},
}
RUN_RESULTS: Shape = {
    "args": {"which?": str, "vars?": dict},
    "metadata": {"invocation_id": str},
    "results": [
        {"unique_id": str, "status": str, "failures?": int, "relation_name?": str},
    ],
}
NAMES = {str: "a text", int: "a whole number", dict: "an object", list: "a list"}


@dataclass(frozen=True)
class Build:
    """A build of the whole project in which everything passed.

    Attributes:
        invocation_id: dbt's id of it.
        published_in: (schema, name) of the tables that are to be published, to the files that have
            them, without .duckdb.
        variables: Those that the command line gave in place of the project's (`--vars`).
    """

    invocation_id: str
    published_in: dict[tuple[str, str], tuple[str, ...]]
    variables: dict[str, Any]


def read_manifest(target: Path) -> dict[str, Any]:
    """Read the project as dbt last saw it, without what is switched off: dbt never builds it.

    Raises:
        PublishingError: there is no manifest, or it is not as dbt writes it.
    """
    manifest = _read(target / "manifest.json", MANIFEST)
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
        PublishingError: it was no build, or of a selection, of no rows or of another warehouse,
            or something failed, warned, was skipped or never ran.
    """
    record = _read(target / "run_results.json", RUN_RESULTS)
    manifest = read_manifest(target)
    command = record["args"].get("which") or "unknown command"
    if command != "build":
        raise PublishingError(
            f"dbt's latest invocation: expected a `dbt build`, found `dbt {command}`; {BUILD_AGAIN}"
        )
    if record["args"].get("empty"):
        raise PublishingError(
            "dbt's latest build: expected one of the loaded rows, found one with `--empty`,"
            f" which reads none; {BUILD_AGAIN}"
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
        variables=record["args"].get("vars") or {},
        published_in={
            (node["schema"], node["alias"]): tuple(files)
            for node in manifest["nodes"].values()
            if node["resource_type"] in ("model", "seed", "snapshot")
            and (files := node["config"].get("meta", {}).get("published_in"))
        },
    )


def parents(node: dict[str, Any]) -> list[str]:
    """Give the ids of what a node reads; a source reads nothing."""
    return node.get("depends_on", {}).get("nodes") or []


def node_named(manifest: dict[str, Any], name: str) -> str:
    """Give the id of the one model of a name.

    Raises:
        PublishingError: there is none, or several packages have one.
    """
    keys = [key for key, node in manifest["nodes"].items() if node["name"] == name]
    if len(keys) != 1:
        raise PublishingError(
            f"dbt's record manifest.json: expected one {name}, found {len(keys)}; {BUILD_AGAIN}"
        )
    return keys[0]


def _read(path: Path, shape: Shape) -> dict[str, Any]:
    expected = "a file"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = "none"
    except (OSError, ValueError, RecursionError) as error:
        found = f"one that cannot be read ({error})"
    else:
        if not (fault := _fault(record, shape)):
            return record
        expected, found = fault
    raise PublishingError(f"dbt's record {path}: expected {expected}, found {found}; {BUILD_AGAIN}")


def _fault(value: object, shape: Shape, place: str = "") -> tuple[str, str] | None:
    """Give what was expected where a value is not of a shape, and what is there."""
    kind = shape if isinstance(shape, type) else type(shape)
    if not isinstance(value, kind):
        expected = f"{NAMES[kind]} as {place}" if place else NAMES[kind]
        return expected, json.dumps(value, ensure_ascii=False)[:80]
    faults = (_fault(part, of, f"{place}{at}".lstrip(".")) for at, part, of in _parts(value, shape))
    return next(filter(None, faults), None)


def _parts(value: Any, shape: Shape) -> Iterator[tuple[str, object, Shape]]:
    """Give what a value is made of: where it is in it, the part, and what shape that has."""
    if isinstance(shape, list):
        for number, item in enumerate(value):
            yield f"[{number}]", item, shape[0]
    elif isinstance(shape, dict):
        for name, of in shape.items():
            field = name.rstrip("?")
            for key in value if name == "*" else [field]:
                if name in ("*", field) or value.get(key) is not None:
                    yield f".{key}", value.get(key), of


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
    kind, _, rest = node_id.partition(".")
    return kind.replace("_", " "), node.get("name") or rest or node_id


def _and_more(items: list[Any]) -> str:
    return f" (and {len(items) - 1:,} more)" if len(items) > 1 else ""
