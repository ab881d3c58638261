"""Rows that break a rule of their table: set aside, never loaded and never lost.

The quarantine holds what the source has now: a load looks again at every row that it reads, so a
row that was mended leaves, and one that is still wrong stays, with the load that first found it.
Rows at the source are rows in the table and rows in quarantine, always.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

import duckdb
import pyarrow as pa

from ingestion.errors import LoadError
from ingestion.raw import exists, literal, quoted, relation, same
from ingestion.tables import TIMESTAMPS, Table

QUARANTINE = "quarantine"

KEY_IS_NULL = "the primary key is not null"
KEY_IS_TWICE = "the primary key is unique"

# What the quarantine holds of a row: every value as text, so that none is changed.
SET_ASIDE = pa.schema(
    [("table_name", pa.string()), ("rule", pa.string()), ("row_values", pa.string())]
)


@dataclass
class SetAside:
    """What a load found of one table.

    Attributes:
        table: The declaration.
        duplicated_keys: Primary keys that more than one row of the source has.
        is_read: Whether the load read of the table; an unchanged one it leaves alone.
        start: Least cursor value that the load read; None where it read everything.
        after: Whether it left `start` itself out.
        days: Days that the load read whole, and nothing else; None where it read from `start`.
        rows_read: Rows that were looked at.
        found: Rows that break a rule, as `SET_ASIDE` has them.
        keys: Their primary keys, where the table has one.
    """

    table: Table
    duplicated_keys: pa.Table | None = None
    is_read: bool = False
    start: object = None
    after: bool = False
    days: list[object] | None = None
    rows_read: int = 0
    found: list[pa.Table] = field(default_factory=list)
    keys: list[pa.Table] = field(default_factory=list)

    @property
    def row_count(self) -> int:
        """How many rows break a rule."""
        return sum(rows.num_rows for rows in self.found)

    def split(self, connection: duckdb.DuckDBPyConnection, batch: pa.Table) -> pa.Table:
        """Take out of a batch what breaks a rule; give the rest.

        Raises:
            LoadError: a rule cannot be asked of these rows.
        """
        self.rows_read += batch.num_rows
        broken = self._broken_rule()
        if broken is None:
            return batch
        with connection.cursor() as cursor:
            cursor.register("batch", batch)
            if self.duplicated_keys is not None:
                cursor.register("duplicated", self.duplicated_keys)
            try:
                (bad,) = cursor.execute(
                    f"select count(*) from batch where {broken} is not null"
                ).fetchone()
                if not bad:
                    return batch
                ruled = cursor.execute(f"select *, {broken} as _dlt_broken_rule from batch")
                ruled = ruled.to_arrow_table()
            except duckdb.Error as error:
                raise LoadError(
                    f"table {self.table.source}.{self.table.name}: expected rules that its columns"
                    f" can be asked, found: {str(error).splitlines()[0]}; correct them in"
                    " ingestion/tables.py"
                ) from error
            cursor.register("ruled", ruled)
            values = ", ".join(
                f"{literal(name)}: cast({quoted(name)} as varchar)" for name in batch.column_names
            )
            self.found.append(
                cursor.execute(
                    f"select {literal(self.table.name)} as table_name, _dlt_broken_rule as rule,"
                    f" cast(to_json({{{values}}}) as varchar) as row_values"
                    " from ruled where _dlt_broken_rule is not null"
                )
                .to_arrow_table()
                .cast(SET_ASIDE)
            )
            if self.table.primary_key:
                key = ", ".join(quoted(name) for name in self.table.primary_key)
                self.keys.append(
                    cursor.execute(
                        f"select {key} from ruled where _dlt_broken_rule is not null"
                    ).to_arrow_table()
                )
            return cursor.execute(
                "select * exclude (_dlt_broken_rule) from ruled where _dlt_broken_rule is null"
            ).to_arrow_table()

    def refuse_too_many(self, at_source: int) -> None:
        """Refuse a load in which more than the declared share of the rows break a rule.

        One row is no share: a small table, or a load with little news, could set nothing aside.

        Args:
            at_source: Rows of the table; of single days the share would say little.
        """
        looked_at = self.rows_read if self.days is None else at_source
        if self.row_count <= max(1, looked_at * self.table.quarantine_limit):
            return
        rules: dict[str, int] = {}
        for rows in self.found:
            for rule in rows.column("rule").to_pylist():
                rules[rule] = rules.get(rule, 0) + 1
        told = "; ".join(f"{rule}: {count:,}" for rule, count in sorted(rules.items()))
        raise LoadError(
            f"table {self.table.source}.{self.table.name}: expected at most"
            f" {self.table.quarantine_limit:.1%} of the rows to break a rule, found"
            f" {self.row_count:,} of {looked_at:,} ({told}); mend them at the source, or"
            " correct the rule or the quarantine_limit in ingestion/tables.py"
        )

    def _broken_rule(self) -> str | None:
        """Say in SQL which rule a row of `batch` breaks; None where there is no rule."""
        cases = []
        if self.table.primary_key:
            null = " or ".join(f"batch.{quoted(name)} is null" for name in self.table.primary_key)
            cases.append((null, KEY_IS_NULL))
        if self.duplicated_keys is not None:
            key = same(self.table, self.table.primary_key, "batch", "duplicated")
            cases.append((f"exists (select 1 from duplicated where {key})", KEY_IS_TWICE))
        cases += [
            (f"({condition}) is not true", rule) for rule, condition in self.table.rules.items()
        ]
        if not cases:
            return None
        whens = " ".join(f"when {condition} then {literal(rule)}" for condition, rule in cases)
        return f"(case {whens} end)"


@dataclass(frozen=True)
class Held:
    """What the quarantine holds of one table.

    Attributes:
        row_count: Rows.
        amount_sums: Column to the exact decimal sum of its values.
    """

    row_count: int
    amount_sums: dict[str, Decimal]


def keep(
    connection: duckdb.DuckDBPyConnection,
    source_name: str,
    load_id: str,
    tables: Iterable[SetAside],
) -> None:
    """Bring the quarantine up to date with what a load found; the caller holds the transaction."""
    quarantine = relation(source_name, QUARANTINE)
    connection.execute(
        f"create table if not exists {quarantine} (table_name varchar not null, rule varchar not"
        " null, row_values json not null, _dlt_load_id varchar not null)"
    )
    for item in tables:
        read_again = f"table_name = {literal(item.table.name)} and {_is_read_again(item)}"
        earlier = connection.execute(
            "select rule, cast(row_values as varchar) as row_values, min(_dlt_load_id) as load_id"
            f" from {quarantine} where {read_again} group by all"
        ).to_arrow_table()
        connection.register("earlier", earlier)
        connection.register("found", pa.concat_tables([SET_ASIDE.empty_table(), *item.found]))
        connection.execute(f"delete from {quarantine} where {read_again}")
        connection.execute(
            f"insert into {quarantine}"
            " select found.*, coalesce(earlier.load_id, ?)"
            " from found left join earlier"
            " on found.rule = earlier.rule and found.row_values = earlier.row_values",
            [load_id],
        )
        connection.unregister("earlier")
        connection.unregister("found")


def held(connection: duckdb.DuckDBPyConnection, table: Table) -> Held:
    """Count what the quarantine holds of a table."""
    if not exists(connection, table.source, QUARANTINE):
        return Held(0, dict.fromkeys(table.amounts, Decimal(0)))
    sums = "".join(f", coalesce(sum({amount_of(amount)}), 0)" for amount in table.amounts)
    row_count, *amount_sums = connection.execute(
        f"select count(*){sums} from {relation(table.source, QUARANTINE)} where table_name = ?",
        [table.name],
    ).fetchone()
    return Held(row_count, dict(zip(table.amounts, amount_sums, strict=True)))


def count_after(connection: duckdb.DuckDBPyConnection, item: SetAside) -> int:
    """Count what the quarantine will hold of a table when what a load found is kept."""
    if not exists(connection, item.table.source, QUARANTINE):
        return item.row_count
    (stay,) = connection.execute(
        f"select count(*) from {relation(item.table.source, QUARANTINE)}"
        f" where table_name = ? and not ({_is_read_again(item)})",
        [item.table.name],
    ).fetchone()
    return stay + item.row_count


def day_of(table: Table) -> str:
    """Say in SQL which day, as `Source.day_totals` has it, a row in quarantine is of."""
    value = value_of(table.cursor)
    if table.types(table.cursor) <= TIMESTAMPS:
        return f"cast(cast({value} as timestamptz) as date)"
    return f"cast({value} as bigint)"


def days(connection: duckdb.DuckDBPyConnection, table: Table) -> set[object]:
    """Give the days of a table's rows in quarantine."""
    if not exists(connection, table.source, QUARANTINE):
        return set()
    found = connection.execute(
        f"select distinct {day_of(table)} from {relation(table.source, QUARANTINE)}"
        " where table_name = ?",
        [table.name],
    ).fetchall()
    return {day for (day,) in found}


def days_of_unique_keys(connection: duckdb.DuckDBPyConnection, item: SetAside) -> set[object]:
    """Give the days of rows in quarantine for a key that is not duplicate any more."""
    if not item.table.primary_key or not exists(connection, item.table.source, QUARANTINE):
        return set()
    is_duplicated = "false"
    if item.duplicated_keys is not None:
        key = " and ".join(
            f"cast(duplicated.{quoted(name)} as varchar) = {value_of(name)}"
            for name in item.table.primary_key
        )
        is_duplicated = f"exists (select 1 from duplicated where {key})"
    with connection.cursor() as cursor:
        if item.duplicated_keys is not None:
            cursor.register("duplicated", item.duplicated_keys)
        found = cursor.execute(
            f"select distinct {day_of(item.table)}"
            f" from {relation(item.table.source, QUARANTINE)}"
            f" where table_name = ? and rule = ? and not {is_duplicated}",
            [item.table.name, KEY_IS_TWICE],
        ).fetchall()
    return {day for (day,) in found}


def _is_read_again(item: SetAside) -> str:
    """Say in SQL which rows of the quarantine lie in what the load read."""
    if item.days is not None:
        days = ", ".join(f"{day}" if isinstance(day, int) else f"date '{day}'" for day in item.days)
        return f"{day_of(item.table)} in ({days})"
    if item.start is None:
        return "true"
    kind = "bigint" if isinstance(item.start, int) else "timestamptz"
    value = f"cast({value_of(item.table.cursor)} as {kind})"
    return f"{value} {'>' if item.after else '>='} {literal(str(item.start))}::{kind}"


def value_of(column: str) -> str:
    """Say in SQL what a row in quarantine holds in a column, as text."""
    path = '$."' + column.replace('"', '\\"') + '"'
    return f"json_extract_string(row_values, {literal(path)})"


def amount_of(column: str) -> str:
    """Say in SQL what a row in quarantine holds in an amount; null where it is no number."""
    return f"try_cast({value_of(column)} as decimal(38, 6))"


def shown(connection: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> list[str]:
    """Lay out what is in quarantine of these tables, for people: one line a row, by rule."""
    lines = []
    for table in sorted(tables, key=lambda table: (table.source, table.name)):
        if not exists(connection, table.source, QUARANTINE):
            continue
        for rule, load_id, row in connection.execute(
            f"select rule, _dlt_load_id, row_values from {relation(table.source, QUARANTINE)}"
            " where table_name = ? order by all",
            [table.name],
        ).fetchall():
            lines.append(f"{table.source}.{table.name}  {rule}  (load {load_id})  {row}")
    return lines
