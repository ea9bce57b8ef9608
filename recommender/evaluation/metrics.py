"""Ranking metrics: recall, NDCG, hit rate, MRR, MAP, novelty, diversity, miscalibration and coverage of lists."""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import rel_entr
from sklearn.preprocessing import normalize

Hits = NDArray[np.bool_]
Counts = NDArray[np.int64]
ItemsOnLists = NDArray[np.intp]
SMOOTHING: Final = 0.01
"""Share of a member's own topics in those of a list, so that no topic is without any (Steck 2018)."""


def recall(hits: Hits, n_true: Counts) -> NDArray[np.float64]:
    """Return Recall@k of each list: hits / min(true items, k).

    Parameters
    ----------
    hits : array (n_lists, k) of bool
        Whether the item at each rank was studied next.
    n_true : array (n_lists,)
        Items studied next, at least 1.

    Examples
    --------
    One of three true items among two recommended: 1 / min(3, 2).

    >>> recall(np.array([[True, False]]), np.array([3])).tolist()
    [0.5]
    """
    return np.asarray(hits.sum(axis=1) / np.minimum(n_true, hits.shape[1]), dtype=np.float64)


def ndcg(hits: Hits, n_true: Counts) -> NDArray[np.float64]:
    """Return NDCG@k of each list (Järvelin and Kekäläinen 2002, https://doi.org/10.1145/582415.582418).

    The gain of a hit at rank r is 1 / log2(r + 1), the ideal list has min(true items, k) hits first.

    >>> ndcg(np.array([[False, True]]), np.array([1])).round(4).tolist()
    [0.6309]
    """
    discount = 1.0 / np.log2(np.arange(hits.shape[1]) + 2.0)
    ideal = np.concatenate([[0.0], np.cumsum(discount)])
    gains: NDArray[np.float64] = hits.astype(np.float64) @ discount
    return gains / ideal[n_true.clip(max=hits.shape[1])]


def hit_rate(hits: Hits) -> NDArray[np.float64]:
    """Return 1 for each list with a hit, else 0.

    >>> hit_rate(np.array([[False, True], [False, False]])).tolist()
    [1.0, 0.0]
    """
    return np.asarray(hits.any(axis=1), dtype=np.float64)


def mrr(hits: Hits) -> NDArray[np.float64]:
    """Return the reciprocal rank of the first hit of each list, 0 without one; its mean over lists is MRR@k.

    Voorhees 1999, https://trec.nist.gov/pubs/trec8/papers/qa_report.pdf.

    >>> mrr(np.array([[False, True, True], [False, False, False]])).tolist()
    [0.5, 0.0]
    """
    return np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1.0), 0.0)


def novelty(listed: ItemsOnLists, n_studied: Counts, n_members: int) -> NDArray[np.float64]:
    """Return the mean self-information of each list's items, in bits.

    An item's is ``-log2((members who studied it + 1) / (members + 1))`` (Zhou et al. 2010,
    https://doi.org/10.1073/pnas.1000488107); one is added so that an item without study counts as
    one that one more member studied. 0 for an empty list.

    Parameters
    ----------
    listed : array (n_lists, k) of int
        Positions of the items on each list; -1 where a list is shorter.
    n_studied : array (n_items,)
        Members who studied each item.
    n_members : int
        All members, at least as many.

    Examples
    --------
    One item that all three members studied and one that none did: (log2(4 / 4) + log2(4 / 1)) / 2.

    >>> novelty(np.array([[0, 1]]), np.array([3, 0]), 3).tolist()
    [1.0]
    """
    bits = np.log2((n_members + 1.0) / (n_studied + 1.0))
    filled = listed >= 0
    return np.where(filled, bits[listed], 0.0).sum(axis=1) / np.maximum(filled.sum(axis=1), 1)


def diversity(listed: ItemsOnLists, vectors: NDArray[np.float32] | csr_matrix) -> NDArray[np.float64]:
    """Return the intra-list diversity of each list: 1 - the mean cosine of its pairs of items.

    Ziegler et al. 2005, https://doi.org/10.1145/1060745.1060754. 0 for a list of fewer than two items.

    Parameters
    ----------
    listed : array (n_lists, k) of int
        Positions of the items on each list, each once; -1 where a list is shorter.
    vectors : array or sparse matrix (n_items, n_dimensions)
        Text vectors of items, or a column of ones and zeros per topic. An item without any is similar to none.

    Examples
    --------
    Two similar items and one unlike both: one pair of three is similar.

    >>> diversity(np.array([[0, 1, 2], [0, 1, -1]]), np.float32([[1, 0], [2, 0], [0, 3]])).round(4).tolist()
    [0.6667, 0.0]
    """
    on_list = _items_on(listed, vectors.shape[0])
    unit = csr_matrix(normalize(csr_matrix(vectors, dtype=np.float64)))
    total = on_list @ unit
    # The cosines of all ordered pairs sum to the squared length of the sum, less each item's own.
    similar = total.multiply(total).sum(axis=1).A1 - (on_list @ unit.multiply(unit)).sum(axis=1).A1
    size = (listed >= 0).sum(axis=1)
    return np.where(size > 1, 1.0 - similar / np.maximum(size * (size - 1), 1), 0.0)


def miscalibration(listed: ItemsOnLists, studied: csr_matrix, topics: csr_matrix) -> NDArray[np.float64]:
    """Return how far the topics of each list are from those that its member studied: the Kullback-Leibler divergence.

    Steck 2018, https://doi.org/10.1145/3240323.3240372: ``sum_t p(t) ln(p(t) / q'(t))`` with ``q' = 0.99 q + 0.01 p``,
    where p and q are the shares of topics among the items studied and on the list; an item counts in equal parts for
    its topics. 0: the same shares. NaN where the list or the member's history has no topic.

    Parameters
    ----------
    listed : array (n_lists, k) of int
        Positions of the items on each list; -1 where a list is shorter.
    studied : csr_matrix (n_lists, n_items)
        Items that the member of each list has studied, above 0.
    topics : csr_matrix (n_items, n_topics)
        Topics of items, above 0.

    Examples
    --------
    A member studied one item of each of two topics. A list of one topic alone has the shares 0.995 and 0.005 once
    mixed: 0.5 ln(0.5 / 0.995) + 0.5 ln(0.5 / 0.005); a list of both has none.

    >>> history, topics = csr_matrix([[1.0, 1.0], [1.0, 1.0]]), csr_matrix(np.eye(2))
    >>> miscalibration(np.array([[0, -1], [0, 1]]), history, topics).round(4).tolist()
    [1.9585, 0.0]
    """
    on_list = _items_on(listed, topics.shape[0])
    parts = normalize((topics > 0).astype(np.float64), norm="l1")
    p, q = (normalize(items.astype(np.float64) @ parts, norm="l1").toarray() for items in (studied > 0, on_list))
    mixed = (1.0 - SMOOTHING) * q + SMOOTHING * p
    divergence: NDArray[np.float64] = rel_entr(p, mixed).sum(axis=1)
    return np.where((p.sum(axis=1) > 0) & (q.sum(axis=1) > 0), divergence, np.nan)


def _items_on(listed: ItemsOnLists, n_items: int) -> csr_matrix:
    """Return which items are on each list: (n_lists, n_items) of ones."""
    rows, columns = np.nonzero(listed >= 0)
    return csr_matrix((np.ones(len(rows)), (rows, listed[rows, columns])), shape=(len(listed), n_items))


def coverage(items: pd.Series, n_items: int) -> float:
    """Return the share of the catalogue that stands on any list.

    >>> coverage(pd.Series(["a", "b", "a"]), 4)
    0.5
    """
    return float(items.nunique() / n_items) if n_items else 0.0
