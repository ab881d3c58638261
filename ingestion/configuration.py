"""Where the source systems are, as dlt's configuration says it.

`.dlt/config.toml`, `.dlt/secrets.toml` or environment variables: for the source `retail_db`,
`[sources.retail_db] type` (`SOURCES__RETAIL_DB__TYPE`) is `sample`, `postgresql` or `mysql`, and
`[sources.retail_db.credentials]` says where the database is and who reads it: its parts, each from
the environment (`SOURCES__RETAIL_DB__CREDENTIALS__PASSWORD`), else from secrets.toml, else from
config.toml, or a URL (`SOURCES__RETAIL_DB__CREDENTIALS`), whose parts come before all of them.
`schema` names the tables' schema; `row_security = true` says that it is meant where PostgreSQL's
policies hide rows from the reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import dlt
from dlt.common.configuration import configspec, resolve_configuration
from dlt.common.configuration.exceptions import (
    ConfigurationException,
    ValueNotSecretException,
)
from dlt.common.configuration.providers.toml import TomlProviderReadException
from dlt.common.configuration.specs import ConnectionStringCredentials, CredentialsConfiguration
from dlt.common.typing import TSecretValue

from ingestion.errors import LoadError
from ingestion.sample import Sample
from ingestion.source import Source, Sources

# Kinds of databases, each with what people and drivers call it.
DATABASES = {"postgresql": ("postgresql", "postgres"), "mysql": ("mysql", "mariadb")}

# What the sample has files of.
OF_SAMPLE = ("retail_db", "promotion_feed")


def kind_of(name: str) -> str | None:
    """Give the kind of a source: `sample`, `postgresql` or `mysql`; None where none is configured.

    What the sample has files of is the sample's, if nothing else is said.
    """
    try:
        for section in ("sources", f"sources.{name}"):
            if not isinstance(found := dlt.config.get(section) or {}, Mapping):
                raise LoadError(
                    f"source {name}: expected a section [{section}], found {found}; correct .dlt/"
                )
        kind = dlt.config.get(f"sources.{name}.type", str)
    except TomlProviderReadException as error:
        # What it says would quote the file: the project's, or the one in dlt's own folder.
        paths = " and ".join(path for path in error.full_paths if Path(path).exists())
        cause = error.__cause__ or error.__context__
        found = cause.strerror if isinstance(cause, OSError) else "something else"
        line = f" in line {cause.line}" if getattr(cause, "line", None) else ""
        raise LoadError(
            f"source {name}: expected {paths} to be TOML in UTF-8, found {found}{line}; correct it"
        ) from None
    except (ConfigurationException, ValueError) as error:
        # What dlt itself runs by, such as its log level.
        raise LoadError(
            f"source {name}: expected settings that dlt takes in .dlt/config.toml, found:"
            f" {str(error).splitlines()[0]}; correct them"
        ) from error
    return kind or ("sample" if name in OF_SAMPLE else None)


@contextmanager
def open_sources(names: set[str], timezone: str, until: date | None) -> Iterator[Sources]:
    """Open the source systems for one load.

    Args:
        names: Which systems.
        timezone: Time zone in which the business's days begin and end (IANA name).
        until: Read as if this business date were today; of the sample only.

    Raises:
        LoadError: a system is not configured, or cannot be reached.
    """
    with ExitStack() as stack:
        yield {name: _open(name, timezone, until, stack) for name in sorted(names)}


def _open(name: str, timezone: str, until: date | None, stack: ExitStack) -> Source:
    kind = kind_of(name)
    if kind == "sample" and name in OF_SAMPLE:
        folder = dlt.config.get("sources.sample.folder", str)
        return Sample(timezone, until, Path(folder) if folder else None)
    if kind not in DATABASES:
        raise LoadError(
            f"source {name}: type: expected {'sample, ' if name in OF_SAMPLE else ''}"
            f"{' or '.join(DATABASES)}, found {kind or 'none'}; correct [sources.{name}] in"
            " .dlt/config.toml"
        )
    if until:
        raise LoadError(
            f"source {name}: expected type sample with --until, found {kind}, which is read as it"
            " is now; leave --until out"
        )
    # It takes a second to import, which the sample need not wait for.
    from ingestion.database import Database

    database = Database(
        name,
        _credentials(name, kind),
        _schema(name),
        row_security=_row_security(name),
    )
    stack.callback(database.close)
    return database


def _schema(name: str) -> str | None:
    schema = dlt.config.get(f"sources.{name}.schema")
    if schema is not None and not (isinstance(schema, str) and schema):
        raise LoadError(
            f"source {name}: schema: expected the name of a schema, found {_shown(schema)}; correct"
            f" [sources.{name}] in .dlt/config.toml, or leave it out there"
        )
    return schema


def _row_security(name: str) -> bool:
    """Whether it is meant that policies of the database hide rows from the reader."""
    found = dlt.config.get(f"sources.{name}.row_security")
    try:
        if not isinstance(found, str | bool | None):
            raise ValueError(found)
        return bool(dlt.config.get(f"sources.{name}.row_security", bool))
    except (ConfigurationException, ValueError):
        raise LoadError(
            f"source {name}: row_security: expected true or false, found {_shown(found)}; correct"
            f" [sources.{name}] in .dlt/config.toml"
        ) from None


@configspec
class _Parts(CredentialsConfiguration):
    """Credentials as they are written; dlt's own would make 5 of 5.5, and a text of anything."""

    drivername: Any = None
    database: Any = None
    password: TSecretValue = None
    username: Any = None
    host: Any = None
    port: Any = None
    query: dict[str, Any] | None = None

    parse_native_representation = ConnectionStringCredentials.parse_native_representation


# What is needed, and which options can say it, too.
IN_OPTIONS: dict[str, set[str]] = {
    "drivername": set(),
    "host": {"host", "hostaddr", "unix_socket", "service"},
    "database": {"dbname", "service"},
    "username": {"user", "service"},
}


def _credentials(name: str, kind: str) -> ConnectionStringCredentials:
    """Read where the database is; what dlt says of credentials that it cannot read is not told on.

    It may quote them.
    """
    place = f"sources.{name}.credentials"

    def wrong(part: str, expected: str, found: str) -> LoadError:
        variable = place.replace(".", "__").upper() + (f"__{part.upper()}" if part else "")
        return LoadError(
            f"source {name}: credentials: {part}{': ' if part else ''}expected {expected}, found"
            f" {found}; correct [{place}] in .dlt/secrets.toml, or {variable}"
        )

    names = "drivername, host, port, database, username and password"
    whole = f"{names} of a {kind} server, or a URL with them"
    try:
        read = resolve_configuration(_Parts(), sections=("sources", name), accept_partial=True)
    except ValueNotSecretException:
        raise wrong("", "them where git ignores them", "them in .dlt/config.toml") from None
    except (ConfigurationException, ValueError) as error:
        part = getattr(error, "field_name", "")
        raise wrong(part, "a table" if part else whole, "what cannot be read") from None
    parts = {part: value for part, value in dict(read).items() if value is not None}
    if not parts:
        raise wrong("", whole, "none")
    section = dlt.config.get(place)
    if isinstance(section, Mapping) and (other := section.keys() - dict(read).keys()):
        raise wrong("", f"{names}, and query", f"{', '.join(sorted(other))}, too")
    query = parts.get("query", {})
    if not isinstance(query, dict):
        raise wrong("query", "a table", f"a value of type {type(query).__name__}")
    for part in ("drivername", "host", "database", "username", "password"):
        value = parts.get(part, "")
        if not isinstance(value, str):
            raise wrong(part, "text in quotes", f"a value of type {type(value).__name__}")
        if part in IN_OPTIONS and not (value.strip() or IN_OPTIONS[part] & query.keys()):
            raise wrong(part, "text", "none")
        if part != "password" and "://" in value:
            # It has the password, too.
            raise wrong(part, "that part alone", "a URL")
    if parts["drivername"].partition("+")[0] not in DATABASES[kind]:
        raise wrong("drivername", f"{kind}, as type says", _shown(parts["drivername"]))
    parts["drivername"] = kind
    port = parts.get("port", 1)
    text = port if isinstance(port, str) else repr(port)
    if not (re.fullmatch("[0-9]{1,5}", text) and 0 < int(text) < 1 << 16):
        raise wrong("port", "a whole number from 1 to 65535", _shown(port))
    if "port" in parts:
        parts["port"] = int(text)
    if "password" in parts:
        # A file that holds a secret ends with a line's end.
        parts["password"] = parts["password"].rstrip("\r\n")
    return ConnectionStringCredentials(parts)


def _shown(found: object) -> str:
    return f"'{found}'" if isinstance(found, str) else f"{found}"
