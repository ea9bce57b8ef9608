"""Items by a linear model of each on all others."""

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

from features.histories import studied
from recommender.models.ease import Ease
from tests.recommender.builders import Organisation, items_of, make_interactions


def test_what_goes_with_what_a_member_studied_comes_first() -> None:
    events = [(f"a{n}", item) for n in range(9) for item in ("excel", "word")]
    events += [(f"b{n}", item) for n in range(9) for item in ("forklift", "pallets")]
    interactions = make_interactions([*events, ("new", "pallets")])

    assert items_of(Ease(1.0).fit(interactions).recommend(["new"], k=3), "new") == ["forklift"]


def test_the_largest_weights_of_the_whole_rank_say_what_all_of_them_do(organisation: Organisation) -> None:
    interactions = organisation.interactions
    rows = np.arange(interactions.shape[0])
    whole, few = (
        Ease(10.0, max_items=most, rank=1_000, weights_per_item=1_000).fit(interactions) for most in (10_000, 1)
    )
    assert isinstance(whole._weights, np.ndarray)
    positive = np.maximum(whole._weights, 0.0)

    scores = few.scores(interactions, rows)

    expected = studied(interactions).toarray()[:, whole._learned] @ positive
    positive_scores = np.maximum(scores[:, whole._learned], 0.0)
    np.testing.assert_allclose(positive_scores, expected, rtol=1e-3, atol=1e-5)


def test_the_largest_weights_serve_a_member_the_same_alone_and_among_many(organisation: Organisation) -> None:
    interactions = organisation.interactions
    model = Ease(10.0, max_items=1, rank=5, weights_per_item=3).fit(interactions)
    together = model.recommend(interactions.members.index, k=5)

    for member in together["member_id"].unique():
        mine = together[together["member_id"] == member].reset_index(drop=True)
        assert_frame_equal(model.recommend([member], k=5), mine)


def test_old_studies_of_a_member_count_less_with_a_half_life() -> None:
    events = [(f"a{n}", item) for n in range(9) for item in ("excel", "word")]
    events += [(f"b{n}", item) for n in range(9) for item in ("forklift", "pallets")]
    mine = [("new", "excel", "completed", 10.0), ("new", "pallets", "completed", 1.0)]
    interactions = make_interactions([*events, *mine])

    lists = Ease(1.0, 7.0).fit(interactions).recommend(["new"], k=2)

    assert items_of(lists, "new") == ["forklift", "word"]
    assert np.diff(lists["score"])[0] < -0.1


@pytest.mark.parametrize(("max_items", "rounding"), [(10_000, -np.inf), (1, 1e-4)], ids=["exact", "of lower rank"])
def test_items_that_go_with_nothing_a_member_studied_are_not_scored(max_items: int, rounding: float) -> None:
    events = [(f"a{n}", item) for n in range(9) for item in ("excel", "word")]
    events += [(f"b{n}", item) for n in range(9) for item in ("forklift", "pallets")]
    interactions = make_interactions([*events, ("new", "pallets")], items={"zebra": {}})
    model = Ease(1.0, max_items=max_items).fit(interactions)

    [scores] = model.scores(interactions, interactions.members.index.get_indexer(["new"]))

    assert interactions.items.index[scores > rounding].tolist() == ["forklift"]
    assert scores[interactions.items.index.get_loc("zebra")] == -np.inf
    assert scores.dtype == np.float32
