"""What a person is told when a load cannot go on."""

from __future__ import annotations

import sys
from collections.abc import Mapping


class DeclarationError(ValueError):
    """A declaration in ingestion/tables.py could not load what it says; the message is one line."""


class LoadError(Exception):
    """A load was refused or failed; the message is one line that says what to do.

    Nothing of the load is in the warehouse when this is raised.
    """


def warn(line: str) -> None:
    """Tell a person what a load goes on with, and what would be better."""
    print(f"warning: {line}", file=sys.stderr, flush=True)


def remedy(reason: str, remedies: Mapping[str, str], otherwise: str) -> str:
    """Say what to do about an error.

    Args:
        reason: What a server, DuckDB or the system says.
        remedies: What it may say, in lower case, to what to do then; the first that fits holds.
        otherwise: What to do where nothing fits.
    """
    said = reason.lower()
    return next((to_do for text, to_do in remedies.items() if text in said), otherwise)
