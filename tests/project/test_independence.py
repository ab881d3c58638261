"""The marts are the same wherever and however they are built."""

from __future__ import annotations

import pytest
from company import small_company
from dbt_project import BUILD, WITHOUT_TESTS, DbtProject
from marts import differences


@pytest.mark.parametrize(
    ("timezone", "locale", "threads"),
    [
        ("Pacific/Auckland", "C.UTF-8", 1),
        ("America/Los_Angeles", "C", 4),
    ],
)
def test_marts_do_not_depend_on_time_zone_locale_or_threads(
    built: DbtProject, workbench: DbtProject, timezone: str, locale: str, threads: int
):
    machine = {"TZ": timezone, "LC_ALL": locale}
    workbench.restore(None)
    workbench.write(small_company())
    workbench.load(**machine)
    workbench.dbt(*BUILD, *WITHOUT_TESTS, "--threads", str(threads), **machine)

    # A load is named after its moment, so two of them are never named alike.
    assert differences(built.warehouse, workbench.warehouse, leave_out=["load_id"]) == []
