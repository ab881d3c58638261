"""Puts the reader's credentials where dlt finds them."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

from shop.errors import ShopError
from shop.server import write_private
from shop.tables import DATABASE

SECTION = ("sources", DATABASE, "credentials")

# What tells whose credentials they are; beside the port, which can differ between two starts.
PLACE = ("host", "database", "username")


def offer(path: Path, credentials: Mapping[str, str | int], ports: Collection[int]) -> str | None:
    """Write the credentials to dlt's file of secrets, unless it has those of something else.

    All else in the file stays as it is.

    Args:
        path: The file `secrets.toml`; it need not be there.
        credentials: What the section shall have.
        ports: Where the servers of this command listened before: a section with one of them is
            of this command.

    Returns:
        None where the file has the credentials; else whose it has instead, without passwords.

    Raises:
        ShopError: the file cannot be read or written; it is as it was.
    """
    try:
        document = tomlkit.parse(path.read_text()) if path.exists() else tomlkit.document()
        before = document.unwrap()
        parent: Any = document
        for key in SECTION[:-1]:
            if key not in parent:
                parent[key] = _new_table(parent, is_super_table=True)
            parent = parent[key]
        found = parent.get(SECTION[-1])
        if found is not None and not _is_ours(found, credentials, ports):
            return _place(found)
        if found is None:
            parent[SECTION[-1]] = _new_table(parent)
        for name, value in credentials.items():
            parent[SECTION[-1]][name] = value
        text = tomlkit.dumps(document)
        _verify(text, before, credentials)
        path.parent.mkdir(exist_ok=True)
        # What a link stands for is written, and the link stays.
        write_private(path.resolve(), text)
    except (
        OSError,
        UnicodeDecodeError,
        TOMLKitError,
        ValueError,
        AttributeError,
        TypeError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ShopError(
            f"{path}: expected TOML with tables, to add [{'.'.join(SECTION)}] to, found: {reason};"
            " mend the file and start again (the server runs)"
        ) from error
    return None


def _new_table(parent: Any, is_super_table: bool = False) -> Any:
    if isinstance(parent, InlineTable):
        return tomlkit.inline_table()
    return tomlkit.table(is_super_table=is_super_table)


def _is_ours(found: Any, credentials: Mapping[str, str | int], ports: Collection[int]) -> bool:
    return (
        isinstance(found, Mapping)
        and all(found.get(name) == credentials[name] for name in PLACE)
        and found.get("port") in {*ports, credentials["port"]}
    )


def _place(found: Any) -> str:
    if not isinstance(found, Mapping):
        return "a URL"
    host, database, username = (found.get(name) for name in PLACE)
    return f"{username}@{host}:{found.get('port')}/{database}"


def _verify(text: str, before: dict[str, Any], credentials: Mapping[str, str | int]) -> None:
    """See that the new text says what the old one said, and the credentials."""
    expected = before
    for key in SECTION[:-1]:
        expected = expected.setdefault(key, {})
    expected[SECTION[-1]] = {**expected.get(SECTION[-1], {}), **credentials}
    if tomllib.loads(text) != before:
        raise ValueError("a form in which the section cannot be added")
