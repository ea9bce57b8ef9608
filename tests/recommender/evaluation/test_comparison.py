"""Comparison of rankings: NDCG over all candidates, and differences paired by list."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.evaluation.comparison import MIN_LISTS, compare
from recommender.evaluation.metrics import ndcg
from recommender.ranking.examples import TrainingExamples, ndcg_of_lists


@given(seed=st.integers(0, 10_000), lists=st.integers(1, 6), length=st.integers(10, 30))
def test_ndcg_of_ranked_candidates_is_the_ndcg_of_the_lists_they_make(seed: int, lists: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    row = np.repeat(np.arange(lists), length)
    studied = rng.random(len(row)) < 0.2
    n_true = np.bincount(row[studied], minlength=lists) + 1
    score = rng.permutation(len(row)).astype(float)

    of_candidates = ndcg_of_lists(score, examples(row, studied, n_true))

    best = np.argsort(-score.reshape(lists, length), axis=1)[:, :10]
    hits = np.take_along_axis(studied.reshape(lists, length), best, axis=1)
    np.testing.assert_allclose(of_candidates, ndcg(hits, n_true))


def test_a_random_ranker_is_not_flattered_by_a_sample_of_the_negatives() -> None:
    rng = np.random.default_rng(0)
    row = np.repeat(np.arange(200), 300)
    studied = np.arange(len(row)) % 300 == 0
    whole = examples(row, studied, np.ones(200, dtype=np.int64))

    by_all = ndcg_of_lists(rng.random(len(row)), whole).mean()
    part = whole.sampled(0.08, seed=1)

    assert by_all < 0.03
    assert ndcg_of_lists(rng.random(len(part.row)), part).mean() > 5 * by_all
    some = whole.of_lists(50, seed=1)
    assert len(some.members) == 50
    assert np.array_equal(np.bincount(some.row), np.full(50, 300)), "with all of their candidates"


def examples(row: np.ndarray, studied: np.ndarray, n_true: np.ndarray) -> TrainingExamples:
    """Return labelled candidates without features."""
    ids = np.array([f"m{number}" for number in range(len(n_true))], dtype=object)
    return TrainingExamples.of(np.zeros((len(row), 1), dtype=np.float32), row, studied, n_true, ids)


def figures(values: np.ndarray) -> pd.DataFrame:
    """Return the NDCG of lists of one night."""
    return pd.DataFrame({"objective": 1, "cut": 1, "member": np.arange(len(values)), "ndcg": values})


def test_the_same_lists_do_not_differ_and_worse_ones_do_for_certain() -> None:
    then = np.random.default_rng(1).random(200)

    same, worse = compare(figures(then), figures(then)), compare(figures(then / 2), figures(then))

    assert same is not None
    assert worse is not None
    assert (same.mean, same.low, same.high, same.lists) == (0.0, 0.0, 0.0, 200)
    assert worse.mean == pytest.approx(-then.mean() / 2)
    assert worse.low < worse.mean < worse.high < 0.0


def test_only_common_lists_are_compared_and_too_few_are_not() -> None:
    then = figures(np.full(100, 0.5))
    now = figures(np.full(100, 0.1)).assign(member=lambda frame: frame["member"] + 100 - MIN_LISTS)

    both = compare(now, then)

    assert both is not None
    assert both.lists == MIN_LISTS
    assert compare(now.iloc[1:], then) is None
    assert compare(now.assign(objective=2), then) is None, "NDCG by other outcomes"
