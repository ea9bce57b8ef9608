"""Popularity by first interactions."""

import pytest

from features.weights import WeightingRules
from recommender.models.trend import Trend
from tests.recommender.builders import make_interactions

STUDIED = [
    ("p", "a", "viewed", 14.0),
    ("p", "b", "viewed", 14.0),
    ("p", "c", "viewed", 7.0),
    ("q", "a", "viewed", 7.0),
    ("q", "d", "dismissed", 7.0),
]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"a": 1 / 4 + 1 / 2, "b": 1 / 4, "c": 1 / 2}),
        ({"normalise_days": True}, {"a": 1 / 8 + 1 / 2, "b": 1 / 8, "c": 1 / 2}),
        ({"exclude_first_day": True}, {"c": 1 / 2}),
        ({"normalise_days": True, "exclude_first_day": True}, {"c": 1 / 2}),
    ],
)
def test_scores_are_those_worked_by_hand(settings: dict[str, bool], expected: dict[str, float]) -> None:
    interactions = make_interactions(STUDIED)

    lists = Trend(7.0, **settings).fit(interactions).recommend(["p"], k=9, exclude_seen=False)

    assert dict(zip(lists["item_id"], lists["score"], strict=True)) == pytest.approx(expected)


def test_no_member_counts_more_than_the_cap() -> None:
    interactions = make_interactions(
        [("p", item, "viewed", 7.0) for item in "abcd"], rules=WeightingRules(member_cap=1.0)
    )

    lists = Trend(7.0).fit(interactions).recommend(["p"], k=9, exclude_seen=False)

    assert lists["score"].tolist() == pytest.approx([1 / 4] * 4)  # four times ½ is 2: halved
