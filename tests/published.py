"""Published files that are other ones than what was published, and as if they had been."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb

from publishing.versions import KPIS, SEAL, current_folder, published_file, seal


def change_published(serving: Path, *statements: str, name: str = KPIS) -> None:
    """Have something else served: a file of the version, and its seal."""
    folder = current_folder(serving)
    path = published_file(folder, name)
    changed = folder / "changed"
    shutil.copyfile(path, changed)
    with duckdb.connect(changed) as connection:
        for statement in statements:
            connection.execute(statement)
    changed.chmod(path.stat().st_mode)
    changed.replace(path)
    (folder / SEAL).unlink()
    seal(folder)
