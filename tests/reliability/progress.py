"""What of the full form has passed: where a run is interrupted, the next one goes on from there.

A file in `.reliability/` has a line for each test that passed, written as it passes. It is of one
tree: where what is tested has changed since, all is tried anew; so it is after a run that passed as
a whole, with another seed, and where the file is removed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What is tested, and by what.
TESTED = (
    *(
        "ingestion",
        "macros",
        "models",
        "publishing",
        "seeds",
        "shop",
        "snapshots",
        "tests",
        "locks",
    ),
    *("dbt_project.yml", "profiles.yml", "pyproject.toml"),
)


@dataclass
class Passed:
    """A test that passed.

    Attributes:
        seconds: What it took.
        tried: What it tried, a row of the table at the end each.
    """

    seconds: float
    tried: list[dict[str, Any]]


@dataclass
class Progress:
    """What has passed of one tree.

    Attributes:
        path: The file that says so.
        seed: Of what is tried at random.
        tree: Sum of the files that are tested.
        passed: Id of a test to what it came to.
        known: Id of a test to seconds that it took in some run on this machine.
    """

    path: Path
    seed: str
    tree: str
    passed: dict[str, Passed] = field(default_factory=dict)
    known: dict[str, float] = field(default_factory=dict)

    def note(self, test: str, passed: Passed) -> None:
        """Write down that a test passed."""
        self.passed[test] = passed
        with self.path.open("a") as file:
            file.write(json.dumps([test, passed.seconds, passed.tried]) + "\n")

    def begin(self) -> None:
        """Begin anew."""
        self.known |= {test: passed.seconds for test, passed in self.passed.items()}
        self.passed = {}
        self._write({"tree": self.tree, "seed": self.seed, "seconds": self.known})

    def finish(self) -> None:
        """Let the next run begin anew, and know how long this one took."""
        seconds = {test: passed.seconds for test, passed in self.passed.items()}
        self._write({"seconds": self.known | seconds})

    def _write(self, head: dict[str, Any]) -> None:
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(json.dumps(head) + "\n")

    @property
    def seconds(self) -> float:
        """What the tests took that passed."""
        return sum(passed.seconds for passed in self.passed.values())

    def seconds_of(self, tests: list[str]) -> float | None:
        """Estimate what tests will take: what they took, or as those of their kind; or nothing."""
        known = self.known | {test: passed.seconds for test, passed in self.passed.items()}
        if not known:
            return None
        kinds: dict[str, list[float]] = {}
        for test, seconds in known.items():
            kinds.setdefault(test.partition("[")[0], []).append(seconds)
        means = {kind: sum(each) / len(each) for kind, each in kinds.items()}
        mean = sum(known.values()) / len(known)
        return sum(known.get(test, means.get(test.partition("[")[0], mean)) for test in tests)


def taken_up(root: Path, seed: str | None, other_seed: str) -> Progress:
    """Give what has passed in the runs before; nothing where it was of something else.

    Args:
        root: The repository.
        seed: What was asked for; None for the one of the runs before.
        other_seed: What a run that begins anew takes then.
    """
    path, tree = root / ".reliability" / "progress.jsonl", _tree(root)
    try:
        head, *lines = path.read_text().splitlines() if path.exists() else ["{}"]
        found = json.loads(head)
        # A line that was being written when the run was killed is not there.
        passed = {
            test: Passed(seconds, tried)
            for test, seconds, tried in map(json.loads, filter(_is_whole, lines))
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: expected what has passed, found: {error}; remove it") from error
    progress = Progress(path, found.get("seed"), tree, passed, found.get("seconds", {}))
    if found.get("tree") != tree or seed not in (None, progress.seed):
        progress.seed = seed or other_seed
        progress.begin()
    return progress


def _is_whole(line: str) -> bool:
    return line.endswith("]]")


def _tree(root: Path) -> str:
    total = hashlib.sha256()
    for name in TESTED:
        found = root / name
        for path in sorted(found.rglob("*")) if found.is_dir() else [found]:
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(str(path.relative_to(root)).encode() + b"\0")
                total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
