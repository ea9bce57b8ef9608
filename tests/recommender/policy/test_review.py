"""Review: which finished items return, where they stand, and the promises that hold for any lists."""

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.interactions import Interactions
from recommender.policy.rules.review import Review
from tests.recommender.builders import Study, anything, make_interactions, ranked

OTHERS = {f"new{number:02d}": {} for number in range(12)}


def listed(rule: Review, interactions: Interactions, *, n: int = 12, k: int = 20) -> list[str]:
    """Return the list of member ``m`` after the rule, whose candidates are the first ``n`` new items."""
    scores = dict(zip([*OTHERS][:n], np.linspace(1.0, 0.5, n), strict=True))
    lists = ranked(interactions, "m", scores)
    changed = rule.apply(lists, interactions, k=k, may_be_offered=anything).first(k)
    reviewed = {changed.item[0][place] for place in np.flatnonzero(changed.reason[0] >= 0)}
    names = [str(interactions.items.index[each]) for each in changed.item[0] if each >= 0]
    assert {str(interactions.items.index[each]) for each in reviewed} == {name for name in names if name not in OTHERS}
    return names


def interactions_of(*studied: tuple[Any, ...], **member: str) -> Interactions:
    """Return interactions of member ``m`` with described items."""
    rows = [Study("m", *each) for each in studied]
    return make_interactions(rows, members={"m": member}, items=OTHERS)


def test_an_item_is_due_when_its_recall_has_fallen_and_the_least_recall_comes_first() -> None:
    # Completed once: .8 of recall is left after 42.4 days.
    interactions = interactions_of(
        ("fresh", "completed", 42.0), ("due", "completed", 43.0), ("older", "completed", 90.0)
    )

    assert listed(Review(0.5), interactions, n=4) == ["new00", "older", "new01", "due", "new02", "new03"]
    assert listed(Review(0.25), interactions, n=4) == ["new00", "new01", "new02", "older", "new03"]
    assert listed(Review(0.5, least_recall=0.7), interactions, n=2) == ["new00", "new01"]


def test_what_was_completed_on_two_days_is_due_later() -> None:
    interactions = interactions_of(
        ("once", "completed", 100.0), ("twice", "completed", 101.0), ("twice", "completed", 100.0)
    )

    assert listed(Review(0.5), interactions, n=3) == ["new00", "once", "new01", "new02"]


def test_what_was_completed_often_is_due_after_the_longest_days_at_the_latest() -> None:
    # Completed on twenty days: .8 of recall would be left for more than a century.
    often = [("often", "completed", 400.0 + day) for day in range(20)]

    assert "often" in listed(Review(0.5), interactions_of(*often))
    assert "often" not in listed(Review(0.5, longest_days=401.0), interactions_of(*often))
    assert "begun" not in listed(Review(0.5), interactions_of(*often, ("begun", "progressed", 500.0, math.nan, 0.5)))


def test_nothing_returns_within_a_day_and_a_half_whatever_its_recall() -> None:
    failed = [("hard", "failed", 3.0)] * 3
    assert "hard" not in listed(Review(0.5), interactions_of(*failed, ("hard", "passed", 1.4)))
    assert "hard" in listed(Review(0.5), interactions_of(*failed, ("hard", "passed", 1.6)))


def test_what_the_member_is_against_did_not_finish_or_switched_personalisation_off_for_does_not_return() -> None:
    rule = Review(0.5)

    assert "a" not in listed(rule, interactions_of(("a", "completed", 90.0), ("a", "disliked", 80.0)))
    assert "a" not in listed(rule, interactions_of(("a", "progressed", 90.0, math.nan, 0.5)))
    assert "a" not in listed(rule, interactions_of(("a", "completed", 90.0), personalised="false"))
    assert not rule.applies(interactions_of(("a", "progressed", 90.0)))
    assert not Review(0.0).applies(interactions_of(("a", "completed", 90.0)))


@given(
    st.lists(st.tuples(st.integers(0, 9), st.floats(0, 400)), min_size=1, max_size=15),
    st.floats(0.01, 1.0),
    st.integers(0, 12),
    st.integers(1, 20),
)
def test_no_beginning_of_a_list_holds_more_than_the_share_and_all_others_keep_their_order(
    studied: list[tuple[int, float]], share: float, n: int, k: int
) -> None:
    interactions = interactions_of(*((f"done{item}", "completed", days) for item, days in studied))
    last = {f"done{item}": min(days for each, days in studied if each == item) for item, _ in studied}

    names = listed(Review(share), interactions, n=n, k=k)

    for length in range(1, len(names) + 1):
        assert sum(name not in OTHERS for name in names[:length]) <= share * length + 1e-9
    assert [name for name in names if name in OTHERS] == [*OTHERS][: min(n, len(names) - len({*names} - {*OTHERS}))]
    assert len({*names}) == len(names)
    assert all(last[name] >= 1.5 for name in names if name not in OTHERS)
