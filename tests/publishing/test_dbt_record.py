"""dbt's files that are not as dbt writes them: one line each, whoever reads them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from environment import ROOT
from synthetic import Shop, one_error

from publishing import paths
from publishing.dbt_record import node_named, passed_build, read_manifest
from publishing.errors import PublishingError

sys.path.insert(0, str(ROOT / "scripts"))
import summarize_run

NODE = {
    "name": "kpi_values",
    "resource_type": "model",
    "package_name": "tally",
    "original_file_path": "models/kpi_values.sql",
    "schema": "marts",
    "alias": "kpi_values",
    "fqn": ["tally", "kpis", "kpi_values"],
    "config": {"materialized": "table", "meta": {"published_in": ["kpis"]}},
    "columns": {},
    "depends_on": {"nodes": []},
}
MANIFEST = {"nodes": {"model.tally.kpi_values": NODE}, "sources": {}}
RESULT = {"unique_id": "model.tally.kpi_values", "status": "success"}
RUN_RESULTS = {
    "args": {"which": "build"},
    "metadata": {"invocation_id": "12345678-x"},
    "results": [RESULT],
}

# JSON of another shape, and what is no JSON.
OTHER_JSON = ["{}", "[]", "null", '"x"', "1", "true"]
NO_JSON = ["", " ", "{", '{"nodes": {', b"\xff\xfe{}", b"\x00", "[" * 100_000, "\ufeff{}"]


def changed(record: dict[str, Any], place: str, value: object) -> dict[str, Any]:
    """Give a record with another value at a place such as results/0/status; ... to leave it out."""
    record = json.loads(json.dumps(record))
    *way, last = place.split("/")
    part = record
    for name in way:
        part = part[int(name) if name.isdecimal() else name]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return record


def written(target: Path, name: str, content: str | bytes | dict[str, Any]) -> Path:
    """Write one file as it is given, and the other as dbt does."""
    for of, record in {"manifest.json": MANIFEST, "run_results.json": RUN_RESULTS}.items():
        (target / of).write_text(json.dumps(record))
    if isinstance(content, dict):
        content = json.dumps(content)
    (target / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return target


def fault(target: Path) -> str:
    with pytest.raises(PublishingError) as refused:
        passed_build(target, "tally")
    return str(refused.value)


def test_what_dbt_writes_is_read(tmp_path: Path):
    build = passed_build(written(tmp_path, "manifest.json", MANIFEST), "tally")
    assert build.published_in == {("marts", "kpi_values"): ("kpis",)}
    assert build.invocation_id == "12345678-x"


@pytest.mark.parametrize("name", ["manifest.json", "run_results.json"])
@pytest.mark.parametrize("content", [*OTHER_JSON, *NO_JSON], ids=lambda content: str(content)[:12])
def test_a_file_that_is_not_dbt_s_is_one_line(tmp_path: Path, name: str, content: str | bytes):
    line = fault(written(tmp_path, name, content))
    assert line.startswith(f"dbt's record {tmp_path / name}: expected ") and "\n" not in line
    assert ", found " in line and "run `dbt build" in line


@pytest.mark.parametrize(
    ("name", "place", "value", "said"),
    [
        ("manifest.json", "nodes", [], "an object as nodes, found []"),
        ("manifest.json", "nodes/model.tally.kpi_values", None, "found null"),
        ("manifest.json", "nodes/model.tally.kpi_values/name", ..., "a text as nodes.model.tally"),
        ("manifest.json", "nodes/model.tally.kpi_values/config", 1, "kpi_values.config, found 1"),
        (
            "manifest.json",
            "nodes/model.tally.kpi_values/config/meta",
            {"published_in": "x"},
            "meta",
        ),
        ("manifest.json", "nodes/model.tally.kpi_values/fqn", "x", 'kpi_values.fqn, found "x"'),
        ("manifest.json", "nodes/model.tally.kpi_values/depends_on", {"nodes": [1]}, "nodes[0]"),
        ("manifest.json", "sources", {"source.x": {}}, "a text as sources.source.x.name"),
        ("manifest.json", "unit_tests", [1], "an object as unit_tests, found [1]"),
        ("run_results.json", "results", {}, "a list as results, found {}"),
        ("run_results.json", "results", ["x"], 'an object as results[0], found "x"'),
        ("run_results.json", "results/0/status", None, "a text as results[0].status, found null"),
        ("run_results.json", "results/0/unique_id", ..., "a text as results[0].unique_id"),
        ("run_results.json", "results/0/failures", "3", "a whole number as results[0].failures"),
        ("run_results.json", "results/0/relation_name", 3, "results[0].relation_name, found 3"),
        ("run_results.json", "metadata", {}, "a text as metadata.invocation_id, found null"),
        ("run_results.json", "args", None, "an object as args, found null"),
    ],
)
def test_a_part_that_is_of_another_shape_is_named(
    tmp_path: Path, name: str, place: str, value: object, said: str
):
    record = changed(MANIFEST if name == "manifest.json" else RUN_RESULTS, place, value)
    line = fault(written(tmp_path, name, record))
    assert name in line and said in line


def test_an_id_of_another_form_is_named_as_it_is(tmp_path: Path):
    results = changed(RUN_RESULTS, "results", [{"unique_id": "x", "status": "error"}])
    assert fault(written(tmp_path, "run_results.json", results)).startswith("x x: expected it to")


def test_a_model_that_is_missed_is_named(tmp_path: Path):
    manifest = read_manifest(written(tmp_path, "manifest.json", MANIFEST))
    assert node_named(manifest, "kpi_values") == "model.tally.kpi_values"
    with pytest.raises(PublishingError, match="expected one kpi_drivers, found 0; run `dbt build"):
        node_named(manifest, "kpi_drivers")


TRACE = ("trace", "--kpi", "net_sales", "--period", "2017-06")


@pytest.mark.parametrize(
    "change",
    [
        lambda nodes: nodes.clear(),
        lambda nodes: [nodes.pop(key) for key in [*nodes] if key.endswith(".kpi_values")],
        lambda nodes: [nodes.pop(key) for key in [*nodes] if key.endswith("_unioned")],
        lambda nodes: [node.pop("relation_name") for node in nodes.values()],
    ],
    ids=["no nodes", "no figures", "no entities", "no relations"],
)
def test_trace_without_what_it_follows_is_one_line(traced: Shop, tmp_path: Path, change):
    manifest = json.loads((traced.target / "manifest.json").read_text())
    change(manifest["nodes"])
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    line = one_error(traced.run(*TRACE, DBT_TARGET_PATH=str(tmp_path)), 1)
    assert "; " in line and "dbt " in line


def test_compiled_sql_that_is_no_text_is_one_line(traced: Shop, tmp_path: Path):
    manifest = json.loads((traced.target / "manifest.json").read_text())
    (audit,) = (node for node in manifest["nodes"].values() if node["name"] == "audit_measures")
    del audit["compiled_code"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    compiled = tmp_path / "compiled" / audit["package_name"] / audit["original_file_path"]
    compiled.parent.mkdir(parents=True)
    compiled.write_bytes(b"select '\xff'")
    line = one_error(traced.run(*TRACE, DBT_TARGET_PATH=str(tmp_path)), 1)
    assert f"{compiled}: expected SQL in UTF-8, found" in line and "run `dbt compile`" in line


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"- a list",
        b"vars: [",
        b"vars:\n\t- x",
        b"vars: []",
        None,
    ],
)
def test_a_project_file_that_cannot_be_read_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
):
    if content is not None:
        (tmp_path / "dbt_project.yml").write_bytes(content)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    with pytest.raises(PublishingError) as refused:
        paths.project_variables()
    line = str(refused.value)
    assert "dbt_project.yml: " in line and ", found: " in line
    assert line.endswith("; mend the file") and "\n" not in line


def test_publish_says_so_of_the_project_file(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    line = shop.run("publish").stderr.splitlines()[0]
    assert line.startswith("error: ") and "dbt_project.yml: expected the project's vars" in line


@pytest.mark.parametrize("content", [None, *OTHER_JSON, *NO_JSON, '{"results": [{}]}'])
def test_the_summary_of_a_run_without_results_is_one_line(
    tmp_path: Path, content: str | bytes | None
):
    path = tmp_path / "run_results.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SystemExit) as stopped:
        summarize_run.built(path)
    line = str(stopped.value)
    assert line.startswith(f"error: dbt's record {path}: expected the results") and "\n" not in line
