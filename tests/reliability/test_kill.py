"""SIGKILL at any moment: readers see the version before, and the next run finishes without help.

The moments are random and spread over the nodes of a build, or the time that the command took
undisturbed; two of three lie in the part where it writes. A killed command, like a power cut,
cleans nothing up.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults import FULL, KILLS, chance
from stage import (
    AFTER,
    BEFORE,
    BUILD_STAGES,
    COMMANDS,
    OF_EVERY_LOAD,
    PARSED,
    SITUATIONS,
    Contents,
    Process,
    Stage,
    copied,
    differing,
    digest,
    ended,
    error_line,
    warehouse_contents,
    without,
)

from publishing.__main__ import main
from publishing.dbt_record import BUILD_AGAIN

# What is in the warehouse, or is not, for the time of a load, a model, a test or a seed: dbt drops
# the last two before it writes them anew.
PASSING = ("_staging.", "__dbt_", "test_failures.", "seeds.")


@dataclass(frozen=True)
class Kill:
    """One kill of several of a command in a round."""

    command: str
    round: int
    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.command.replace(' ', '_')}-{self.round}-{self.number}"


PLANNED = [
    Kill(command, round_, number, count)
    for (command, round_), count in KILLS.items()
    for number in range(count)
]


def strike(
    stage: Stage,
    process: Process,
    writes: Callable[[Process], bool],
    kill: Kill,
    share: float,
) -> bool:
    """Kill a command when it is through with a share of its work; whether it was still there."""
    duration = stage.durations[kill.command, kill.round]
    if kill.command == "dbt build":
        # By its nodes, which say how far it is whatever else the machine does.
        nodes = share * (duration.nodes - 2)
        process.wait_for(lambda it: it.nodes > nodes)
        # Within the work on a node, which takes about as long.
        time.sleep(0.1 * (nodes % 1))
    elif kill.of > 1 and kill.number % 3 == 0:
        time.sleep(share * duration.total)
    else:
        process.wait_for(writes)
        time.sleep(share * (duration.total - duration.until_writing))
    process.signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def kill_one(stage: Stage, kill: Kill, state: str | None = None) -> int:
    """Start a command and kill it; whether it was still there, 0 or 1.

    Args:
        stage: Where.
        kill: Which command, and when.
        state: What to start from, again where the command was faster than when it was measured,
            until it is killed; None for the state that the stage is in.
    """
    share = (kill.number + chance(str(kill)).random()) / kill.of
    for _ in range(10 if state else 1):
        if state:
            stage.restore(state)
        writes = stage.writing(kill.command)
        with stage.start(kill.command, kill.round) as process:
            if strike(stage, process, writes, kill, share):
                return 1
        share *= 0.7
    assert not state, f"{kill}: it ended before it was killed"
    return 0


def in_between(held: Contents, before: Contents, after: Contents) -> list[str]:
    """Name what a killed build left half: every table is as it was, or as it will be."""
    held, before = without(held, *PASSING), without(before, *PASSING)
    return sorted(
        f"{name}: {held.get(name)}"
        for name in held.keys() | before.keys()
        if held.get(name) not in (before.get(name), after.get(name))
    )


def assert_tidy(stage: Stage, versions: int) -> None:
    """Nothing lies about that a killed run left."""
    assert {path.name for path in stage.warehouse.parent.iterdir()} == {"tally.duckdb"}
    assert list(stage.temporary.iterdir()) == []
    files = stage.serving_files() - stage.opened
    # The folder of each, its two files and their seal.
    assert len(files) == 4 * versions, files
    assert all(re.fullmatch(r"versions/[^./]+(/\w+\.(duckdb|json))?", name) for name in files), (
        files
    )


@pytest.mark.parametrize("kill", PLANNED, ids=str)
def test_killed_at_any_moment(stage: Stage, kill: Kill, tried):
    command, round_ = kill.command, kill.round
    row = tried(command, "SIGKILL", SITUATIONS[command, round_], times=0)
    state, after = BEFORE[command, round_], AFTER[command, round_]
    stage.restore(state)
    served, warehouse = digest(stage.served), digest(stage.warehouse)

    row["times"] = kill_one(stage, kill, state)

    # At once: what readers see is whole, and so is what the warehouse holds.
    is_loaded, more_versions = False, 0
    if command == "publish":
        assert digest(stage.warehouse) == warehouse
        assert stage.published_now() in (
            stage.published.get(round_ - 1, {}),
            stage.published[round_],
        )
    else:
        assert digest(stage.served) == served
        held, before, expected = stage.held(), stage.contents[state], stage.contents[after]
        if command == "ingestion":
            held, before, expected = (
                without(contents, "_staging.") for contents in (held, before, expected)
            )
            is_loaded = held == expected
            assert is_loaded or differing(held, before) == []
        else:
            assert in_between(held, before, expected) == []
            more_versions = publish_right_away(stage, round_, served)

    # The next ordinary run. After a load that was killed, raw rows and their loads decide what is
    # built; some are built and published all the same.
    steps = [*COMMANDS][[*COMMANDS].index(command) :]
    if command == "ingestion" and (kill.number % 10 != 2 * round_ or not FULL):
        steps = steps[:1]
    row["recovered"] = finish(stage, round_, steps, is_loaded, more_versions)


def publish_right_away(stage: Stage, round_: int, served: str | None) -> int:
    """Publish after a build that was killed: nothing of it is served, unless it was done.

    Gives the number of new versions.
    """
    came_to = stage.run("publish", round_)
    if came_to.code:
        error_line(came_to)
        assert digest(stage.served) == served
        return 0
    assert differing(stage.published_now(), stage.published[round_]) == []
    return 1


TORN = {
    ("first build", 1): "loaded 1",
    # dbt's record is that of the build before, which passed and read all loads.
    ("again, after a build that passed", 2): "built 2",
}


@pytest.mark.skipif(not FULL, reason="in the full form: make reliability")
@pytest.mark.parametrize("at", BUILD_STAGES)
@pytest.mark.parametrize(("situation", "round_"), TORN)
def test_torn_build_is_not_published(stage: Stage, situation: str, round_: int, at: str, tried):
    row = tried("dbt build", "SIGKILL", f"{situation}: {at}", times=0)
    state = TORN[situation, round_]
    stage.restore(state)
    served = digest(stage.served)
    with stage.start("dbt build", round_) as process:
        assert process.wait_to_say(BUILD_STAGES[at]), process.out
        process.signal(signal.SIGKILL)
        row["times"] = int(process.wait() == -signal.SIGKILL)
    # At the last moment it may have come to its end, whole.
    assert row["times"] or at == "dbt's record"
    row["recovered"] = torn_build_is_refused(stage, state, round_, at, stage.warehouse)
    assert digest(stage.served) == served or at in MAY_BE_WHOLE
    came_to = stage.build_without_tests(round_)
    assert came_to.code == 0, came_to
    assert stage.differs_from(f"built {round_}", tests=False) == []
    row["recovered"] += "; next build"


# When the build before is still what is there, or this one has come to its end.
MAY_BE_WHOLE = ("nothing yet", "dbt's record")


def torn_build_is_refused(stage: Stage, state: str, round_: int, at: str, warehouse: Path) -> str:
    """Publish and verify right after the fault, and give what became of it."""
    contents = warehouse_contents(copied(warehouse, stage.folder / "looked_at"))
    assert in_between(contents, stage.contents[state], stage.contents[f"built {round_}"]) == []
    environment = {"TALLY_WAREHOUSE": str(warehouse)}
    came_to = stage.run("publish", round_, **environment)
    verified = stage.run_other("python", "-m", "publishing", "verify", **environment)
    if came_to.code == 0 and at in MAY_BE_WHOLE:
        assert differing(stage.published_now(), stage.published[round_]) == []
        assert verified.code == 0, verified
        return "was whole"
    line = error_line(came_to)
    assert line.startswith("error: nothing was published: ") and BUILD_AGAIN in line, came_to
    assert verified.code == 1, verified
    assert "error: " + line.removeprefix("error: nothing was published: ") in verified.err
    return "publish refused"


def test_build_halted_at_every_stage_is_not_published(stage: Stage, tried):
    """What is in the file while a build is halted is what a kill leaves: no stage is published.

    In the end it is killed, and the next one finishes.
    """
    row = tried("publish", "half a build", "halted at every stage", times=0)
    stage.restore("built 2")
    served, halted = digest(stage.served), stage.folder / "halted"
    with stage.start("dbt build", 2) as process:
        for at, sign in BUILD_STAGES.items():
            if at in MAY_BE_WHOLE:
                continue
            assert process.wait_to_say(sign), process.out
            process.signal(signal.SIGSTOP)
            shutil.rmtree(halted, ignore_errors=True)
            shutil.copytree(stage.warehouse.parent, halted)
            torn_build_is_refused(stage, "built 2", 2, at, halted / stage.warehouse.name)
            process.signal(signal.SIGCONT)
            row["times"] += 1
        process.signal(signal.SIGKILL)
        process.wait()
    assert digest(stage.served) == served
    came_to = stage.build_without_tests(2)
    assert came_to.code == 0, came_to
    assert stage.differs_from("built 2", tests=False) == []
    row["recovered"] = "publish refused"


# What changes files, as Python tells those who ask (sys.addaudithook).
CHANGES = {"os.rename", "os.link", "os.remove", "os.chmod", "os.mkdir", "os.symlink", "os.truncate"}


def killed_at(stage: Stage, step: int, *arguments: str) -> bool:
    """Run `python -m publishing`, and kill it right before it changes the serving folder.

    Args:
        stage: Where.
        step: Before which change, from 1 on.
        arguments: Of the command.

    Returns:
        Whether it was; no where it came to its end with fewer changes.
    """
    pid = os.fork()
    if pid == 0:
        try:
            os.environ.update(stage.environment)
            for descriptor in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
            changes = itertools.count(1)

            def hook(event: str, details: tuple) -> None:
                is_change = event in CHANGES or (
                    event == "open"
                    and isinstance(details[2], int)
                    and details[2] & (os.O_WRONLY | os.O_RDWR)
                )
                if not is_change or str(stage.serving) not in " ".join(map(str, details)):
                    return
                if next(changes) == step:
                    os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(hook)
            os._exit(main([*arguments]))
        finally:
            os._exit(99)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, -signal.SIGKILL), code
    return code != 0


@pytest.mark.skipif(not FULL, reason="in the full form: make reliability")
@pytest.mark.parametrize("round_", [1, 2])
def test_publish_killed_at_every_step(stage: Stage, round_: int, tried):
    row = tried("publish", "SIGKILL", f"{SITUATIONS['publish', round_]}: every step", times=0)
    stage.restore(BEFORE["publish", round_])
    while killed_at(stage, row["times"] + 1, "publish"):
        row["times"] += 1
        assert stage.published_now() in (
            stage.published.get(round_ - 1, {}),
            stage.published[round_],
        )
        row["recovered"] = finish(stage, round_, ["publish"])
        stage.restore(BEFORE["publish", round_])
    assert row["times"] > 5


def test_rollback_killed_at_every_step(stage: Stage, tried):
    row = tried("rollback", "SIGKILL", "every step", times=0)
    stage.restore("published 2")
    first, _ = stage.versions()
    while killed_at(stage, row["times"] + 1, "rollback"):
        row["times"] += 1
        assert stage.published_now() in (stage.published[1], stage.published[2])
        came_to = stage.run_other("python", "-m", "publishing", "rollback", first)
        assert came_to.code == 0, came_to
        assert differing(stage.published_now(), stage.published[1]) == []
        assert_tidy(stage, versions=2)
        stage.restore("published 2")
    assert differing(stage.published_now(), stage.published[1]) == []
    assert row["times"] > 2
    row["recovered"] = "next run"


def finish(
    stage: Stage,
    round_: int,
    steps: list[str],
    is_loaded: bool = False,
    more_versions: int = 0,
) -> str:
    """Run what is left of an ordinary run; all must be as without the fault."""
    for step in steps:
        came_to = stage.run(step, round_)
        assert came_to.code == 0, came_to
    # A load that was committed when it was killed is followed by one without news.
    apart = OF_EVERY_LOAD if is_loaded else ()
    expected = without(stage.contents[AFTER[steps[-1], round_]], *apart)
    assert differing(without(stage.held(), *apart), expected) == []
    is_published = steps[-1] == "publish"
    expected = stage.published.get(round_ if is_published else round_ - 1, {})
    assert differing(without(stage.published_now(), *apart), without(expected, *apart)) == []
    assert_tidy(stage, versions=more_versions + (round_ if is_published else round_ - 1))
    return "next run"


@pytest.mark.skipif(not FULL, reason="in the full form: make reliability")
def test_killed_again_and_again(stage: Stage, tried):
    """What one killed run leaves behind must not add up with what the next one leaves."""
    row = tried("all three", "SIGKILL", "three times each in a row", times=0)
    stage.restore(BEFORE["ingestion", 2])
    # A load may have been committed when it was killed, so that there are more loads than two.
    first, second = (without(stage.published[round_], *OF_EVERY_LOAD) for round_ in (1, 2))
    for command in COMMANDS:
        for number in range(3):
            row["times"] += kill_one(stage, Kill(command, 2, number, 3))
            assert without(stage.published_now(), *OF_EVERY_LOAD) in (first, second)
        came_to = stage.run(command, 2)
        assert came_to.code == 0, came_to
    # A load may have been committed when it was killed, so that there are more loads than two.
    assert (
        differing(
            without(stage.held(), *OF_EVERY_LOAD),
            without(stage.contents["published 2"], *OF_EVERY_LOAD),
        )
        == []
    )
    assert_tidy(stage, versions=2)
    row["recovered"] = "next run"


@pytest.mark.parametrize("size", [0, 4096, 8192])
def test_killed_while_the_warehouse_is_being_made(stage: Stage, size: int, tried):
    """DuckDB begins a file with three headers of 4,096 bytes; a moment that is hard to hit."""
    row = tried("ingestion", "killed while it makes the file", f"{size:,} bytes are there")
    stage.restore("loaded 1")
    begun = stage.warehouse.read_bytes()[:size]
    stage.restore("nothing")
    stage.warehouse.write_bytes(begun)
    row["recovered"] = finish(stage, 1, ["ingestion"])


@pytest.mark.skipif(not FULL, reason="in the full form: make reliability")
def test_killed_while_dbt_writes_its_record(stage: Stage, tried):
    row = tried("dbt build", "killed while it writes its record", "all files cut in half")
    stage.restore("built 2")
    served = digest(stage.served)
    for name in (PARSED, "manifest.json", "run_results.json"):
        path = stage.project.target / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    error_line(stage.run("publish", 2))
    assert digest(stage.served) == served
    # dbt as it starts by itself: it reads the files.
    came_to = ended(stage.start("dbt build", 2))
    assert came_to.code == 0, came_to
    row["recovered"] = finish(stage, 2, ["publish"])
