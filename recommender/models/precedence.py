"""Precedence: which of two items members study first."""

import numpy as np
from scipy.sparse import csr_matrix

from features.histories import first_interactions, studied
from features.interactions import Interactions
from recommender.linalg.ranges import rows_of
from recommender.linalg.topk import Positions, Scores
from recommender.models.base import Model


class Precedence(Model):
    """Items by how surely members studied them after the member's own items, however long after.

    The sum over the member's items of the log-odds that of the two the item was studied later, by all members who
    studied both: paired comparisons (Bradley and Terry 1952, https://doi.org/10.1093/biomet/39.3-4.324), counted by
    pair and shrunk towards even odds. Unlike transitions it also knows what comes long after, and what comes before and
    so was passed over. Items first studied at the same time count half in each order.

    Parameters
    ----------
    items : int
        Latest items of each member whose order counts.
    shrinkage : float
        Members added to each order of two items.

    Attributes
    ----------
    log_odds : csr_matrix (items, items)
        Log-odds that the item of a column is studied after the one of a row, of all pairs that anyone studied.
    """

    def __init__(self, items: int = 50, shrinkage: float = 0.5) -> None:
        self.items = items
        self.shrinkage = shrinkage

    def _fit(self, interactions: Interactions) -> None:
        firsts = first_interactions(interactions)
        counted = firsts.from_end < self.items
        columns = firsts.member, firsts.item, firsts.moment, firsts.influence
        member, item, moment, influence = (column[counted] for column in columns)
        n_items = interactions.shape[1]
        before = csr_matrix((n_items, n_items), dtype=np.float64)
        for lag in range(1, int(firsts.from_end[counted].max(initial=0)) + 1):
            earlier = np.flatnonzero(member[lag:] == member[:-lag])
            later = earlier + lag
            tied = moment[earlier] == moment[later]
            weight = influence[earlier] * np.where(tied, 0.5, 1.0)
            rows = np.concatenate([item[earlier], item[later[tied]]])
            places = rows, np.concatenate([item[later], item[earlier[tied]]])
            before = before + csr_matrix((np.append(weight, weight[tied]), places), shape=before.shape)
        both = csr_matrix(before + before.T)
        row, column = both.nonzero()
        if not len(row):  # SciPy gives a sparse matrix for no places
            self.log_odds = csr_matrix(both.shape, dtype=np.float32)
            return
        first, second = (np.asarray(counts[row, column]).ravel() for counts in (before, csr_matrix(before.T)))
        odds = np.log((first + self.shrinkage) / (second + self.shrinkage)).astype(np.float32)
        self.log_odds = csr_matrix((odds, (row, column)), shape=both.shape)

    def _score(self, interactions: Interactions, rows: Positions) -> Scores:
        own = rows_of(studied(interactions), rows)
        pairs = np.ones(self.log_odds.nnz, dtype=np.float32), self.log_odds.indices, self.log_odds.indptr
        paired = (own @ csr_matrix(pairs, shape=self.log_odds.shape)).toarray() > 0
        return np.where(paired, (own @ self.log_odds).toarray(), np.float32(-np.inf))
