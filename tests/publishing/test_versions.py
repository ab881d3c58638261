"""Versions that are kept, and the way back to one."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

import duckdb
import pytest
from synthetic import Shop, is_whole, one_error

from publishing.versions import kept_versions, roll_back


@pytest.fixture(scope="module")
def thrice(small_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The small company, published three times; for reading only."""
    shop = Shop(tmp_path_factory.mktemp("thrice"), small_build)
    for _ in range(3):
        shop.publish_again()
    return shop


@pytest.fixture
def three(shop: Shop, thrice: Shop) -> list[str]:
    """The shop's three versions, oldest first."""
    shop.copy(thrice.folder)
    return [version.version_id for version in kept_versions(shop.serving)]


def listed(shop: Shop) -> dict[str, list[str]]:
    done = shop.run("versions")
    assert done.returncode == 0, done.stderr
    return {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[1:]}


def test_versions_are_listed_with_the_one_that_is_served(shop: Shop, three: list[str]):
    lines = listed(shop)
    assert list(lines) == three
    rows = sum(
        count for (count,) in shop.query("select row_count from published_tables", shop.served)
    )
    for version_id, words in lines.items():
        assert words[2:4] == ["2017-12-31", f"{rows:,}"]
        assert words[4:] == (["served"] if version_id == three[-1] else [])


def test_without_versions_there_is_one_line(shop: Shop):
    assert "expected published versions, found none" in one_error(shop.run("versions"), 1)
    for arguments in (["rollback"], ["rollback", "x"]):
        line = one_error(shop.run(*arguments), 1)
        assert "expected published versions, found none; publish with" in line
    assert not shop.serving.exists()


def test_rollback_serves_the_version_before_and_the_one_before_that(shop: Shop, three: list[str]):
    for expected in (three[1], three[0]):
        done = shop.run("rollback")
        assert done.returncode == 0 and f"version {expected} " in done.stdout, done.stderr
        assert shop.version_id() == expected and is_whole(shop.served)
        assert listed(shop)[expected][-1] == "served"
    line = one_error(shop.run("rollback"), 1)
    assert "expected a version before the served one, found none" in line
    assert len(shop.kept()) == 3 and shop.leftovers() == []


def test_rollback_to_a_version_goes_either_way(shop: Shop, three: list[str]):
    for version_id in (three[0], three[2], three[1]):
        assert shop.run("rollback", version_id).returncode == 0
        assert shop.version_id() == version_id
    done = shop.run("rollback", three[1])
    assert done.returncode == 0 and "is served already" in done.stdout


def test_who_reads_during_a_rollback_goes_on_reading(shop: Shop, three: list[str]):
    with duckdb.connect(shop.served, read_only=True) as connection:
        query = "select count(*), any_value(version_id) from published_tables"
        before = connection.execute(query).fetchone()
        assert shop.run("rollback", three[0]).returncode == 0
        assert connection.execute(query).fetchone() == before
    assert shop.version_id() == three[0]


def test_an_unknown_version_is_answered_with_the_nearest(shop: Shop, three: list[str]):
    line = one_error(shop.run("rollback", three[0][:-1] + "_"), 2)
    assert line.startswith("error: version ") and three[0] in line.split("nearest: ")[1]
    assert three[2] in one_error(shop.run("rollback", "?"), 2)
    assert shop.version_id() == three[2]


@pytest.mark.parametrize("name", ["kpis.duckdb", "tally.duckdb"])
def test_a_version_that_was_changed_is_refused(shop: Shop, three: list[str], name: str):
    path = shop.version(three[0]) / name
    changed = shop.folder / "changed.duckdb"
    shutil.copyfile(path, changed)
    with duckdb.connect(changed) as connection:
        connection.execute(
            "update marts.kpi_values set value = coalesce(value, 0) + 1"
            " where rowid = (select min(rowid) from marts.kpi_values)"
        )
    path.unlink()
    shutil.copyfile(changed, path)
    line = one_error(shop.run("rollback", three[0]), 2)
    assert f"version {three[0]}: expected one that is kept, found none" in line
    assert (
        f"{three[0]}  cannot be read, or is not what was published" in shop.run("versions").stdout
    )
    assert shop.version_id() == three[2]


@pytest.mark.parametrize("name", ["kpis.duckdb", "tally.duckdb", "seal.json"])
def test_a_version_that_cannot_be_read_is_listed_as_such_and_in_nobody_s_way(
    shop: Shop, three: list[str], name: str
):
    folder = shop.version(three[1])
    (folder / name).unlink()
    (folder / name).write_text("damaged")
    printed = shop.run("versions").stdout
    assert f"{three[1]}  cannot be read, or is not what was published; remove {folder}" in printed
    assert shop.run("rollback").returncode == 0
    assert shop.version_id() == three[0]
    assert "expected one that is kept" in one_error(shop.run("rollback", three[1]), 2)
    shop.publish_again()


def test_a_version_under_the_name_of_another_is_refused(shop: Shop, three: list[str]):
    for path in shop.version(three[0]).iterdir():
        path.unlink()
    shutil.copytree(shop.version(three[2]), shop.version(three[0]), dirs_exist_ok=True)
    assert "expected one that is kept" in one_error(shop.run("rollback", three[0]), 2)


def test_after_a_rollback_the_same_build_is_not_published_again(shop: Shop, three: list[str]):
    roll_back(shop.serving)
    done = shop.run("publish")
    assert done.returncode == 0
    assert "another one is served since a rollback" in done.stdout
    assert f"rollback {three[2]} serves it again" in done.stdout
    assert shop.version_id() == three[1]


def test_after_a_rollback_a_new_build_is_published(shop: Shop, three: list[str]):
    roll_back(shop.serving, three[0])
    new = shop.publish_again().version.version_id
    assert shop.version_id() == new
    history = shop.query("select version_id from published_versions order by all", shop.served)
    assert {version_id for (version_id,) in history} == {*three, new}
    assert shop.run("rollback").returncode == 0
    assert shop.version_id() == three[2]


def test_the_version_that_is_served_is_kept_however_old(shop: Shop, three: list[str]):
    roll_back(shop.serving, three[0])
    done = shop.run("publish", "--keep", "1")
    assert done.returncode == 0 and "nothing new" in done.stdout
    assert shop.kept() == sorted((three[0], three[2]))


def test_a_rollback_during_a_publish_is_refused(shop: Shop, three: list[str]):
    with (shop.serving / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "expected no other publish or rollback" in one_error(shop.run("rollback"), 1)
    assert shop.version_id() == three[2]
