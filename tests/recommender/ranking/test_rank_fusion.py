import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from recommender.ranking.rank_fusion import RANK_OFFSET, fusion_parts, reciprocal_rank

RANKS = nps.arrays(
    np.float32, st.tuples(st.integers(0, 12), st.integers(1, 5)), elements=st.sampled_from([np.nan, 1, 2, 3, 7, 60])
)


@settings(deadline=None, max_examples=50)
@given(ranks=RANKS, data=st.data())
def test_the_score_is_the_sum_of_the_weights_over_the_ranks(ranks: np.ndarray, data: st.DataObject) -> None:
    weights = np.array(data.draw(st.lists(st.floats(0, 3), min_size=ranks.shape[1], max_size=ranks.shape[1])))

    score, by_model = reciprocal_rank(ranks, weights), fusion_parts(ranks, weights)

    for row, own in enumerate(ranks):
        parts = [0.0 if np.isnan(rank) else weight / (RANK_OFFSET + float(rank)) for rank, weight in zip(own, weights)]  # noqa: B905 - equal by construction
        assert score[row] == pytest.approx(sum(parts), abs=1e-11)
        assert by_model[row].tolist() == pytest.approx(parts)


@settings(deadline=None, max_examples=50)
@given(ranks=RANKS, seed=st.integers(0, 99))
def test_the_order_of_models_makes_no_difference_to_the_score(ranks: np.ndarray, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(ranks.shape[1])
    weights = np.arange(1.0, ranks.shape[1] + 1)

    score = reciprocal_rank(ranks, weights)

    assert reciprocal_rank(ranks[:, order], weights[order]).tolist() == score.tolist()


def test_each_candidate_can_have_weights_of_its_own() -> None:
    score = reciprocal_rank(np.float32([[1, 1], [1, 1]]), np.array([[1.0, 0.0], [0.0, 2.0]]))

    assert score.round(4).tolist() == [round(1 / 61, 4), round(2 / 61, 4)]


def test_what_nobody_proposes_scores_nothing() -> None:
    score = reciprocal_rank(np.float32([[np.nan, np.nan]]), np.array([1.0, 1.0]))

    assert score.tolist() == [0.0]
