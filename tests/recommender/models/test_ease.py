"""Items by a linear model of each on all others."""

import numpy as np
from pandas.testing import assert_frame_equal

from recommender.base import Model
from recommender.models.ease import Ease
from tests.recommender.builders import Organisation, items_of, make_interactions


def test_what_goes_with_what_a_member_studied_comes_first() -> None:
    studied = [(f"a{n}", item) for n in range(9) for item in ("excel", "word")]
    studied += [(f"b{n}", item) for n in range(9) for item in ("forklift", "pallets")]
    known = make_interactions([*studied, ("new", "pallets")])

    assert items_of(Ease(1.0).fit(known).recommend(["new"], k=3), "new") == ["forklift"]


def test_the_rank_of_all_items_gives_the_lists_of_the_full_form(organisation: Organisation) -> None:
    known = organisation.interactions
    full = Ease(10.0).fit(known).recommend(known.members.index, k=5)

    low = Ease(10.0, most_items=1, rank=1_000).fit(known).recommend(known.members.index, k=5)

    assert_frame_equal(low, full, check_exact=False, rtol=1e-3)


def test_a_low_rank_serves_a_member_the_same_alone_and_among_many(organisation: Organisation) -> None:
    known = organisation.interactions
    model = Ease(10.0, most_items=1, rank=5).fit(known)
    together = model.recommend(known.members.index, k=5)

    for member in together["member_id"].unique():
        mine = together[together["member_id"] == member].reset_index(drop=True)
        assert_frame_equal(model.recommend([member], k=5), mine)


def test_old_studies_of_a_member_count_less_with_a_half_life() -> None:
    studied = [(f"a{n}", item) for n in range(9) for item in ("excel", "word")]
    studied += [(f"b{n}", item) for n in range(9) for item in ("forklift", "pallets")]
    mine = [("new", "excel", "completed", 10.0), ("new", "pallets", "completed", 1.0)]
    known = make_interactions([*studied, *mine])

    lists = Ease(1.0, 7.0).fit(known).recommend(["new"], k=2)

    assert items_of(lists, "new") == ["forklift", "word"]
    assert np.diff(lists["score"])[0] < -0.1


def test_an_opinion_by_few_exact_scores_is_that_by_all_of_them(organisation: Organisation) -> None:
    known = organisation.interactions
    rows = np.arange(known.shape[0])
    closed = np.where(known.seen.toarray() > 0, np.float32(-np.inf), np.float32(0.0))
    closed[:, ::5] = -np.inf
    for half_life_days in (np.inf, 7.0):
        model = Ease(10.0, half_life_days, most_items=1, rank=5).fit(known)

        few, all_of_them = model.opinion(known, rows, closed, 7), Model.opinion(model, known, rows, closed, 7)

        for found, expected in ((few.row, all_of_them.row), (few.item, all_of_them.item)):
            np.testing.assert_array_equal(found, expected)
        np.testing.assert_allclose(few.values, all_of_them.values, rtol=1e-6)
        pairs = np.nonzero(closed == 0)
        np.testing.assert_allclose(few.at(*pairs), all_of_them.at(*pairs), rtol=1e-5, atol=1e-9)
