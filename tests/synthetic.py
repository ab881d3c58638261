"""A built warehouse, dbt's record of it and a serving folder, of a test's own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
from dbt_project import run
from environment import ENVIRONMENT, ROOT
from published import change_published

from publishing.__main__ import main
from publishing.publish import Published, publish


class Shop:
    """Copies of what a build made, and of what was published of it, in a folder."""

    def __init__(self, folder: Path, built: Path):
        """Copy from `built`, the folder of another shop or of a build."""
        self.folder = folder
        self.warehouse = folder / "warehouse" / "tally.duckdb"
        self.target = folder / "target"
        self.serving = folder / "serving"
        self.served = self.serving / "tally.duckdb"
        self.copy(built)
        self.environment = {
            **ENVIRONMENT,
            "TALLY_WAREHOUSE": str(self.warehouse),
            "TALLY_SERVING": str(self.serving),
            "DBT_TARGET_PATH": str(self.target),
            "COLUMNS": "100",
        }

    def copy(self, built: Path) -> None:
        for path in (self.warehouse.parent, self.target):
            shutil.copytree(built / path.name, path, dirs_exist_ok=True)
        if (built / "serving").exists():
            shutil.copytree(built / "serving", self.serving, symlinks=True, dirs_exist_ok=True)

    def publish(self, keep: int = 5) -> Published:
        return publish(self.warehouse, self.serving, self.target, keep)

    def publish_again(self, keep: int = 5) -> Published:
        """Publish as if dbt had built the same once more."""
        self.build_again()
        return self.publish(keep)

    def build_again(self) -> str:
        """Let the records be of another build that came to what is there; give its id."""
        record = self.record()
        record["metadata"]["invocation_id"] = invocation_id = str(uuid.uuid4())
        self.write_record(record)
        with duckdb.connect(self.warehouse) as connection:
            connection.execute(
                "insert into builds.builds select build_number + 1, ?, dbt_command, dlt_load_ids,"
                " now(), now() from builds.builds order by build_number desc limit 1",
                [invocation_id],
            )
            connection.execute("update builds.build_tables set build_number = build_number + 1")
            for schema, name in connection.execute(
                "select table_schema, table_name from builds.build_tables"
            ).fetchall():
                held = connection.execute(
                    "select count(*), coalesce(sum(hash(t)), 0)::varchar"
                    f' from "{schema}"."{name}" as t'
                ).fetchone()
                connection.execute(
                    "update builds.build_tables set row_count = ?, checksum = ?"
                    " where table_schema = ? and table_name = ?",
                    [*held, schema, name],
                )
        return invocation_id

    def record(self) -> dict[str, Any]:
        return json.loads((self.target / "run_results.json").read_text())

    def write_record(self, record: dict[str, Any]) -> None:
        (self.target / "run_results.json").write_text(json.dumps(record))

    def shrink(self, *models: str) -> None:
        """Let dbt's record be of a project of these models alone."""
        path = self.target / "manifest.json"
        manifest, record = json.loads(path.read_text()), self.record()
        manifest["nodes"] = {
            key: node for key, node in manifest["nodes"].items() if node["name"] in models
        }
        record["results"] = [
            result for result in record["results"] if result["unique_id"] in manifest["nodes"]
        ]
        path.write_text(json.dumps(manifest))
        self.write_record(record)

    def popen(
        self, *command: str, stdin: int | None = None, **environment: str
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**self.environment, **environment},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def python(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return run(("python", *command), ROOT, {**self.environment, **environment})

    def command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m publishing` in a process of its own."""
        return self.python("-m", "publishing", *arguments, **environment)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command in this process, which is faster than `command`."""
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, {**self.environment, **environment}),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(list(arguments))
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    def change(self, *statements: str) -> None:
        """Change the warehouse."""
        with duckdb.connect(self.warehouse) as connection:
            connection.execute("set TimeZone = 'UTC'")
            for statement in statements:
                connection.execute(statement)

    def change_served(self, *statements: str) -> None:
        """Have other KPIs published, under their seal."""
        change_published(self.serving, *statements)

    def query(self, query: str, path: Path | None = None) -> list[tuple]:
        """Read from the warehouse, or from another file."""
        with duckdb.connect(path or self.warehouse, read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.execute(query).fetchall()

    def version_id(self) -> str:
        """Give the version that is served."""
        ((version_id,),) = self.query(
            "select distinct version_id from published_tables", self.served
        )
        return version_id

    def version(self, version_id: str) -> Path:
        """Give the folder of a version."""
        return self.serving / "versions" / version_id

    def is_whole(self, version_id: str) -> bool:
        """Whether both files of a version hold exactly what they say that they hold."""
        return all(is_whole(path) for path in self.version(version_id).glob("*.duckdb"))

    def kept(self) -> list[str]:
        """Give the versions that are kept; each has its files and their seal."""
        folders = sorted((self.serving / "versions").iterdir())
        for folder in folders:
            if not folder.name.startswith("."):
                names = {path.name for path in folder.iterdir()}
                assert names == {"kpis.duckdb", "tally.duckdb", "seal.json"}, folder
        return [folder.name for folder in folders]

    def leftovers(self) -> list[str]:
        """Give what is in the serving folder and should not be."""
        files = {path.name for path in self.serving.iterdir()}
        expected = {"tally.duckdb", "kpis.duckdb", "current", "versions", ".lock"}
        return sorted((files - expected) | {name for name in self.kept() if name.startswith(".")})


def one_error(completed: subprocess.CompletedProcess[str], code: int) -> str:
    """Give the one line that a command failed with."""
    assert completed.returncode == code, (completed.stdout, completed.stderr)
    assert completed.stdout == ""
    lines = completed.stderr.splitlines()
    assert len(lines) == 1, completed.stderr
    return lines[0]


def is_whole(path: Path) -> bool:
    """Whether a published file holds exactly what it says that it holds."""
    with duckdb.connect(path, read_only=True) as connection:
        tables = connection.execute(
            "select table_schema, table_name, row_count, checksum from published_tables"
            " where list_contains(published_in, ?)",
            [path.stem],
        ).fetchall()
        return len(tables) > 8 and all(
            connection.execute(
                f'select count(*), coalesce(sum(hash(t)), 0)::varchar from "{schema}"."{name}" as t'
            ).fetchone()
            == (rows, checksum)
            for schema, name, rows, checksum in tables
        )
