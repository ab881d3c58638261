"""Ctrl-C at any moment: one line that is true, a code, nothing half, and the next run finishes."""

from __future__ import annotations

import signal
import time

import pytest
from faults import FULL, chance
from stage import (
    BEFORE,
    SITUATIONS,
    Ended,
    Process,
    Stage,
    differing,
    digest,
    error_line,
)

# A load's steps as it tells them. None of them takes less than the time that is waited here, so
# that an interrupt always comes before the commit.
STEPS = ("Counting ", "Extracting what is new from retail_db", "Loading retail_db")
WITHIN_SECONDS = 0.16
NUMBERS = range(3) if FULL else range(1)


def interrupted(process: Process) -> Ended:
    """Interrupt a command, and the group that it is in, as a terminal does."""
    process.signal(signal.SIGINT)
    code = process.wait()
    return Ended(" ".join(process.command), code, process.out, process.err)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("step", STEPS)
def test_load(stage: Stage, step: str, number: int, tried):
    row = tried("ingestion", "Ctrl-C", SITUATIONS["ingestion", 2])
    stage.restore("published 1")
    dice = chance(f"interrupt {step} {number}")
    with stage.start("ingestion", 2) as process:
        assert process.wait_for(lambda it: step in it.err), process.err
        time.sleep((number + dice.random()) / len(NUMBERS) * WITHIN_SECONDS)
        came_to = interrupted(process)

    # Whatever it was at: dlt and DuckDB have ways of their own with an interrupt.
    assert error_line(came_to, 130).startswith("interrupted: nothing was loaded"), came_to
    assert differing(stage.held(), stage.contents["published 1"]) == []
    assert {path.name for path in stage.warehouse.parent.iterdir()} == {"tally.duckdb"}
    came_to = stage.run("ingestion", 2)
    assert came_to.code == 0, came_to
    assert differing(stage.held(), stage.contents["loaded 2"]) == []
    row["recovered"] = "next run"


def test_load_while_a_library_imports_another(stage: Stage, tried):
    """DuckDB imports pandas when it first binds a value, and goes on where that is interrupted."""
    row = tried("ingestion", "Ctrl-C", "while DuckDB imports pandas")
    stage.restore("published 1")
    code = (
        "import builtins, os, signal, sys\n"
        "real, sent = builtins.__import__, []\n"
        "def importing(name, *rest):\n"
        "    if name == 'pandas.core.api' and not sent:\n"
        "        sent.append(name)\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(name, *rest)\n"
        "import ingestion.__main__ as m\n"
        "builtins.__import__ = importing\n"
        "code = m.main()\n"
        "sys.exit(code if sent else 99)"
    )
    with stage.start_other("python", "-c", code, **stage.files(2)) as process:
        code = process.wait()
        came_to = Ended("python -m ingestion", code, process.out, process.err)
    if code == 99:
        pytest.skip("pandas is not imported")
    assert error_line(came_to, 130).startswith("interrupted: nothing was loaded")
    assert differing(stage.held(), stage.contents["published 1"]) == []
    row["recovered"] = "next run"


@pytest.mark.parametrize(
    "interrupt",
    [
        "lambda *_: os.kill(os.getpid(), signal.SIGINT)",
        "lambda *_: (threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT]).start(),"
        " duckdb.sql('select count(*) from range(2000000000) t(a) where hash(a) % 7 = 3')"
        ".fetchall())",
    ],
    ids=["between statements", "in a statement"],
)
def test_load_within_a_job(stage: Stage, interrupt: str, tried):
    """dlt waits for a job for ever that ends in an interrupt."""
    row = tried("ingestion", "Ctrl-C", "within a job of dlt's")
    stage.restore("published 1")
    code = (
        "import os, signal, sys, threading\n"
        "import duckdb\n"
        "from dlt.destinations.impl.duckdb.duck import DuckDbCopyJob\n"
        "import ingestion.__main__ as m\n"
        f"DuckDbCopyJob.run = {interrupt}\n"
        "sys.exit(m.main())"
    )
    with stage.start_other("python", "-c", code, **stage.files(2)) as process:
        came_to = Ended("python -m ingestion", process.wait(), process.out, process.err)
    assert error_line(came_to, 130).startswith("interrupted: nothing was loaded")
    assert differing(stage.held(), stage.contents["published 1"]) == []
    row["recovered"] = "next run"


def test_load_that_is_committed_is_not_said_to_be_undone(stage: Stage, tried):
    row = tried("ingestion", "Ctrl-C", "after the commit")
    stage.restore("published 1")
    code = (
        "import contextlib, os, signal, sys\n"
        "import ingestion.__main__ as m, ingestion.load as l\n"
        "transaction = l.transaction\n"
        "@contextlib.contextmanager\n"
        "def then_interrupted(*arguments, **options):\n"
        "    with transaction(*arguments, **options) as found:\n"
        "        yield found\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "l.transaction = then_interrupted\n"
        "sys.exit(m.main())"
    )
    with stage.start_other("python", "-c", code, **stage.files(2)) as process:
        came_to = Ended("python -m ingestion", process.wait(), process.out, process.err)
    assert differing(stage.held(), stage.contents["loaded 2"]) == [], came_to
    assert "nothing was loaded" not in came_to.err and "Traceback" not in came_to.err, came_to
    assert came_to.code == 0, came_to
    row["recovered"] = "it comes to its end"


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("round_", [1, 2])
def test_publish(stage: Stage, round_: int, number: int, tried):
    row = tried("publish", "Ctrl-C", SITUATIONS["publish", round_])
    stage.restore(BEFORE["publish", round_])
    served = digest(stage.served)
    duration = stage.durations["publish", round_]
    dice = chance(f"interrupt publish {round_} {number}")
    share = (number + dice.random()) / len(NUMBERS)
    writes = stage.writing("publish")
    with stage.start("publish", round_) as process:
        process.wait_for(writes)
        time.sleep(share * (duration.total - duration.until_writing))
        came_to = interrupted(process)
    if came_to.out:
        # At the last moment it is put in place all the same, which takes milliseconds; after that
        # nothing but the end of the process is left to be interrupted.
        assert came_to.out.startswith("published ") and came_to.err == "", came_to
        assert differing(stage.published_now(), stage.published[round_]) == []
    else:
        assert error_line(came_to, 130).startswith("interrupted: ")
        assert digest(stage.served) == served
    came_to = stage.run("publish", round_)
    assert came_to.code == 0, came_to
    assert differing(stage.published_now(), stage.published[round_]) == []
    assert len(stage.versions()) == round_
    # The folder of each, its two files and their seal.
    assert len(stage.serving_files() - stage.opened) == 4 * round_
    row["recovered"] = "next run"


@pytest.mark.parametrize("number", (0, 2) if FULL else (1,))
def test_build(stage: Stage, number: int, tried):
    row = tried("dbt build", "Ctrl-C", SITUATIONS["dbt build", 2])
    stage.restore("loaded 2")
    served = digest(stage.served)
    nodes = int(stage.durations["dbt build", 2].nodes * (number + chance(str(number)).random()) / 4)
    with stage.start("dbt build", 2) as process:
        assert process.wait_for(lambda it: it.nodes > nodes)
        came_to = interrupted(process)
    # dbt's own code and words.
    assert came_to.code not in (0, -signal.SIGINT), came_to
    assert "KeyboardInterrupt" in came_to.out or "CANCEL" in came_to.out.upper(), came_to
    assert digest(stage.served) == served
    error_line(stage.run("publish", 2))
    assert digest(stage.served) == served
    came_to = stage.build_without_tests(2)
    assert came_to.code == 0, came_to
    assert stage.differs_from("built 2", tests=False) == []
    row["recovered"] = "next run"
