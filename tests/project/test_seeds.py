"""Seeds are loaded by the names of their columns, whatever their order was before."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from dbt_project import ROOT, DbtProject, copy_of_project

Rows = list[dict[str, str]]


@pytest.fixture
def seeded(built: DbtProject, tmp_path: Path) -> DbtProject:
    """The small company's warehouse and a copy of the project, to change seeds in."""
    project = DbtProject(tmp_path, None, root=copy_of_project(tmp_path / "root"))
    project.restore(built.warehouse)
    return project


def change(project: DbtProject, seed: str, changed: Callable[[list[str], Rows], list[str]]) -> None:
    """Write a seed with other columns: those that the function gives, of the same rows."""
    path = project.root / "seeds" / f"{seed}.csv"
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        names, rows = list(reader.fieldnames), list(reader)
    names = changed(names, rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("seed", sorted(path.stem for path in (ROOT / "seeds").glob("*.csv")))
def test_columns_in_another_order_hold_what_they_held(seeded: DbtProject, seed: str):
    columns = ", ".join(
        f'"{name}"'
        for (name,) in seeded.fetch(
            "select column_name from information_schema.columns"
            f" where table_schema = 'seeds' and table_name = '{seed}' order by 1"
        )
    )
    query = f"select {columns} from seeds.{seed} order by all"
    before = seeded.fetch(query)
    change(seeded, seed, lambda names, rows: names[::-1])
    seeded.dbt("seed", "--select", seed)
    assert seeded.fetch(query) == before != []


def test_a_renamed_header_stops_the_build(seeded: DbtProject):
    def renamed(names: list[str], rows: Rows) -> list[str]:
        for row in rows:
            row["what_to_do"] = row["action"]
        return ["what_to_do" if name == "action" else name for name in names]

    change(seeded, "kpi_catalog", renamed)
    done = seeded.run("dbt", "--no-use-colors", "build", "--select", "kpi_catalog+1")
    assert done.returncode == 1
    assert "action" in done.stdout
    shutil.rmtree(seeded.root)
