"""Where the source systems are, as dlt's configuration says it.

`.dlt/config.toml`, `.dlt/secrets.toml` or environment variables: for the source `retail_db`,
`[sources.retail_db] type` (`SOURCES__RETAIL_DB__TYPE`) is `sample`, `postgresql` or `mysql`, and
`[sources.retail_db.credentials]` (`SOURCES__RETAIL_DB__CREDENTIALS`, a URL) says where the
database is and who reads it. `schema` names the tables' schema; `row_security = true` says that it
is meant where PostgreSQL's policies hide rows from the reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import dlt
from dlt.common.configuration.exceptions import ConfigProviderException, ConfigurationException
from dlt.common.configuration.specs import ConnectionStringCredentials

from ingestion.errors import LoadError
from ingestion.sample import Sample
from ingestion.source import Source, Sources

DATABASES = ("postgresql", "mysql")

# What the sample has files of.
OF_SAMPLE = ("retail_db", "promotion_feed")


def kind_of(name: str) -> str | None:
    """Give the kind of a source: `sample`, `postgresql` or `mysql`; None where none is configured.

    What the sample has files of is the sample's, if nothing else is said.
    """
    try:
        kind = dlt.config.get(f"sources.{name}.type", str)
    except ConfigProviderException:
        # It would quote the file.
        raise LoadError(
            f"source {name}: expected .dlt/config.toml and .dlt/secrets.toml that are TOML, found"
            " one that cannot be read; correct it"
        ) from None
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
        dlt.config.get(f"sources.{name}.schema", str),
        row_security=_row_security(name),
    )
    stack.callback(database.close)
    return database


def _row_security(name: str) -> bool:
    """Whether it is meant that policies of the database hide rows from the reader."""
    try:
        return bool(dlt.config.get(f"sources.{name}.row_security", bool))
    except (ConfigurationException, ValueError):
        raise LoadError(
            f"source {name}: row_security: expected true or false, found neither; correct"
            f" [sources.{name}] in .dlt/config.toml"
        ) from None


def _credentials(name: str, kind: str) -> ConnectionStringCredentials:
    """Read where the database is; what dlt says of credentials that it cannot read is not told on.

    It may quote them.
    """
    expected = (
        f"source {name}: credentials: expected drivername, host, port, database, username and"
        f" password of a {kind} server in [sources.{name}.credentials] of .dlt/secrets.toml"
    )
    try:
        credentials = dlt.secrets.get(f"sources.{name}.credentials", ConnectionStringCredentials)
    except (ConfigurationException, ValueError):
        raise LoadError(f"{expected}, found some that cannot be read; correct them") from None
    if credentials is None:
        raise LoadError(f"{expected}, found none; write them there")
    if not credentials.drivername:
        raise LoadError(f"{expected}, found some that cannot be read; correct them")
    if not credentials.drivername.startswith(kind):
        raise LoadError(f"{expected}, found drivername {credentials.drivername}; correct one")
    return credentials
