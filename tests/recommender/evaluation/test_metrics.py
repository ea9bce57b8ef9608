"""Ranking metrics: worked examples, and agreement with scikit-learn."""

from math import log2

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.metrics import ndcg_score, recall_score
from sklearn.metrics.pairwise import cosine_similarity

from recommender.evaluation.metrics import coverage, diversity, hit_rate, mrr, ndcg, novelty, recall

N_ITEMS = 30


def random_lists(seed: int, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return truths and scores of some members, and their hits at k."""
    rng = np.random.default_rng(seed)
    truth = rng.random((40, N_ITEMS)) < rng.uniform(0.02, 0.5, (40, 1))
    truth[np.arange(40), rng.integers(0, N_ITEMS, 40)] = True
    scores = rng.permuted(np.tile(np.arange(N_ITEMS, dtype=np.float64), (40, 1)), axis=1)
    best = np.argsort(-scores, axis=1)[:, :k]
    return truth, scores, np.take_along_axis(truth, best, axis=1)


@pytest.mark.parametrize("k", [1, 5, 10, N_ITEMS])
@pytest.mark.parametrize("seed", range(3))
def test_ndcg_agrees_with_scikit_learn(seed: int, k: int) -> None:
    truth, scores, hits = random_lists(seed, k)

    mine = ndcg(hits, truth.sum(axis=1))

    theirs = [ndcg_score(truth[row : row + 1], scores[row : row + 1], k=k) for row in range(len(truth))]
    np.testing.assert_allclose(mine, theirs, atol=1e-12)
    assert 0 < mine.mean() <= 1


@pytest.mark.parametrize("k", [1, 5, 10, N_ITEMS])
@pytest.mark.parametrize("seed", range(3))
def test_recall_agrees_with_scikit_learn_where_the_list_is_long_enough_for_all_true_items(seed: int, k: int) -> None:
    truth, scores, hits = random_lists(seed, k)
    listed = scores >= np.sort(scores, axis=1)[:, [-k]]
    n_true = truth.sum(axis=1)

    mine = recall(hits, n_true)

    theirs = np.array([recall_score(truth[row], listed[row]) for row in range(len(truth))])
    np.testing.assert_allclose(mine, theirs * n_true / np.minimum(n_true, k))


@pytest.mark.parametrize("sparse", [False, True])
def test_diversity_is_one_less_the_mean_cosine_of_all_pairs(sparse: bool) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((N_ITEMS, 7)).astype(np.float32) * (rng.random((N_ITEMS, 7)) < 0.5)
    vectors[:4] = 0.0
    listed = np.array([rng.permutation(N_ITEMS)[:6] for _ in range(20)])
    listed[:10, 4:] = -1

    mine = diversity(listed, csr_matrix(vectors) if sparse else vectors)

    for row, places in enumerate(listed):
        own = places[places >= 0]
        cosines = cosine_similarity(vectors[own])[np.triu_indices(len(own), 1)]
        assert mine[row] == pytest.approx(1.0 - cosines.mean(), abs=1e-6)


def test_lists_of_one_item_or_none_have_no_diversity_and_an_empty_one_no_novelty() -> None:
    listed = np.array([[1, -1], [-1, -1]])

    assert diversity(listed, np.eye(2, dtype=np.float32)).tolist() == [0.0, 0.0]
    assert novelty(listed, np.array([0, 1]), 1).tolist() == [0.0, 0.0]


def test_the_fewer_members_studied_an_item_the_newer_it_is() -> None:
    counts = np.array([0, 1, 3, 7])

    assert novelty(np.arange(4)[:, None], counts, 7).tolist() == [3.0, 2.0, 1.0, 0.0]
    assert novelty(np.array([[3, -1], [0, 2]]), counts, 7).tolist() == [0.0, 2.0]


@settings(deadline=None)
@given(hits=st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=5), more=st.integers(0, 9))
def test_every_metric_is_what_its_definition_says(hits: list[list[bool]], more: int) -> None:
    n_true = [max(sum(row) + more, 1) for row in hits]
    hit_matrix, true = np.array(hits), np.array(n_true)

    for row, (hit_row, n) in enumerate(zip(hits, n_true, strict=True)):
        gains = sum(1 / log2(rank + 1) for rank, hit in enumerate(hit_row, 1) if hit)
        ideal = sum(1 / log2(rank + 1) for rank in range(1, min(n, 4) + 1))
        assert ndcg(hit_matrix, true)[row] == pytest.approx(gains / ideal)
        assert recall(hit_matrix, true)[row] == pytest.approx(sum(hit_row) / min(n, 4))
        assert hit_rate(hit_matrix)[row] == float(any(hit_row))
        assert mrr(hit_matrix)[row] == next((1 / rank for rank, hit in enumerate(hit_row, 1) if hit), 0.0)


def test_a_perfect_list_scores_one_even_where_it_is_shorter_than_the_truth() -> None:
    hits, n_true = np.array([[True, True]]), np.array([7])

    assert (recall(hits, n_true).tolist(), ndcg(hits, n_true).tolist()) == ([1.0], [1.0])


def test_coverage_of_no_catalogue_is_zero() -> None:
    assert coverage(pd.Series([], dtype="str"), 0) == 0.0
