"""What a person who knows dbt, or make, types in the repository's root works."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psutil
import pytest
from dbt_project import DbtProject, copy_of_project, run, succeeded
from environment import ENVIRONMENT, ROOT

# dbt


@pytest.mark.parametrize("command", ["run", "test --select fct_baskets", "source freshness"])
def test_dbt_commands_work_as_they_are(rebuilt: DbtProject, command: str):
    succeeded(rebuilt.run("dbt", *command.split()))


def test_everything_parses_without_a_warning(rebuilt: DbtProject):
    rebuilt.dbt("--warn-error", "parse", "--no-partial-parse")


def test_deprecated_property_is_a_warning_that_fails(tmp_path: Path):
    project = DbtProject(tmp_path, None, root=copy_of_project(tmp_path / "root"))
    properties = project.root / "models/marts/marketing/_marketing__models.yml"
    nested = properties.read_text()
    flat = re.sub(r"arguments:\n +(min_value)", r"\1", nested)
    assert flat != nested
    properties.write_text(flat)

    completed = project.run("dbt", "--no-use-colors", "--warn-error", "parse")

    assert completed.returncode != 0
    assert "MissingArgumentsPropertyInGenericTestDeprecation" in completed.stdout


def listening(pid: int) -> set[tuple[str, int]]:
    """Local addresses and ports at which a process accepts connections."""
    return {
        (connection.laddr.ip, connection.laddr.port)
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def test_documentation_is_served_to_this_machine_alone(built: DbtProject):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        ["dbt", "docs", "serve", "--no-browser", "--port", str(port)],
        cwd=ROOT,
        env=built.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not (addresses := listening(server.pid)) and time.monotonic() < deadline:
            assert server.poll() is None
            time.sleep(0.1)
        assert addresses == {("127.0.0.1", port)}
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/catalog.json", timeout=10) as page:
            assert "model.tally.fct_baskets" in json.load(page)["nodes"]
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(10)


def test_sql_is_linted_without_a_warehouse(workbench: DbtProject, tmp_path: Path):
    missing = tmp_path / "missing.duckdb"
    succeeded(
        workbench.run(
            "sqlfluff",
            "lint",
            "models/marts/sales/fct_sales_lines.sql",
            TALLY_WAREHOUSE=str(missing),
        )
    )
    assert list(tmp_path.iterdir()) == []


# Pull requests


@dataclass(frozen=True)
class PullRequest:
    """A copy of the project, changed, beside the base's warehouse and dbt's record of it."""

    project: DbtProject
    base: DbtProject
    state: Path

    @property
    def base_warehouse(self) -> Path:
        return self.project.root / "warehouse" / "tally.duckdb"

    @property
    def warehouse(self) -> Path:
        return self.project.root / "warehouse" / "pr.duckdb"

    def dbt(self, *arguments: str) -> str:
        return self.project.dbt(*arguments, "--target", "pr")

    def build(self) -> str:
        selected = ("--select", "state:modified+", "--defer", "--state", str(self.state))
        return self.dbt("build", *selected)

    def built(self) -> set[str]:
        """Names of the models, seeds and snapshots that the latest build made."""
        results = json.loads((self.project.target / "run_results.json").read_text())["results"]
        return {
            result["unique_id"].split(".")[-1]
            for result in results
            if result["unique_id"].split(".")[0] in ("model", "seed", "snapshot")
        }

    def with_children(self, *names: str) -> set[str]:
        """The named nodes and all that is built on them."""
        children = json.loads((self.state / "manifest.json").read_text())["child_map"]
        found = set()
        open_nodes = [node for node in children if node.split(".")[-1] in names]
        assert len(open_nodes) == len(names)
        while open_nodes:
            node = open_nodes.pop()
            if node.split(".")[0] in ("model", "seed", "snapshot") and node not in found:
                found.add(node)
                open_nodes += children[node]
        return {node.split(".")[-1] for node in found}


@pytest.fixture(scope="module")
def branch(built: DbtProject, tmp_path_factory: pytest.TempPathFactory) -> PullRequest:
    folder = tmp_path_factory.mktemp("pull_request")
    root = copy_of_project(folder / "root")
    (root / "warehouse").mkdir()
    shutil.copy(built.warehouse, root / "warehouse" / "tally.duckdb")
    state = Path(shutil.copytree(built.target, folder / "state"))
    return PullRequest(DbtProject(folder, None, root=root), built, state)


def relations(warehouse: Path) -> set[str]:
    """Tables and views of the project in a warehouse file, but for stored failures."""
    with duckdb.connect(warehouse, read_only=True) as connection:
        return {
            name
            for (name,) in connection.execute(
                "select table_name from information_schema.tables"
                " where table_schema in ('staging', 'intermediate', 'marts', 'audit', 'seeds',"
                " 'snapshots')"
                " and table_catalog = current_database()"
            ).fetchall()
        }


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# File, what is in it and what it is changed to, and what that modifies.
CHANGES = {
    "model": (
        "models/marts/marketing/dim_campaigns.sql",
        "        duration_days,\n",
        "        duration_days + 0 as duration_days,\n",
        "dim_campaigns",
    ),
    "model_that_reads_a_source": (
        "models/staging/retail_db/stg_retail_db__demographics.sql",
        "        kids_count,\n",
        "        coalesce(kids_count, null) as kids_count,\n",
        "stg_retail_db__demographics",
    ),
    "seed": ("seeds/age_bands.csv", "Unknown,99", "Unasked,98\nUnknown,99", "age_bands"),
    "incremental_model": (
        "models/marts/sales/fct_sales_lines.sql",
        "        lines.quantity,\n",
        "        lines.quantity + 0 as quantity,\n",
        "fct_sales_lines",
    ),
    "macro": ("macros/business_time.sql", "'7 * ('", "'0 + 7 * ('", "dim_dates"),
}


@pytest.mark.parametrize(
    "names",
    [["model", "model_that_reads_a_source", "seed"], ["incremental_model"], ["macro"]],
    ids="-".join,
)
def test_pull_request_builds_what_changed_and_its_children(branch: PullRequest, names: list[str]):
    branch.warehouse.unlink(missing_ok=True)
    base = digest(branch.base_warehouse)
    originals = {}
    try:
        for file, found, changed, _ in map(CHANGES.get, names):
            path = branch.project.root / file
            originals[path] = path.read_text()
            assert originals[path].count(found) == 1
            path.write_text(originals[path].replace(found, changed))
        branch.build()
    finally:
        for path, original in originals.items():
            path.write_text(original)

    expected = branch.with_children(*(CHANGES[name][-1] for name in names))
    assert branch.built() == expected
    assert relations(branch.warehouse) == expected
    assert digest(branch.base_warehouse) == base


def test_pull_request_without_a_change_of_models_builds_nothing(branch: PullRequest):
    assert "Nothing to do" in branch.build()


def test_pull_request_sees_how_fresh_the_base_is(branch: PullRequest):
    branch.dbt("source", "freshness")


def test_pull_request_cannot_write_to_the_base(branch: PullRequest):
    shown = branch.dbt(
        "--quiet",
        "show",
        "--inline",
        "select readonly from duckdb_databases() where database_name = 'tally'",
        "--output",
        "json",
    )
    assert json.loads(shown)["show"] == [{"readonly": True}]


# The summary of a run


def figures(text: str) -> dict[str, list[str]]:
    """First word of each indented line to the other words, without thousands separators."""
    lines = (line.split() for line in text.splitlines() if line.startswith("  "))
    return {first: [cell.replace(",", "") for cell in rest] for first, *rest in lines}


MONTHS = """
select
    strftime(business_date, '%Y-%m') as month,
    sum(gross_sales_usd)::varchar,
    sum(net_sales_usd)::varchar,
    count(distinct basket_id)::varchar,
    count(distinct household_id)::varchar,
    count(*)::varchar,
    (sum(net_sales_usd) / count(distinct basket_id))::decimal(18, 2)::varchar
from marts.fct_sales_lines
group by month
"""


def test_summary_tells_what_a_run_did(built: DbtProject):
    printed = succeeded(built.run("python", "scripts/summarize_run.py"))

    found = figures(printed)
    for table, rows in built.fetch(
        "select 'retail_db.' || table_name, estimated_size from duckdb_tables()"
        " where schema_name = 'raw_retail_db' and table_name[1] <> '_'"
        " and table_name not in ('load_control_totals', 'quarantine')"
        " union all select 'promotion_feed.promotions', count(*)"
        " from raw_promotion_feed.promotions"
    ):
        assert found[table] == [str(rows), str(rows)]

    manifest = json.loads((built.target / "manifest.json").read_text())["nodes"]
    kinds = [node["resource_type"] for node in manifest.values()]
    assert (
        f"Models built: {kinds.count('model')}   seeds: {kinds.count('seed')}   snapshots:"
        f" {kinds.count('snapshot')}   data tests passed: {kinds.count('test')} of"
        f" {kinds.count('test')}\n"
    ) in printed


def test_summary_shows_twelve_months_as_the_marts_have_them(built: DbtProject):
    printed = succeeded(built.run("python", "scripts/summarize_run.py"))

    expected = {month: rest for month, *rest in built.fetch(MONTHS)}
    assert len(expected) == 12
    assert {key: row for key, row in figures(printed).items() if key[:2] == "20"} == expected


def test_summary_after_a_load_without_news_says_that_nothing_came(rebuilt: DbtProject):
    rebuilt.load()
    rebuilt.dbt("run", "--select", "dim_campaigns")
    printed = succeeded(rebuilt.run("python", "scripts/summarize_run.py"))

    loaded = {name: row for name, row in figures(printed).items() if name.count(".") == 1}
    loaded = {name: row for name, row in loaded.items() if name.startswith(("retail", "promotion"))}
    assert len(loaded) == 8
    assert {row[0] for row in loaded.values()} == {"0"}
    assert "Models built: 1 " in printed


# make


def make(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_lists_every_target():
    targets = re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"run", "test"} <= set(targets)
    for printed in (succeeded(make()), succeeded(make("help"))):
        assert sorted(re.findall(r"^  make (\S+) +\S", printed, re.MULTILINE)) == sorted(targets)


def test_run_is_a_load_a_build_a_publish_the_report_the_docs_and_the_summary():
    commands = succeeded(make("-n", "run")).splitlines()[-6:]
    assert commands == [
        "python -m ingestion",
        "dbt build --exclude-resource-type unit_test",
        "python -m publishing publish",
        "python -m publishing report",
        "dbt --quiet docs generate --no-compile",
        "python scripts/summarize_run.py",
    ]


HOSTILE = "x y; touch f `touch f` $(touch f) $(shell touch f) ${HOME} $HOME ' \" \\ *"


@pytest.mark.parametrize("by_environment", [False, True])
@pytest.mark.parametrize(
    ("target", "variables", "arguments"),
    [
        ("rollback", ["VERSION"], ["rollback", HOSTILE]),
        (
            "trace",
            ["KPI", "PERIOD", "SLICE"],
            ["trace", "--kpi", HOSTILE, "--period", HOSTILE, "--slice", HOSTILE],
        ),
        ("rollback", [], ["rollback"]),
        ("trace", [], ["trace"]),
    ],
)
def test_what_is_typed_reaches_the_command_and_no_shell(
    tmp_path: Path, target: str, variables: list[str], arguments: list[str], by_environment: bool
):
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "locks", tmp_path / "locks")
    binaries = tmp_path / ".venv/bin"
    binaries.mkdir(parents=True)
    python = binaries / "python"
    python.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\" > told\n")
    python.chmod(0o755)
    (tmp_path / ".venv/.locked").touch()
    before = {path.name for path in tmp_path.iterdir()}
    typed = {name: HOSTILE for name in variables}
    completed = subprocess.run(
        ["make", target, *(() if by_environment else (f"{name}={HOSTILE}" for name in typed))],
        cwd=tmp_path,
        env={**ENVIRONMENT, **(typed if by_environment else {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    assert (tmp_path / "told").read_text().splitlines() == ["-m", "publishing", *arguments]
    assert {path.name for path in tmp_path.iterdir()} == before | {"told"}


def test_a_python_that_is_named_is_no_shell_text(tmp_path: Path):
    pythons = Pythons(tmp_path)
    error = pythons.setup("PYTHON=x; $(shell touch f) `touch f`")
    assert error.startswith(EXPECTED)
    assert not (pythons.folder / "f").exists()


class Pythons:
    """A folder with the Makefile, and Pythons on the PATH that say which they are."""

    def __init__(self, folder: Path):
        self.folder = folder / "clone"
        self.path = folder / "bin"
        self.path.mkdir()
        self.folder.mkdir()
        shutil.copy(ROOT / "Makefile", self.folder)
        shutil.copytree(ROOT / "locks", self.folder / "locks")
        # What the shell and make themselves need, and no Python of this machine.
        for name in ("bash", "echo", "make", "test"):
            (self.path / name).symlink_to(shutil.which(name))

    def add(self, name: str, version: str) -> Path:
        """Add a Python that knows its version, and makes no environment."""
        supported = (3, 11) <= tuple(map(int, version.split(".")))[:2] <= (3, 14)
        python = self.path / name
        python.write_text(
            f'#!/bin/sh\ncase "$1" in --version) echo Python {version};;'
            f" -c) exit {int(not supported)};; *) exit 1;; esac\n"
        )
        python.chmod(0o755)
        return python

    def setup(self, *arguments: str) -> str:
        """Give the line that set-up ends with."""
        completed = subprocess.run(
            ["make", *arguments, "setup"],
            cwd=self.folder,
            env={"PATH": str(self.path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert completed.returncode != 0
        assert completed.stdout == ""
        error, by_make = completed.stderr.splitlines()
        assert by_make.startswith("make: *** ")
        assert not (self.folder / ".venv").exists()
        return error


EXPECTED = "error: expected Python 3.11, 3.12, 3.13 or 3.14, found: "


def test_other_python_is_refused_in_one_line(tmp_path: Path):
    pythons = Pythons(tmp_path)
    none = pythons.setup()
    assert none.startswith(f"{EXPECTED}python3 is not there, python3.14 is not there, ")
    assert none.endswith("; name another with 'make PYTHON=python3.11 ...'")
    pythons.add("python3", "3.10.9")
    pythons.add("python3.13", "3.15.0")
    line = pythons.setup()
    assert line.startswith(f"{EXPECTED}python3 is Python 3.10.9, python3.14 is ")
    assert "python3.13 is Python 3.15.0" in line


def test_named_python_alone_is_tried(tmp_path: Path):
    pythons = Pythons(tmp_path)
    pythons.add("python3", "3.12.1")
    old = pythons.add("old", "3.9.1")
    assert pythons.setup(f"PYTHON={old}").startswith(f"{EXPECTED}{old} is Python 3.9.1;")


@pytest.mark.parametrize(
    ("versions", "taken"),
    [
        ({"python3": "3.12.1", "python3.14": "3.14.0"}, "python3"),
        ({"python3": "3.15.0", "python3.11": "3.11.2", "python3.14": "3.14.0"}, "python3.14"),
        ({"python3": "3.9.1", "python3.12": "3.12.4", "python3.11": "3.11.2"}, "python3.12"),
        ({"python3.11": "3.11.2"}, "python3.11"),
    ],
)
def test_first_supported_python_on_the_path_is_taken(
    tmp_path: Path, versions: dict[str, str], taken: str
):
    pythons = Pythons(tmp_path)
    for name, version in versions.items():
        pythons.add(name, version)
    error = pythons.setup()
    assert error.startswith(f"error: {taken} cannot make virtual environments; ")


def test_set_up_makes_the_folder_that_dbt_needs_to_make_a_warehouse(tmp_path: Path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "locks", tmp_path / "locks")
    binaries = tmp_path / ".venv/bin"
    binaries.mkdir(parents=True)
    for name in ("pip", "uv"):
        (binaries / name).write_text("#!/bin/sh\n")
        (binaries / name).chmod(0o755)
    subprocess.run(["make", "setup"], cwd=tmp_path, env=ENVIRONMENT, check=True, timeout=60)
    assert (tmp_path / "warehouse").is_dir()


# Two projects


@pytest.mark.parametrize("there", ["{parent}/b", "../b"])
@pytest.mark.parametrize("command", ["build", "test", "seed"])
def test_a_project_that_is_named_never_writes_to_the_warehouse_of_the_folder(
    tmp_path: Path, built: DbtProject, command: str, there: str
):
    """`dbt build --project-dir B`, typed in A."""
    here, _ = (copy_of_project(tmp_path / name) for name in "ab")
    there = there.format(parent=tmp_path)
    warehouse = here / "warehouse" / "tally.duckdb"
    warehouse.parent.mkdir()
    shutil.copy(built.warehouse, warehouse)
    before = warehouse.read_bytes()
    done = run(
        ("dbt", "--no-use-colors", command, "--select", "age_bands", "--project-dir", there),
        here,
        {**ENVIRONMENT, "DBT_TARGET_PATH": str(tmp_path / "target")},
    )
    assert done.returncode == 2
    assert f"expected {there}/warehouse/tally.duckdb, of the project" in done.stdout
    assert f"found {warehouse}; nothing was built: change into the folder" in done.stdout
    assert warehouse.read_bytes() == before


@pytest.mark.parametrize("option", [(), ("--project-dir", ".")])
def test_a_project_is_built_in_its_own_folder(
    tmp_path: Path, built: DbtProject, option: tuple[str, ...]
):
    here = copy_of_project(tmp_path / "a")
    (here / "warehouse").mkdir()
    shutil.copy(built.warehouse, here / "warehouse")
    done = run(
        ("dbt", "--no-use-colors", "seed", "--select", "age_bands", *option),
        here,
        {**ENVIRONMENT, "DBT_TARGET_PATH": str(tmp_path / "target")},
    )
    assert done.returncode == 0, done.stdout
