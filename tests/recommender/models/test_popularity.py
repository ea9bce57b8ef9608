"""Popularity: the decayed evidence of all members."""

import numpy as np
import pytest

from recommender.models.popularity import Popularity
from tests.recommender.builders import Study, items_of, make_interactions


def scores(model: Popularity) -> dict[str, float]:
    """Return what a member without events is told of each item."""
    lists = model.recommend(["new"], k=100)
    return dict(zip(lists["item_id"], lists["score"].tolist(), strict=True))


def test_an_item_counts_the_decayed_evidence_of_all_members() -> None:
    # Completed is worth 2, viewed 1; a week old with a half-life of a week: half.
    studied = [Study("a", "i", "completed", 7.0), Study("b", "i", "viewed", 14.0), Study("b", "j", "viewed", 0.0)]
    interactions = make_interactions(studied, members={"new": {}})

    assert scores(Popularity(7.0).fit(interactions)) == {"i": 2 / 2 + 1 / 4, "j": 1.0}


def test_a_short_half_life_prefers_what_is_studied_now_and_a_long_one_what_was_studied_most() -> None:
    studied = [(member, "old", "completed", 60.0) for member in "abcd"] + [("e", "fresh", "completed", 1.0)]
    interactions = make_interactions([Study(*row) for row in studied], members={"new": {}})

    orders = [items_of(Popularity(days).fit(interactions).recommend(["new"], k=2), "new") for days in (7.0, 1_000.0)]
    assert orders == [["fresh", "old"], ["old", "fresh"]]


def test_items_that_nobody_studied_or_everybody_disliked_are_not_popular() -> None:
    studied = [Study("a", "i"), Study("b", "bad", "viewed", 2.0), Study("b", "bad", "disliked", 1.0)]
    interactions = make_interactions(studied, members={"new": {}}, items={"alone": {}})

    assert list(scores(Popularity().fit(interactions))) == ["i"]


def test_a_member_who_switched_personalisation_off_does_not_count() -> None:
    interactions = make_interactions([("a", "i"), ("off", "j")], members={"off": {"personalised": "false"}, "new": {}})

    assert list(scores(Popularity().fit(interactions))) == ["i"]


def test_where_nobody_has_any_evidence_nothing_is_popular() -> None:
    interactions = make_interactions([], members={"new": {}}, items={"i": {}})

    assert scores(Popularity().fit(interactions)) == {}


@pytest.mark.parametrize("half_life_days", [1.0, 7.0, np.inf])
def test_everyone_is_told_the_same(half_life_days: float) -> None:
    interactions = make_interactions([("a", "i"), ("b", "j"), ("b", "i")], members={"new": {}})

    lists = Popularity(half_life_days).fit(interactions).recommend(["a", "b", "new"], k=2, exclude_seen=False)

    assert [items_of(lists, member) for member in ("a", "b", "new")] == [["i", "j"]] * 3
