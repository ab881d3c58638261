"""A run of the full form that is interrupted goes on; what was not tried is not passed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from unittest.mock import patch

import pytest

TESTS = """
import os
import pytest

def happens(name):
    return os.environ.get("HAPPENS") == name

@pytest.mark.parametrize("number", range(2))
def test_kill(record_property, number):
    row = {"command": "publish", "fault": "SIGKILL", "situation": "", "times": 3, "recovered": "ok"}
    record_property("tried", row | {"seed": os.environ["TALLY_SEED"]})

def test_next():
    if happens("Ctrl-C"):
        raise KeyboardInterrupt
    if happens("failure"):
        raise AssertionError
    if happens("skip"):
        pytest.skip("cannot mount here")

def test_last():
    pass
"""


class Run:
    """Runs of some tests that stand for the full form's, in a folder of their own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]):
        self.folder = folder
        self._capsys = capsys
        (folder / "test_them.py").write_text(TESTS)
        (folder / "models").mkdir()
        self.progress = folder / ".reliability" / "progress.jsonl"

    def __call__(self, happens: str = "", **environment: str) -> tuple[int, str]:
        """Run all; give the exit code and what was said."""
        left_out = {"TALLY_SEED", "PYTEST_XDIST_TESTRUNUID"}
        kept = {name: value for name, value in os.environ.items() if name not in left_out}
        arguments = [
            *("-p", "no:cacheprovider", "-p", "reliability.summary", "--import-mode=importlib"),
            *("--rootdir", str(self.folder), "-c", "/dev/null", str(self.folder)),
        ]
        full = {"TALLY_RELIABILITY": "full", "HAPPENS": happens}
        with patch.dict(os.environ, kept | full | environment, clear=True):
            code = pytest.main(arguments)
        return int(code), self._capsys.readouterr().out

    def passed(self) -> list[str]:
        """Give the names of the tests that are noted as passed."""
        _, *lines = self.progress.read_text().splitlines()
        return [json.loads(line)[0].partition("::")[2] for line in lines]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(tmp_path, capsys)


def test_an_interrupted_run_goes_on(run: Run):
    code, said = run("Ctrl-C")
    assert code == pytest.ExitCode.INTERRUPTED
    assert "6 kills, seed " in said and "2 NOT TRIED yet" in said
    assert run.passed() == ["test_kill[0]", "test_kill[1]"]
    seed = json.loads(run.progress.read_text().splitlines()[0])["seed"]

    code, said = run()
    assert code == 0 and "2 passed, 2 deselected" in said
    assert "2 tests to do, about " in said and "2 passed before, in " in said
    # The table is of both, and so is what is tried at random.
    assert f"6 kills, seed {seed} " in said and "4 tests passed" in said
    assert "all of them; the next run tries all anew" in said

    code, said = run()
    assert code == 0 and "4 passed" in said and "4 tests to do, about " in said
    assert f"6 kills, seed {seed} " not in said


@pytest.mark.parametrize(
    ("happens", "said_of_it"), [("skip", "1 NOT TRIED: cannot mount here"), ("failure", "1 FAILED")]
)
def test_what_was_not_tried_is_not_passed(run: Run, happens: str, said_of_it: str):
    code, said = run(happens)
    assert code == pytest.ExitCode.TESTS_FAILED and said_of_it in said
    assert "NOT TRIED yet" not in said
    assert run.passed() == ["test_kill[0]", "test_kill[1]", "test_last"]
    code, said = run()
    assert code == 0 and "1 passed, 3 deselected" in said


def test_a_line_that_was_being_written_is_no_pass(run: Run):
    run("Ctrl-C")
    text = run.progress.read_text()
    run.progress.write_text(text[:-4])
    assert "1 passed before" in run("Ctrl-C")[1]
    run.progress.write_text("nonsense")
    assert run()[0] == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize("changed", ["tree", "seed"])
def test_what_is_tested_has_changed(run: Run, changed: str):
    run("Ctrl-C")
    if changed == "tree":
        (run.folder / "models" / "another.sql").write_text("select 1")
    code, said = run(**({"TALLY_SEED": "another"} if changed == "seed" else {}))
    assert code == 0 and "4 passed" in said and "passed before" not in said
