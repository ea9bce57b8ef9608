"""Difference between two runs."""

from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, insert, update

from infra.db.core_tables import list_entries, lists
from infra.db.engine import transaction
from infra.reports.runs.difference import list_difference
from tests.copied_run import copied_run


@pytest.fixture
def later(engine: Engine, served: dict[str, Any]) -> dict[str, Any]:
    """Return a run like the served one, in which all drivers of the first depot have the list ``v1, o1``."""
    with transaction(engine) as session:
        run = copied_run(session, served, now=served["as_of"])
        entries = orjson.dumps([{"item_id": "v1"}, {"item_id": "o1"}]).decode()
        own = {"organisation_key": served["organisation_key"], "entries_hash": "v1-o1"}
        session.execute(insert(list_entries).values(**own, entries=entries))
        of_run = (lists.c.run_key == run["run_key"]) & lists.c.member_id.in_([f"d{number}" for number in range(10)])
        session.execute(update(lists).where(of_run).values(strategy="history", entries_hash="v1-o1"))
        return run


def test_the_groups_whose_lists_changed_come_first(
    engine: Engine, served: dict[str, Any], later: dict[str, Any]
) -> None:
    with transaction(engine) as session:
        outcome = list_difference(session, served, later, min_group_size=3)
        same = list_difference(session, served, served, min_group_size=3)
    assert (outcome["without_before"], outcome["without_after"], outcome["members"]) == (0, 0, 23)
    [whole] = outcome["slices"]["all"]
    drivers, *rest = outcome["slices"]["role"]
    assert drivers["value"] == "83"
    assert whole["changed"] == drivers["changed"] == 10
    assert drivers["length_before"] > drivers["length_after"]
    assert all(row["suppressed"] or row["changed"] == 0 for row in rest)
    assert {row["value"] for row in outcome["slices"]["unit"] if row["changed"]} == {"North/Depot 0", "North/Depot 1"}
    assert {row["item_id"]: row["members"] for row in outcome["left"]}["o2"] == 10
    assert (same["slices"]["all"][0]["changed"], same["came"], same["left"]) == (0, [], [])


def test_figures_of_few_members_are_left_out(engine: Engine, served: dict[str, Any], later: dict[str, Any]) -> None:
    with transaction(engine) as session:
        outcome = list_difference(session, served, later, min_group_size=11)
    assert {row["members"] for row in outcome["left"]} == {None}
    assert all(row["suppressed"] for row in outcome["slices"]["unit"])
