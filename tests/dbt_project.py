"""Runs the project's commands on a company and a warehouse of a test's own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import duckdb
import forked
from company import write_company
from environment import ENVIRONMENT, ROOT

DBT_FILES = ("dbt_project.yml", "profiles.yml", "macros", "models", "seeds", "snapshots")

# Variables that count where a command starts, not later: Python takes them up then.
OF_THE_START = ("TZ", "LC_", "LANG", "PYTHON")

# Unit tests build nothing; test_second_company.py and the mutants run them.
BUILD = ("build", "--exclude-resource-type", "unit_test")
# Where the tables are compared, or built once more.
WITHOUT_TESTS = ("--exclude-resource-type", "test")

# No command of a test takes longer.
SECONDS = 300

Company = Mapping[str, Iterable[dict[str, object]]]


class DbtProject:
    """The repository as it is, on other data: files, warehouse, target and logs in `folder`."""

    def __init__(self, folder: Path, company: Company | None, root: Path = ROOT):
        """Write the company's files; load and build nothing yet.

        Args:
            folder: Where everything goes that the commands make.
            company: Rows of the source's tables; None for the real sample.
            root: Where the commands run: the repository or a copy of it.
        """
        self.folder = folder
        self.root = root
        self.warehouse = folder / "warehouse" / "tally.duckdb"
        self.target = folder / "target"
        self.files = folder / "files"
        self.environment = {
            **ENVIRONMENT,
            "TALLY_WAREHOUSE": str(self.warehouse),
            "DBT_TARGET_PATH": str(self.target),
            "DBT_LOG_PATH": str(folder / "logs"),
            # A tenth of a build is the file of everything that dbt could say.
            "DBT_LOG_LEVEL_FILE": "none",
        }
        if company is not None:
            self.environment["SOURCES__SAMPLE__FOLDER"] = str(self.files)
            self.write(company)

    def write(self, company: Company) -> None:
        """Give the source these rows."""
        write_company(self.files, company)

    def copy(self, build: Path) -> None:
        """Go on from copies of what a build in another folder made: warehouse and dbt's target."""
        for path in (self.warehouse.parent, self.target):
            shutil.copytree(build / path.name, path)

    def restore(self, warehouse: Path | None) -> None:
        """Go on from a copy of a warehouse file; from none with None."""
        self.warehouse.unlink(missing_ok=True)
        if warehouse:
            self.warehouse.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(warehouse, self.warehouse)

    def keep(self, name: str) -> Path:
        """Give a copy of the warehouse file as it is now."""
        return Path(shutil.copy(self.warehouse, self.folder / f"{name}.duckdb"))

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the root; what it printed and its exit code."""
        return run(command, self.root, {**self.environment, **environment})

    def load(self, *arguments: str, **environment: str) -> None:
        """Load with `python -m ingestion`; fail the test where it fails."""
        succeeded(self.run("python", "-m", "ingestion", *arguments, **environment))

    def dbt(self, *arguments: str, **environment: str) -> str:
        """Run dbt; fail the test where it fails. Gives what it printed."""
        return succeeded(self.run("dbt", "--no-use-colors", *arguments, **environment))

    def fetch(self, query: str) -> list[tuple]:
        """Read from the warehouse."""
        with duckdb.connect(self.warehouse, read_only=True) as connection:
            return connection.execute(query).fetchall()


def run(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout: float = SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run a command; what it printed and its exit code."""
    changed = dict(environment.items() - ENVIRONMENT.items())
    if forked.can_run(command, cwd) and not any(name.startswith(OF_THE_START) for name in changed):
        return forked.run(command, cwd, environment, timeout)
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def succeeded(completed: subprocess.CompletedProcess[str]) -> str:
    """Give what a command printed; fail the test where it failed."""
    assert completed.returncode == 0, f"{completed.args}\n{completed.stdout}\n{completed.stderr}"
    return completed.stdout


def copy_of_project(root: Path) -> Path:
    """Copy what dbt reads, to be changed there."""
    root.mkdir()
    for name in DBT_FILES:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, root / name)
    shutil.copytree(ROOT / "tests/dbt", root / "tests/dbt")
    return root
