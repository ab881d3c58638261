"""Runs the project's commands in processes that have imported what they need: tests wait for work.

A process that the first test starts imports what a command imports, and forks for each one. It
parses the dbt project, too, and dbt goes on from there as partial parsing does: what has changed
since, in a copy of the project, is parsed. Where the start is what a test is about (a time zone, a
locale, a signal), it starts the command itself.
"""

from __future__ import annotations

import atexit
import functools
import gc
import hashlib
import importlib
import marshal
import os
import pickle
import runpy
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any

from environment import ENVIRONMENT, HOME, ROOT

# What is imported before the first command of a kind is run.
IMPORTS = {
    "dbt": ("dbt.cli.main", "dbt.adapters.duckdb", "dbt.task.build"),
    "ingestion": ("ingestion.__main__", "ingestion.database"),
    "publishing": ("publishing.__main__", "publishing.report"),
    "shop": ("shop.__main__",),
    "scripts/compare_metrics.py": (
        "dbt.adapters.duckdb",
        "dbt_metricflow.cli.dbt_connectors.adapter_backed_client",
        "dbt_metricflow.cli.dbt_connectors.dbt_config_accessor",
        "metricflow.engine.metricflow_engine",
    ),
    "scripts/summarize_run.py": ("duckdb",),
}
LENGTH = struct.Struct("!Q")
# A variable that says where a forked dbt writes what is parsed, for dbt as it starts by itself.
KEEP_PARSED = "TALLY_TEST_KEEP_PARSED"
# What the processes of a run compile once for all of them.
TEMPLATES = Path(os.environ[HOME]) / "templates"


def can_run(command: Sequence[str], cwd: Path) -> bool:
    """Whether a command can be forked: dbt's, or one of the project's own in the project."""
    kind, _ = _split(command)
    return kind == "dbt" or (kind in IMPORTS and cwd == ROOT)


def _split(command: Sequence[str]) -> tuple[str | None, list[str]]:
    """Give what a command runs (dbt, a module or a script) and its arguments."""
    match list(command):
        case ["dbt", *arguments]:
            return "dbt", arguments
        case ["python", "-m", kind, *arguments] | ["python", kind, *arguments]:
            return kind, arguments
    return None, []


def run(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run `dbt ...` or `python -m ...` as a shell does; what it printed and its exit code.

    Raises:
        subprocess.TimeoutExpired: it took longer.
    """
    kind, arguments = _split(command)
    with TemporaryFile("w+") as stdout, TemporaryFile("w+") as stderr:
        code = _ask(
            kind,
            arguments,
            (_run_command, (kind, arguments, str(cwd), dict(environment))),
            stdout,
            stderr,
            timeout,
        )
        texts = []
        for file in (stdout, stderr):
            file.seek(0)
            texts.append(file.read())
        return subprocess.CompletedProcess([*command], code, *texts)


def call(
    function: Callable[..., Any],
    *arguments: object,
    options: Sequence[str] = (),
    timeout: float = 600,
) -> Any:
    """Call a function in a process that has imported dbt and parsed the project.

    Args:
        function: What is called; it and what it gives can be pickled.
        arguments: Its arguments.
        options: dbt's, with which it was parsed.
        timeout: Seconds that it may take.

    Raises:
        subprocess.TimeoutExpired: it took longer.
        RuntimeError: it raised; the traceback is in the message.
    """
    with TemporaryFile("w+") as printed:
        try:
            return _ask("dbt", list(options), (function, arguments), printed, printed, timeout)
        except RuntimeError as error:
            printed.seek(0)
            raise RuntimeError(f"{error}\n{printed.read()}") from None


# The side of the tests

_server: tuple[subprocess.Popen[bytes], socket.socket] | None = None
_lock = threading.Lock()


def _ask(
    kind: str, words: list[str], what: tuple, stdout: IO[str], stderr: IO[str], timeout: float
) -> Any:
    answers, its_end = socket.socketpair()
    with answers, its_end:
        payload = pickle.dumps((kind, words, pickle.dumps(what)))
        with _lock:
            server = _started()
            socket.send_fds(
                server,
                [LENGTH.pack(len(payload))],
                [its_end.fileno(), stdout.fileno(), stderr.fileno()],
            )
            server.sendall(payload)
        its_end.close()
        with answers.makefile("rb") as answer:
            pid = pickle.load(answer)
            answers.settimeout(timeout)
            try:
                succeeded, result = pickle.load(answer)
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired([kind, *words], timeout) from None
            except EOFError:
                raise RuntimeError("it ended without an answer") from None
            finally:
                _wait_for_its_end(pid)
    if not succeeded:
        raise RuntimeError(result)
    return result


def _wait_for_its_end(pid: int) -> None:
    """Wait until a process is gone, and with it its lock on a warehouse."""
    with suppress(ProcessLookupError):
        while True:
            os.kill(pid, 0)
            time.sleep(0.001)


def _started() -> socket.socket:
    global _server
    if _server is None:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-c", f"import forked; forked.serve({theirs.fileno()})"],
                cwd=ROOT,
                env={
                    **ENVIRONMENT,
                    "PYTHONPATH": os.pathsep.join((str(ROOT), *_folders())),
                    # A process that is killed leaves semaphores; nothing else is of interest there.
                    "PYTHONWARNINGS": "ignore:resource_tracker:UserWarning",
                    # macOS ends a forked process that its libraries do not expect.
                    "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",
                },
                pass_fds=[theirs.fileno()],
            )
        _server = process, ours
        atexit.register(_end)
    return _server[1]


def _folders() -> list[str]:
    """Give the folders of tests that modules are imported from by their names alone."""
    return [folder for folder in sys.path if Path(folder).is_relative_to(ROOT / "tests")]


def _end() -> None:
    process, server = _server
    # It ends when nobody asks any more.
    server.close()
    process.wait(30)


# The side of the process that forks


def serve(descriptor: int) -> None:
    """Fork for each request that comes over a socket, until it is closed.

    Args:
        descriptor: File descriptor of the socket.
    """
    server = socket.socket(fileno=descriptor)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    parsed = _Parsed()
    while True:
        header, descriptors, _, _ = socket.recv_fds(server, LENGTH.size, 3)
        if not header:
            return
        (length,) = LENGTH.unpack(header)
        payload = b""
        while len(payload) < length:
            payload += server.recv(length - len(payload))
        kind, words, what = pickle.loads(payload)
        for name in IMPORTS[kind]:
            importlib.import_module(name)
            if name.endswith(".__main__"):
                # It is run anew each time.
                del sys.modules[name]
        if kind == "dbt":
            _compile_templates_once()
            _read_words_for_times_once()
            _tell_what_is_heard()
            parsed.parse(words)
        gc.collect()
        gc.freeze()
        if os.fork() == 0:
            server.close()
            _answer(what, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _answer(what: bytes, answers: int, stdout: int, stderr: int) -> None:
    """Do what was asked for, answer and end: in the forked process."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # What was imported stays: it is not looked through for garbage again and again.
        gc.set_threshold(50_000)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, descriptor in enumerate((nothing, stdout, stderr)):
            os.dup2(descriptor, number)
        with os.fdopen(answers, "wb") as answer:
            answer.write(pickle.dumps(os.getpid()))
            answer.flush()
            try:
                function, arguments = pickle.loads(what)
                outcome = (True, function(*arguments))
            except BaseException:
                outcome = (False, traceback.format_exc())
            # A forked process ends without what Python does at the end.
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
            answer.write(pickle.dumps(outcome))
        code = 0
    finally:
        os._exit(code)


def _run_command(kind: str, arguments: list[str], cwd: str, environment: dict[str, str]) -> int:
    """Run a command to its end, as Python does; its exit code."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    tempfile.tempdir = None
    code: object = 0
    try:
        if kind == "dbt":
            _dbt(arguments)
        else:
            sys.argv = [kind, *arguments]
            if kind.endswith(".py"):
                sys.path[0] = str(Path(cwd, kind).parent)
                runpy.run_path(kind, run_name="__main__")
            else:
                sys.path[0] = cwd
                runpy.run_module(kind, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    return code or 0


def _dbt(arguments: list[str]) -> None:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import cli

    sys.argv = ["dbt", *arguments]
    try:
        cli()
    finally:
        # Python's own end would close the warehouse; that of a forked process does not.
        DuckDBConnectionManager.close_all_connections()


class _Parsed:
    """The project as it is, parsed once for each set of variables and target."""

    def __init__(self) -> None:
        self._manifests: dict[tuple[str, ...], Any] = {}

    def parse(self, words: Sequence[str]) -> None:
        """Parse as a command's words say, unless that was done; dbt starts from there."""
        options = tuple(
            word
            for option in ("--vars", "--target")
            if option in words
            for word in (option, words[words.index(option) + 1])
        )
        if options not in self._manifests:
            self._manifests[options] = _parse(options)
        _start_from(self._manifests[options])


def _compile_templates_once() -> None:
    """Let Jinja compile a text once for all processes of the run: a fifth of what dbt does is that.

    Jinja's own caches of code are for templates that a loader finds by a name; dbt's have none.
    """
    from jinja2 import Environment

    compiled = Environment.compile
    if hasattr(compiled, "__wrapped__"):
        return
    TEMPLATES.mkdir(exist_ok=True)

    @functools.wraps(compiled)
    def compile_once(
        environment: Any,
        source: Any,
        name: Any = None,
        filename: Any = None,
        *more: Any,
        **by_name: Any,
    ) -> Any:
        if not isinstance(source, str) or name or filename or more or by_name:
            return compiled(environment, source, name, filename, *more, **by_name)
        # How a text is read is its environment's class to say.
        text = f"{type(environment).__qualname__} {source}"
        file = TEMPLATES / hashlib.sha256(text.encode()).hexdigest()
        try:
            return marshal.loads(file.read_bytes())
        except FileNotFoundError:
            code = compiled(environment, source)
            # Others, dbt's threads among them, find it whole or not at all.
            new = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}")
            new.write_bytes(marshal.dumps(code))
            new.replace(file)
            return code

    Environment.compile = compile_once


def _read_words_for_times_once() -> None:
    """Let agate, which dbt reads rows with, make its words for times once, not once a query."""
    import parsedatetime

    if not hasattr(parsedatetime.Constants, "cache_info"):
        parsedatetime.Constants = functools.cache(parsedatetime.Constants)


def _tell_what_is_heard() -> None:
    """Let dbt write no messages that are for finding its faults, where nobody is told them."""
    from dbt_common.events.base_types import EventLevel
    from dbt_common.events.event_manager import EventManager

    fire = EventManager.fire_event
    if hasattr(fire, "__wrapped__"):
        return
    of_dbt = {EventLevel.DEBUG, EventLevel.TEST}

    @functools.wraps(fire)
    def fire_if_heard(
        manager: Any, event: Any, level: Any = None, *more: Any, **by_name: Any
    ) -> None:
        heard = manager.callbacks or any(logger.level in of_dbt for logger in manager.loggers)
        if heard or (level or event.level_tag()) not in of_dbt:
            fire(manager, event, level, *more, **by_name)

    EventManager.fire_event = fire_if_heard


def _parse(options: tuple[str, ...]) -> Any:
    """Parse, which fills caches of dbt's, too; None where it fails: the command says so itself."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.adapters.factory import reset_adapters
    from dbt.cli.main import dbtRunner

    silent = ("--quiet", "--log-level", "none", "--log-level-file", "none", "--no-write-json")
    _start_from(None)
    with TemporaryDirectory() as folder, _threads_elsewhere():
        # Of no project: what is parsed is the project's, whose warehouse is left alone.
        os.environ["TALLY_WAREHOUSE"] = str(Path(folder) / "tally.duckdb")
        places = ("--target-path", folder, "--log-path", folder, "--project-dir", str(ROOT))
        try:
            return dbtRunner().invoke([*silent, "parse", *places, *options]).result
        finally:
            del os.environ["TALLY_WAREHOUSE"]
            reset_adapters()
            DuckDBConnectionManager.close_all_connections()


@contextmanager
def _threads_elsewhere() -> Iterator[None]:
    """Let another process do what dbt starts threads for: a fork of them would wait for ever."""
    import dbt_extractor
    from dbt.clients import jinja_static
    from dbt.parser import models, unit_tests

    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        with theirs.makefile("rwb") as asked, suppress(EOFError):
            while True:
                text = pickle.load(asked)
                try:
                    outcome = (True, dbt_extractor.py_extract_from_source(text))
                except dbt_extractor.ExtractionError as error:
                    outcome = (False, str(error))
                asked.write(pickle.dumps(outcome))
                asked.flush()
        os._exit(0)
    theirs.close()
    with ours, ours.makefile("rwb") as extractor:

        def extract(text: str) -> Any:
            extractor.write(pickle.dumps(text))
            extractor.flush()
            succeeded, result = pickle.load(extractor)
            if not succeeded:
                raise dbt_extractor.ExtractionError(result)
            return result

        modules = (jinja_static, models, unit_tests)
        for module in modules:
            module.py_extract_from_source = extract
        try:
            yield
        finally:
            for module in modules:
                module.py_extract_from_source = dbt_extractor.py_extract_from_source


def parsed_project() -> Any:
    """Give what was parsed, in a process that is forked for a command, to be changed there."""
    return _start


def parse_unit_tests_again() -> None:
    """Let dbt parse unit tests as if they had changed, in a process that is forked for a command.

    They hold what a seed's file said when they were parsed, and partial parsing does not see that
    it says something else.
    """
    from dbt.contracts.files import FileHash, SchemaSourceFile

    for file in _start.files.values():
        if isinstance(file, SchemaSourceFile) and "unit_tests" in file.dict_from_yaml:
            file.path.modification_time = 0
            file.checksum = FileHash.empty()
            for test in file.dict_from_yaml["unit_tests"]:
                test["description"] = "another"


# What partial parsing starts from.
_start: Any = None


def _start_from(parsed: Any) -> None:
    """Let dbt's partial parsing start from a manifest in memory, not from one in a file."""
    global _start
    _start = parsed
    from dbt.flags import get_flags
    from dbt.parser.manifest import ManifestLoader, extended_mashumaro_encoder

    def read(loader: ManifestLoader) -> Any:
        if parsed is None or not get_flags().PARTIAL_PARSE:
            return None
        # The warehouse's path is part of it; no node has it.
        parsed.state_check.profile_hash = loader.manifest.state_check.profile_hash
        if not loader.is_partial_parsable(parsed)[0]:
            return None
        if path := os.environ.get(KEEP_PARSED):
            Path(path).write_bytes(parsed.to_msgpack(extended_mashumaro_encoder))
        return parsed

    ManifestLoader.read_manifest_for_partial_parse = read
    # Nobody would read the file, but who asks for it.
    ManifestLoader.write_manifest_for_partial_parse = lambda loader: None
