"""What another account can reach: root's servers run as one, whose rights are everyone's."""

from __future__ import annotations

import hashlib
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

# Root alone makes something here, so that nobody else can have put a link in the way; of a folder
# for temporary files that is not so.
OUTSIDE = Path("/var/lib")

ENTER, READ = stat.S_IXOTH, stat.S_IROTH


def outside(folder: Path) -> Path:
    """Give the folder that stands for one that is closed to others: the same at every start."""
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
    return OUTSIDE / f"tally-shop-{name}"


def closed_folder(path: Path) -> Path | None:
    """Give a folder on the way to a path that others may not enter; None where there is none."""
    return next((parent for parent in path.parents if not parent.stat().st_mode & ENTER), None)


def is_open(parts: Iterable[Path]) -> bool:
    """Whether others can reach files and folders, and read and run all that is in them."""
    return all(
        not closed_folder(part)
        # Where a link leads, there can be another folder that is closed.
        and all(not stat.S_ISLNK(mode) and _is_open(mode) for mode in _modes(part))
        for part in parts
    )


def copy_open(parts: Iterable[Path], base: Path, target: Path) -> None:
    """Copy files and folders, whole or not at all, so that others can read and run them.

    Args:
        parts: What is copied.
        base: The folder that all are below; they lie below the copy as they do there.
        target: The copy. One that is there is whole and stays.
    """
    if target.exists():
        return
    new = target.with_name(f"{target.name}.new")
    if new.exists():
        # What was interrupted.
        shutil.rmtree(new)
    for part in parts:
        copy = new / part.relative_to(base)
        copy.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if part.is_dir() else shutil.copy2)(part, copy)
    for path in (new, *new.rglob("*")):
        # Whatever the umask is now and was when they were installed.
        path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
    new.rename(target)


def _modes(part: Path) -> Iterator[int]:
    return (path.lstat().st_mode for path in (part, *part.rglob("*")))


def _is_open(mode: int) -> bool:
    return bool(mode & READ and (mode & ENTER or not mode & stat.S_IXUSR))
