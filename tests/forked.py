"""Runs dbt in processes that have imported it already: what a test waits for is its work."""

from __future__ import annotations

import gc
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["dbt.cli.main", "dbt.adapters.duckdb"])


def run_dbt(
    arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run `dbt` as its command does; what it printed and its exit code.

    Raises:
        subprocess.TimeoutExpired: it took longer.
    """
    with TemporaryDirectory() as folder:
        printed = [Path(folder) / name for name in ("stdout", "stderr")]
        process = _CONTEXT.Process(
            target=_dbt, args=(list(arguments), cwd, dict(environment), *printed)
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["dbt", *arguments], timeout)
        return subprocess.CompletedProcess(
            ["dbt", *arguments], process.exitcode, *(path.read_text() for path in printed)
        )


def _dbt(
    arguments: list[str], cwd: Path, environment: dict[str, str], stdout: Path, stderr: Path
) -> None:
    # What was imported stays: it is not looked through for garbage again and again.
    gc.freeze()
    gc.set_threshold(50_000)
    for path, stream in ((stdout, sys.stdout), (stderr, sys.stderr)):
        with path.open("w") as file:
            os.dup2(file.fileno(), stream.fileno())
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = ["dbt", *arguments]
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import cli

    try:
        cli()
    finally:
        # Python's own end would close the warehouse; that of a forked process does not.
        DuckDBConnectionManager.close_all_connections()
