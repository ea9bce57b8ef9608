"""Counts of open requirements by unit."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from infra.catalog import organisations, requirements
from infra.db.engine import transaction
from infra.reports.required_study import RequiredStudy
from infra.reports.requirement_counts import at_risk, dry_run, requirement_counts
from infra.settings.sections import PrivacySettings
from infra.settings.settings import Settings
from tests.conftest import Take

Count = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def count(engine: Engine, settings: Settings, now: datetime) -> Count:
    """Return what counts the open requirements, groups of so many members being the smallest."""

    def counted(smallest_group: int) -> list[dict[str, Any]]:
        privacy = PrivacySettings(smallest_group=smallest_group)
        with transaction(engine) as session:
            key = organisations.key_of(session, "default")
            return requirement_counts(session, key, settings.model_copy(update={"privacy": privacy}), now=now)

    return counted


@pytest.mark.usefixtures("couriers")
def test_each_state_counts_the_members_in_it(engine: Engine, take: Take, count: Count, now: datetime) -> None:
    take(
        "requirements",
        "requirement_id,items,target_roles,due_on\n"
        "today,v1,83,2026-03-02\npast,v1,83,2026-03-01\nhuge,o1;o2;o3;o4;o5;drivers;v1,83,2026-03-05\n"
        "far,v1,83,2026-12-01\n",
    )
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        requirements.waive(session, key, "d1", "past", now=now, reason=None)

    whole = {row["requirement_id"]: row for row in count(10) if row["unit"] is None}

    figures = {name: tuple(list(row.values())[2:]) for name, row in whole.items()}
    # Twelve drivers: d0, d6 and the private one have finished v1.
    assert figures["today"] == (12, 9, 9, 0, 0, False)
    assert figures["past"] == (11, 0, 0, 0, 8, False)
    assert figures["far"] == (12, 9, 0, 0, 0, False)
    assert figures["huge"] == (12, 12, 12, 12, 0, False)
    assert {row["requirement_id"] for row in at_risk(count(10))} == {"today", "huge"}


@pytest.mark.usefixtures("couriers")
def test_dry_runs_that_differ_by_one_member_do_not_tell_its_state(
    engine: Engine, settings: Settings, take: Take, now: datetime
) -> None:
    """Of the twelve drivers nine have not finished v1, the new one among them."""
    take("members", "member_id,region\nnew-driver,alone\n")
    take("members", "member_id,region\n" + "".join(f"d{number},x\n" for number in range(10)) + "private,x\n")
    record = {"requirement_id": "tried", "items": ["v1"], "target_roles": ["83"], "due_on": "2026-03-02"}

    def tried(smallest_group: int, *regions: str) -> tuple[int, ...]:
        few = settings.model_copy(update={"privacy": PrivacySettings(smallest_group=smallest_group)})
        with transaction(engine) as session:
            key = organisations.key_of(session, "default")
            counts = dry_run(session, key, few, record | {"target_regions": [*regions]}, now=now)[0]
        return counts["members"], counts["open"], counts["due"]

    assert (tried(1), tried(1, "x")) == ((12, 9, 9), (11, 8, 8))
    assert (tried(4), tried(4, "x")) == ((12, 8, 8), (11, 8, 8))


@pytest.mark.usefixtures("couriers")
def test_what_cannot_be_offered_yet_is_open_whatever_its_day(take: Take, count: Count) -> None:
    take("items", "item_id,title,available_from,prerequisites\nlater,Later,2026-04-01,\nafter,After,,later\n")
    take(
        "requirements",
        "requirement_id,items,target_roles,due_on\nlate,later,83,2026-03-01\nblocked,after,83,2026-03-02\n"
        "both,later;v1,83,2026-03-01\n",
    )

    whole = {row["requirement_id"]: row for row in count(10) if row["unit"] is None}

    states = {name: (row["open"], row["due"], row["overdue"]) for name, row in whole.items()}
    assert states == {"late": (12, 0, 0), "blocked": (12, 0, 0), "both": (3, 0, 9)}
    assert {row["requirement_id"] for row in at_risk(count(10))} == set()


@pytest.mark.usefixtures("couriers")
def test_a_requirement_without_any_open_item_is_not_met_by_everybody(take: Take, count: Count) -> None:
    take(
        "requirements",
        "requirement_id,items,target_roles,due_on\ngone,hidden,83,2026-03-05\nleft,hidden;v1,83,2026-03-05\n",
    )

    whole = {row["requirement_id"]: row for row in count(10) if row["unit"] is None}

    assert {name: (row["members"], row["open"]) for name, row in whole.items()} == {"left": (12, 9)}


@pytest.mark.usefixtures("couriers")
def test_what_cannot_be_met_any_more_is_told_seven_days_before(take: Take, count: Count) -> None:
    # A day of study is needed: it is too late on the 9th for the one, on the 10th for the other.
    take("requirements", "requirement_id,items,target_roles,due_on\nweek,v1,83,2026-03-08\nlater,v1,83,2026-03-09\n")

    assert {row["requirement_id"] for row in at_risk(count(10))} == {"week"}


@pytest.mark.usefixtures("couriers")
@pytest.mark.parametrize(
    ("smallest_group", "units"),
    [
        (1, [None, "North", "North/Depot 0", "North/Depot 1"]),
        (5, [None, "North", "North/Depot 1"]),  # two of North itself would follow from both depots
        (10, [None, "North"]),
        (13, [None]),
    ],
)
def test_a_unit_of_few_members_is_part_of_the_one_above(
    take: Take, count: Count, smallest_group: int, units: list[str | None]
) -> None:
    take("requirements", "requirement_id,items,target_roles,due_on\ntoday,v1,83,2026-03-02\n")
    rows = count(smallest_group)
    assert [row["unit"] for row in rows] == units
    assert [row["suppressed"] for row in rows] == [smallest_group > 12] * len(units)


@pytest.mark.usefixtures("couriers")
def test_who_switched_personalisation_off_counts_in_no_pace_of_others(
    engine: Engine, settings: Settings, take: Take, now: datetime
) -> None:
    few = settings.model_copy(update={"privacy": PrivacySettings(smallest_group=2)})

    def pace_of_group(member_id: str, *videos: int) -> float:
        lines = [f"{member_id},v{number},completed,2026-02-28" for number in videos]
        take("events", "\n".join(["member_id,item_id,verb,occurred_at", *lines]) + "\n")
        with transaction(engine) as session:
            return RequiredStudy(session, organisations.key_of(session, "default"), few, now=now).paces["new-driver"]

    pace_of_group("d1", 2, 3, 4)
    # Video n lasts n minutes, in 90 days: 6 seconds a day, and 12 with v3, which d2 has finished before.
    assert pace_of_group("d2", 4, 5, 6) == 9.0
    assert pace_of_group("private", 4, 5, 6) == 9.0
    assert pace_of_group("d4", 1, 2, 3, 4, 6) != 9.0, "others matter"
