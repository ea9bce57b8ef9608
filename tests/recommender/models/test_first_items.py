"""Popularity of the items of first days."""

import numpy as np
import pytest

from recommender.models.first_items import FirstItems
from tests.recommender.builders import items_of, make_interactions

JOINED = {
    "m1": {"joined_on": "2025-01-01"},
    "m2": {"joined_on": "2025-02-01"},
    "m3": {"joined_on": "2025-03-01"},
    "new": {"joined_on": "2025-04-01"},
    "old": {"joined_on": "2024-01-01"},
}


def test_newcomers_and_others_get_what_their_kind_started_with_as_worked_by_hand() -> None:
    # m2 and m3 had joined after all who started before them: newcomers. m1 started last, though m2 and m3, who joined
    # later, had started: no newcomer. Half-life 30 days.
    studied = [
        ("m2", "welcome", "viewed", 60.0),
        ("m2", "tour", "viewed", 60.0),
        ("m2", "later", "viewed", 50.0),
        ("m3", "welcome", "viewed", 30.0),
        ("m1", "push", "viewed", 30.0 - 1e-6),
    ]
    interactions = make_interactions(studied, members=JOINED)

    model = FirstItems(half_life_days=30.0).fit(interactions)
    lists = model.recommend(["new", "old", "m1"], k=9)

    scores = {(row.member_id, row.item_id): row.score for row in lists.itertuples()}
    assert scores == {
        ("new", "welcome"): pytest.approx(1 / 4 / 2 + 1 / 2),
        ("new", "tour"): pytest.approx(1 / 4 / 2),
        ("old", "push"): pytest.approx(1 / 2, rel=1e-5),
    }
    rows = interactions.members.index.get_indexer(["new", "old", "m3"])
    assert model.are_newcomers(interactions, rows).tolist() == [True, False, False]


def test_before_anybody_started_everybody_is_a_newcomer_and_nothing_is_proposed() -> None:
    interactions = make_interactions([], members=JOINED, items={"a": {}})

    model = FirstItems().fit(interactions)

    assert model.are_newcomers(interactions, np.arange(len(JOINED))).all()
    assert items_of(model.recommend(["new"], k=3), "new") == []
