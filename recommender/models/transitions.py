"""First-order Markov chain with skips: what members study after an item."""

import numpy as np
from scipy.sparse import csr_matrix, diags

from features.histories import first_interactions, latest
from features.interactions import Interactions, rows_of
from recommender.linalg.topk import Positions, Scores
from recommender.models.base import Model


class Transitions(Model):
    """Items by how often they were first studied soon after the member's latest items.

    A Markov chain over the last few items with skips, that is sequential rules (Ludewig and Jannach 2018,
    https://doi.org/10.1007/s11257-018-9209-6; for the order of the chain He et al. 2016,
    https://doi.org/10.1109/ICDM.2016.0030): the share of those who studied one item and then, 1 to ``lags`` items
    later, another. Shares of rare items are shrunk towards 0.

    Parameters
    ----------
    items : int
        Latest items of the member that count.
    lags : int
        Items later that count as next.
    position_decay : float
        Factor for each item further back, and for each lag.
    shrinkage : float
        Interactions of an item at which its shares count half.
    """

    def __init__(self, items: int = 5, lags: int = 3, position_decay: float = 0.7, shrinkage: float = 5.0) -> None:
        self.items = items
        self.lags = lags
        self.position_decay = position_decay
        self.shrinkage = shrinkage

    def _fit(self, interactions: Interactions) -> None:
        firsts = first_interactions(interactions)
        n_items = interactions.shape[1]
        total = csr_matrix((n_items, n_items), dtype=np.float64)
        for lag in range(1, self.lags + 1):
            same = firsts.member[lag:] == firsts.member[:-lag]
            weight = firsts.influence[lag:][same]
            places = (firsts.item[:-lag][same], firsts.item[lag:][same])
            counts = csr_matrix((weight, places), shape=total.shape)
            total = total + self.position_decay**lag * shares(counts, self.shrinkage)
        self._shares = total.astype(np.float32)

    def _score(self, interactions: Interactions, rows: Positions) -> Scores:
        scores = (rows_of(latest(interactions, self.items, self.position_decay), rows) @ self._shares).toarray()
        return np.where(scores > 0, scores, np.float32(-np.inf))


def shares(counts: csr_matrix, shrinkage: float) -> csr_matrix:
    """Return counts as shares of their rows, shrunk: ``n / (N + shrinkage)``.

    >>> shares(csr_matrix([[3.0, 1.0], [0.0, 0.0]]), 1.0).toarray().round(3).tolist()
    [[0.6, 0.2], [0.0, 0.0]]
    """
    total = np.asarray(counts.sum(axis=1)).ravel()
    return (diags(1.0 / (total + shrinkage)) @ counts).tocsr()
