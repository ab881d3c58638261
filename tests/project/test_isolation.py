"""The tests read nothing of whoever runs them: a company's credentials are in such places."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from environment import ROOT

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", ".shop", ".*_cache", "__pycache__", "warehouse", "target", "logs", "serving"
)
# One of each way in which tests read configuration: in their own process, by commands that are
# forked and that start anew, and by dbt.
TRIED = (
    "tests/ingestion/test_load.py::test_outcome_counts_what_was_read_and_written",
    "tests/ingestion/test_command.py::test_until_and_full_refresh_reach_the_load",
    "tests/ingestion/test_replay.py::test_the_machine_has_no_say_in_the_result[Asia/Tokyo]",
    "tests/publishing/test_publishing_command.py::test_make_calls_the_command",
    "tests/project/test_commands.py::test_deprecated_property_is_a_warning_that_fails",
)


class Trap:
    """A port that a company's database could have, and how often somebody knocked."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.knocks = 0
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.knocks += 1
            connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


@pytest.fixture
def trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    trap.close()


class Company:
    """A clone that a company works in: its credentials, its home folder and its variables."""

    def __init__(self, folder: Path, port: int):
        url = f"postgresql://reader:secret@127.0.0.1:{port}/company?connect_timeout=2"
        self.clone = shutil.copytree(ROOT, folder / "clone", ignore=LEFT_OUT)
        self.home = folder / "home"
        configuration = self.clone / ".dlt/config.toml"
        configuration.write_text(configuration.read_text().replace('"sample"', '"postgresql"'))
        secrets = f'[sources.retail_db]\ncredentials = "{url}"\n'
        for place in (self.clone / ".dlt", self.home / ".dlt"):
            place.mkdir(parents=True, exist_ok=True)
            (place / "secrets.toml").write_text(secrets)
        (self.home / ".dbt").mkdir()
        (self.home / ".dbt/profiles.yml").write_text("tally: {target: of_the_company}\n")
        (self.clone / ".env").write_text("DBT_TARGET=of_the_company\nDBT_QUIET=1\n")
        elsewhere = str(folder / "elsewhere")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "USER": os.environ.get("USER", "somebody"),
            "TMPDIR": str(folder / "temporary"),
            "TZ": "Asia/Tokyo",
            "LC_ALL": "tr_TR.UTF-8",
            "LANGUAGE": "tr",
            "SOURCES__RETAIL_DB__TYPE": "postgresql",
            "SOURCES__RETAIL_DB__CREDENTIALS": url,
            "SOURCES__SAMPLE__FOLDER": elsewhere,
            "DLT_PROJECT_DIR": str(self.clone),
            "RUNTIME__LOG_LEVEL": "DEBUG",
            "DATA_WRITER__DISABLE_COMPRESSION": "false",
            "SCHEMA__NAMING": "sql_ci_v1",
            "DBT_PROFILES_DIR": elsewhere,
            "DBT_PROJECT_DIR": elsewhere,
            "DBT_TARGET": "of_the_company",
            "DBT_TARGET_PATH": elsewhere,
            "DBT_WARN_ERROR": "1",
            "TALLY_WAREHOUSE": elsewhere,
            "TALLY_SERVING": elsewhere,
            "TALLY_REPORTS": elsewhere,
            "TALLY_SHOP": elsewhere,
            "PGHOST": "127.0.0.1",
            "PGPORT": str(port),
        }
        (folder / "temporary").mkdir()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.clone,
            env=self.environment,
            umask=0o077,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def files(self) -> set[Path]:
        """What is in the clone and at home, but for what Python and pytest keep to be faster."""
        return {
            path
            for place in (self.clone, self.home)
            for path in place.rglob("*")
            if not {"__pycache__", ".pytest_cache"} & set(path.parts)
        }


def test_nothing_of_whoever_runs_the_tests_reaches_them(tmp_path: Path, trap: Trap):
    company = Company(tmp_path, trap.port)
    files = company.files()
    # The company's own load goes where its credentials say.
    assert company.run("ingestion", "--table", "products").returncode == 1
    assert trap.knocks > 0
    trap.knocks = 0

    done = company.run("pytest", "-q", *TRIED)

    assert re.search(r"\b[1-9]\d* passed", done.stdout), done.stdout + done.stderr
    assert (done.returncode, trap.knocks) == (0, 0), done.stdout
    assert not (tmp_path / "elsewhere").exists()
    assert company.files() == files
    assert {path.name.split("-")[0] for path in (tmp_path / "temporary").iterdir()} <= {"pytest"}
