"""Disks of a test's own: one that gets full, and one that cannot be written."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Disk:
    """A small disk."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._others = folder / "other_files"

    def fill(self, leave: int) -> None:
        """Let others take all but some bytes."""
        room = os.statvfs(self._folder)
        with self._others.open("wb") as file:
            file.write(bytes(room.f_bavail * room.f_frsize - leave))

    def make_room(self) -> None:
        """Remove what others took."""
        self._others.unlink()


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """Let a folder, which is empty, be a disk of 200 MB."""
    _mount("-t", "tmpfs", "-o", "size=200m", "tmpfs", str(folder))
    try:
        yield Disk(folder)
    finally:
        _unmount(folder)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nobody write to a folder and its files; not even root, whom permissions do not stop."""
    if os.geteuid() != 0:
        folder.chmod(0o555)
        files = [path for path in folder.iterdir() if path.is_file()]
        modes = [path.stat().st_mode for path in files]
        for path in files:
            path.chmod(0o444)
        try:
            yield
        finally:
            folder.chmod(0o755)
            for path, mode in zip(files, modes, strict=True):
                path.chmod(mode)
        return
    _mount("--bind", str(folder), str(folder))
    try:
        _mount("-o", "remount,bind,ro", str(folder))
        yield
    finally:
        _unmount(folder)


def _mount(*arguments: str) -> None:
    try:
        done = subprocess.run(
            ["mount", *arguments], capture_output=True, text=True, timeout=30, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no command 'mount' here")
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.strip() or done.returncode}")


def _unmount(folder: Path) -> None:
    for arguments in ([], ["--lazy"]):
        done = subprocess.run(
            ["umount", *arguments, str(folder)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if done.returncode == 0:
            return
    raise AssertionError(done.stderr)
