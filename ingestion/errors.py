"""What a person is told when a load cannot go on."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from ingestion.terminal import plain, say

DECLARATIONS = "ingestion/tables.py"


class DeclarationError(ValueError):
    """A declaration in ingestion/tables.py could not load what it says; the message is one line."""


class LoadError(Exception):
    """A load was refused or failed; the message is one line that says what to do.

    Nothing of the load is in the warehouse when this is raised.
    """


@contextmanager
def declarations() -> Iterator[None]:
    """Read the declarations in the block; end the command with one line where they are wrong."""
    try:
        yield
    except Exception as error:
        told = str(error)
        if isinstance(error, ModuleNotFoundError):
            told = (
                f"expected the modules that the command needs, found no {error.name}; activate the"
                f" environment (. .venv/bin/activate), or correct the imports of {DECLARATIONS}"
            )
        elif not isinstance(error, DeclarationError):
            places = [(at.filename, at.lineno) for at in traceback.extract_tb(error.__traceback__)]
            if isinstance(error, SyntaxError):
                places.append((error.filename or "", error.lineno))
            lines = [line for file, line in places if file.endswith(DECLARATIONS)]
            if not lines:
                raise
            told = (
                f"{DECLARATIONS}: expected declarations of tables, found in line {lines[0]}:"
                f" {type(error).__name__}: {error}; correct it"
            )
        sys.exit(plain(f"error: {told}"))


def warn(line: str) -> None:
    """Tell a person what a load goes on with, and what would be better."""
    say(f"warning: {line}")


def remedy(reason: str, remedies: Mapping[str, str], otherwise: str) -> str:
    """Say what to do about an error.

    Args:
        reason: What a server, DuckDB or the system says.
        remedies: What it may say, in lower case, to what to do then; the first that fits holds.
        otherwise: What to do where nothing fits.
    """
    said = reason.lower()
    return next((to_do for text, to_do in remedies.items() if text in said), otherwise)
