"""Transitions between study days."""

import numpy as np
import pytest

from recommender.models.next_day import NextDay
from tests.recommender.builders import items_of, make_interactions


def test_shares_are_those_worked_by_hand() -> None:
    # p studied a, then b, 10 days ago, and c and d a day later; q a 10 days ago and c a day later. Half-life 9 days,
    # so a next day of 9 days ago weighs ½. b is the last of its day: 1, a before it: .5. Visits: a ½ + ½, b ½.
    studied = [
        ("p", "a", "viewed", 9.9),
        ("p", "b", "viewed", 9.8),
        ("p", "c", "viewed", 9.0),
        ("p", "d", "viewed", 9.0),
    ]
    interactions = make_interactions([*studied, ("q", "a", "viewed", 9.9), ("q", "c", "viewed", 9.0)])

    model = NextDay(half_life_days=9.0, step_decay=0.5, shrinkage=1.0).fit(interactions)

    a, b, c, d = (interactions.items.index.get_loc(name) for name in "abcd")
    shares = model._shares.toarray()
    assert shares[a, c] == pytest.approx((0.5 * 0.5 + 1.0 * 0.5) / (1.0 + 1.0))
    assert shares[a, d] == pytest.approx(0.5 * 0.5 / (1.0 + 1.0))
    assert shares[b, c] == shares[b, d] == pytest.approx(1.0 * 0.5 / (0.5 + 1.0))
    assert np.count_nonzero(shares) == 4


def test_only_the_next_day_counts_and_only_that_of_the_same_member() -> None:
    studied = [
        ("p", "a", "viewed", 9.5),
        ("p", "b", "viewed", 7.5),
        ("p", "c", "viewed", 5.5),
        ("q", "d", "viewed", 9.5),
    ]
    interactions = make_interactions([*studied, ("new", "a", "viewed", 1.5)])

    lists = NextDay().fit(interactions).recommend(["new", "q"], k=9)

    assert items_of(lists, "new") == ["b"]
    assert items_of(lists, "q") == []


def test_an_item_with_few_visits_counts_less_than_one_with_many() -> None:
    # Everybody who studied a or b came back for its follower; a was visited by nine members, b by one.
    studied = [(f"a{n}", item, "viewed", 3.0 - day) for n in range(9) for day, item in enumerate(("a", "after a"))]
    studied += [("b0", item, "viewed", 3.0 - day) for day, item in enumerate(("b", "after b"))]
    interactions = make_interactions([*studied, ("new", "a", "viewed", 0.3), ("new", "b", "viewed", 0.2)])

    lists = NextDay(half_life_days=np.inf, step_decay=1.0, shrinkage=2.0).fit(interactions).recommend(["new"], k=2)

    assert items_of(lists, "new") == ["after a", "after b"]
    assert lists["score"].tolist() == pytest.approx([9 / 11, 1 / 3])


def test_of_a_day_only_the_last_items_count() -> None:
    studied = [("p", "a", "viewed", 2.9), ("p", "b", "viewed", 2.8), ("p", "c", "viewed", 1.0)]
    interactions = make_interactions([*studied, ("q", "a", "viewed", 0.5), ("r", "b", "viewed", 0.5)])

    lists = NextDay(items=1).fit(interactions).recommend(["q", "r"], k=9)

    assert items_of(lists, "q") == []
    assert items_of(lists, "r") == ["c"]


def test_items_of_one_moment_count_as_the_mean_of_all_orders() -> None:
    interactions = make_interactions([("p", "a", "viewed", 3.0), ("p", "b", "viewed", 3.0), ("p", "c", "viewed", 1.0)])

    model = NextDay(half_life_days=np.inf, items=1, shrinkage=0.0, step_decay=0.5).fit(interactions)

    a, b, c = (interactions.items.index.get_loc(name) for name in "abc")
    assert model._shares[a, c] == model._shares[b, c] == pytest.approx(1.0)  # each half a source in half a visit
