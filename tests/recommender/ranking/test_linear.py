"""Linear ranking: hand-worked weights, contributions, and the models it learns to trust."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.ranking.linear import LinearRanking

NAMES = ("a", "b", "rank_by_a", "rank_by_b", "weekday")


def candidates(scores: list[tuple[float, float]]) -> np.ndarray:
    """Return candidates with scores of two models that propose nothing."""
    features = np.full((len(scores), len(NAMES)), np.nan, dtype=np.float32)
    features[:, :2] = scores
    return features


def test_the_weight_of_one_list_is_worked_out_by_hand() -> None:
    """Two candidates differ by 1 in model a: p = 1 / (1 + exp(-w)), and p - 1 + 2 * 0.5 * w = 0 at w = 0.401058."""
    features = candidates([(1.0, 0.0), (0.0, 0.0)])

    linear = LinearRanking(NAMES, l2=0.5).fit(
        features, np.array([True, False]), np.zeros(2, dtype=np.intp), np.zeros(2)
    )

    assert linear.weights == pytest.approx([0.401058, 0, 0, 0], abs=1e-5)
    assert linear.score(features) == pytest.approx([0.401058, 0.0], abs=1e-5)


def test_by_default_the_squared_weights_count_three_times() -> None:
    """The same list: p - 1 + 2 * 3 * w = 0 at w = 0.080002."""
    features = candidates([(1.0, 0.0), (0.0, 0.0)])

    linear = LinearRanking(NAMES).fit(features, np.array([True, False]), np.zeros(2, dtype=np.intp), np.zeros(2))

    assert linear.weights[0] == pytest.approx(0.080002, abs=1e-5)


def test_the_items_studied_from_a_list_share_its_weight() -> None:
    """Two of three: p = exp(w) / (2 exp(w) + 1) for each of them, and 2 p - 1 + 2 * 0.5 * w = 0 at w = 0.275208."""
    features, studied = candidates([(1.0, 0.0), (1.0, 0.0), (0.0, 0.0)]), np.array([True, True, False])

    linear = LinearRanking(NAMES, l2=0.5).fit(features, studied, np.zeros(3, dtype=np.intp), np.zeros(3))

    assert linear.weights[0] == pytest.approx(0.275208, abs=1e-5)


def test_scores_count_from_0_to_1() -> None:
    features = candidates([(1.0, 0.0), (0.0, 0.0)])
    linear = LinearRanking(NAMES).fit(features, np.array([True, False]), np.zeros(2, dtype=np.intp), np.zeros(2))

    beyond = linear.score(candidates([(1.5, 0.0), (-0.5, 0.0), (np.nan, 0.0)]))

    assert beyond.tolist() == [*linear.score(features), 0.0]


def test_a_start_that_is_right_already_moves_the_weights_less() -> None:
    features, studied, row = candidates([(1.0, 0.0), (0.0, 0.0)]), np.array([True, False]), np.zeros(2, dtype=np.intp)

    weights = [
        LinearRanking(NAMES).fit(features, studied, row, np.array([start, 0.0])).weights[0]
        for start in (-3.0, 0.0, 3.0)
    ]

    assert weights == sorted(weights, reverse=True)
    assert weights[-1] < 0.2 * weights[0]


def test_ranks_count_from_1_at_the_first_to_0_where_nothing_is_proposed() -> None:
    features = candidates([(0.0, 0.0)] * 4)
    features[:3, 2] = np.log([1.0, np.sqrt(61.0), 61.0])
    linear = LinearRanking(NAMES).fit(
        features, np.array([True, False, False, False]), np.zeros(4, np.intp), np.zeros(4)
    )

    score = linear.score(features)

    assert score[1] == pytest.approx(score[0] / 2, rel=1e-5)
    assert score[2:].tolist() == pytest.approx([0.0, 0.0], abs=1e-6)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1_000), lists=st.integers(1, 20))
def test_contributions_add_up_to_the_score(seed: int, lists: int) -> None:
    rng = np.random.default_rng(seed)
    features = rng.random((lists * 5, len(NAMES))).astype(np.float32)
    features[rng.random(features.shape) < 0.3] = np.nan
    studied = np.arange(lists * 5) % 5 == 0
    linear = LinearRanking(NAMES).fit(features, studied, np.repeat(np.arange(lists), 5), rng.random(lists * 5))

    parts = linear.contributions(features, np.eye(len(NAMES) + 1))

    np.testing.assert_allclose(parts.sum(axis=1), linear.score(features), atol=1e-9)
    assert not parts[:, 4].any(), "no model's score or rank"


def test_a_few_lists_tell_which_model_is_good_here() -> None:
    rng = np.random.default_rng(0)
    features = rng.random((10 * 20, len(NAMES))).astype(np.float32)
    row = np.repeat(np.arange(10), 20)
    best = features[:, 1].reshape(10, 20).argmax(axis=1) + np.arange(10) * 20
    studied = np.isin(np.arange(200), best)

    weights = LinearRanking(NAMES).fit(features, studied, row, np.zeros(200)).weights

    assert weights.argmax() == 1
    assert weights[1] > 3 * abs(weights[0])
