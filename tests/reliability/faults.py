"""Which faults are tried, and how often: the short form, or the full one."""

from __future__ import annotations

import os
import random
import secrets

# `make reliability` sets it; plain `pytest` tries each fault once or twice.
FULL = os.environ.get("TALLY_RELIABILITY") == "full"

# Another one each time, so that other moments are tried; the summary says which. Where several
# processes test, they have one.
SEED = (
    os.environ.get("TALLY_SEED")
    or os.environ.get("PYTEST_XDIST_TESTRUNUID", "")[:8]
    or secrets.token_hex(4)
)

# Kills of a command in a round at random moments. Others are at every stage of a build and at every
# step of a publish and a rollback; a build with news is among those, in the short form.
KILLS = {
    ("ingestion", 1): 24 if FULL else 1,
    ("dbt build", 1): 12 if FULL else 1,
    ("publish", 1): 24 if FULL else 1,
    ("ingestion", 2): 24 if FULL else 1,
    ("dbt build", 2): 12 if FULL else 0,
    ("publish", 2): 24 if FULL else 1,
}


def chance(name: str) -> random.Random:
    """Give the source of randomness of one test, the same for the same seed."""
    return random.Random(f"{SEED} {name}")
