"""Coverage: the reach of lists, requirements by unit, and topics in demand that lack content."""

from datetime import UTC, datetime

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from content_catalog.taxonomy import shipped
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.reports.coverage import coverage, topic_demand
from infra.settings.sections import PrivacySettings
from infra.settings.settings import Settings
from tests.conftest import Take

MONTH = pd.Period("2026-02", "M")
TAXONOMIES = {"role": shipped("isco08"), "industry": shipped("gbt4754_2017")}
ITEM = {"audience": "open", "target_roles": None, "target_industries": None}
BEFORE_MARCH = datetime(2026, 2, 28, 12, tzinfo=UTC)


def study_of(rows: list[tuple[str, str, str]], month: pd.Period = MONTH) -> pd.DataFrame:
    """Return study from members, their roles and topics."""
    return pd.DataFrame(rows, columns=["member_id", "role", "topics"]).assign(month=month, industry="")


def test_an_item_counts_for_the_groups_that_may_be_offered_it() -> None:
    study = study_of([("a", "83", "knots;aid"), ("b", "41", "knots;law")])
    items = pd.DataFrame(
        [
            {**ITEM, "topics": "knots;aid"},
            {**ITEM, "topics": "knots", "audience": "restricted", "target_roles": "4"},
            {**ITEM, "topics": "aid", "audience": "restricted", "target_industries": "54"},
            {**ITEM, "topics": None},
        ]
    )
    rows = topic_demand(study, items, TAXONOMIES, month=MONTH, min_group_size=1)
    assert [(row["value"], row["topic"], row["items"], row["members_per_item"]) for row in rows] == [
        ("41", "law", 0, None),
        ("41", "knots", 2, 0.5),
        ("83", "knots", 1, 1.0),
        ("83", "aid", 2, 0.5),
    ]


def test_a_topic_rises_when_more_members_study_it_than_the_month_before() -> None:
    study = pd.concat(
        [
            study_of([("a", "83", "up"), ("b", "83", "up"), ("a", "83", "down"), ("a", "83", "level")]),
            study_of([("a", "83", "up"), ("a", "83", "down"), ("b", "83", "down"), ("c", "83", "level")], MONTH - 1),
        ]
    )
    items = pd.DataFrame([{**ITEM, "topics": "up;down;level"}])
    rows = topic_demand(study, items, TAXONOMIES, month=MONTH, min_group_size=1)
    assert {row["topic"]: row["rising"] for row in rows} == {"up": True, "down": False, "level": False}


def test_a_small_role_counts_in_the_code_above_it() -> None:
    study = study_of([(f"m{n}", "83" if n < 4 else "81", "knots") for n in range(5)])
    items = pd.DataFrame([{**ITEM, "topics": "knots"}])
    rows = topic_demand(study, items, TAXONOMIES, month=MONTH, min_group_size=5)
    assert [(row["value"], row["members"]) for row in rows] == [("8", 5)]


STUDIED = st.tuples(
    st.sampled_from([f"m{n}" for n in range(12)]),
    st.sampled_from(["83", "81", "41"]),
    st.sampled_from(["x", "y", "x;y"]),
)


@given(rows=st.lists(STUDIED, max_size=40), smallest=st.integers(2, 5))
def test_members_are_counted_in_multiples_of_the_smallest_group(
    rows: list[tuple[str, str, str]], smallest: int
) -> None:
    role_of = {member: role for member, role, _ in rows}
    rows = [(member, role_of[member], topics) for member, _, topics in rows]
    items = pd.DataFrame([{**ITEM, "topics": "x"}])
    shown = topic_demand(study_of(rows), items, TAXONOMIES, month=MONTH, min_group_size=smallest)
    assert all(row["members"] >= smallest for row in shown)
    for row in shown:
        of_topic = {member for member, _, topics in rows if row["topic"] in topics}
        exact = sum(role_of[member].startswith(row["value"]) for member in of_topic)
        assert row["members"] % smallest == 0
        assert row["members"] <= exact


@pytest.mark.usefixtures("served")
def test_the_report_has_reach_requirements_and_topics_of_the_last_whole_month(
    engine: Engine, settings: Settings, take: Take, now: datetime
) -> None:
    take("items", "item_id,topics\nk1,knots;ropes\n")
    take("requirements", "requirement_id,items,target_roles,due_on\ntoday,v1,83,2026-03-02\n")
    lines = [f"d{n},k1,viewed,2026-02-1{n}T08:00:00Z\n" for n in range(6)]
    # A date without a time is a day of February in every zone; an hour of 28 February is March in Shanghai.
    lines += ["d6,k1,viewed,2026-02-28\n", "d7,k1,viewed,2026-02-28T17:00:00Z\n", "d8,k1,shown,2026-02-10T08:00:00Z\n"]
    take("events", "member_id,item_id,verb,occurred_at\n" + "".join(lines))
    changes = {"privacy": PrivacySettings(smallest_group=1), "timezone": "Asia/Shanghai"}
    with transaction(engine) as session:
        key = organisations.key_of(session, "default")
        report = coverage(session, key, settings.model_copy(update=changes), now=now)
        before = coverage(session, key, settings.model_copy(update=changes), now=BEFORE_MARCH)
    assert (report["members"], report["members_with_list"]) == (23, 23)
    assert 0 < report["items_listed"] <= report["items_available"] <= 18
    assert {row["value"] for row in report["by_strategy"]} <= {"history", "segment", "popular"}
    assert [row["unit"] for row in report["requirements"]][:2] == [None, "North"]
    assert f"{report['month']}" == "2026-02-01"
    [knots] = [row for row in report["topics"] if row["topic"] == "knots" and row["by"] == "role"]
    assert (knots["members"], knots["items"], knots["rising"]) == (7, 1, True)
    assert f"{before['month']}" == "2026-01-01"
    assert not [row for row in before["topics"] if row["topic"] == "knots"]
