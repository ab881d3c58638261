"""What a person sees of a command, on whatever the terminal is."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress


def plain(text: str) -> str:
    """Write as its code what would steer a terminal, turn its text round or begin a line."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def end_if_interrupted(line: str) -> None:
    """Let Ctrl-C end the process with a line, where Python would tell what it was at.

    It holds until another handler is set, such as `signal.default_int_handler`.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Not an exception: libraries that are being imported take it for one of theirs.
        signal.signal(signal.SIGINT, lambda *_: (os.write(2, f"{line}\n".encode()), os._exit(130)))


def hold_standard_streams() -> None:
    """Let nothing that is opened later, such as the warehouse, be what a closed stream was."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115
    # A terminal of few signs gets the codes of the others.
    with suppress(AttributeError):
        sys.stdout.reconfigure(errors="backslashreplace")


def say(line: str) -> None:
    """Tell a person what is going on, or wrong; that nobody listens any more changes nothing."""
    with suppress(OSError):
        print(plain(line), file=sys.stderr, flush=True)


def show(*lines: str) -> bool:
    """Print what was asked for; whoever closes the pipe has seen enough.

    Returns:
        Whether it could be written: not where a disk is full.
    """
    try:
        print("\n".join(map(plain, lines)), flush=True)
    except OSError as error:
        # Else Python would try again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            say(
                f"error: standard output: expected to write to it, found: {error.strerror};"
                " make room, or write elsewhere"
            )
            return False
    return True
