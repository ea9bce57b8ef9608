"""Co-occurrence of items first studied on the same day."""

import numpy as np
import pytest

from features.weights import WeightingRules
from recommender.models.same_day import SameDay
from tests.recommender.builders import items_of, make_interactions


def test_shares_are_those_worked_by_hand() -> None:
    # p studied a and b on one day, q a, b and c. A day of n items gives each pair 1 / n: (a, b) 1/2 + 1/3, (a, c) 1/3.
    # Both studied a, so with shrinkage 1 its row is divided by 2 + 1.
    interactions = make_interactions(
        [("p", "a"), ("p", "b"), ("q", "a"), ("q", "b"), ("q", "c"), ("q", "x", "viewed", 5.0)]
    )

    shares = SameDay(shrinkage=1.0).fit(interactions)._shares.toarray()

    a, b, c, x = (interactions.items.index.get_loc(name) for name in "abcx")
    assert shares[a, b] == shares[b, a] == pytest.approx((1 / 2 + 1 / 3) / 3)
    assert shares[a, c] == pytest.approx((1 / 3) / 3)
    assert shares[c, a] == pytest.approx((1 / 3) / 2)
    assert not shares[x].any()
    assert not np.diag(shares).any()


def test_scores_sum_over_the_items_of_the_latest_day_the_last_of_which_counts_most() -> None:
    pairs = [
        (f"{item}{n}", other, "viewed", 9.0) for item in "abc" for n in range(4) for other in (item, f"with {item}")
    ]
    mine = [("new", "c", "viewed", 5.0), ("new", "b", "viewed", 1.5), ("new", "a", "viewed", 1.2)]
    interactions = make_interactions([*pairs, *mine])

    lists = SameDay(step_decay=0.5, shrinkage=0.0).fit(interactions).recommend(["new"], k=9)

    # Each pair was studied by four members on days of two items, of five who studied its first. c was on another day.
    assert items_of(lists, "new") == ["with a", "with b"]
    assert lists["score"].tolist() == pytest.approx([4 / 2 / 5, 0.5 * 4 / 2 / 5])
    last = SameDay(items=1, step_decay=0.5, shrinkage=0.0).fit(interactions).recommend(["new"], k=9)
    assert items_of(last, "new") == ["with a"]


def test_a_member_who_studied_much_counts_no_more_than_its_influence() -> None:
    interactions = make_interactions([("p", item) for item in "abcd"], rules=WeightingRules(member_cap=2.0))

    shares = SameDay(shrinkage=0.0).fit(interactions)._shares.toarray()

    assert shares[0, 1] == pytest.approx(0.5 / 4)
