"""The command `python -m publishing`."""

from __future__ import annotations

import signal

if __name__ == "__main__":
    # Ctrl-C waits for the imports, which have no way to be cut short: `main` lets it through.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

import argparse
import json
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import NoReturn, TextIO

import duckdb

from publishing import alerts as alerting
from publishing import formatting
from publishing import trace as tracing
from publishing.database import reason
from publishing.errors import PublishingError, UsageError
from publishing.paths import reports_folder, serving_folder, target_folder, warehouse_path
from publishing.publish import Published, publish
from publishing.verify import verify
from publishing.versions import (
    PUBLISH_FIRST,
    Version,
    current_folder,
    kept_versions,
    published_file,
    roll_back,
    served_version,
    strangers,
)

# `alerts --fail-on` found one; apart from 1, which says that the command could not do its work.
FOUND_ALERTS = 3

# Of a number of versions; Python refuses to read numbers of thousands of them.
MOST_DIGITS = 9


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line."""

    def error(self, message: str) -> NoReturn:
        _complain(f"error: {message} ({self.prog} --help lists the arguments)")
        sys.exit(2)

    def print_help(self, file: object = None) -> None:
        _say(self.format_help().rstrip())


def _number_to_keep(value: str) -> int:
    if not value.isdecimal() or len(value) > MOST_DIGITS or int(value) < 1:
        raise argparse.ArgumentTypeError(
            f"expected a number of versions from 1 on, found '{value[:40]}'"
        )
    return int(value)


def _text(value: str) -> str:
    # What the terminal sent is no text in its encoding: Python keeps the bytes as surrogates.
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise argparse.ArgumentTypeError(f"expected text in UTF-8, found '{value}'")
    return value


def _folder(value: str) -> Path:
    if not value:
        raise argparse.ArgumentTypeError("expected a folder, found ''")
    return Path(value)


def _say(text: str) -> None:
    """Print a text whose data is as `formatting.shown` writes it.

    Raises:
        PublishingError: it cannot be written.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Who read the output has seen enough (`| head`).
        _discard(sys.stdout)
    except OSError as error:
        _discard(sys.stdout)
        raise PublishingError(
            f"standard output: expected it to take what the command says, found: {reason(error)};"
            " what the command does is done"
        ) from error


def _complain(line: str) -> None:
    """Print a line of any text to standard error."""
    try:
        print(formatting.shown(line), file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)


def _discard(stream: TextIO) -> None:
    # Python writes at its end what is left in the buffer, and must not fail again.
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; exit with code 2 and one line where it is wrong."""
    parser = _Parser(
        prog="python -m publishing",
        description="Bring what dbt built to people: whole, audited, and open to anyone's check.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser(
        "publish", help="publish the latest build, if every test and audit passed"
    )
    command.add_argument(
        "--keep",
        type=_number_to_keep,
        default=5,
        metavar="N",
        help="keep the latest N versions (default 5)",
    )
    command.set_defaults(run=_publish)

    command = commands.add_parser("versions", help="list the versions that are kept")
    command.set_defaults(run=_versions)

    command = commands.add_parser("rollback", help="serve a kept version again")
    command.add_argument(
        "version",
        nargs="?",
        type=_text,
        metavar="VERSION",
        help="default: the one before the served one",
    )
    command.set_defaults(run=_rollback)

    command = commands.add_parser(
        "verify", help="check that warehouse and published files are what was tested"
    )
    command.set_defaults(run=_verify)

    command = commands.add_parser("alerts", help="say what needs a decision")
    command.add_argument(
        "--fail-on",
        choices=("critical", "warning"),
        metavar="critical|warning",
        help=f"exit with {FOUND_ALERTS} where there is one of that severity or worse",
    )
    command.set_defaults(run=_alerts)

    command = commands.add_parser("trace", help="explain one number, down to the source rows")
    command.add_argument(
        "--kpi", required=True, type=_text, metavar="KPI", help="such as net_sales"
    )
    command.add_argument(
        "--period",
        required=True,
        type=_text,
        metavar="PERIOD",
        help="a month 2017-06, a day 2017-06-15, or a business week 2017-W23",
    )
    command.add_argument(
        "--slice",
        type=_text,
        metavar="SLICE=VALUE",
        help="such as department=GROCERY (default: all)",
    )
    command.set_defaults(run=_trace)

    command = commands.add_parser("report", help="write the report of what is published")
    command.add_argument(
        "--folder",
        type=_folder,
        default=reports_folder(),
        metavar="FOLDER",
        help="where to (default reports/)",
    )
    command.set_defaults(run=_report)
    return parser.parse_args(arguments)


def _publish(arguments: argparse.Namespace) -> int:
    serving = serving_folder()
    try:
        published = publish(warehouse_path(), serving, target_folder(), arguments.keep)
    except PublishingError as error:
        raise PublishingError(f"nothing was published: {error}") from error
    _say(_outcome(published, serving))
    return 0


def _outcome(published: Published, serving: Path) -> str:
    version = published.version
    if not published.is_new:
        return (
            f"nothing new to publish: dbt's build {version.dbt_invocation_id} is version"
            f" {version.version_id}"
            + (
                ", which is served"
                if published.is_served
                else "; another one is served since a rollback (python -m publishing rollback"
                f" {version.version_id} serves it again)"
            )
        )
    lines = [
        *(f"published {formatting.shown(str(path))}  {mode}" for path, mode in _opened(serving)),
        f"  version        {version.version_id}",
        f"  data through   {version.data_through_date}",
        f"  rows           {version.row_count:,}",
        f"  audits passed  {version.audited_figure_count:,} figures,"
        f" {version.control_total_count:,} control totals",
    ]
    if published.variables:
        variables = json.dumps(published.variables, ensure_ascii=False)
        lines.append(f"  variables      {formatting.shown(variables)} (--vars)")
    if published.removed:
        lines.append(f"  removed        {', '.join(published.removed)}")
    return "\n".join(lines)


def _opened(serving: Path) -> list[tuple[Path, str]]:
    """Give the files that people open, each with who may read it, as `ls -l` shows it."""
    return [
        (published_file(serving, path.stem), stat.filemode(path.stat().st_mode))
        for path in sorted(current_folder(serving).glob("*.duckdb"))
    ]


def _versions(_: argparse.Namespace) -> int:
    serving = serving_folder()
    versions, served = kept_versions(serving), served_version(serving)
    others = strangers(serving, versions)
    if not versions and not others:
        raise PublishingError(
            f"serving folder {serving}: expected published versions, found none; {PUBLISH_FIRST}"
        )

    def cells(version: Version) -> tuple[str, ...]:
        return (
            version.version_id,
            f"{version.published_at:%Y-%m-%d %H:%M:%S}",
            str(version.data_through_date),
            f"{version.row_count:,}",
            "served" if served and served.version_id == version.version_id else "",
        )

    rows = [("version", "published (UTC)", "data through", "rows", ""), *map(cells, versions)]
    lines = [
        *formatting.aligned(rows, right=(3,), indent=0),
        *(
            formatting.shown(
                f"{path.name}  cannot be read, or is not what was published; remove {path}"
            )
            for path in others
        ),
    ]
    _say("\n".join(lines))
    return 0


def _rollback(arguments: argparse.Namespace) -> int:
    serving = serving_folder()
    version, is_changed = roll_back(serving, arguments.version)
    _say(
        formatting.shown(
            f"{serving}: version {version.version_id}"
            f" (data through {version.data_through_date})"
            f" is served {'again' if is_changed else 'already'}"
        )
    )
    return 0


def _verify(_: argparse.Namespace) -> int:
    verified = verify(warehouse_path(), serving_folder(), target_folder())
    for line in verified.agreeing:
        _say(formatting.shown(line))
    for line in verified.faults:
        _complain(f"error: {line}")
    return 1 if verified.faults else 0


def _alerts(arguments: argparse.Namespace) -> int:
    alerts, through = alerting.read_alerts(serving_folder())
    _say(alerting.report(alerts, through, shutil.get_terminal_size().columns))
    if arguments.fail_on and alerting.has_severity(alerts, arguments.fail_on):
        return FOUND_ALERTS
    return 0


def _trace(arguments: argparse.Namespace) -> int:
    traced = tracing.trace(
        warehouse_path(), target_folder(), arguments.kpi, arguments.period, arguments.slice
    )
    _say(tracing.report(traced))
    return 0 if traced.is_confirmed else 1


def _report(arguments: argparse.Namespace) -> int:
    # Its charts take a second to import, which the other commands need not wait for.
    from publishing.report import write

    try:
        paths = write(serving_folder(), arguments.folder)
    except (OSError, duckdb.Error) as error:
        raise PublishingError(
            f"report {arguments.folder}: expected to write it, found: {reason(error)};"
            " mend the cause and write it again"
        ) from error
    for path in paths:
        _say(formatting.shown(f"wrote {path}"))
    return 0


def _interrupted() -> int:
    _complain("interrupted: what was published before is served as it was")
    return 130


def main(arguments: list[str] | None = None) -> int:
    """Run a command and give its exit code."""
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        chosen = parse_arguments(arguments)
        return chosen.run(chosen)
    except UsageError as error:
        _complain(f"error: {error}")
        return 2
    except PublishingError as error:
        _complain(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return _interrupted()
    except RuntimeError as error:
        # What DuckDB makes of an interrupt in the middle of a statement.
        if str(error) != "Query interrupted":
            raise
        return _interrupted()


def _open_what_is_closed() -> None:
    """Let a stream that was closed (`>&-`) lead nowhere, and no file be opened in its place."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115


if __name__ == "__main__":
    _open_what_is_closed()
    # A character that the terminal's encoding lacks, such as the minus sign, is written as its code
    # there, as in the errors.
    sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main())
