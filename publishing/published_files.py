"""Which files are published, who may read each, and what each must not show."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from publishing.errors import PublishingError
from publishing.paths import project_variables
from publishing.versions import KPIS

SETTING = "dbt_project.yml: vars: published_files"
READ_ONLY = re.compile(r"0?4[04][04]")


@dataclass(frozen=True)
class PublishedFile:
    """A file that is published, `<name>.duckdb`.

    Attributes:
        name: As the tables that are in it name it (`meta: published_in`).
        mode: Who may read it: permission bits, those of reading alone.
        without_columns: Names of columns, such as a person's id, that no table in it may have.
    """

    name: str
    mode: int
    without_columns: frozenset[str]


def published_files() -> dict[str, PublishedFile]:
    """Give the published files of the project by name.

    Raises:
        PublishingError: the setting is not of its form.
    """
    setting = project_variables().get("published_files")
    if not isinstance(setting, dict) or KPIS not in setting:
        raise PublishingError(
            f"{SETTING}: expected files by name, one of them {KPIS}, found: {setting}"
        )
    return {name: _file(name, value) for name, value in setting.items()}


def _file(name: Any, value: Any) -> PublishedFile:
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise PublishingError(
            f"{SETTING}: expected a name of lower-case letters, digits and _, found: {name}"
        )
    expected = {"mode", "without_columns"}
    if not isinstance(value, dict) or set(value) - expected or "mode" not in value:
        raise PublishingError(
            f"{SETTING}: {name}: expected `mode` and perhaps `without_columns`, found: {value}"
        )
    mode = value["mode"]
    if not isinstance(mode, str) or not READ_ONLY.fullmatch(mode):
        raise PublishingError(
            f"{SETTING}: {name}: mode: expected permissions to read and no others, quoted, such as"
            f' "0444" or "0440", found: {mode}'
        )
    columns = value.get("without_columns", [])
    if not isinstance(columns, list) or not all(isinstance(column, str) for column in columns):
        raise PublishingError(
            f"{SETTING}: {name}: without_columns: expected names of columns, found: {columns}"
        )
    return PublishedFile(name, int(mode, 8), frozenset(column.lower() for column in columns))
