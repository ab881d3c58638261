"""Builds a broken copy of the dbt project and says which test noticed.

Every mutant is built in a copy of one warehouse that the project as it is has built. dbt has parsed
that project. A break of SQL is put into what was parsed; where no test notices it there, or dbt
cannot go on from that, dbt parses what the break touches.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import duckdb
import forked
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.artifacts.schemas.run import RunResult
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from environment import ROOT
from mutation.mutants import Mutant

DBT_FILES = (
    "dbt_project.yml",
    "profiles.yml",
    "models",
    "macros",
    "seeds",
    "snapshots",
    "tests/dbt",
)
WAREHOUSE = Path("warehouse/tally.duckdb")
# What dbt reads as it parses: where a break has it, dbt parses.
IN_PARSING = re.compile(r"\b(ref|source|config)\(|{% (macro|test|snapshot)\b")
CONFIG = re.compile(r"{{\s*config\(.*?\)\s*}}", re.DOTALL)
# What DuckDB says of a query that ran beside the test that failed, when dbt fails fast.
CANCELLED = "INTERRUPT Error"
# What dbt says of a model that its contract, a constraint of its table or the contract of staging
# refuses.
REFUSALS = (
    "This model has an enforced contract that failed",
    "Constraint Error",
    "staging model stg_",
)
# Both systems are built, so that what is about one of them and about several is put to the proof.
SYSTEMS = ("--vars", "{source_systems: [retail_db, online_shop]}")
# A load that brings the lines of every other business date, and the promotions of every other
# week, again, and an order of the online shop that was refunded. Of two orders amounts are others,
# as they are where a row of several was deleted: nothing else says so. All three are of dates in
# between.
LOADED_AGAIN = """
    update raw_retail_db.transactions
    set _dlt_load_id = '9999999999.9'
    where day(timezone('America/New_York', timezone('UTC', transaction_timestamp))) % 2 = 0;
    update raw_promotion_feed.promotions
    set _dlt_load_id = '9999999999.9'
    where week % 2 = 0;
    update raw_online_shop.orders
    set status = 'refunded', _dlt_load_id = '9999999999.9'
    where id = 1005;
    update raw_online_shop.order_items
    set list_price_cents = list_price_cents + case when order_id = 1003 then 100 else -100 end
    where order_id in (1003, 1006);
"""
# The snapshots before the company changed, kept aside and put back.
KEEP_SNAPSHOTS = """
    create schema kept;
    create table kept.snap_products as from snapshots.snap_products;
    create table kept.snap_households as from snapshots.snap_households;
"""
TAKE_SNAPSHOTS_BACK = """
    create or replace table snapshots.snap_products as from kept.snap_products;
    create or replace table snapshots.snap_households as from kept.snap_households;
"""


@dataclass(frozen=True)
class Outcome:
    """What came of a build: `told_by` names the test, model or error that stopped it."""

    verdict: Literal["caught", "missed", "invalid"]
    told_by: str = ""


def copy_project(folder: Path) -> None:
    """Copy the project's dbt files to a folder."""
    for name in DBT_FILES:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def build(
    folder: Path, *arguments: str, seeds_changed: bool = False, parsed: Manifest | None = None
) -> Outcome:
    """Run `dbt build` in a folder with the project's files and a warehouse.

    It changes the process's working directory, so call it in one that is forked for it.

    Args:
        folder: Where.
        arguments: dbt's.
        seeds_changed: Whether unit tests, which hold what a seed says, are parsed again.
        parsed: What dbt is to take the project for, as it is in memory; it parses nothing.
    """
    os.chdir(folder)
    if seeds_changed:
        forked.parse_unit_tests_again()
    silent = ("--quiet", "--log-level", "none", "--log-level-file", "none", "--no-write-json")
    try:
        # What is there already is looked up for what is built, not for everything.
        run = dbtRunner(parsed).invoke(
            [*silent, "--no-populate-cache", "build", "--threads", "1", *SYSTEMS, *arguments]
        )
    finally:
        # What the end of a forked process does not do.
        DuckDBConnectionManager.close_all_connections()
    if run.result is None:
        return Outcome("invalid", f"dbt built nothing: {run.exception}")
    if not run.result.results:
        return Outcome("invalid", "dbt selected nothing")
    return judge(run.result.results)


def build_unparsed(folder: Path, mutant: Mutant, *arguments: str) -> Outcome | None:
    """Run `dbt build` of the project as it was parsed, with the break in its SQL.

    None where the break is of what dbt reads as it parses: configuration, what else is read, or
    anything that is no SQL.
    """
    parsed = forked.parsed_project()
    if IN_PARSING.search(mutant.original) or IN_PARSING.search(mutant.broken):
        return None
    texts = [
        (node, name)
        for node, name in [
            *((node, "raw_code") for node in parsed.nodes.values()),
            *((macro, "macro_sql") for macro in parsed.macros.values()),
        ]
        if node.package_name == "tally"
        and node.original_file_path == mutant.file
        and CONFIG.sub("", getattr(node, name)).count(mutant.original) == 1
    ]
    if not mutant.file.endswith(".sql") or len(texts) != 1:
        return None
    ((node, name),) = texts
    setattr(node, name, getattr(node, name).replace(mutant.original, mutant.broken))
    return build(folder, *arguments, parsed=parsed)


def judge(results: Iterable[RunResult]) -> Outcome:
    """Tell from dbt's run results whether a test noticed, or something else went wrong."""
    told_by = None
    for result in results:
        message = result.message or ""
        if result.status == "error" and CANCELLED not in message:
            if not any(refusal in message for refusal in REFUSALS):
                return Outcome("invalid", f"{result.node.unique_id}: {message}")
            told_by = told_by or f"contract of {result.node.name}"
        elif result.status == "fail":
            told_by = told_by or result.node.name
    return Outcome("caught", told_by) if told_by else Outcome("missed")


@contextmanager
def broken(folder: Path, mutant: Mutant) -> Iterator[None]:
    """Have a mutant's break in a copy of the project."""
    file = folder / mutant.file
    whole = file.read_text()
    file.write_text(mutant.apply(whole))
    try:
        yield
    finally:
        file.write_text(whole)


def build_mutant(base: Path, folder: Path, mutant: Mutant) -> Outcome:
    """Break a copy of the project, and build what the break concerns.

    Args:
        base: Folder of the project as it is and its warehouse.
        folder: A copy of the project, of the process that tests alone. It is left as it was.
        mutant: The break.
    """

    def start_again() -> None:
        shutil.rmtree(folder / WAREHOUSE.parent, ignore_errors=True)
        (folder / WAREHOUSE.parent).mkdir()
        shutil.copy(base / WAREHOUSE, folder / WAREHOUSE)
        with duckdb.connect(folder / WAREHOUSE) as connection:
            if mutant.incremental:
                connection.execute(LOADED_AGAIN)
            if mutant.snapshots_behind:
                connection.execute(TAKE_SNAPSHOTS_BACK)

    start_again()
    arguments = ["--fail-fast", "--select", *mutant.selection.split()]
    if not mutant.incremental:
        arguments.append("--full-refresh")
    outcome = forked.call(build_unparsed, folder, mutant, *arguments, options=SYSTEMS)
    if outcome:
        if outcome.verdict == "caught":
            return outcome
        start_again()
    build_it = partial(build, seeds_changed=mutant.file.endswith(".csv"))
    with broken(folder, mutant):
        return forked.call(build_it, folder, *arguments, options=SYSTEMS)
