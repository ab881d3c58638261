"""The command `python -m shop`, as people type it, on a folder of a test's own."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pymysql
import pytest
from company import small_company, write_company
from dbt_project import run
from environment import ENVIRONMENT, ROOT
from servers import free_port, lend_programs, remove_outside

from shop.reach import outside

NAMES = ("postgresql", "mysql")


class Storefront:
    """The command's folder, dlt's file of secrets, and the sample's files."""

    def __init__(self, folder: Path):
        # Of the commands; None for that of the tests.
        self.umask: int | None = None
        # Whether it has no programs of its own to copy: those copies are what some tests are about.
        self.borrows_programs = True
        self.folder = folder / ".shop"
        self.secrets = folder / ".dlt" / "secrets.toml"
        self.files = write_company(folder / "files", small_company())
        self.ports = {name: free_port() for name in NAMES}
        self.environment = {
            **ENVIRONMENT,
            "TALLY_SHOP": str(self.folder),
            "DLT_PROJECT_DIR": str(folder),
            "SOURCES__SAMPLE__FOLDER": str(self.files),
        }

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command; what it printed and its exit code."""
        command = ("python", "-m", "shop", *arguments)
        environment = {**self.environment, **environment}
        if self.umask is None:
            return run(command, ROOT, environment)
        return subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            umask=self.umask,
            check=False,
        )

    def popen(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Run the command at the same time."""
        return subprocess.Popen(
            ["python", "-m", "shop", *arguments],
            cwd=ROOT,
            env={**self.environment, "PYTHONUNBUFFERED": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Where pytest itself runs in the background, Ctrl-C is ignored, and that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def start(self, name: str) -> str:
        """Start a server on its port; fail the test where that fails, skip it without MariaDB."""
        if self.borrows_programs:
            lend_programs(self.folder)
        completed = self.run("start", name, "--port", str(self.ports[name]))
        if "install Debian's mariadb-server" in completed.stderr:
            pytest.skip(completed.stderr)
        assert completed.returncode == 0, completed.stderr
        assert completed.stderr == ""
        return completed.stdout

    def state(self, name: str) -> dict[str, Any]:
        """What the command keeps of a server, with the passwords."""
        return json.loads((self.folder / f"{name}.json").read_text())

    def process(self, name: str) -> psutil.Process | None:
        """The server's process; None where there is none."""
        pid = self.state(name)["pid"] if (self.folder / f"{name}.json").exists() else None
        try:
            return psutil.Process(pid) if pid else None
        except psutil.NoSuchProcess:
            return None

    def credentials(self) -> dict[str, Any]:
        """What dlt finds for the source."""
        secrets = tomllib.loads(self.secrets.read_text())
        return secrets["sources"]["retail_db"]["credentials"]

    def end(self) -> None:
        """End the servers, whatever the test did."""
        for name in NAMES:
            process = self.process(name)
            places = (self.folder, outside(self.folder))
            if process and any(str(place) in " ".join(process.cmdline()) for place in places):
                process.send_signal(signal.SIGINT if name == "postgresql" else signal.SIGTERM)
                try:
                    process.wait(20)
                except psutil.TimeoutExpired:
                    process.kill()
                    process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)
        remove_outside(self.folder)


def count(storefront: Storefront, query: str = "select count(*) from transactions") -> object:
    """Ask with what dlt finds."""
    place = storefront.credentials()
    drivername, database = place.pop("drivername"), place.pop("database")
    place["user"] = place.pop("username")
    if drivername == "postgresql":
        connection = psycopg.connect(**place, dbname=database)
    else:
        assert drivername == "mysql+pymysql"
        connection = pymysql.connect(**place, database=database)
    with connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def one_error(completed: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """Give the one line with which the command refused."""
    assert completed.returncode == code, completed.stderr
    assert completed.stderr.startswith("error: ")
    assert len(completed.stderr.splitlines()) == 1, completed.stderr
    return completed.stderr
