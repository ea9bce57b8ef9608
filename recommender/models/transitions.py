"""First-order Markov chain with skips: what members study after an item."""

import numpy as np
from scipy.sparse import csr_matrix, diags

from features.histories import first_interactions, latest
from features.interactions import Interactions
from recommender.linalg.ranges import rows_of
from recommender.linalg.shrinkage import shrunk_shares
from recommender.linalg.topk import Positions, Scores, positive
from recommender.models.base import Model


class Transitions(Model):
    """Items by how often they were first studied soon after the member's latest items.

    A Markov chain over the last few items with skips, that is sequential rules (Ludewig and Jannach 2018,
    https://doi.org/10.1007/s11257-018-9209-6; for the order of the chain He et al. 2016,
    https://doi.org/10.1109/ICDM.2016.0030): the share of those who studied one item and then, 1 to ``lags`` items
    later, another. Shares of rare items are shrunk towards 0. Items first studied at the same time have no order: they
    count as the mean over all their orders.

    Parameters
    ----------
    items : int
        Latest items of the member that count.
    lags : int
        Items later that count as next.
    step_decay : float
        Factor for each item further back, and for each lag.
    shrinkage : float
        Interactions of an item at which its shares count half.

    Attributes
    ----------
    shares : csr_matrix (items, items)
        Share of those who studied the item of a row that studied the one of a column next, summed over lags.
    """

    def __init__(self, items: int = 5, lags: int = 3, step_decay: float = 0.7, shrinkage: float = 5.0) -> None:
        self.items = items
        self.lags = lags
        self.step_decay = step_decay
        self.shrinkage = shrinkage

    def _fit(self, interactions: Interactions) -> None:
        firsts = first_interactions(interactions)
        n_items = interactions.shape[1]
        total = csr_matrix((n_items, n_items), dtype=np.float64)
        size = np.bincount(firsts.moment)
        moments = csr_matrix((1.0 / size[firsts.moment], (firsts.moment, firsts.item)), shape=(len(size), n_items))
        for lag in range(1, self.lags + 1):
            same = firsts.member[lag:] == firsts.member[:-lag]
            places = (firsts.moment[:-lag][same], firsts.moment[lag:][same])
            pairs = csr_matrix((firsts.influence[lag:][same], places), shape=(len(size), len(size)))
            # Within a moment an item does not follow itself: its pairs are divided among size - 1 others.
            ties = pairs.diagonal() * size / np.maximum(size - 1, 1)
            pairs.setdiag(ties)
            counts = csr_matrix(moments.T @ pairs @ moments - diags(np.asarray(moments.power(2).T @ ties).ravel()))
            totals = np.asarray(counts.sum(axis=1)).ravel()
            total = total + self.step_decay**lag * shrunk_shares(counts, totals, self.shrinkage)
        self.shares = total.astype(np.float32)

    def _score(self, interactions: Interactions, rows: Positions) -> Scores:
        return positive((rows_of(latest(interactions, self.items, self.step_decay), rows) @ self.shares).toarray())
