"""What becomes of dlt's file of secrets: the reader's credentials, and all else as it was."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from shop.credentials import offer
from shop.errors import ShopError

CREDENTIALS = {
    "drivername": "postgresql",
    "host": "127.0.0.1",
    "port": 54320,
    "database": "retail_db",
    "username": "tally_reader",
    "password": "new-password",
}
SECTION = """\
[sources.retail_db.credentials]
drivername = "postgresql"
host = "127.0.0.1"
port = 54320
database = "retail_db"
username = "tally_reader"
password = "new-password"
"""
PORTS = {54320, 33306, None}


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    (tmp_path / ".dlt").mkdir()
    return tmp_path / ".dlt" / "secrets.toml"


def found_in(secrets: Path) -> dict:
    return tomllib.loads(secrets.read_text())


def test_a_new_file_is_its_owners_alone(tmp_path: Path):
    secrets = tmp_path / ".dlt" / "secrets.toml"
    assert offer(secrets, CREDENTIALS, PORTS) is None
    assert secrets.read_text() == SECTION
    assert secrets.stat().st_mode & 0o777 == 0o600
    assert list(secrets.parent.iterdir()) == [secrets]


OTHERS = {
    "comments and other sections": """\
# Mine; do not touch.
top = 1   # spaces   and all

[sources.other.credentials]
password = 'it''s'   # literal
host = "db.example.com"

[destination]   # trailing
list = [
    1,  # one
    2,
]
""".replace("it''s", "secret"),
    "a part of the source's section": (
        '[sources.retail_db]\ntype = "postgresql"  # as in production\n'
    ),
    "keys with dots": 'sources.retail_db.type = "postgresql"\n',
    "sections apart": "[sources.a]\nx = 1\n\n[other]\ny = 2\n\n[sources.b]\nz = 3\n",
    "an inline table": 'sources = {retail_db = {type = "postgresql"}}\n',
    "no line end": "top = 1",
    "nothing but a comment": "# secrets\n",
    "other scripts": 'name = "牛乳 🥛"\n',
}


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS.keys())
def test_all_else_stays_as_it_is(secrets: Path, text: str):
    secrets.write_text(text)
    secrets.chmod(0o644)
    expected = tomllib.loads(text)
    expected.setdefault("sources", {}).setdefault("retail_db", {})["credentials"] = CREDENTIALS

    assert offer(secrets, CREDENTIALS, PORTS) is None

    assert found_in(secrets) == expected
    for line in text.splitlines():
        # An inline table is one line, which cannot stay.
        assert line in secrets.read_text() or line.startswith("sources = {")
    assert secrets.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "change",
    [
        {"password": "old"},
        {"port": 33306, "drivername": "mysql+pymysql"},
        {"port": 54320, "drivername": "postgresql+psycopg", "password": "old"},
    ],
)
def test_section_that_the_command_wrote_before_is_written_anew(secrets: Path, change: dict):
    assert offer(secrets, {**CREDENTIALS, **change}, PORTS) is None
    secrets.write_text(f"# first\n{secrets.read_text()}# last\nconnect_timeout = 5\n")

    assert offer(secrets, CREDENTIALS, PORTS) is None

    assert secrets.read_text() == f"# first\n{SECTION}# last\nconnect_timeout = 5\n"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"host": "db.example.com"}, "tally_reader@db.example.com:54320/retail_db"),
        ({"port": 5432}, "tally_reader@127.0.0.1:5432/retail_db"),
        ({"database": "mine"}, "tally_reader@127.0.0.1:54320/mine"),
        ({"username": "me"}, "me@127.0.0.1:54320/retail_db"),
    ],
)
def test_other_credentials_are_left_alone(secrets: Path, change: dict, told: str):
    assert offer(secrets, {**CREDENTIALS, **change, "password": "theirs"}, PORTS) is None
    before = secrets.read_bytes()
    assert offer(secrets, CREDENTIALS, PORTS) == told
    assert secrets.read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        '[sources.retail_db]\ncredentials = "postgresql://me:theirs@db.example.com/retail_db"\n',
        '[sources.retail_db.credentials]\npassword = "theirs"\n',
        "[sources.retail_db.credentials]\n",
    ],
)
def test_credentials_of_another_form_are_left_alone_too(secrets: Path, text: str):
    secrets.write_text(text)
    told = offer(secrets, CREDENTIALS, PORTS)
    assert told and "theirs" not in told
    assert secrets.read_text() == text


@pytest.mark.parametrize(
    "text",
    [
        'password = "theirs\n',
        'password = "theirs"\npassword = "theirs"\n',
        "sources = 1\n",
        '[sources]\nretail_db = "theirs"\n',
        "[[sources]]\nx = 1\n",
        "[sources.retail_db]\n[sources.retail_db]\n",
        "[sources.retail_db.credentials\n",
    ],
)
def test_file_that_cannot_take_it_is_left_alone(secrets: Path, text: str):
    secrets.write_text(text)
    with pytest.raises(ShopError) as refused:
        offer(secrets, CREDENTIALS, PORTS)
    assert str(secrets) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "theirs" not in str(refused.value) and "new-password" not in str(refused.value)
    assert secrets.read_text() == text
    assert list(secrets.parent.iterdir()) == [secrets]


def test_link_stays_a_link(secrets: Path, tmp_path: Path):
    kept = tmp_path / "kept.toml"
    kept.write_text("top = 1\n")
    secrets.symlink_to(kept)
    assert offer(secrets, CREDENTIALS, PORTS) is None
    assert secrets.is_symlink()
    assert found_in(kept)["top"] == 1
    assert found_in(kept)["sources"]["retail_db"]["credentials"] == CREDENTIALS
    assert kept.stat().st_mode & 0o777 == 0o600
