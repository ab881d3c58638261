"""Which faults are tried, how often, and for how long: the short form, or the full one."""

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

# Kills of a command in one round. A killed build costs another one, a killed publish a second.
KILLS = {"ingestion": 10, "dbt build": 4, "publish": 14} if FULL else {}
LEAST_KILLS = 50

# After so many seconds the full form begins no further kill, or no fault of another kind: all of it
# ends within 15 minutes.
LAST_KILL_SECONDS = 660
LAST_FAULT_SECONDS = 840


def chance(name: str) -> random.Random:
    """Give the source of randomness of one test, the same for the same seed."""
    return random.Random(f"{SEED} {name}")
