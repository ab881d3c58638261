"""A dry run says what the load that follows does, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import BY_NAME, Bench

from ingestion.errors import LoadError
from ingestion.tables import Table

# The small company's tables are small: one row is more than a hundredth of them.
LENIENT = {name: replace(table, quarantine_limit=0.5) for name, table in BY_NAME.items()}
SURVEY = replace(
    LENIENT["demographics"],
    columns={**BY_NAME["demographics"].columns, "is_deleted": "bool"},
    deletes="is_deleted",
)


def lines_by_time(bench: Bench) -> list[dict[str, object]]:
    return sorted(bench.company["transactions"], key=lambda line: line["transaction_timestamp"])


def lose_a_product(bench: Bench) -> None:
    del bench.company["products"][3]
    bench.write_source()


def lose_a_line(bench: Bench) -> None:
    bench.company["transactions"].remove(lines_by_time(bench)[40])
    bench.write_source()


def spoil_a_late_line(bench: Bench) -> None:
    lines_by_time(bench)[-1]["quantity"] = -1
    bench.write_source()


def spoil_an_early_line(bench: Bench) -> None:
    line = lines_by_time(bench)[40]
    line["quantity"] = -1
    line["sales_value"] += 1
    bench.write_source()


def mend_a_late_line(bench: Bench) -> None:
    early, late = lines_by_time(bench)[40], lines_by_time(bench)[-1]
    early["quantity"] = late["quantity"] = -1
    bench.write_source()
    bench.load(tables=[LENIENT["transactions"]], full_refresh=True)
    late["quantity"] = 1
    bench.write_source()


def double_a_product(bench: Bench) -> None:
    bench.company["products"].append(dict(bench.company["products"][3]))
    bench.write_source()


def double_a_campaign(bench: Bench) -> None:
    bench.company["campaign_descriptions"].append(dict(bench.company["campaign_descriptions"][0]))
    bench.write_source()


def delete_an_answer_softly(bench: Bench) -> None:
    write_answers(bench, [False] * len(bench.company["demographics"]))
    bench.load(tables=[SURVEY], full_refresh=True)
    write_answers(bench, [number in (2, 5) for number in range(len(bench.company["demographics"]))])


def write_answers(bench: Bench, deleted: list[bool]) -> None:
    bench.write_source()
    answers = pq.read_table(bench.file("demographics"))
    pq.write_table(
        answers.append_column("is_deleted", pa.array(deleted)), bench.file("demographics")
    )


@pytest.mark.parametrize(
    "change, table, deleted, quarantined",
    [
        (lose_a_product, LENIENT["products"], 1, 0),
        # It is not among the keys of the good rows, and in quarantine: one row all the same.
        (double_a_product, LENIENT["products"], 1, 2),
        (lose_a_line, replace(LENIENT["transactions"], deletes="keys"), 1, 0),
        (spoil_a_late_line, LENIENT["transactions"], 1, 1),
        (spoil_an_early_line, LENIENT["transactions"], 0, 0),
        (mend_a_late_line, LENIENT["transactions"], 0, 1),
        (double_a_campaign, LENIENT["campaign_descriptions"], 0, 2),
        (delete_an_answer_softly, SURVEY, 2, 0),
    ],
)
def test_a_dry_run_says_what_the_load_does(
    loaded: Bench,
    change: Callable[[Bench], None],
    table: Table,
    deleted: int,
    quarantined: int,
):
    change(loaded)
    assert said_and_done(loaded, table) == (deleted, quarantined)


@pytest.mark.parametrize("way", ["reconcile", "full_refresh"])
def test_rows_that_are_loaded_anew_are_not_deleted(loaded: Bench, way: str):
    spoil_an_early_line(loaded)
    assert said_and_done(loaded, LENIENT["transactions"], **{way: True}) == (0, 1)


def said_and_done(bench: Bench, table: Table, **options: bool) -> tuple[int, int]:
    """Give what a dry run says is deleted and in quarantine, which the load must do."""
    files, content = bench.files(), bench.warehouse.read_bytes()
    said = bench.load(tables=[table], dry_run=True, **options)[table.name]
    assert (bench.files(), bench.warehouse.read_bytes()) == (files, content)
    done = bench.load(tables=[table], **options)[table.name]
    assert (said.at_source, said.written) == (done.at_source, done.written)
    assert (said.deleted, said.quarantined) == (done.deleted, done.quarantined)
    return said.deleted, said.quarantined


def test_a_dry_run_without_a_warehouse_looks_at_the_rows(bench: Bench):
    for line in bench.company["transactions"][5:7]:
        line["quantity"] = -1
    bench.write_source()
    files = bench.files()
    (said,) = bench.load(tables=[LENIENT["transactions"]], dry_run=True).values()
    assert (said.written, said.quarantined) == (said.at_source - 2, 2)
    with pytest.raises(LoadError, match=r"expected at most 0\.0% of the rows to break a rule"):
        bench.load(tables=[replace(LENIENT["transactions"], quarantine_limit=0)], dry_run=True)
    assert bench.files() == files


def test_the_command_says_it(loaded: Bench):
    lose_a_product(loaded)
    line = lines_by_time(loaded)[-1]
    # One in more than a hundred of those that the look-back reads again.
    loaded.company["transactions"] += [
        line | {"basket_id": 900_000 + number, "quantity": 1} for number in range(200)
    ]
    line["quantity"] = -1
    loaded.write_source()
    run = loaded.command("--dry-run")
    assert run.returncode == 0, run.stderr
    heading, *lines, note = run.stdout.splitlines()
    assert "to write  to delete" in heading
    products = next(line for line in lines if line.startswith("retail_db.products"))
    assert products.split()[2:] == ["29", "0", "1", "30", "0"]
    transactions = next(line for line in lines if line.startswith("retail_db.transactions"))
    assert transactions.split()[2:] == ["1,610", "200", "1", "1,410", "1"]
    assert note == "rows that break a rule: the load would have them in quarantine"
