"""Reasons hold true when they are checked against what members did."""

import pytest

from features.interactions import Interactions
from recommender.explanations.reasons import WEEK_DAYS, Reason, Reasons
from recommender.explanations.sources import GROUPS
from tests.recommender.builders import (
    INDUSTRIES,
    ROLES,
    SMALLEST_GROUP,
    Study,
    make_interactions,
)

FINISHING = ("completed", "passed")


def reasons_of(
    interactions: Interactions, rows: list[tuple[str, str, str]], similar: dict[tuple[str, str], float]
) -> list[Reason]:
    """Return the reasons of rows of member, item and source, each of whose causes is the item most similar to it."""
    causes = {item: own for (own, item), _ in sorted(similar.items(), key=lambda pair: pair[1])}
    cited = interactions.items.index.get_indexer([causes.get(item, "none") for _, item, _ in rows])
    reasons = Reasons(interactions, roles=ROLES, industries=INDUSTRIES, min_group_size=SMALLEST_GROUP)
    members = interactions.members.index.get_indexer([member for member, _, _ in rows])
    items = interactions.items.index.get_indexer([item for _, item, _ in rows])
    return reasons.of(interactions, members, items, [source for _, _, source in rows], cited)


def reason_of(
    interactions: Interactions,
    item: str,
    source: str,
    similar: dict[tuple[str, str], float] | None = None,
    member: str = "m",
) -> Reason:
    """Return the reason of one item."""
    return reasons_of(interactions, [(member, item, source)], similar or {})[0]


DRIVER, DRIVER_ELSEWHERE, CLERK = (
    {"role": "83", "industry": "54"},
    {"role": "83", "industry": "60"},
    {"role": "41", "industry": "60"},
)


def week(
    n: int, who: dict[str, str], item: str = "x", kind: str = "w"
) -> tuple[list[Study], dict[str, dict[str, str]]]:
    """Return the study of an item this week by n members, and who they are."""
    names = [f"{kind}{number}" for number in range(n)]
    return [Study(name, item, "viewed", 6.9) for name in names], dict.fromkeys(names, who)


# -- one by one


def test_a_finished_item_that_is_like_the_listed_one_is_the_cause() -> None:
    interactions = make_interactions([Study("m", "done", "completed")], items={"x": {}})

    assert reason_of(interactions, "x", "history", {("done", "x"): 0.4}) == {
        "code": "because_finished", "arguments": {"item_id": "done"},
    }  # fmt: skip


@pytest.mark.parametrize("study", [Study("m", "begun", "viewed"), Study("m", "begun", "progressed", 1.0, 100.0, 0.5)])
def test_an_item_that_is_not_finished_is_said_to_be_studied(study: Study) -> None:
    interactions = make_interactions([study], items={"x": {}})

    assert reason_of(interactions, "x", "history", {("begun", "x"): 0.4}) == {
        "code": "because_studied", "arguments": {"item_id": "begun"},
    }  # fmt: skip


def test_progress_almost_to_the_end_is_finished() -> None:
    interactions = make_interactions([Study("m", "watched", "progressed", 1.0, 100.0, 0.97)], items={"x": {}})

    assert reason_of(interactions, "x", "history", {("watched", "x"): 0.4})["code"] == "because_finished"


def test_that_another_member_finished_the_cause_does_not_count() -> None:
    interactions = make_interactions(
        [Study("m", "begun", "viewed"), Study("other", "begun", "completed")], items={"x": {}}
    )

    assert reason_of(interactions, "x", "history", {("begun", "x"): 0.4})["code"] == "because_studied"


@pytest.mark.parametrize(
    ("of_item", "of_cause", "code"),
    [(0, 0, "often_next_after"), (-1, 0, "because_finished"), (0, -1, "because_finished")],
)
def test_an_item_listed_by_the_order_of_study_often_follows_what_enough_members_studied(
    of_item: int, of_cause: int, code: str
) -> None:
    """One who did so is not often, and nobody else's business."""
    studied = [(f"m{n}", "x") for n in range(SMALLEST_GROUP + of_item)]
    studied += [(f"m{n}", "second") for n in range(1, SMALLEST_GROUP + of_cause)]
    interactions = make_interactions([("m", "first"), ("m", "second"), *studied])

    assert reason_of(interactions, "x", "order", {("first", "x"): 0.2, ("second", "x"): 0.4}) == {
        "code": code, "arguments": {"item_id": "second"},
    }  # fmt: skip


def test_an_item_listed_by_its_content_names_a_topic_of_the_members_own() -> None:
    items = {"x": {"topics": "history;safety;law"}, "done": {"topics": "law;safety"}, "y": {"topics": "art"}}
    interactions = make_interactions([("m", "done")], items=items)

    assert reason_of(interactions, "x", "topics") == {"code": "fits_your_topics", "arguments": {"topic": "safety"}}
    assert reason_of(interactions, "y", "topics")["code"] == "not_studied_yet"


@pytest.mark.parametrize(
    ("member", "code", "arguments"),
    [
        (DRIVER, "fits_role_and_industry", {"role": "83", "industry": "54"}),
        ({"role": "83"}, "fits_role", {"role": "83"}),
        ({"industry": "54"}, "fits_industry", {"industry": "54"}),
    ],
)
def test_a_newcomers_item_listed_by_its_content_names_role_and_industry(
    member: dict[str, str], code: str, arguments: dict[str, str]
) -> None:
    studied, members = week(3, DRIVER, item="other")
    interactions = make_interactions(studied, members=members | {"m": member}, items={"x": {"topics": "safety"}})

    assert reason_of(interactions, "x", "topics") == {"code": code, "arguments": arguments}


def test_a_group_below_the_smallest_lets_its_parent_speak() -> None:
    studied, members = week(2, DRIVER, item="other")
    more, others = week(1, {"role": "81", "industry": "54"}, item="other", kind="o")
    interactions = make_interactions(studied + more, members=members | others | {"m": DRIVER}, items={"x": {}})

    assert reason_of(interactions, "x", "topics")["arguments"] == {"role": "8", "industry": "54"}


@pytest.mark.parametrize("source", ["segment", "topics", "popular", "new", "habits"])
def test_one_member_more_or_less_changes_no_reason_of_a_small_group(source: str) -> None:
    studied, members = week(SMALLEST_GROUP, CLERK)
    for who, shared in ((DRIVER, "x"), (DRIVER_ELSEWHERE, "y"), ({"role": "811", "industry": "54"}, "x")):
        reasons_by_size = []
        for size in range(SMALLEST_GROUP):
            more, others = week(size, who, item=shared, kind="o")
            interactions = make_interactions(
                studied + more, members=members | others | {"m": who}, items={"x": {}, "y": {}}
            )
            reasons_by_size.append(reasons_of(interactions, [("m", item, source) for item in "xy"], {}))
        assert all(reasons == reasons_by_size[0] for reasons in reasons_by_size)


def test_habits_are_a_reason_for_members_with_history_only() -> None:
    interactions = make_interactions([("m", "done")], members={"new": {}}, items={"x": {}})

    assert reason_of(interactions, "x", "habits")["code"] == "fits_your_habits"
    assert reason_of(interactions, "x", "habits", member="new")["code"] == "in_catalogue"


@pytest.mark.parametrize("source", ["segment", "history", "order"])
def test_without_a_cause_the_finest_segment_with_enough_members_speaks(source: str) -> None:
    studied, members = week(3, DRIVER)
    interactions = make_interactions(studied, members=members | {"m": DRIVER})

    assert reason_of(interactions, "x", source) == {
        "code": "studied_in_segment", "arguments": {"role": "83", "industry": "54"},
    }  # fmt: skip


def test_where_too_few_of_the_members_own_segment_did_a_coarser_one_speaks() -> None:
    studied, members = week(2, DRIVER)
    more, others = week(1, {"role": "81", "industry": "54"}, kind="o")
    interactions = make_interactions(studied + more, members=members | others | {"m": DRIVER})

    assert reason_of(interactions, "x", "segment") == {
        "code": "studied_in_segment", "arguments": {"role": "8", "industry": "54"},
    }  # fmt: skip


def test_a_section_of_industry_speaks_where_no_role_does() -> None:
    studied, members = week(1, DRIVER)
    more, others = week(2, CLERK, kind="o")
    interactions = make_interactions(studied + more, members=members | others | {"m": DRIVER})

    assert reason_of(interactions, "x", "segment") == {"code": "studied_in_industry", "arguments": {"industry": "G"}}


def test_a_role_speaks_to_a_member_of_whom_only_the_role_is_known_for_all_industries() -> None:
    studied, members = week(2, DRIVER)
    more, others = week(1, DRIVER_ELSEWHERE, kind="o")
    interactions = make_interactions(studied + more, members=members | others | {"m": {"role": "83"}})

    assert reason_of(interactions, "x", "segment") == {"code": "studied_by_role", "arguments": {"role": "83"}}


@pytest.mark.parametrize("source", ["segment", "popular", "new"])
def test_where_no_segment_speaks_all_members_do(source: str) -> None:
    studied, members = week(3, CLERK)
    interactions = make_interactions(studied, members=members | {"m": DRIVER | {"industry": "I"}})

    assert reason_of(interactions, "x", source) == {"code": "studied_this_week", "arguments": {}}


def test_two_members_are_too_few_to_speak_of() -> None:
    studied, members = week(2, DRIVER)
    interactions = make_interactions(studied, members=members | {"m": DRIVER})

    assert {reason_of(interactions, "x", source)["code"] for source in GROUPS} == {"in_catalogue"}


def test_who_switched_personalisation_off_is_not_counted() -> None:
    studied, members = week(2, DRIVER)
    interactions = make_interactions(
        [*studied, ("off", "x")], members=members | {"off": DRIVER | {"personalised": "false"}, "m": DRIVER}
    )

    assert reason_of(interactions, "x", "segment")["code"] == "in_catalogue"


def test_who_disliked_the_item_did_not_study_it() -> None:
    studied, members = week(2, DRIVER)
    interactions = make_interactions(
        [*studied, Study("w2", "x", "dismissed")], members=members | {"w2": DRIVER, "m": DRIVER}
    )

    assert reason_of(interactions, "x", "segment")["code"] == "in_catalogue"


def test_study_of_the_week_before_is_popular_but_not_of_this_week() -> None:
    interactions = make_interactions(
        [Study(f"w{n}", "x", "viewed", WEEK_DAYS + 0.01) for n in range(3)], members={"m": {}}
    )

    assert reason_of(interactions, "x", "popular") == {"code": "popular", "arguments": {}}


def test_a_new_item_is_new_on_its_first_topic_and_just_new_without_one() -> None:
    items = {"x": {"published_at": "2026-01-31", "topics": "safety;history"}, "y": {"published_at": "2026-02-28"}}
    interactions = make_interactions([], members={"m": {}}, items=items)

    assert reason_of(interactions, "x", "new") == {"code": "new_on_topic", "arguments": {"topic": "safety"}}
    assert reason_of(interactions, "y", "new") == {"code": "new", "arguments": {}}


@pytest.mark.parametrize("published", [{}, {"published_at": "2026-01-30"}, {"published_at": "2020-01-01"}])
def test_an_older_or_undated_item_is_not_called_new(published: dict[str, str]) -> None:
    interactions = make_interactions([], members={"m": {}}, items={"x": {"topics": "safety"} | published})

    assert reason_of(interactions, "x", "new") == {"code": "in_catalogue", "arguments": {}}
