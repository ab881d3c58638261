"""What is refused, what fails, and that the warehouse is as before then."""

from __future__ import annotations

import re
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import dlt
import duckdb
import pytest
import sqlalchemy as sa
from bench import BY_NAME, ROOT, Bench

import ingestion.__main__ as command
from ingestion.configuration import kind_of, open_sources
from ingestion.errors import LoadError, declarations
from ingestion.sample import Sample
from ingestion.tables import Table
from ingestion.warehouse import transaction


def refused(bench: Bench, **load: object) -> str:
    """Give the one line of a load that must fail; nothing may be changed by it."""
    fingerprint, files = bench.fingerprint(), bench.files()
    with pytest.raises(LoadError) as error:
        bench.load(**load)
    assert bench.fingerprint() == fingerprint
    assert bench.files() == files
    message = str(error.value)
    assert len(message.splitlines()) == 1
    return message


# Sources that are not what is declared


def cut_short(bench: Bench) -> None:
    content = bench.file("products").read_bytes()
    bench.file("products").write_bytes(content[: len(content) // 2])


SPOILED: dict[str, tuple[Callable[[Bench], object], list[str]]] = {
    "a column is missing": (
        lambda bench: bench.rewrite("transactions", "select * exclude (week) from source"),
        ["retail_db.transactions", "column week", "expected bigint", "found no such column"],
    ),
    "a week is text": (
        lambda bench: bench.rewrite(
            "promotions", "select * replace ('w' || week as week) from source"
        ),
        ["promotion_feed.promotions", "column week", "expected bigint", "found text"],
    ),
    "an amount is text": (
        lambda bench: bench.rewrite(
            "transactions", "select * replace (sales_value || ' $' as sales_value) from source"
        ),
        ["retail_db.transactions", "column sales_value", "decimal or double", "found text"],
    ),
    "a time is a date": (
        lambda bench: bench.rewrite(
            "transactions",
            "select * replace (transaction_timestamp::date as transaction_timestamp) from source",
        ),
        ["retail_db.transactions", "transaction_timestamp", "expected timestamp", "found date"],
    ),
    "a time has a time zone": (
        lambda bench: bench.rewrite(
            "transactions",
            "select * replace (transaction_timestamp at time zone 'UTC' as transaction_timestamp)"
            " from source",
        ),
        ["transaction_timestamp", "expected timestamp, found timestamp with time zone"],
    ),
    "the start of a campaign is missing": (
        lambda bench: bench.rewrite(
            "campaign_descriptions", "select * exclude (start_date) from source"
        ),
        ["retail_db.campaign_descriptions", "column start_date", "found no such column"],
    ),
    "a file is missing": (
        lambda bench: bench.file("demographics").unlink(),
        ["retail_db.demographics", "demographics.parquet", "expected a readable Parquet file"],
    ),
    "a file is cut short": (
        cut_short,
        ["retail_db.products", "products.parquet", "expected a readable Parquet file"],
    ),
    "a file is no Parquet": (
        lambda bench: bench.file("coupons").write_text("coupon_upc,product_id\n1,2\n"),
        ["retail_db.coupons", "coupons.parquet", "expected a readable Parquet file"],
    ),
    "a file is empty": (
        lambda bench: bench.file("promotions").write_bytes(b""),
        ["promotion_feed.promotions", "expected a readable Parquet file"],
    ),
    "a primary key is there twice": (
        lambda bench: bench.rewrite("campaigns", "from source union all (from source limit 2)"),
        ["retail_db.campaigns", "at most 1.0% of the rows", "the primary key is unique: 4"],
    ),
    "a part of a primary key is null": (
        lambda bench: bench.rewrite(
            "transactions",
            "select * replace (nullif(product_id, product_id) as product_id) from source",
        ),
        ["retail_db.transactions", "at most 1.0%", "the primary key is not null: "],
    ),
    "a replaced table's key is there twice": (
        lambda bench: bench.rewrite("campaign_descriptions", "from source union all from source"),
        ["retail_db.campaign_descriptions", "found 8 of 8", "the primary key is unique: 8"],
    ),
    "a cursor is null": (
        lambda bench: bench.rewrite(
            "promotions", "select * replace (nullif(week, 7) as week) from source"
        ),
        ["promotion_feed.promotions", "cursor week expected not null", "nulls"],
    ),
}


@pytest.mark.parametrize("case", SPOILED)
@pytest.mark.parametrize("until", [None, date(2018, 1, 31)], ids=["all", "until"])
def test_a_source_that_is_not_as_declared_is_refused(loaded: Bench, case: str, until):
    spoil, parts = SPOILED[case]
    spoil(loaded)
    message = refused(loaded, until=until)
    assert all(part in message for part in parts), message
    # The line ends with what to do.
    assert "; " in message


def test_a_refused_first_load_leaves_nothing(bench: Bench):
    bench.rewrite("promotions", "select * exclude (week) from source")
    refused(bench)
    assert not bench.warehouse.parent.exists()


# Sources that have lost rows


@pytest.mark.parametrize("name", ["transactions", "products", "coupons", "promotions"])
def test_an_emptied_table_is_refused(loaded: Bench, name: str):
    loaded.company[name] = []
    loaded.write_source()
    message = refused(loaded)
    assert f"{BY_NAME[name].source}.{name}: expected about the" in message
    assert "found 0 at the source" in message
    assert "--full-refresh" in message


def test_a_replaced_table_that_lost_most_of_its_rows_is_refused(loaded: Bench):
    del loaded.company["coupons"][20:]
    loaded.write_source()
    message = refused(loaded)
    assert "retail_db.coupons: expected about the 41 rows" in message
    assert "found 20 at the source" in message


@pytest.mark.parametrize("name", ["transactions", "coupon_redemptions", "promotions"])
def test_going_back_is_refused(loaded: Bench, name: str):
    message = refused(loaded, until=date(2017, 11, 1), tables=[BY_NAME[name]])
    assert f"{name}: expected {BY_NAME[name].cursor} to reach at least" in message
    assert "--full-refresh" in message


def test_going_back_by_a_day_is_refused(bench: Bench):
    bench.load(date(2017, 6, 30))
    message = refused(bench, until=date(2017, 6, 29))
    assert "reach at least 2017-07-01 03:30:00" in message
    assert "found 2017-06-30 03:30:00" in message


def test_going_back_from_a_two_digit_week_is_refused(bench: Bench):
    promotions = [BY_NAME["promotions"]]
    bench.load(date(2017, 3, 5), promotions)
    message = refused(bench, until=date(2017, 2, 26), tables=promotions)
    assert "at least 10, which the warehouse holds, found 9" in message


# Declarations


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"primary_key": ("id", "other")}, "other.* not among the declared columns"),
        ({"cursor": "other"}, "other.* not among the declared columns"),
        ({"amounts": ("other",)}, "other.* not among the declared columns"),
        ({"primary_key": ()}, "mode merge needs a primary key"),
        ({"mode": "append", "cursor": None, "lookback": timedelta(0)}, "append needs a cursor"),
        ({"mode": "append"}, "look-back needs mode merge"),
        ({"cursor": None}, "look-back needs mode merge and a timestamp as cursor"),
        # dlt would take the days of a look-back for as many whole numbers, or more.
        ({"cursor": "day"}, "look-back needs mode merge and a timestamp as cursor"),
        ({"cursor": "id"}, "look-back needs mode merge and a timestamp as cursor"),
        # It would read the new rows only, and put them in place of all.
        ({"mode": "replace", "lookback": timedelta(0)}, "mode replace takes no cursor"),
        ({"amounts": ("name",)}, "amounts .*name.* are no numbers"),
        # Days are counted of no other.
        ({"cursor": "day", "lookback": timedelta(0)}, "day is neither bigint nor a timestamp"),
        ({"cursor": "name", "lookback": timedelta(0)}, "name is neither bigint nor a timestamp"),
        (
            {"columns": {"id": "bigint", "_dlt_load_id": "text"}},
            "_dlt_load_id: .* one that is taken",
        ),
        ({"columns": {"id": "bigint", "Name": "text", "name": "text"}}, "Name: .* is taken"),
        ({"columns": {"row_count": "bigint"}, "amounts": ("row_count",)}, "row_count: .* is taken"),
        ({"source": "Shop"}, "source Shop: expected small letters"),
        ({"source": "of.shop"}, r"source of\.shop: expected small letters"),
        ({"source": "2shop"}, "source 2shop: expected small letters"),
        # dlt would load the system `shop` by way of its schema.
        ({"source": "shop_staging"}, "source shop_staging: .* no _staging at the end"),
    ],
)
def test_a_declaration_that_cannot_work_is_refused(change: dict, reason: str):
    declaration = Table(
        source="shop",
        name="orders",
        columns={"id": "bigint", "name": "text", "day": "date", "at": "timestamp"},
        mode="merge",
        primary_key=("id",),
        cursor="at",
        lookback=timedelta(days=1),
    )
    with pytest.raises(ValueError, match=f"orders: .*{reason}"):
        replace(declaration, **change)


@pytest.fixture
def declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Declares something else, and gives the one line that ends each command then."""
    tables = ROOT / "ingestion/tables.py"

    def ended(before: str, after: str) -> str:
        text = tables.read_text()
        assert text.count(before) == 1
        # As a copy of the project would have it.
        changed = tmp_path / "ingestion/tables.py"
        changed.parent.mkdir()
        changed.write_text(text.replace(before, after))
        with pytest.raises(SystemExit) as end, declarations():
            runpy.run_path(str(changed))
        (line,) = str(end.value.code).splitlines()
        assert line.startswith("error: ")
        return line

    return ended


@pytest.mark.parametrize(
    "name", ["quarantine", "Load_Control_Totals", "_load_lateness", "_dlt_loads"]
)
def test_a_table_called_as_one_of_the_warehouse_is_refused_in_one_line(
    declared: Callable[[str, str], str], name: str
):
    line = declared('name="coupons"', f'name="{name}"')
    assert line.startswith(f"error: table retail_db.{name}: name {name}: expected one that")


@pytest.mark.parametrize(
    "before, after, found",
    [
        ('name="coupons"', 'name="coupons", key=()', "TypeError: .*'key'"),
        ('name="coupons",', "", "TypeError: .*'name'"),
        ('name="coupons"', "name=coupons", "NameError: name 'coupons'"),
        ('name="coupons"', 'name="coupons', "SyntaxError: unterminated"),
        ('name="coupons"', 'name="coupons"\x1b', r"SyntaxError: .*"),
        ("\nimport re\n", "\nfrom re import tables_of_ours\n", "ImportError: .*tables_of_ours"),
    ],
)
def test_declarations_that_are_no_python_are_one_line(
    declared: Callable[[str, str], str], before: str, after: str, found: str
):
    line = declared(before, after)
    assert re.match(rf"error: ingestion/tables.py: .* in line \d+: {found}.*; correct it$", line)


@pytest.mark.parametrize("module", ["ingestion", "shop"])
def test_outside_of_the_environment_a_command_says_so_in_one_line(module: str):
    # Without the site's packages.
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import runpy, sys; sys.path.insert(0, {str(ROOT)!r});"
         f" runpy.run_module({module!r}, run_name='__main__')"],
        capture_output=True,
        text=True,
        timeout=60,
    )  # fmt: skip
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert re.match(r"error: .* found no \w+; activate the environment", line)


@pytest.mark.parametrize("module", ["ingestion", "shop"])
def test_a_wrong_declaration_ends_every_command_in_one_line(tmp_path: Path, module: str):
    for name in ("ingestion", "shop"):
        shutil.copytree(ROOT / name, tmp_path / name)
    with (tmp_path / "ingestion/tables.py").open("a") as tables:
        tables.write('\nTable(source="retail_db", name="a", columns={}, mode="append")\n')
    run = subprocess.run(
        [sys.executable, "-m", module],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "error: table retail_db.a: mode append needs a cursor\n"


@pytest.mark.parametrize("mode", ["merge", "append", "replace"])
def test_a_newly_declared_column_asks_for_a_full_refresh(loaded: Bench, mode: str):
    name = {"merge": "products", "append": "promotions", "replace": "coupons"}[mode]
    loaded.rewrite(name, "select *, 'red' as colour from source")
    declared = BY_NAME[name]
    declared = replace(declared, columns={**declared.columns, "colour": "text"})
    message = refused(loaded, tables=[declared])
    assert f"{name}: column colour: expected text in the warehouse" in message
    assert f"--table {declared.source}.{name} --full-refresh" in message


def test_a_column_declared_no_more_asks_for_a_full_refresh(loaded: Bench):
    columns = dict(BY_NAME["products"].columns)
    del columns["brand"]
    message = refused(loaded, tables=[replace(BY_NAME["products"], columns=columns)])
    assert "column brand: expected no such column in the warehouse" in message


def test_another_declared_type_asks_for_a_full_refresh(loaded: Bench):
    loaded.rewrite(
        "products", "select * replace (manufacturer_id::double as manufacturer_id) from source"
    )
    columns = {**BY_NAME["products"].columns, "manufacturer_id": "double"}
    message = refused(loaded, tables=[replace(BY_NAME["products"], columns=columns)])
    assert "column manufacturer_id: expected double in the warehouse" in message
    assert "found bigint" in message


# Warehouses


def test_a_warehouse_that_another_process_has_open_is_refused(loaded: Bench):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('open', flush=True);"
            " sys.stdin.read()",
            loaded.warehouse,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline() == b"open\n"
        files = loaded.files()
        run = loaded.command()
        assert run.returncode == 1
        assert run.stderr.splitlines()[-1].startswith(f"error: warehouse {loaded.warehouse}: ")
        assert "end the process that has it open" in run.stderr.splitlines()[-1]
        assert "Traceback" not in run.stderr
        assert loaded.files() == files
    finally:
        holder.communicate()
    assert loaded.load()["transactions"].written == 0


def test_a_warehouse_that_is_no_database_is_refused_and_kept(bench: Bench):
    bench.warehouse.parent.mkdir()
    bench.warehouse.write_text("something else")
    with pytest.raises(LoadError, match="expected a DuckDB file"):
        bench.load()
    assert bench.warehouse.read_text() == "something else"


@pytest.mark.parametrize("made", ["view kept as select 1 as one", "macro kept(x) as x + 1"])
def test_a_file_of_somebody_is_kept_where_a_first_load_fails(bench: Bench, made: str):
    bench.warehouse.parent.mkdir()
    with duckdb.connect(bench.warehouse) as connection:
        connection.execute(f"create {made}")
    # Too many rows that break a rule: known after the warehouse was opened.
    bench.rewrite(
        "coupon_redemptions", "select * replace (null::bigint as household_id) from source"
    )
    assert "to break a rule" in refused(bench)
    with duckdb.connect(bench.warehouse) as connection:
        connection.execute(f"drop {made.partition(' as ')[0].partition('(')[0]}")


@pytest.mark.parametrize("value", ["nan", "infinity"])
def test_an_amount_without_a_sum_is_one_line_that_names_it(loaded: Bench, value: str):
    loaded.rewrite(
        "transactions", f"select * replace ('{value}'::double as sales_value) from source"
    )
    message = refused(loaded)
    assert "table retail_db.transactions: " in message
    assert "expected values that can be summed" in message


def test_a_warehouse_whose_place_is_taken_is_refused(bench: Bench):
    bench.warehouse.mkdir(parents=True)
    with pytest.raises(LoadError, match=r"Is a directory; correct TALLY_WAREHOUSE"):
        bench.load()
    bench.warehouse.rmdir()
    bench.warehouse.parent.rmdir()
    bench.warehouse.parent.write_text("something else")
    with pytest.raises(LoadError, match=r"File exists: .*; correct TALLY_WAREHOUSE"):
        bench.load()
    assert bench.warehouse.parent.read_text() == "something else"


def test_a_warehouse_that_another_process_is_making_is_left_alone(bench: Bench):
    bench.warehouse.parent.mkdir(parents=True)
    code = (
        f"import fcntl; f = open({str(bench.warehouse)!r}, 'w'); fcntl.lockf(f, fcntl.LOCK_EX);"
        " print('made', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as maker:
        try:
            assert maker.stdout.readline() == "made\n"
            inode = bench.warehouse.stat().st_ino
            with pytest.raises(LoadError, match="end the process that has it open"):
                bench.load()
            assert bench.warehouse.stat().st_ino == inode
        finally:
            maker.communicate("\n")
    # That process is gone, and nothing is in the file: it is begun again.
    assert completes(bench)


def test_a_damaged_block_of_the_warehouse_is_one_line(loaded: Bench):
    whole = loaded.warehouse.read_bytes()
    damaged = bytearray(whole)
    # Behind the headers, which are read when it is opened.
    for place in range(3 * 4096 + 512, len(whole) - 8 * 4096, 4096):
        damaged[place : place + 64] = bytes(64)
    loaded.warehouse.write_bytes(damaged)
    run = loaded.command("--reconcile")
    assert run.returncode == 1
    *_, line = run.stderr.splitlines()
    assert line.startswith("error: warehouse ")
    assert "Traceback" not in run.stderr
    loaded.warehouse.write_bytes(whole)
    assert loaded.command("--reconcile").returncode == 0


def test_a_warehouse_whose_folder_cannot_be_made_is_refused(bench: Bench):
    bench.warehouse.parent.write_text("a file where the folder would be")
    with pytest.raises(LoadError, match="expected a DuckDB file"):
        bench.load()


# Configuration


@pytest.mark.parametrize("text", [b'[sources\npassword = "marked-word', b'x = "marked-word\xff"'])
@pytest.mark.parametrize(
    "name, variables",
    [("config.toml", {}), ("secrets.toml", {"SOURCES__RETAIL_DB__TYPE": "postgresql"})],
)
def test_configuration_that_is_no_toml_is_one_line(
    bench: Bench, name: str, variables: dict[str, str], text: bytes
):
    (bench.folder / ".dlt").mkdir()
    (bench.folder / ".dlt" / name).write_bytes(text)
    run = bench.command(DLT_PROJECT_DIR=str(bench.folder), **variables)
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.startswith("error: source ")
    assert f".dlt/{name} to be TOML" in line
    assert "marked-word" not in run.stdout + run.stderr


@pytest.mark.parametrize(
    "variable, found",
    [("RUNTIME__LOG_LEVEL", "loud"), ("NORMALIZE__WORKERS", "`workers` cannot")],
)
def test_a_setting_that_dlt_does_not_take_is_one_line(loaded: Bench, variable: str, found: str):
    files = loaded.files()
    run = loaded.command("--table", "coupons", "--full-refresh", **{variable: "loud"})
    assert run.returncode == 1
    *_, line = run.stderr.splitlines()
    assert line.startswith("error: ") and found in line
    assert "Traceback" not in run.stderr
    assert loaded.files() == files


SECRET = "p4ss-MARK-word"
CREDENTIALS = {
    "drivername": "postgresql",
    "host": "db.example.com",
    "database": "shop",
    "username": "reader",
    "password": SECRET,
}


def opened(
    monkeypatch: pytest.MonkeyPatch,
    secrets: object,
    config: dict[str, object] | None = None,
    kind: str = "postgresql",
    **environment: str,
) -> sa.URL:
    """Open `retail_db` as it is configured, but for the server; give its URL."""
    urls: list[sa.URL] = []

    class Opened:
        def __init__(self, name: str, credentials: object, *_: object, **__: object):
            urls.append(credentials.to_url())

        def close(self) -> None: ...

    monkeypatch.setattr("ingestion.database.Database", Opened)
    monkeypatch.setenv("SOURCES__RETAIL_DB__TYPE", kind)
    for name, value in environment.items():
        monkeypatch.setenv(f"SOURCES__RETAIL_DB__{name}", value)
    place = "sources.retail_db"
    with (
        dlt.secrets.values({f"{place}.credentials": secrets}),
        dlt.config.values({f"{place}.{name}": value for name, value in (config or {}).items()}),
        open_sources({"retail_db"}, "UTC", None),
    ):
        return urls[0]


WRONG_PARTS: list[tuple[str, object, str]] = [
    *(("port", value, "a whole number from 1 to 65535")
      for value in ("abc", "", "5.5", "²", 5.5, 5.0, True, 0, -1, 70_000, [1], date(2017, 1, 1))),
    *((part, value, "text in quotes") for part in CREDENTIALS for value in (5, True, [SECRET])),
    *((part, value, "text, found none") for part in ("host", "database", "username")
      for value in ("", " ", None)),
    *(("query", value, "a table") for value in ("bogus", ["a"], 5)),
    *(("drivername", value, "expected") for value in ("", "oracle", "postgresqlx", "mysql")),
    *((part, f"postgresql://u:{SECRET}@h/d", "found a URL")
      for part in ("drivername", "host", "database", "username")),
    ("port", "9" * 5000, "a whole number from 1 to 65535"),
    ("pasword", SECRET, "found pasword, too"),
    ("user", "reader", "found user, too"),
]  # fmt: skip


@pytest.mark.parametrize("part, value, expected", WRONG_PARTS)
def test_a_wrong_part_of_the_credentials_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, part: str, value: object, expected: str
):
    parts = {name: text for name, text in {**CREDENTIALS, part: value}.items() if text is not None}
    with pytest.raises(LoadError) as refused:
        opened(monkeypatch, parts)
    (line,) = str(refused.value).splitlines()
    assert line.startswith("source retail_db: credentials: ")
    assert part in line and expected in line
    assert "[sources.retail_db.credentials]" in line
    assert SECRET not in line


@pytest.mark.parametrize(
    "secrets", [5, "", [SECRET], {}, f"::{SECRET}", f"postgresql://u:{SECRET}@h:x/d"]
)
def test_credentials_that_are_none_are_one_line(monkeypatch: pytest.MonkeyPatch, secrets: object):
    with pytest.raises(
        LoadError, match=r"^source retail_db: credentials: expected drivername, "
    ) as refused:
        opened(monkeypatch, secrets)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "kind, drivername",
    [
        *(("postgresql", name) for name in ("postgres", "postgresql+psycopg2", "postgres+asyncpg")),
        *(("mysql", name) for name in ("mariadb", "mysql+pymysql", "mariadb+mariadbconnector")),
    ],
)
def test_a_database_goes_by_every_name_that_it_has(
    monkeypatch: pytest.MonkeyPatch, kind: str, drivername: str
):
    parts = {**CREDENTIALS, "drivername": drivername}
    assert opened(monkeypatch, parts, kind=kind).drivername == kind
    url = f"{drivername}://reader:secret@db.example.com/shop"
    assert opened(monkeypatch, url, kind=kind).drivername == kind


def test_parts_of_the_credentials_are_merged_as_dlt_does(monkeypatch: pytest.MonkeyPatch):
    """The environment comes before secrets.toml, that before config.toml, part by part."""
    rest = {"host": "config", "database": "config", "username": "config", "port": 1}
    url = opened(
        monkeypatch,
        {"drivername": "postgresql", "database": "secrets", "username": "secrets"},
        {"credentials": rest},
        CREDENTIALS__USERNAME="environment",
        CREDENTIALS__PASSWORD=f"{SECRET} \n",
        CREDENTIALS__QUERY='{"connect_timeout": 3}',
    )
    assert (url.host, url.port, url.database, url.username) == (
        *("config", 1),
        *("secrets", "environment"),
    )
    # But for the end of a line, a password is what it is.
    assert (url.password, dict(url.query)) == (f"{SECRET} ", {"connect_timeout": "3"})
    # A URL comes before all parts, which say what it leaves out.
    url = opened(
        monkeypatch,
        {**CREDENTIALS, "port": 7},
        CREDENTIALS="postgresql://url@url/url",
        CREDENTIALS__PORT="8",
    )
    assert (url.host, url.username, url.port) == ("url", "url", 8)
    assert url.password == f"{SECRET} "


def test_a_password_in_the_file_that_git_keeps_is_refused(monkeypatch: pytest.MonkeyPatch):
    parts = {name: text for name, text in CREDENTIALS.items() if name != "password"}
    with pytest.raises(LoadError, match=r"found them in \.dlt/config\.toml") as refused:
        opened(monkeypatch, parts, {"credentials": {"password": SECRET}})
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "config, expected",
    [
        ({"schema": 5}, "schema: expected the name of a schema, found 5"),
        ({"schema": ""}, "schema: expected the name of a schema, found ''"),
        ({"schema": ["a"]}, "schema: expected the name of a schema, found"),
        ({"row_security": 5}, "row_security: expected true or false, found 5"),
        ({"row_security": ["a"]}, "row_security: expected true or false, found"),
        ({"row_security": "perhaps"}, "row_security: expected true or false, found 'perhaps'"),
    ],
)
def test_a_wrong_setting_of_a_source_is_one_line(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, object], expected: str
):
    with pytest.raises(LoadError, match=f"^source retail_db: {expected}.*; correct"):
        opened(monkeypatch, CREDENTIALS, config)


@pytest.mark.parametrize("place", ["sources", "sources.retail_db"])
def test_a_value_where_a_section_is_expected_is_one_line(place: str):
    with (
        dlt.secrets.values({place: 5}),
        pytest.raises(LoadError, match=rf"expected a section \[{place}\], found 5"),
    ):
        kind_of("retail_db")


# The dbt project


@pytest.mark.parametrize(
    "text, found",
    [
        (None, "No such file"),
        (b"a: b: c\n", "mapping values are not allowed here in line 1"),
        (b"vars: {business_timezone: \"\xff\"}\n", "not UTF-8"),
        (b"vars: \x00\n", "unacceptable character"),
        (b"- vars\n", "none"),
        (b"", "none"),
        (b"name: tally\n", "none"),
        (b"vars: [business_timezone]\n", "none"),
        (b"vars: {business_timezone: }\n", "none"),
        (b"vars: {business_timezone: 5}\n", "5"),
        *((f'vars: {{business_timezone: "{zone}"}}\n'.encode(), f"'{zone}'")
          for zone in ("Mars/Olympus", "America", "../../etc/passwd", "/etc/passwd", "")),
    ],
)  # fmt: skip
def test_a_dbt_project_without_a_time_zone_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes | None, found: str
):
    monkeypatch.setattr(command, "ROOT", tmp_path)
    if text is not None:
        (tmp_path / "dbt_project.yml").write_bytes(text)
    with pytest.raises(LoadError) as refused:
        command.business_timezone()
    (line,) = str(refused.value).splitlines()
    assert "dbt_project.yml: expected YAML in which vars has a business_timezone" in line
    assert found in line.partition("found: ")[2]


# Loads that fail in the middle


def make_news(bench: Bench) -> None:
    """Change the source so that a load has something to write to every table."""
    company = bench.company
    company["transactions"][-1]["sales_value"] += 1
    company["products"][0]["brand"] = "changed"
    company["demographics"][0]["age"] = "changed"
    company["campaign_descriptions"][0]["campaign_type"] = "changed"
    company["coupons"].append(company["coupons"][0])
    company["campaigns"].append(company["campaigns"][0] | {"household_id": 900})
    redemption = max(company["coupon_redemptions"], key=lambda row: row["redemption_date"])
    company["coupon_redemptions"].append(redemption | {"household_id": 900})
    week = [row for row in company["promotions"] if row["week"] == 53]
    company["promotions"].extend(row | {"week": 54} for row in week)
    bench.write_source()


def completes(bench: Bench) -> bool:
    """Whether the next load brings all of the source, and leaves no other file."""
    bench.load()
    assert {path.name for path in bench.warehouse.parent.iterdir()} == {"tally.duckdb"}
    return all(bench.rows(name) == bench.source_rows(name) for name in BY_NAME)


@pytest.mark.parametrize("full_refresh", [False, True], ids=["news", "full refresh"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_failure_in_the_last_part_takes_back_all_parts(
    loaded: Bench, monkeypatch, moment: str, full_refresh: bool
):
    make_news(loaded)
    dlt_load = dlt.Pipeline.load

    def fail(pipeline: dlt.Pipeline) -> None:
        if pipeline.pipeline_name == "retail_db" or moment == "after":
            dlt_load(pipeline)
        if pipeline.pipeline_name == "promotion_feed":
            raise LoadError("out of luck")

    monkeypatch.setattr(dlt.Pipeline, "load", fail)
    assert refused(loaded, full_refresh=full_refresh) == "out of luck"
    monkeypatch.undo()
    assert completes(loaded)


def test_a_statement_that_fails_in_the_warehouse_takes_back_all(loaded: Bench):
    with duckdb.connect(loaded.warehouse) as connection:
        connection.execute("alter table raw_retail_db.products alter brand set not null")
    make_news(loaded)
    loaded.company["products"][1]["brand"] = None
    loaded.write_source()
    message = refused(loaded)
    assert message.startswith("retail_db: expected dlt's step load to pass, found: ")
    assert "NOT NULL constraint failed: products.brand" in message
    assert message.endswith("nothing was loaded: mend the cause and load again")


def test_a_commit_that_fails_is_told_in_one_line():
    class Full:
        def begin(self) -> None: ...

        def commit(self) -> None:
            raise duckdb.IOException("IO Error: No space left on device\nin block 7")

    told = pytest.raises(LoadError, match=r"^warehouse: .*No space left on device; nothing was")
    with told, transaction(Full()):
        pass


def lose_file(bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a source file go after it was counted, when its rows are to be read."""
    batches = Sample.batches

    def lose_and_read(self: Sample, table: Table, *position: object) -> Iterator[object]:
        if table.name == name:
            bench.file(name).unlink(missing_ok=True)
        yield from batches(self, table, *position)

    monkeypatch.setattr(Sample, "batches", lose_and_read)


@pytest.mark.parametrize("name", ["promotions", "products", "coupons"])
def test_a_file_that_is_lost_during_the_load_is_named(loaded: Bench, monkeypatch, name: str):
    make_news(loaded)
    fingerprint = loaded.fingerprint()
    lose_file(loaded, name, monkeypatch)
    message = rf"table {BY_NAME[name].source}.{name}: .* expected a readable Parquet file"
    with pytest.raises(LoadError, match=message):
        loaded.load()
    assert loaded.fingerprint() == fingerprint
    assert {path.name for path in loaded.warehouse.parent.iterdir()} == {"tally.duckdb"}


def test_a_first_load_that_fails_leaves_no_warehouse(bench: Bench, monkeypatch):
    lose_file(bench, "promotions", monkeypatch)
    with pytest.raises(LoadError):
        bench.load()
    assert not list(bench.warehouse.parent.iterdir())


@pytest.mark.parametrize("part", ["retail_db", "promotion_feed"])
def test_a_killed_load_leaves_the_warehouse_as_it_was(loaded: Bench, part: str):
    make_news(loaded)
    fingerprint = loaded.fingerprint()
    program = (
        "import os, signal, dlt\n"
        "from ingestion.__main__ import main\n"
        "dlt_load = dlt.Pipeline.load\n"
        "def load_and_die(pipeline):\n"
        "    dlt_load(pipeline)\n"
        f"    if pipeline.pipeline_name == '{part}':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "dlt.Pipeline.load = load_and_die\n"
        "main()\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=loaded.environment(), capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert loaded.fingerprint() == fingerprint
    assert completes(loaded)
