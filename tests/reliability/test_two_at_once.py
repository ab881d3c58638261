"""A second command while a first one works: it is refused in one line, and both leave all whole.

The first one is halted in the middle for as long as the second one runs, so that they meet.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest
from faults import FULL
from stage import AFTER, BEFORE, Process, Stage, differing, error_line

# When the first command has opened what it works on.
EXTRACTS: Callable[[Process], bool] = lambda process: "Extracting " in process.err  # noqa: E731


@pytest.mark.parametrize(
    ("first", "seconds", "round_"),
    [
        ("ingestion", ["ingestion"], 1),
        ("ingestion", ["ingestion", "dbt build", "publish"], 2),
        ("dbt build", ["publish", "ingestion", *(["dbt build"] if FULL else [])], 2),
        ("publish", ["publish"], 1),
        ("publish", ["publish", "dbt build", "ingestion"] if FULL else ["publish"], 2),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else str(value),
)
def test_second_is_refused(stage: Stage, first: str, seconds: list[str], round_: int, tried):
    rows = [tried(second, "a second run", f"while {first} works") for second in seconds]
    stage.restore(BEFORE[first, round_])
    works = EXTRACTS if first == "ingestion" else stage.writing(first)
    with stage.start(first, round_) as process:
        assert process.wait_for(works), process.err
        # From the new file to the warehouse that is attached to it.
        time.sleep(0.05 if first == "publish" else 0)
        process.signal(signal.SIGSTOP)
        assert not process.has_ended
        try:
            for second in seconds:
                refused(stage, first, second, round_)
        finally:
            process.signal(signal.SIGCONT)
        assert process.wait() == 0, process.out + process.err

    assert differing(stage.held(), stage.contents[AFTER[first, round_]]) == []
    is_published = first == "publish"
    expected = stage.published.get(round_ if is_published else round_ - 1, {})
    assert differing(stage.published_now(), expected) == []
    for row in rows:
        row["recovered"] = "was refused, the first one finished"


def refused(stage: Stage, first: str, second: str, round_: int) -> None:
    came_to = stage.run(second, round_)
    if second == "dbt build":
        # dbt shows where in dbt it failed; its last line says why.
        assert came_to.code == 2, came_to
        line = came_to.out.strip().splitlines()[-1]
    else:
        line = error_line(came_to)
    if (first, second) == ("publish", "publish"):
        assert "found one that is running; wait for its end" in line
    elif second == "publish" and "began after load" not in line:
        assert "Conflicting lock is held" in line and "end the process" in line
    else:
        assert "Conflicting lock is held" in line and str(stage.warehouse) in line
