"""Precedence: hand-worked log-odds of the order of two items."""

import numpy as np
import pytest

from features.weights import WeightingRules
from recommender.models.precedence import Precedence
from tests.recommender.builders import Study, items_of, make_interactions


def studied_in_order(member: str, items: str) -> list[Study]:
    """Return the study of some items, one a day."""
    return [Study(member, item, "viewed", 20.0 - day) for day, item in enumerate(items)]


def test_scores_are_log_odds_of_who_studied_an_item_later() -> None:
    # Two members study a before b and one after it: b after a has odds of (2 + 0.5) / (1 + 0.5).
    interactions = make_interactions(
        [*studied_in_order("m", "ab"), *studied_in_order("n", "ab"), *studied_in_order("o", "ba")]
    )
    model = Precedence(shrinkage=0.5).fit(interactions)

    assert model.log_odds.toarray() == pytest.approx(np.array([[0, 1], [-1, 0]]) * np.log(2.5 / 1.5))


def test_what_comes_long_after_counts_as_what_comes_next() -> None:
    interactions = make_interactions([*studied_in_order("m", "abcd"), Study("new", "a"), *studied_in_order("n", "ca")])
    lists = Precedence(shrinkage=1.0).fit(interactions).recommend(["new"], k=9)

    # b and d come after a for one member: odds of (1 + 1) / (0 + 1). c comes after it for one and before for another.
    assert items_of(lists, "new") == ["b", "d", "c"]
    assert lists["score"].tolist() == pytest.approx([np.log(2), np.log(2), 0], abs=1e-6)


def test_scores_sum_over_the_members_items_and_what_was_passed_over_comes_last() -> None:
    interactions = make_interactions([*studied_in_order("m", "abcd"), *studied_in_order("new", "bc")])
    lists = Precedence(shrinkage=1.0).fit(interactions).recommend(["new"], k=9)

    assert items_of(lists, "new") == ["d", "a"]
    assert lists["score"].tolist() == pytest.approx([2 * np.log(2), -2 * np.log(2)])


def test_items_of_one_moment_count_half_in_each_order() -> None:
    interactions = make_interactions([("m", "a"), ("m", "b"), *studied_in_order("n", "ab")])

    # Before: half a member and one, after: half a member.
    assert Precedence(shrinkage=0.5).fit(interactions).log_odds[0, 1] == pytest.approx(np.log(2.0 / 1.0))


def test_only_the_latest_items_of_a_member_have_an_order() -> None:
    model = Precedence(items=2).fit(make_interactions(studied_in_order("m", "abc")))
    assert model.log_odds.nonzero()[0].tolist() == [1, 2]


def test_a_member_who_studied_much_counts_no_more_than_its_influence() -> None:
    interactions = make_interactions(studied_in_order("m", "abcd"), rules=WeightingRules(member_cap=2.0))
    assert Precedence(shrinkage=0.5).fit(interactions).log_odds[0, 1] == pytest.approx(np.log(1.0 / 0.5))
