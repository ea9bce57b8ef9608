"""EASE: a linear model of what goes with what, in closed form."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, issparse

from features.histories import first_interactions, studied
from features.interactions import Interactions, rows_of
from recommender.linalg.ease_solver import full, largest_weights
from recommender.linalg.topk import Positions, Scores
from recommender.models.base import Model


class Ease(Model):
    """Items by a linear model of each item on all others (Steck 2019, https://doi.org/10.1145/3308558.3313710).

    The weights are ``B = -P / diag(P)`` outside the diagonal, with ``P`` the inverse of the regularised Gram matrix. Of
    large catalogues each item keeps those of the items that speak most for it, made from a Gram matrix of low rank.

    Parameters
    ----------
    regularization : float
        Added to the diagonal of the Gram matrix.
    half_life_days : float
        The member's own history counts half after this many days; learning counts all of it.
    most_items : int
        Up to so many studied items, all weights are learned in full: 4 bytes times the square of their number, and as
        much again times the square of the members where those are fewer. Time grows with the cube.
    rank : int
        Rank of the Gram matrix of more items.
    kept : int
        Items whose weights each of more items keeps: 8 bytes each.
    """

    def __init__(
        self,
        regularization: float = 100.0,
        half_life_days: float = np.inf,
        *,
        most_items: int = 10_000,
        rank: int = 1_000,
        kept: int = 200,
    ) -> None:
        self.regularization = regularization
        self.half_life_days = half_life_days
        self.most_items = most_items
        self.rank = rank
        self.kept = kept

    def _fit(self, interactions: Interactions) -> None:
        key = ("ease", self.regularization, self.most_items, self.rank, self.kept)
        self._learned, self._weights = interactions.memo(key, lambda: self._solved(interactions))

    def _solved(self, interactions: Interactions) -> tuple[Positions, NDArray[np.float32] | csr_matrix]:
        """Return the items that are learned, and their weights for each other; of many, weights of all items."""
        firsts = first_interactions(interactions)
        n_items = interactions.shape[1]
        learned = np.flatnonzero(np.bincount(firsts.item, minlength=n_items))
        influence = np.zeros(interactions.shape[0])
        influence[firsts.member] = np.sqrt(firsts.influence)
        rows = (diags(influence) @ studied(interactions)).tocsr()[:, learned].astype(np.float32)
        if len(learned) <= self.most_items:
            return learned, full(rows, self.regularization)
        few = largest_weights(rows, self.regularization, rank=self.rank, kept=self.kept).tocoo()
        return learned, csr_matrix((few.data, (learned[few.row], learned[few.col])), shape=(n_items, n_items))

    def _score(self, known: Interactions, rows: Positions) -> Scores:
        history = rows_of(studied(known, self.half_life_days), rows)
        if issparse(self._weights):
            found = (history @ self._weights).toarray()
            return np.where(found > 0, found, np.float32(-np.inf))
        scores = np.full(history.shape, -np.inf, dtype=np.float32)
        found = history[:, self._learned] @ self._weights
        scores[:, self._learned] = np.where(found > 0, found, np.float32(-np.inf))
        return scores
