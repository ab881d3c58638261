"""What the repository's own files must keep to."""

from __future__ import annotations

import re
import subprocess
import tomllib

import yaml
from dbt_project import ROOT

LARGEST_KILOBYTES = 500


def tracked_files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).exists()]


def test_no_large_and_no_generated_file_is_tracked() -> None:
    names = tracked_files()
    assert "dbt_project.yml" in names
    for name in names:
        assert (ROOT / name).stat().st_size <= LARGEST_KILOBYTES * 1024, name
        assert not re.search(r"(\.duckdb|\.parquet|\.pyc)$|^(target|logs|warehouse)/", name), name


def test_locks_have_hashes_and_no_address() -> None:
    for lock in sorted((ROOT / "locks").glob("*.txt")):
        text = lock.read_text()
        assert "://" not in text, lock.name
        pins = re.findall(r"^[a-z0-9][a-z0-9._-]*==\S+.*\\$", text, re.MULTILINE)
        entries = re.findall(r"^[a-z0-9].*$", text, re.MULTILINE)
        assert pins and pins == entries, f"{lock.name}: an entry without version or hashes"


def test_lock_has_every_dependency_that_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    declared = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "locks/core.txt").read_text(), re.M))
    names = {re.match(r"[A-Za-z0-9._-]+", item).group().lower() for item in declared}
    assert names - locked == set()


def test_actions_are_pinned_to_commits() -> None:
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        jobs = yaml.safe_load(workflow.read_text())["jobs"]
        used = [step["uses"] for job in jobs.values() for step in job["steps"] if step.get("uses")]
        assert used
        for action in used:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action


def test_nothing_is_sent_to_anyone() -> None:
    dbt = yaml.safe_load((ROOT / "dbt_project.yml").read_text())
    dlt = tomllib.loads((ROOT / ".dlt" / "config.toml").read_text())
    assert dbt["flags"]["send_anonymous_usage_stats"] is False
    assert dlt["runtime"]["dlthub_telemetry"] is False
