"""How good lists are."""

from math import log2

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.metrics import average_precision_score, ndcg_score, recall_score
from sklearn.metrics.pairwise import cosine_similarity

from recommender.evaluation import (
    average_precision,
    coverage,
    diversity,
    hit_rate,
    judge,
    mrr,
    ndcg,
    novelty,
    recall,
)

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


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_of_the_whole_catalogue_is_that_of_scikit_learn(seed: int) -> None:
    truth, scores, hits = random_lists(seed, N_ITEMS)

    mine = average_precision(hits, truth.sum(axis=1))

    theirs = [average_precision_score(truth[row], scores[row]) for row in range(len(truth))]
    np.testing.assert_allclose(mine, theirs)


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
    found, true = np.array(hits), np.array(n_true)

    for row, (one, n) in enumerate(zip(hits, n_true, strict=True)):
        gains = sum(1 / log2(rank + 1) for rank, hit in enumerate(one, 1) if hit)
        ideal = sum(1 / log2(rank + 1) for rank in range(1, min(n, 4) + 1))
        assert ndcg(found, true)[row] == pytest.approx(gains / ideal)
        assert recall(found, true)[row] == pytest.approx(sum(one) / min(n, 4))
        assert hit_rate(found)[row] == float(any(one))
        assert mrr(found)[row] == next((1 / rank for rank, hit in enumerate(one, 1) if hit), 0.0)
        precisions = [sum(one[:rank]) / rank for rank, hit in enumerate(one, 1) if hit]
        assert average_precision(found, true)[row] == pytest.approx(sum(precisions) / min(n, 4))


def test_a_perfect_list_scores_one_even_where_it_is_shorter_than_the_truth() -> None:
    hits, n_true = np.array([[True, True]]), np.array([7])

    assert (recall(hits, n_true).tolist(), ndcg(hits, n_true).tolist()) == ([1.0], [1.0])


def test_coverage_of_no_catalogue_is_zero() -> None:
    assert coverage(pd.Series([], dtype="str"), 0) == 0.0


def lists_of(**items: str) -> pd.DataFrame:
    """Return lists from a letter for each item, best first."""
    rows = [(member, item, rank) for member, letters in items.items() for rank, item in enumerate(letters, 1)]
    return pd.DataFrame(rows, columns=["member_id", "item_id", "rank"])


def truth_of(**items: str) -> pd.DataFrame:
    """Return what members studied next from a letter for each item."""
    return lists_of(**items)[["member_id", "item_id"]]


def test_metrics_are_means_over_the_members_of_the_truth() -> None:
    figures = judge(lists_of(m="abc", n="cab"), truth_of(m="a", n="bx"), k=2, n_items=8)

    assert figures == {"lists": 2.0, "recall": 0.5, "ndcg": 0.5, "hit_rate": 0.5, "coverage": 3 / 8}


def test_a_member_without_a_list_counts_as_a_miss() -> None:
    figures = judge(lists_of(m="a"), truth_of(m="a", n="a"), k=2, n_items=2)

    assert (figures["lists"], figures["recall"], figures["hit_rate"]) == (2.0, 0.5, 0.5)


def test_lists_of_others_play_no_part() -> None:
    truth = truth_of(m="b")

    assert judge(lists_of(m="ab", other="cdef"), truth, k=4, n_items=6) == judge(
        lists_of(m="ab"), truth, k=4, n_items=6
    )


def test_ranks_beyond_k_play_no_part() -> None:
    figures = judge(lists_of(m="abcd"), truth_of(m="d"), k=3, n_items=4)

    assert figures == {"lists": 1.0, "recall": 0.0, "ndcg": 0.0, "hit_rate": 0.0, "coverage": 0.75}


def test_without_a_truth_all_figures_are_zero() -> None:
    figures = judge(lists_of(m="ab"), truth_of(), k=3, n_items=4)

    assert figures == {"lists": 0.0, "recall": 0.0, "ndcg": 0.0, "hit_rate": 0.0, "coverage": 0.0}


@pytest.mark.parametrize("seed", range(3))
def test_judging_frames_gives_the_means_of_the_metrics(seed: int) -> None:
    truth, scores, hits = random_lists(seed, 10)
    names = np.array([f"i{number}" for number in range(N_ITEMS)])
    best = np.argsort(-scores, axis=1)[:, :10]
    members = np.array([f"m{number:02d}" for number in range(len(truth))])
    lists = pd.DataFrame(
        {"member_id": np.repeat(members, 10), "item_id": names[best].ravel(), "rank": np.tile(np.arange(1, 11), 40)}
    )
    who, what = np.nonzero(truth)

    figures = judge(
        lists.sample(frac=1, random_state=seed),
        pd.DataFrame({"member_id": members[who], "item_id": names[what]}),
        k=10,
        n_items=N_ITEMS,
    )

    n_true = truth.sum(axis=1)
    assert figures == pytest.approx(
        {
            "lists": 40.0,
            "recall": recall(hits, n_true).mean(),
            "ndcg": ndcg(hits, n_true).mean(),
            "hit_rate": hit_rate(hits).mean(),
            "coverage": len(np.unique(best)) / N_ITEMS,
        }
    )
