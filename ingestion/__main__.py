"""The command `python -m ingestion`."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
from datetime import date
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo

from ingestion.errors import LoadError, declarations
from ingestion.terminal import end_if_interrupted, hold_standard_streams, plain, say, show

if __name__ == "__main__":
    # What is imported takes a second.
    end_if_interrupted("interrupted: nothing was loaded")

with declarations():
    import yaml

    from ingestion.tables import TABLES, Table

from ingestion import lateness, quarantine
from ingestion.configuration import kind_of, open_sources
from ingestion.load import LoadedTable, load
from ingestion.reconciliation import told
from ingestion.warehouse import is_interrupt, warehouse_as_it_is

ROOT = Path(__file__).resolve().parent.parent


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        said = plain(f"error: {message} (python -m ingestion --help lists the arguments)")
        self.exit(2, f"{said}\n")


def _date(text: str) -> date:
    try:
        if (day := date.fromisoformat(text)) == date.max:
            raise ValueError("there is no day after it")
        return day
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a date like 2017-06-30, found '{text}'"
        ) from None


def _table(text: str) -> Table:
    """Find the table that a person means; its name alone is enough where one system has it."""
    found = [table for table in TABLES if text in (table.name, f"{table.source}.{table.name}")]
    if not found:
        names = ", ".join(f"{table.source}.{table.name}" for table in TABLES)
        raise argparse.ArgumentTypeError(f"expected one of {names}, found '{text}'")
    if len(found) > 1:
        names = " or ".join(f"{table.source}.{table.name}" for table in found)
        raise argparse.ArgumentTypeError(f"expected {names}, found '{text}', which is either")
    return found[0]


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; exit with code 2 and one line where it is wrong."""
    parser = _Parser(
        prog="python -m ingestion",
        description="Load what is new at the sources into the warehouse, all or nothing.",
    )
    parser.add_argument(
        "--until",
        type=_date,
        metavar="DATE",
        help="load as if this business date were today (sample only)",
    )
    parser.add_argument(
        "--table",
        type=_table,
        action="append",
        metavar="[SOURCE.]NAME",
        help="this table only, with its source where several have one of that name; can be given"
        " several times",
    )
    parser.add_argument(
        "--full-refresh", action="store_true", help="load the tables whole, from nothing"
    )
    parser.add_argument(
        "--reconcile",
        action="store_true",
        help="compare every row with the source's, and load the days whole, too, on which one"
        " differs or is in quarantine",
    )
    looks = parser.add_mutually_exclusive_group()
    looks.add_argument(
        "--quarantine",
        action="store_true",
        help="show the rows that broke a rule and were set aside, and load nothing",
    )
    looks.add_argument(
        "--lateness",
        action="store_true",
        help="show how late rows came in the loads so far, beside the look-backs that are"
        " declared, and load nothing",
    )
    looks.add_argument(
        "--dry-run",
        action="store_true",
        help="show what would be written, deleted and in quarantine, and load nothing",
    )
    return parser.parse_args(arguments)


def business_timezone() -> str:
    """Give the business time zone, which the dbt project defines.

    Raises:
        LoadError: it defines none that there is.
    """
    path = ROOT / "dbt_project.yml"
    try:
        project = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        found = error.strerror
    except UnicodeDecodeError:
        found = "text that is not UTF-8"
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        found = f"{error.problem}{line}"
    except yaml.YAMLError as error:
        found = str(error).splitlines()[0]
    else:
        variables = project.get("vars") if isinstance(project, dict) else None
        timezone = variables.get("business_timezone") if isinstance(variables, dict) else None
        try:
            return ZoneInfo(timezone).key
        except (TypeError, ValueError, OSError, KeyError):
            found = "none" if timezone is None else f"'{timezone}'"
    raise LoadError(
        f"{path}: expected YAML in which vars has a business_timezone like America/New_York, found:"
        f" {found}; correct it"
    )


def warehouse_path() -> Path:
    """Give the warehouse file that the dbt profile names, too.

    Raises:
        LoadError: no file can be there, or it cannot be seen whether one is.
    """
    path = ROOT / os.environ.get("TALLY_WAREHOUSE", "warehouse/tally.duckdb")
    try:
        path.exists()
    except OSError as error:
        raise LoadError(
            f"warehouse {path}: expected a place for a DuckDB file, found: {error.strerror};"
            " correct TALLY_WAREHOUSE"
        ) from None
    return path


def report(loaded: list[LoadedTable], dry_run: bool) -> list[str]:
    """Lay the outcome out as a table, one line a table."""
    written, deleted = ("to write", "to delete") if dry_run else ("written", "deleted")
    lines = [
        f"{'table':<38}{'mode':<9}{'at source':>12}{written:>12}{deleted:>11}{'in warehouse':>14}"
        f"{'quarantine':>12}",
        *(
            f"{item.table.source + '.' + item.table.name:<38}{item.table.mode:<9}"
            f"{item.at_source:>12,}{item.written:>12,}{item.deleted:>11,}{item.in_warehouse:>14,}"
            f"{item.quarantined:>12,}"
            for item in loaded
        ),
        *(
            f"new at the source, not loaded: {item.table.source}.{item.table.name}.{column}"
            " (declare it in ingestion/tables.py, or name it in excluded_columns)"
            for item in loaded
            for column in item.undeclared
        ),
        *(
            f"marked as deleted at the source, not loaded: {item.marked:,} rows of"
            f" {item.table.source}.{item.table.name} ({item.table.deletes})"
            for item in loaded
            if item.marked
        ),
    ]
    if any(item.quarantined for item in loaded):
        lines.append(
            "rows that break a rule: the load would have them in quarantine"
            if dry_run
            else "rows that broke a rule are in quarantine: make quarantine shows them"
        )
    return lines


def _interrupted() -> int:
    say("interrupted: nothing was loaded; load again to go on")
    return 130


def main() -> int:
    """Load, report, and give the exit code.

    0; 1 where nothing was loaded, or where the warehouse still differs from the source, or where
    the report could not be written; 130 where it was interrupted.
    """
    hold_standard_streams()
    arguments = parse_arguments()
    try:
        # A system that nothing is said of is left out, unless one of its tables is asked for.
        tables = [
            table
            for table in TABLES
            if (table in arguments.table if arguments.table else kind_of(table.source))
        ]
        if arguments.quarantine:
            # Of every system, whether it is configured now or not.
            asked_for = tables if arguments.table else TABLES
            with warehouse_as_it_is(warehouse_path()) as connection:
                lines = quarantine.shown(connection, asked_for)
            return 0 if show(*(lines or ["no row is in quarantine"])) else 1
        if arguments.lateness:
            with warehouse_as_it_is(warehouse_path()) as connection:
                lines = lateness.shown(connection, tables)
            return 0 if show(*lines) else 1
        with open_sources(
            {table.source for table in tables}, business_timezone(), arguments.until
        ) as sources:
            loaded = load(
                tables,
                sources,
                warehouse_path(),
                full_refresh=arguments.full_refresh,
                reconcile=arguments.reconcile,
                dry_run=arguments.dry_run,
            )
    except LoadError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return _interrupted()
    except RuntimeError as error:
        if not is_interrupt(error):
            raise
        return _interrupted()
    try:
        return _tell(loaded, arguments.dry_run)
    except KeyboardInterrupt:
        if arguments.dry_run:
            return _interrupted()
        say("interrupted: the load is done; its report is not")
        return 130


def _tell(loaded: list[LoadedTable], dry_run: bool) -> int:
    """Show what a load did; give the exit code."""
    is_shown = show(*report(loaded, dry_run))
    differing = [item for item in loaded if item.differing]
    for item in differing:
        say(f"error: {told(item.table, item.differing)}")
    return 1 if differing or not is_shown else 0


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    code = main()
    # Else Python looks for garbage in all modules before it ends, for a third of a second.
    gc.freeze()
    sys.exit(code)
