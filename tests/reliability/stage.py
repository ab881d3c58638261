"""The small company on a stage of its own: its states, its commands as real processes, its faults.

Two rounds of load, build and publish. The second has what hurts: new, late and changed rows, a
basket that moved to another day, a product and a survey answer that changed (snapshots), coupons
that are replaced. Each state on the way is kept, and a fault starts from a copy of one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO

import duckdb
from company import Rows, business_week, small_company, sold_at, write_company
from dbt_project import BUILD, DbtProject, run
from environment import ROOT
from forked import KEEP_PARSED

# Of a command on the small company, which takes seconds: a hang is a failure, not a wait. A machine
# that is busy with other things is none.
TIMEOUT = 600

COMMANDS = {
    "ingestion": ("python", "-m", "ingestion"),
    "dbt build": ("dbt", "--no-use-colors", *BUILD),
    "publish": ("python", "-m", "publishing", "publish"),
}

# What each command starts from in the first and in the second round.
BEFORE = {
    ("ingestion", 1): "nothing",
    ("dbt build", 1): "loaded 1",
    ("publish", 1): "built 1",
    ("ingestion", 2): "published 1",
    ("dbt build", 2): "loaded 2",
    ("publish", 2): "built 2",
}
SITUATIONS = {
    ("ingestion", 1): "first load ever",
    ("dbt build", 1): "first build",
    ("publish", 1): "first version",
    ("ingestion", 2): "news on a built warehouse",
    ("dbt build", 2): "news, incremental",
    ("publish", 2): "second version",
}
AFTER = {
    (command, round_): f"{state} {round_}"
    for round_ in (1, 2)
    for command, state in (
        ("ingestion", "loaded"),
        ("dbt build", "built"),
        ("publish", "published"),
    )
}
# What a build does, in the order in which it begins with it, and what dbt says then.
BUILD_STAGES = {
    "nothing yet": r"Running with dbt",
    "it has begun": r" OK hook: tally\.on-run-start",
    "views": r" START sql view model staging\.",
    "seeds": r" START seed file ",
    "tests of staging": r" START test ",
    "dimensions": r" START sql table model marts\.dim_",
    "histories": r" START snapshot ",
    "facts": r" START sql incremental model marts\.fct_",
    "KPIs": r" START sql table model marts\.kpi_values",
    "alerts": r" START sql table model marts\.kpi_alerts",
    "audits": r" START sql table model audit\.audit_kpis",
    "the last tests": r" START test assert_kpis_agree_with_raw",
    "its record": r" START hook: tally\.on-run-end",
    "dbt's record": r" OK hook: tally\.on-run-end",
}

UNTIL = date(2017, 6, 30)
ARGUMENTS = {("ingestion", 1): ("--until", str(UNTIL))}

# What differs from run to run: when something was done, and what is derived from that.
OF_THE_RUN = {"_dlt_id", "counted_at", "dbt_scd_id", "dbt_updated_at"}
OF_THE_SNAPSHOT = {"dbt_valid_from", "dbt_valid_to"}
# Likewise in the marts `dim_..._versions`, which are made of the snapshots.
OF_THE_VERSIONS = {"valid_from", "valid_to"}
LOAD_IDS = {"load_id", "_dlt_load_id"}

# What every load adds to, with or without news.
OF_EVERY_LOAD = ("._dlt_loads", ".load_control_totals", "audit.audit_controls")

PARSED = "partial_parse.msgpack"

# What dbt says of its nodes; its hooks, at the beginning and at the end, are counted apart.
NUMBER_OF_NODES = re.compile(r" 1 of (\d+) START (?!hook)")
NODE_STARTED = re.compile(r" START (?!hook)")

Contents = dict[str, tuple]


def _basket(basket_id: int, day: date, *product_ids: int) -> Rows:
    return [
        {
            "household_id": 101,
            "store_id": 1,
            "basket_id": basket_id,
            "product_id": product_id,
            "quantity": 1,
            "sales_value": 2.5,
            "retail_disc": 0.0,
            "coupon_disc": 0.0,
            "coupon_match_disc": 0.0,
            "week": business_week(day),
            "transaction_timestamp": sold_at(day, 12),
        }
        for product_id in product_ids
    ]


def first_company() -> dict[str, Rows]:
    """Give what the source has at first."""
    company = small_company()
    company["transactions"] += _basket(9002, date(2017, 6, 26), 3, 4)
    return company


def company_with_news() -> dict[str, Rows]:
    """Give what it has later; what lies after `UNTIL` is new as well."""
    company = small_company()
    company["transactions"] = [
        line | {"sales_value": line["sales_value"] + 1}
        if line["transaction_timestamp"] == sold_at(date(2017, 6, 25), 23, 30)
        else line
        for line in company["transactions"]
    ]
    company["transactions"] += _basket(9001, date(2017, 6, 24), 5)
    company["transactions"] += _basket(9002, date(2017, 6, 28), 3, 4)
    company["products"][0] |= {"department": "MOVED"}
    company["products"] += [company["products"][1] | {"product_id": 40}]
    company["demographics"][0] |= {"income": "Under 15K", "home_ownership": "Renter"}
    company["demographics"][1] |= {"income": "250K+", "home_ownership": "Homeowner"}
    company["coupons"][0] |= {"product_id": 2}
    return company


class Process:
    """A command in a process group of its own, so that a signal reaches all of it, and no other."""

    def __init__(self, command: tuple[str, ...], environment: dict[str, str], folder: Path):
        """Start it.

        Args:
            command: What to run, in the repository's root.
            environment: Of the process.
            folder: Where its output goes: into files, which never stop a process that writes.
        """
        self.command = command
        self._outputs: list[IO[str]] = [
            (folder / f"{name}-{time.monotonic_ns()}").open("w+") for name in ("out", "err")
        ]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=self._outputs[0],
            stderr=self._outputs[1],
            start_new_session=True,
            # Where pytest itself runs in the background, Ctrl-C is ignored, and that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.started = time.monotonic()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.signal(signal.SIGKILL)
        self._process.wait(TIMEOUT)
        for output in self._outputs:
            output.close()
            Path(output.name).unlink(missing_ok=True)

    @property
    def out(self) -> str:
        return Path(self._outputs[0].name).read_text()

    @property
    def err(self) -> str:
        return Path(self._outputs[1].name).read_text()

    @property
    def nodes(self) -> int:
        """How many nodes dbt has begun with."""
        return len(NODE_STARTED.findall(self.out))

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def wait_for(self, condition: Callable[[Process], bool]) -> bool:
        """Wait until something is so; False where the command ended before."""
        deadline = time.monotonic() + TIMEOUT
        while not condition(self):
            if self.has_ended:
                return condition(self)
            assert time.monotonic() < deadline, f"{self.command}: {self.out}\n{self.err}"
            time.sleep(0.001)
        return True

    def wait_to_say(self, expression: str) -> bool:
        """Wait until it has said something on its standard output."""
        return self.wait_for(lambda process: re.search(expression, process.out) is not None)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group, if it is still there."""
        if not self.has_ended:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def wait(self) -> int:
        """Wait for its end; give the exit code, negative for a signal."""
        return self._process.wait(TIMEOUT)


@dataclass(frozen=True)
class Duration:
    """How long a command took undisturbed, after which time it began to write, or its nodes."""

    total: float = 0
    until_writing: float = 0
    nodes: int = 0


@dataclass(frozen=True)
class Ended:
    """What a command came to."""

    command: str
    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"{self.command}: exit code {self.code}\n{self.out}\n{self.err}"


class Stage:
    """One warehouse, dbt's folder and serving folder, that every fault puts into a state.

    They stay at one path, so that dbt parses the project once and not for each fault.
    """

    def __init__(self, folder: Path):
        """Go through both rounds undisturbed, and keep every state and what it holds."""
        self.folder = folder
        self.work = folder / "work"
        self.project = DbtProject(self.work, None)
        self.serving = self.work / "serving"
        self.served = self.serving / "tally.duckdb"
        self.kpis = self.serving / "kpis.duckdb"
        self.temporary = folder / "temporary"
        self.output = folder / "output"
        for path in (self.temporary, self.output, folder / "looked_at"):
            path.mkdir(parents=True)
        write_company(folder / "files 1", first_company())
        write_company(folder / "files 2", company_with_news())
        self.environment = {
            **self.project.environment,
            "TALLY_SERVING": str(self.serving),
            "TMPDIR": str(self.temporary),
        }
        self.durations: dict[tuple[str, int], Duration] = {}
        self.contents: dict[str, Contents] = {}
        self.published: dict[int, Contents] = {}
        self._keep("nothing")
        for round_ in (1, 2):
            for command in COMMANDS:
                self.durations[command, round_] = self._measure(command, round_)
                self._keep(AFTER[command, round_])
            self.published[round_] = self.published_now()
        # What dbt knows of the project's files, so that a first build need not parse them again.
        for state in ("nothing", "loaded 1"):
            (self.folder / state / "target").mkdir(exist_ok=True)
            shutil.copy(
                self.folder / "loaded 2" / "target" / PARSED, self.folder / state / "target"
            )

    @property
    def opened(self) -> set[str]:
        """What the serving folder has, however many versions there are."""
        return {".lock", "versions", "current", "tally.duckdb", "kpis.duckdb"}

    @property
    def warehouse(self) -> Path:
        return self.project.warehouse

    # States

    def restore(self, state: str) -> None:
        """Put the stage into a state."""
        for path in (self.warehouse.parent, self.project.target, self.serving, self.temporary):
            empty(path)
        kept = self.folder / state
        if kept.exists():
            # dbt's folder as it is, but for what takes time to copy and nobody reads.
            shutil.copytree(kept, self.work, symlinks=True, dirs_exist_ok=True)

    def _keep(self, state: str) -> None:
        (self.folder / state).mkdir()
        for path in (self.warehouse.parent, self.project.target, self.serving):
            if path.exists():
                shutil.copytree(
                    path,
                    self.folder / state / path.name,
                    symlinks=True,
                    ignore=shutil.ignore_patterns("compiled", "run"),
                )
        self.contents[state] = self.held()

    def _measure(self, command: str, round_: int) -> Duration:
        if command == "dbt build":
            # Where it is, its nodes say.
            parsed = self.project.target / PARSED
            parsed.parent.mkdir(exist_ok=True)
            ended = self.run(command, round_, **{KEEP_PARSED: str(parsed)})
            assert ended.code == 0, ended
            return Duration(nodes=int(NUMBER_OF_NODES.search(ended.out)[1]))
        with self.start(command, round_) as process:
            assert process.wait_for(self.writing(command)), process.err
            until_writing = time.monotonic() - process.started
            code = process.wait()
            total = time.monotonic() - process.started
            assert code == 0, Ended(command, code, process.out, process.err)
        return Duration(total, until_writing)

    # Commands

    def files(self, round_: int) -> dict[str, str]:
        """Give the setting that says where the source's files are in a round."""
        return {"SOURCES__SAMPLE__FOLDER": str(self.folder / f"files {round_}")}

    def start(self, command: str, round_: int, **environment: str) -> Process:
        """Start one of the commands."""
        return Process(
            (*COMMANDS[command], *ARGUMENTS.get((command, round_), ())),
            {**self.environment, **self.files(round_), **environment},
            self.output,
        )

    def start_other(self, *command: str, **environment: str) -> Process:
        """Start any other command."""
        return Process(command, {**self.environment, **environment}, self.output)

    def run(self, command: str, round_: int, **environment: str) -> Ended:
        """Run one of the commands to its end."""
        arguments = ARGUMENTS.get((command, round_), ())
        return self.run_other(*COMMANDS[command], *arguments, **self.files(round_), **environment)

    def build_without_tests(self, round_: int) -> Ended:
        """Run `dbt build` in half the time, where the data tests show nothing more."""
        return self.run_other(*COMMANDS["dbt build"], "test", **self.files(round_))

    def run_other(self, *command: str, **environment: str) -> Ended:
        """Run any other command to its end."""
        return run_to_the_end(command, {**self.environment, **environment})

    def writing(self, command: str) -> Callable[[Process], bool]:
        """Give the sign that a command has begun to write."""
        if command == "ingestion":
            return lambda process: "Loading " in process.err
        if command == "dbt build":
            return lambda process: " START " in process.out
        making = self.serving / "versions" / ".new-version"
        return lambda _: any(making.glob("*.duckdb"))

    # What is there

    def serving_files(self) -> set[str]:
        """Give the names of all files in the serving folder."""
        if not self.serving.exists():
            return set()
        return {str(path.relative_to(self.serving)) for path in self.serving.rglob("*")}

    def versions(self) -> list[str]:
        """Give the ids of the versions that are kept, oldest first."""
        return sorted(path.parent.name for path in self.serving.glob("versions/*/seal.json"))

    def held(self) -> Contents:
        """Sum up what the warehouse holds."""
        return warehouse_contents(copied(self.warehouse, self.folder / "looked_at"))

    def differs_from(self, state: str, *, tests: bool = True) -> list[str]:
        """Name the tables of the warehouse that are not as in a state.

        Args:
            state: Which.
            tests: Whether the data tests have run, which keep what they find in tables.
        """
        left_out = () if tests else ("test_failures.",)
        held, expected = (without(it, *left_out) for it in (self.held(), self.contents[state]))
        return differing(held, expected)

    def published_now(self) -> Contents:
        """Sum up what readers see: both files are of one version."""
        folders = {path.resolve().parent for path in (self.served, self.kpis) if path.exists()}
        assert len(folders) <= 1, folders
        return published_contents(copied(self.served, self.folder / "looked_at"))


def copied(path: Path, folder: Path) -> Path | None:
    """Copy a database with its write-ahead log into a folder: to look at it must not mend it.

    The copy has another name each time, so that DuckDB does not take it for an earlier one.
    """
    if not path.exists():
        return None
    empty(folder)
    copy = folder / f"{time.monotonic_ns()}.duckdb"
    for suffix in ("", ".wal"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.copy(source, copy.with_name(copy.name + suffix))
            copy.with_name(copy.name + suffix).chmod(0o644)
    return copy


def run_to_the_end(command: tuple[str, ...], environment: dict[str, str]) -> Ended:
    """Run a command that nothing happens to: it need not start from nothing."""
    completed = run(command, ROOT, environment, TIMEOUT)
    return Ended(" ".join(command), completed.returncode, completed.stdout, completed.stderr)


def ended(process: Process) -> Ended:
    """Wait for a command's end."""
    with process:
        code = process.wait()
        return Ended(" ".join(process.command), code, process.out, process.err)


def empty(folder: Path) -> None:
    """Make a folder empty; itself it stays, for something may be mounted there."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def digest(path: Path) -> str | None:
    """Sum up a file's bytes; None where there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


# Contents

COLUMNS = """
select schema_name, table_name, list(column_name order by column_index)
from duckdb_columns()
where
    not internal
    and (schema_name, table_name) in (select (schema_name, table_name) from duckdb_tables())
    -- The record of builds is another one after each.
    and schema_name <> 'builds'
group by all
"""


def warehouse_contents(path: Path | None) -> Contents:
    """Sum up every table of a warehouse; name its views.

    Load ids are replaced by their numbers, because they are made of the time. Of a snapshot's rows
    the order counts, and that one version closes when the next one opens.
    """
    if path is None:
        return {}
    contents: Contents = {}
    with duckdb.connect(path) as connection:
        connection.execute("set TimeZone = 'UTC'")
        loads = [
            f'select load_id from "{schema}"._dlt_loads'
            for (schema,) in connection.execute(
                "select schema_name from duckdb_tables() where table_name = '_dlt_loads'"
            ).fetchall()
        ]
        connection.execute(
            "create temp table numbers as select load_id, row_number() over (order by load_id) as n"
            f" from ({' union all '.join(loads) or 'select null::varchar as load_id'})"
        )
        for schema, table, columns in connection.execute(COLUMNS).fetchall():
            if schema == "test_failures" or table in ("_dlt_version", "_dlt_pipeline_state"):
                # Names alone: the one is there to be read after a failure, the other dlt's own.
                contents[f"{schema}.{table}"] = ()
            elif table == "_dlt_loads":
                contents[f"{schema}.{table}"] = connection.execute(
                    f'select count(*), count(*) filter (where status = 0) from "{schema}"."{table}"'
                ).fetchone()
            elif table != "numbers":
                contents[f"{schema}.{table}"] = connection.execute(
                    "select count(*), coalesce(sum(hash(held)), 0)"
                    f" from ({_held(schema, table, columns)}) as held"
                ).fetchone()
        for schema, view in connection.execute(
            "select schema_name, view_name from duckdb_views() where not internal"
        ).fetchall():
            contents[f"{schema}.{view}"] = ("view",)
    return contents


def _of_the_run(table: str) -> set[str]:
    return OF_THE_RUN | OF_THE_VERSIONS if table.endswith("_versions") else OF_THE_RUN


def _held(schema: str, table: str, columns: list[str]) -> str:
    parts = [
        f'case when "{name}" is not null then'
        f' coalesce((select n from numbers where numbers.load_id = rows."{name}"), -1) end'
        if name in LOAD_IDS
        else f'"{name}"'
        for name in columns
        if name not in _of_the_run(table) | OF_THE_SNAPSHOT
    ]
    if OF_THE_SNAPSHOT.issubset(columns):
        window = f'over (partition by "{columns[0]}" order by dbt_valid_from)'
        parts += [
            f"row_number() {window}",
            "dbt_valid_to is null",
            f"dbt_valid_to is not distinct from lead(dbt_valid_from) {window}",
        ]
    named = ", ".join(f"{part} as c{number}" for number, part in enumerate(parts))
    return f'select {named} from "{schema}"."{table}" as rows'


def published_contents(path: Path | None) -> Contents:
    """Sum up every table of a published file, and hold it against what the file says of itself."""
    if path is None:
        return {}
    contents: Contents = {}
    with duckdb.connect(path, read_only=True) as connection:
        recorded = connection.execute(
            "select table_schema, table_name, row_count, checksum from published_tables"
            " where list_contains(published_in, 'tally')"
        ).fetchall()
        assert len(recorded) > 15
        for schema, table, rows, checksum in recorded:
            found = connection.execute(
                f"select count(*), coalesce(sum(hash(held)), 0)::varchar"
                f' from "{schema}"."{table}" as held'
            ).fetchone()
            assert found == (rows, checksum), f"{schema}.{table} is not what was published"
            columns = [
                name
                for (name,) in connection.execute(
                    "select column_name from duckdb_columns() where schema_name = ?"
                    " and table_name = ? order by column_index",
                    [schema, table],
                ).fetchall()
                if name not in LOAD_IDS | _of_the_run(table)
            ]
            listed = ", ".join(f'"{name}"' for name in columns)
            contents[f"{schema}.{table}"] = connection.execute(
                f"select count(*), coalesce(sum(hash(held)), 0)"
                f' from (select {listed} from "{schema}"."{table}") as held'
            ).fetchone()
    return contents


def differing(found: Contents, expected: Contents) -> list[str]:
    """Name the tables that differ."""
    return sorted(
        f"{name}: expected {expected.get(name, 'no table')}, found {found.get(name, 'no table')}"
        for name in found.keys() | expected.keys()
        if found.get(name) != expected.get(name)
    )


def without(contents: Contents, *parts: str) -> Contents:
    """Leave out the tables that have one of these in their name."""
    return {
        name: held for name, held in contents.items() if not any(part in name for part in parts)
    }


def error_line(came_to: Ended, code: int = 1) -> str:
    """Give the one line that a command failed with; the steps that it told before are no error."""
    # To a shell, dying of a signal and exiting with 128 more than its number are one. Python dies
    # of the Ctrl-C that it also reported, where that came within an exec() of some library.
    found = 128 - came_to.code if came_to.code < 0 else came_to.code
    assert found == code, came_to
    assert came_to.out == "", came_to
    *steps, line = came_to.err.splitlines() or [""]
    assert line.startswith(("error: ", "interrupted: ")), came_to
    assert all(step.startswith(("Counting ", "Extracting ", "Loading ")) for step in steps), came_to
    return line
