"""Runs the project's commands on a company and a warehouse of a test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb
from company import write_company

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


class DbtProject:
    """The repository as it is, on other data: files, warehouse, target and logs in `folder`."""

    def __init__(self, folder: Path, company: Mapping[str, Iterable[dict[str, object]]]):
        """Write the company's files; load and build nothing yet."""
        self.folder = folder
        self.warehouse = folder / "warehouse" / "tally.duckdb"
        self.files = write_company(folder / "files", company)
        self.environment = {
            **os.environ,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "SOURCES__SAMPLE__FOLDER": str(self.files),
            "TALLY_WAREHOUSE": str(self.warehouse),
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
        }

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the repository's root; what it printed and its exit code."""
        return subprocess.run(
            command,
            cwd=ROOT,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def load(self, *arguments: str, **environment: str) -> None:
        """Load with `python -m ingestion`; fail the test where it fails."""
        _succeeded(self.run("python", "-m", "ingestion", *arguments, **environment))

    def dbt(self, *arguments: str, **environment: str) -> str:
        """Run dbt; fail the test where it fails. Gives what it printed."""
        return _succeeded(self.run("dbt", "--no-use-colors", *arguments, **environment))

    def fetch(self, query: str) -> list[tuple]:
        """Read from the warehouse."""
        with duckdb.connect(self.warehouse, read_only=True) as connection:
            return connection.execute(query).fetchall()


def _succeeded(completed: subprocess.CompletedProcess[str]) -> str:
    assert completed.returncode == 0, f"{completed.args}\n{completed.stdout}\n{completed.stderr}"
    return completed.stdout
