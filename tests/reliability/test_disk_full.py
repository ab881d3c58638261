"""A disk that is full: one line says so, nothing is lost; with more room the next run finishes."""

from __future__ import annotations

import pytest
from disks import small_disk
from faults import FULL
from stage import AFTER, BEFORE, SITUATIONS, Stage, differing, digest, error_line

# KB that are left. What needs more fails, each time at another step: making the file, extracting,
# loading, committing.
FOR_INGESTION = (
    [(round_, kilobytes) for round_ in (1, 2) for kilobytes in range(0, 321, 80)]
    if FULL
    else [(1, 0), (2, 0), (2, 120), (2, 300)]
)
FOR_BUILD = (50, 3000) if FULL else (50,)
FOR_PUBLISH = (
    [(round_, kilobytes) for round_ in (1, 2) for kilobytes in (0, 300, 3000, 5000)]
    if FULL
    else [(1, 0), (2, 300)]
)


@pytest.mark.parametrize(("round_", "kilobytes"), FOR_INGESTION)
def test_load(stage: Stage, round_: int, kilobytes: int, tried):
    row = tried("ingestion", "disk full", SITUATIONS["ingestion", round_])
    stage.restore("nothing")
    with small_disk(stage.warehouse.parent) as disk:
        stage.restore(BEFORE["ingestion", round_])
        served, warehouse = digest(stage.served), digest(stage.warehouse)
        disk.fill(leave=1024 * kilobytes)

        line = error_line(stage.run("ingestion", round_))

        assert "No space left on device" in line
        assert "make room" in line or "mend the cause" in line, line
        assert (digest(stage.served), digest(stage.warehouse)) == (served, warehouse)
        disk.make_room()
        came_to = stage.run("ingestion", round_)
        assert came_to.code == 0, came_to
        assert differing(stage.held(), stage.contents[AFTER["ingestion", round_]]) == []
        assert {path.name for path in stage.warehouse.parent.iterdir()} == {"tally.duckdb"}
    row["recovered"] = "next run, with room"


@pytest.mark.parametrize("kilobytes", FOR_BUILD)
def test_build(stage: Stage, kilobytes: int, tried):
    row = tried("dbt build", "disk full", SITUATIONS["dbt build", 2])
    stage.restore("nothing")
    with small_disk(stage.warehouse.parent) as disk:
        stage.restore("loaded 2")
        served = digest(stage.served)
        disk.fill(leave=1024 * kilobytes)

        came_to = stage.run("dbt build", 2)

        # dbt's own words: the cause under each model that failed, the rest is skipped. Its code is
        # 2 where there was no room for what its hook writes down.
        assert came_to.code in (1, 2), came_to
        assert "No space left on device" in came_to.out and came_to.err == ""
        held, before = stage.held(), stage.contents["loaded 2"]
        raw = [name for name in before if name.startswith("raw_")]
        assert raw and all(held[name] == before[name] for name in raw)
        error_line(stage.run("publish", 2))
        assert digest(stage.served) == served

        disk.make_room()
        came_to = stage.build_without_tests(2)
        assert came_to.code == 0, came_to
        assert stage.differs_from("built 2", tests=False) == []
        assert {path.name for path in stage.warehouse.parent.iterdir()} == {"tally.duckdb"}
    row["recovered"] = "next run, with room"


@pytest.mark.parametrize(("round_", "kilobytes"), FOR_PUBLISH)
def test_publish(stage: Stage, round_: int, kilobytes: int, tried):
    row = tried("publish", "disk full", SITUATIONS["publish", round_])
    stage.restore("nothing")
    with small_disk(stage.serving) as disk:
        stage.restore(BEFORE["publish", round_])
        served, warehouse = digest(stage.served), digest(stage.warehouse)
        files = stage.serving_files()
        disk.fill(leave=1024 * kilobytes)

        line = error_line(stage.run("publish", round_))

        assert "nothing was published" in line
        assert "No space left on device" in line and "make room" in line, line
        assert (digest(stage.served), digest(stage.warehouse)) == (served, warehouse)
        # The rest of what could not be written does not take the room that is left.
        assert stage.serving_files() - files <= {".lock", "versions", "other_files"}
        disk.make_room()
        came_to = stage.run("publish", round_)
        assert came_to.code == 0, came_to
        assert differing(stage.published_now(), stage.published[round_]) == []
    row["recovered"] = "next run, with room"
