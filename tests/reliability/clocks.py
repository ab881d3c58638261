"""A clock for the commands of a test, which is wrong and jumps; the machine's is left alone."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest


class Clock:
    """What the processes take for the time that are started with its environment."""

    def __init__(self, folder: Path):
        """Compile it; skip the test where that cannot be.

        Args:
            folder: Where its files go.
        """
        compiler = shutil.which("cc")
        if not compiler or not sys.platform.startswith("linux"):
            pytest.skip("a clock of its own needs Linux and a C compiler, cc")
        library, self._told = folder / "clock.so", folder / "clock"
        source = Path(__file__).with_name("clock.c")
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source)],
            check=True,
            timeout=60,
        )
        self._told.write_bytes(bytes(16))
        self.environment = {"LD_PRELOAD": str(library), "TALLY_TEST_CLOCK": str(self._told)}

    def is_off_by(self, shift: timedelta) -> None:
        """Let it go before the machine's, or after it; at once, also for who runs already."""
        self._tell(shift // timedelta(microseconds=1) * 1000, 0)

    def stands_at(self, moment: datetime) -> None:
        """Let it stand still, for what a second more or less decides."""
        self._tell(0, (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1) * 1000)

    def _tell(self, shift: int, stands_at: int) -> None:
        # In place: who runs has the file mapped.
        with self._told.open("r+b") as file:
            file.write(struct.pack("=qq", shift, stands_at))
