"""Checks of lists by themselves."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import pytest

from content_catalog.io.validation import check_rows
from content_catalog.schema import ITEMS, Schema
from content_catalog.taxonomy import Taxonomy, shipped
from features.interactions import Interactions, build_interactions
from features.schema import MEMBERS, VERBS
from infra.explanations.codes import chinese_detail
from infra.settings.sections import NightlySettings
from infra.settings.settings import Settings
from jobs.nightly.gate import GateResult, check_lists
from jobs.nightly.lists import make_pipeline
from recommender.content.open_items import OpenItems

TAXONOMIES: dict[str, Taxonomy] = {"role": shipped("isco08"), "industry": shipped("gbt4754_2017")}
CATALOGUE = [
    {"item_id": "drivers", "audience": "restricted", "target_roles": "83"},
    {"item_id": "hidden", "hidden": "true"},
    {"item_id": "open"},
    {"item_id": "over", "available_until": "2026-01-01"},
]
PEOPLE = [{"member_id": "clerk", "role": "41"}, {"member_id": "driver", "role": "83"}]


def table(rows: list[dict[str, str]], schema: Schema) -> pd.DataFrame:
    """Return rows as the database gives them."""
    typed, rejects = check_rows(pd.DataFrame(rows).fillna(""), schema)
    assert rejects.empty
    return typed.set_index(schema.names[0]).sort_index()


def known_of(now: datetime, *studied: tuple[str, str], catalogue: Sequence[dict[str, str]] = CATALOGUE) -> Interactions:
    """Return two members, items, and what was studied."""
    members, items = table(PEOPLE, MEMBERS), table(list(catalogue), ITEMS)
    events = pd.DataFrame(
        {
            "member": members.index.get_indexer([member for member, _ in studied]),
            "item": items.index.get_indexer([item for _, item in studied]),
            "verb": pd.Categorical(["completed"] * len(studied), categories=VERBS),
            "occurred_at": 1,
            "duration_seconds": float("nan"),
            "progress": float("nan"),
            "score": float("nan"),
            "session": 0,
        }
    )
    return build_interactions(events, members=members, items=items, as_of=pd.Timestamp(now))


def checked(
    interactions: Interactions, lists: dict[str, list[str]], shared: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """Return the checks of some lists; ``shared`` says who has whose list."""
    rows = [(member, item) for member, its in lists.items() for item in its]
    frame = pd.DataFrame(rows, columns=["member_id", "item_id"])
    owners = pd.Series({member: (shared or {}).get(member, member) for member in interactions.members.index})
    return check_lists(OpenItems(interactions, TAXONOMIES), frame, owners, NightlySettings(), length=10)


def verdict(checks: list[dict[str, Any]]) -> str:
    """Return what becomes of a run with some checks."""
    return GateResult(checks).status


def failed(checks: list[dict[str, Any]]) -> dict[str, str]:
    """Return name and detail of the checks that failed; one that only warns has passed nothing."""
    bad = [check for check in checks if check["passed"] is False]
    assert all(chinese_detail(check) for check in bad)
    return {check["name"]: check["detail"] for check in bad}


def test_sound_lists_are_published(now: datetime) -> None:
    checks = checked(known_of(now), {"clerk": ["open"], "driver": ["open", "drivers"]})
    assert [(check["passed"], check["detail"]) for check in checks] == [(True, "")] * 6
    assert verdict(checks) == "published"


@pytest.mark.parametrize("item", ["hidden", "over"])
def test_a_list_with_an_item_that_is_not_available_is_held(now: datetime, item: str) -> None:
    checks = checked(known_of(now), {"clerk": ["open", item], "driver": ["open"]})
    assert failed(checks) == {"only available items": f"1 fail, such as {item}"}
    assert verdict(checks) == "held"


def test_a_list_with_an_item_for_others_is_held(now: datetime) -> None:
    checks = checked(known_of(now), {"clerk": ["drivers"], "driver": ["drivers"]})
    assert failed(checks) == {"no item outside its audience": "1 fail, such as drivers"}
    assert verdict(checks) == "held"


def test_a_member_without_a_list_who_could_have_one_holds_the_run(now: datetime) -> None:
    checks = checked(known_of(now), {"driver": ["open"]})
    assert failed(checks) == {"every member has a list": "1 fail, such as clerk"}
    assert verdict(checks) == "held"


def test_a_member_may_have_the_list_of_another(now: datetime) -> None:
    assert failed(checked(known_of(now), {"driver": ["open"]}, shared={"clerk": "driver"})) == {}


def test_a_member_who_studied_all_there_is_for_it_needs_no_list(now: datetime) -> None:
    interactions = known_of(now, ("clerk", "open"))
    assert failed(checked(interactions, {"driver": ["open", "drivers"]})) == {}


def test_what_a_member_studied_that_is_gone_does_not_count_as_all_there_is(now: datetime) -> None:
    interactions = known_of(now, ("clerk", "hidden"), ("clerk", "over"), ("clerk", "drivers"))
    assert failed(checked(interactions, {"driver": ["open"]})) == {"every member has a list": "1 fail, such as clerk"}


def test_the_pipeline_itself_passes_where_one_member_has_studied_all_there_is_for_it(now: datetime) -> None:
    interactions = known_of(now, ("clerk", "open"))
    pipeline = make_pipeline(Settings(), TAXONOMIES)
    pipeline.fit(interactions)
    shared = pipeline.representatives(interactions)
    recommendations = pipeline.recommend(interactions, pd.Index(shared.unique()), k=10)
    assert set(recommendations["member_id"]) == {"driver"}
    assert (
        verdict(check_lists(OpenItems(interactions, TAXONOMIES), recommendations, shared, NightlySettings(), length=10))
        == "published"
    )


def test_of_many_faults_a_few_are_named(now: datetime) -> None:
    people = [{"member_id": f"m{number}"} for number in range(7)]
    items = table(CATALOGUE, ITEMS)
    nothing = pd.DataFrame()
    interactions = build_interactions(nothing, members=table(people, MEMBERS), items=items, as_of=pd.Timestamp(now))
    assert failed(checked(interactions, {"m0": ["open"]})) == {"every member has a list": "6 fail, such as m1, m2, m3"}
