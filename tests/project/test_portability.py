"""The models keep to SQL that DuckDB and Apache Spark share.

Parsing is no proof that a model runs on Spark; it keeps the habit. Two checks:

- Every compiled model parses in both dialects.
- As it is written (outside the dispatched macros), SQL calls only functions that both engines
  have with the same meaning, and uses no operator of one engine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import sqlglot
from dbt_project import ROOT, DbtProject
from sqlglot.errors import SqlglotError
from sqlglot.tokens import TokenType

DIALECTS = ("duckdb", "spark")

# Checked on both engines. To use another function, see that it gives the same there and add it,
# or put the two forms into one dispatched macro.
SHARED_FUNCTIONS = {
    "abs",
    "cast",
    "coalesce",
    "count",
    "extract",
    "floor",
    "greatest",
    "lag",
    "least",
    "ln",
    "make_date",
    "max",
    "min",
    "nullif",
    "replace",
    "round",
    "row_number",
    "sum",
}
# Words before a parenthesis that are no functions.
KEYWORDS = {"and", "as", "by", "exists", "filter", "from", "in", "not", "on", "or", "over", "then"}
KEYWORDS |= {"decimal", "when", "where", "else", "select", "union", "all", "distinct", "join"}
ONE_ENGINE_TOKENS = {
    TokenType.DCOLON: "'::' (write cast)",
    TokenType.QUALIFY: "'qualify' (filter in a CTE of its own)",
    TokenType.PIVOT: "'pivot'",
    TokenType.UNPIVOT: "'unpivot'",
    TokenType.ASOF: "'asof'",
}
ONE_ENGINE_WORDS = {"exclude", "ilike", "interval"}


def unparsable(name: str, compiled: str) -> Iterator[str]:
    """Name model, dialect and line of SQL that does not parse."""
    for dialect in DIALECTS:
        try:
            sqlglot.parse(compiled, dialect=dialect)
        except SqlglotError as error:
            details = getattr(error, "errors", None)
            where = f"line {details[0]['line']}: {details[0]['description']}" if details else error
            yield f"{name} ({dialect}) {where}"


def without_jinja(sql: str) -> str:
    """Put a name for every expression and nothing for every statement; lines stay the same."""

    def lines_of(match: re.Match[str], text: str) -> str:
        return text + "\n" * match.group().count("\n")

    # A hook within it has braces of its own.
    sql = re.sub(
        r"{{\s*config\(\n.*?\n\s*\)\n\s*}}", lambda m: lines_of(m, ""), sql, flags=re.DOTALL
    )
    sql = re.sub(r"{{.*?}}", lambda m: lines_of(m, "jinja"), sql, flags=re.DOTALL)
    # The forms of a dispatched macro are where the engines may differ.
    sql = re.sub(
        r"{%-?\s*macro (?:default|spark)__.*?endmacro\s*-?%}",
        lambda m: lines_of(m, ""),
        sql,
        flags=re.DOTALL,
    )
    return re.sub(r"{%.*?%}|{#.*?#}", lambda m: lines_of(m, ""), sql, flags=re.DOTALL)


def one_engine_only(name: str, written: str) -> Iterator[str]:
    """Name model and line of what one engine alone understands, or understands otherwise."""
    tokens = sqlglot.tokenize(without_jinja(written), dialect="duckdb")
    for token, following in pairwise([*tokens, None]):
        word = token.text.lower()
        is_call = following is not None and following.token_type == TokenType.L_PAREN
        if token.token_type in ONE_ENGINE_TOKENS:
            yield f"{name} line {token.line}: {ONE_ENGINE_TOKENS[token.token_type]}"
        elif token.token_type == TokenType.IDENTIFIER:
            yield f'{name} line {token.line}: "{token.text}" in double quotes'
        elif word in ONE_ENGINE_WORDS:
            yield f"{name} line {token.line}: '{word}'"
        elif (
            is_call
            and word.isidentifier()
            and word not in SHARED_FUNCTIONS | KEYWORDS | {"jinja"}
            # A CTE: `name as (`.
            and token.token_type != TokenType.ALIAS
        ):
            yield f"{name} line {token.line}: function '{word}'"


def written_sql() -> list[Path]:
    folders = ("macros", "models", "snapshots", "tests/dbt")
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.sql"))


def test_every_compiled_model_parses_in_both_dialects(built: DbtProject, tmp_path: Path) -> None:
    # The models exist, so the incremental ones compile to their incremental form as well.
    compiled = {}
    for form in ((), ("--full-refresh",)):
        target = tmp_path / f"target{len(form)}"
        built.dbt("compile", "--quiet", *form, DBT_TARGET_PATH=str(target))
        nodes = json.loads((target / "manifest.json").read_text())["nodes"].values()
        for node in nodes:
            if node["resource_type"] in ("model", "snapshot", "test"):
                compiled[(node["name"], *form)] = node["compiled_code"]
    assert sum("is_incremental" in path.read_text() for path in written_sql()) >= 3
    for name in ("fct_sales_lines", "fct_baskets", "fct_promotion_weeks"):
        assert compiled[(name,)] != compiled[(name, "--full-refresh")]
    assert [gap for (name, *_), sql in compiled.items() for gap in unparsable(name, sql)] == []


def test_sql_as_written_is_of_both_engines() -> None:
    gaps = [
        gap
        for path in written_sql()
        for gap in one_engine_only(str(path.relative_to(ROOT)), path.read_text())
    ]
    assert gaps == []


@pytest.mark.parametrize(
    ("sql", "gap"),
    [
        ("select a\nfrom b\nwhere c qualify d", None),
        ("select a\nfrom (b", "m (duckdb) line 2"),
        ("select a\nfrom (b", "m (spark) line 2"),
        ("select\n    {'a': 1}.a", "m (spark) line 2"),
        ("select\n    x'ab'", "m (duckdb)"),
    ],
)
def test_unparsable_sql_is_named_with_its_line(sql: str, gap: str | None) -> None:
    found = list(unparsable("m", sql))
    assert (found == []) if gap is None else any(line.startswith(gap) for line in found), found


@pytest.mark.parametrize(
    ("sql", "gap"),
    [
        ("select cast(a as date), sum(b) over (partition by c) from d", None),
        ("with a as (\n    select {{ usd('sum(b)') }} from c\n)\nselect * from a", None),
        ("select\n    strftime(a, '%Y')", "m line 2: function 'strftime'"),
        ("{% if a %}\nselect b::date\n{% endif %}", "m line 2: '::' (write cast)"),
        ('select\n    "b"', 'm line 2: "b" in double quotes'),
        ("select a\nfrom b\nqualify c", "m line 3: 'qualify' (filter in a CTE of its own)"),
        ("select * exclude (a)", "m line 1: 'exclude'"),
        ("select a + interval '1' day", "m line 1: 'interval'"),
        ("select date_diff('day', a, b)", "m line 1: function 'date_diff'"),
        ("{% macro default__a() %}\ntimezone(b)\n{% endmacro %}", None),
        ("{% macro a() %}\ntimezone(b)\n{% endmacro %}", "m line 2: function 'timezone'"),
    ],
)
def test_sql_of_one_engine_is_named_with_its_line(sql: str, gap: str | None) -> None:
    assert list(one_engine_only("m", sql)) == ([] if gap is None else [gap])
