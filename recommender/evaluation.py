"""How good lists are: what members studied next, found again on their lists."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Hits = NDArray[np.bool_]
Counts = NDArray[np.int64]


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


def coverage(items: pd.Series, n_items: int) -> float:
    """Return the share of the catalogue that stands on any list.

    >>> coverage(pd.Series(["a", "b", "a"]), 4)
    0.5
    """
    return float(items.nunique() / n_items) if n_items else 0.0


def judge(lists: pd.DataFrame, truth: pd.DataFrame, *, k: int, n_items: int) -> dict[str, int | float]:
    """Return the mean metrics of lists: ``lists, recall, ndcg, hit_rate, coverage``.

    Parameters
    ----------
    lists : DataFrame
        ``member_id, item_id, rank``; members of the truth without a list count as misses.
    truth : DataFrame
        Distinct ``member_id, item_id`` studied next for the first time.
    """
    n_true = truth.groupby("member_id").size()
    cut = lists[(lists["rank"] <= k) & lists["member_id"].isin(n_true.index)]
    found = cut.merge(truth, on=["member_id", "item_id"])
    hits = np.zeros((len(n_true), k), dtype=bool)
    hits[n_true.index.get_indexer(found["member_id"]), found["rank"].to_numpy() - 1] = True
    counts = n_true.to_numpy(dtype=np.int64)
    return {
        "lists": len(n_true),
        "recall": _mean(recall(hits, counts)),
        "ndcg": _mean(ndcg(hits, counts)),
        "hit_rate": _mean(hit_rate(hits)),
        "coverage": coverage(cut["item_id"], n_items),
    }


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0
