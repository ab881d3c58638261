"""A clock that jumps, both ways: what would be out of order is refused, and nothing is lost."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from clocks import Clock
from faults import FULL
from stage import (
    AFTER,
    BEFORE,
    BUILD_STAGES,
    COMMANDS,
    OF_EVERY_LOAD,
    Ended,
    Stage,
    copied,
    differing,
    digest,
    ended,
    error_line,
    without,
)

SECOND, DAY, YEAR = timedelta(seconds=1), timedelta(days=1), timedelta(days=365)
REFUSED = re.compile(
    r"clock: expected a time after that of the latest (?:load|build), (.{19}) UTC,"
    r" found (.{19}) UTC"
)

# Loads, builds and the versions of products and of households follow each other in time.
IN_ORDER = """
select 'load' as what, load_id as id, inserted_at as moment
from raw_retail_db._dlt_loads
union all
select 'build', build_number::varchar, began_at from builds.builds
"""
OUT_OF_ORDER = """
select * from (
    select
        *,
        max(moment) over (partition by what order by id range unbounded preceding exclude group)
            as latest_before
    from ({in_order})
) where moment < latest_before
"""
HISTORIES = """
select count(*) from (
    select
        *,
        lead(dbt_valid_from) over (partition by {key} order by dbt_valid_from) as next
    from snapshots.{snapshot}
) where dbt_valid_to is distinct from next or dbt_valid_to <= dbt_valid_from
"""


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    return Clock(tmp_path_factory.mktemp("clock"))


def run(stage: Stage, clock: Clock, command: str, round_: int = 2) -> Ended:
    return ended(stage.start(command, round_, **clock.environment))


def assert_in_order(stage: Stage) -> None:
    """Loads and builds follow each other, and so do the versions of all that has a history."""
    path = copied(stage.warehouse, stage.folder / "looked_at")
    with duckdb.connect(path, read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        found = connection.execute(OUT_OF_ORDER.format(in_order=IN_ORDER)).fetchall()
        assert found == []
        for snapshot, key in (("snap_products", "product_id"), ("snap_households", "household_id")):
            query = HISTORIES.format(snapshot=snapshot, key=key)
            assert connection.execute(query).fetchall() == [(0,)], snapshot


def latest(stage: Stage) -> datetime:
    """Give when the latest load or build was."""
    path = copied(stage.warehouse, stage.folder / "looked_at")
    with duckdb.connect(path, read_only=True) as connection:
        (at,) = connection.execute(
            f"select epoch_us(greatest(max(moment), (select max(ended_at) from builds.builds)))"
            f" from ({IN_ORDER})"
        ).fetchone()
    return datetime.fromtimestamp(at / 1_000_000, UTC)


def refused(came_to: Ended) -> tuple[datetime, datetime]:
    """Give both times that a command was refused with: that of the latest, and its own."""
    if "dbt" in came_to.command:
        # 2 where nothing was begun.
        assert came_to.code in (1, 2), came_to
        line = came_to.out
    else:
        line = error_line(came_to)
    times = REFUSED.search(line)
    assert times, came_to
    return tuple(datetime.fromisoformat(f"{time}+00:00") for time in times.groups())


def finish(stage: Stage, clock: Clock, first: str) -> None:
    """Go on from a command, under the clock; all must be as under one that was always right."""
    for command in [*COMMANDS][[*COMMANDS].index(first) :]:
        came_to = run(stage, clock, command)
        assert came_to.code == 0, came_to
    assert_in_order(stage)
    held, expected = (
        without(it, *OF_EVERY_LOAD) for it in (stage.held(), stage.contents["published 2"])
    )
    assert differing(held, expected) == []
    published, expected = (
        without(it, *OF_EVERY_LOAD) for it in (stage.published_now(), stage.published[2])
    )
    assert differing(published, expected) == []


@pytest.mark.parametrize("back", [SECOND, DAY, YEAR] if FULL else [SECOND], ids=str)
@pytest.mark.parametrize("command", ["ingestion", "dbt build"] if FULL else ["ingestion"])
def test_set_back(stage: Stage, clock: Clock, command: str, back: timedelta, tried):
    row = tried(command, "clock set back", f"by {back}")
    stage.restore(BEFORE[command, 2])
    before, served = latest(stage), digest(stage.served)
    # It stands: the command takes longer than a second.
    clock.stands_at(before - back)
    at, found = refused(run(stage, clock, command))
    assert at == before.replace(microsecond=0)
    assert found == (before - back).replace(microsecond=0)
    assert digest(stage.served) == served
    held, expected = stage.held(), stage.contents[BEFORE[command, 2]]
    assert differing(without(held, "builds."), without(expected, "builds.")) == []
    row["recovered"] = "refused"
    if FULL:
        clock.is_off_by(timedelta(0))
        finish(stage, clock, command)
        row["recovered"] += "; next run, once the clock is right"


@pytest.mark.skipif(not FULL, reason="in the full form: make reliability")
@pytest.mark.parametrize("back", [SECOND, DAY, YEAR], ids=str)
def test_publish_under_a_clock_that_was_set_back(
    stage: Stage, clock: Clock, back: timedelta, tried
):
    """It publishes what is there, as a version that comes after the one before all the same."""
    row = tried("publish", "clock set back", f"by {back}")
    stage.restore("built 2")
    (first,) = stage.versions()
    clock.stands_at(latest(stage) - back)
    came_to = run(stage, clock, "publish")
    assert came_to.code == 0, came_to
    assert stage.versions()[0] == first
    assert differing(stage.published_now(), stage.published[2]) == []
    clock.is_off_by(timedelta(0))
    finish(stage, clock, "ingestion")
    row["recovered"] = "the new version is the latest; next run"


@pytest.mark.skipif(not FULL, reason="in the full form: make reliability")
@pytest.mark.parametrize("first", COMMANDS)
def test_a_year_ahead_and_back(stage: Stage, clock: Clock, first: str, tried):
    """One command runs a year ahead; the others are told so until that time is past."""
    row = tried(first, "clock a year ahead, then back", "news")
    stage.restore(BEFORE[first, 2])
    clock.is_off_by(YEAR)
    came_to = run(stage, clock, first)
    assert came_to.code == 0, came_to
    assert differing(stage.held(), stage.contents[AFTER[first, 2]]) == []
    clock.is_off_by(timedelta(0))
    if first != "publish":
        held, served = stage.held(), digest(stage.served)
        for command in ("ingestion", "dbt build"):
            at, found = refused(run(stage, clock, command))
            assert YEAR - DAY < at - found < YEAR + DAY
        assert (stage.held(), digest(stage.served)) == (held, served)
        # That time is past.
        clock.is_off_by(YEAR + DAY)
    finish(stage, clock, "ingestion")
    row["recovered"] = "refused both ways; next run" if first != "publish" else "next run"


@pytest.mark.skipif(not FULL, reason="in the full form: make reliability")
@pytest.mark.parametrize("jump", [YEAR, -YEAR, -DAY], ids=str)
@pytest.mark.parametrize("command", COMMANDS)
def test_jump_within(stage: Stage, clock: Clock, command: str, jump: timedelta, tried):
    """Back, a load and a build refuse it before they write what is of that time."""
    row = tried(command, "clock jumps within", f"by {jump}")
    stage.restore(BEFORE[command, 2])
    served = digest(stage.served)
    clock.is_off_by(timedelta(0))
    with stage.start(command, 2, **clock.environment) as process:
        if command == "ingestion":
            assert process.wait_for(lambda it: "Extracting " in it.err)
        elif command == "dbt build":
            assert process.wait_to_say(BUILD_STAGES["seeds"])
        else:
            assert process.wait_for(stage.writing(command))
        clock.is_off_by(jump)
        came_to = Ended(command, process.wait(), process.out, process.err)
    assert_in_order(stage)
    if jump > timedelta(0) or command == "publish":
        assert came_to.code == 0, came_to
        row["recovered"] = "next run"
    else:
        assert came_to.code, came_to
        at, found = refused(came_to)
        assert -jump - DAY < at - found < -jump + DAY
        stage.run("publish", 2)
        assert digest(stage.served) == served
        row["recovered"] = "refused; next run, once the clock is right"
    clock.is_off_by(max(jump, timedelta(0)) + DAY)
    finish(stage, clock, "ingestion")
