"""Judging: estimates that agree with the whole, and differences paired by list."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.evaluation.comparison import FEWEST_LISTS, compared
from recommender.evaluation.metrics import ndcg
from recommender.ranking.ranker import estimated, lessons


@given(seed=st.integers(0, 10_000), lists=st.integers(1, 6), length=st.integers(10, 30))
def test_where_every_candidate_is_kept_the_estimate_is_the_ndcg_of_lists(seed: int, lists: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    row = np.repeat(np.arange(lists), length)
    studied = rng.random(len(row)) < 0.2
    n_true = np.bincount(row[studied], minlength=lists) + 1
    score = rng.permutation(len(row)).astype(float)
    night = lessons(
        np.zeros((len(row), 1), dtype=np.float32),
        row,
        studied,
        n_true,
        members=np.arange(lists, dtype=np.uint64),
        share=1.0,
        seed=0,
    )
    kept = np.bincount(row[studied], minlength=lists)[row] > 0

    found = estimated(score[kept], night, share=1.0)

    best = np.argsort(-score.reshape(lists, length), axis=1)[:, :10]
    hits = np.take_along_axis(studied.reshape(lists, length), best, axis=1)
    np.testing.assert_allclose(found, ndcg(hits, n_true))


def figures(values: np.ndarray) -> pd.DataFrame:
    """Return how lists of one night were judged."""
    return pd.DataFrame({"cut": 1, "member": np.arange(len(values)), "ndcg": values})


def test_the_same_lists_do_not_differ_and_worse_ones_do_for_certain() -> None:
    then = np.random.default_rng(1).random(200)

    same, worse = compared(figures(then), figures(then)), compared(figures(then / 2), figures(then))

    assert same is not None
    assert worse is not None
    assert (same.mean, same.low, same.high, same.lists) == (0.0, 0.0, 0.0, 200)
    assert worse.mean == pytest.approx(-then.mean() / 2)
    assert worse.low < worse.mean < worse.high < 0.0


def test_only_lists_that_both_judged_are_compared_and_few_are_not() -> None:
    then = figures(np.full(100, 0.5))
    now = figures(np.full(100, 0.1)).assign(member=lambda frame: frame["member"] + 100 - FEWEST_LISTS)

    both = compared(now, then)

    assert both is not None
    assert both.lists == FEWEST_LISTS
    assert compared(now.iloc[1:], then) is None
