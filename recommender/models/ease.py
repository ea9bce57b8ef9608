"""EASE: a linear item-item model with a closed-form solution."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, issparse

from features.histories import first_interactions, influences, studied
from features.interactions import Interactions
from recommender.linalg.ease_solver import exact_weights, largest_weights
from recommender.linalg.ranges import rows_of
from recommender.linalg.topk import Positions, Scores, positive, spread
from recommender.models.base import Model


class Ease(Model):
    """Items by a linear model of each item on all others (Steck 2019, https://doi.org/10.1145/3308558.3313710).

    The weights are ``B = -P / diag(P)`` outside the diagonal, with ``P`` the inverse of the regularised Gram matrix. In
    large catalogues each item keeps its largest weights only, from a Gram matrix of low rank.

    Parameters
    ----------
    regularization : float
        Added to the diagonal of the Gram matrix.
    half_life_days : float
        The member's own history counts half after this many days; fitting counts all of it.
    max_items : int
        Up to so many studied items, all weights are exact: 4 bytes times the square of their number; time grows with
        the cube.
    rank : int
        Rank of the Gram matrix of more items.
    weights_per_item : int
        Largest weights kept for each of more items: 8 bytes each.
    """

    def __init__(
        self,
        regularization: float = 100.0,
        half_life_days: float = np.inf,
        *,
        max_items: int = 10_000,
        rank: int = 1_000,
        weights_per_item: int = 200,
    ) -> None:
        self.regularization = regularization
        self.half_life_days = half_life_days
        self.max_items = max_items
        self.rank = rank
        self.weights_per_item = weights_per_item

    def _fit(self, interactions: Interactions) -> None:
        key = ("ease", self.regularization, self.max_items, self.rank, self.weights_per_item)
        self._learned, self._weights = interactions.memo(key, lambda: self._solve(interactions))

    def _solve(self, interactions: Interactions) -> tuple[Positions, NDArray[np.float32] | csr_matrix]:
        """Return the studied items, and their weights for each other; in large catalogues, weights of all items."""
        firsts = first_interactions(interactions)
        n_items = interactions.shape[1]
        learned = np.flatnonzero(np.bincount(firsts.item, minlength=n_items))
        rows = (diags(np.sqrt(influences(interactions))) @ studied(interactions)).tocsr()[:, learned].astype(np.float32)
        if len(learned) <= self.max_items:
            return learned, exact_weights(rows, self.regularization)
        largest = largest_weights(rows, self.regularization, rank=self.rank, per_item=self.weights_per_item).tocoo()
        places = learned[largest.row], learned[largest.col]
        return learned, csr_matrix((largest.data, places), shape=(n_items, n_items))

    def _score(self, interactions: Interactions, rows: Positions) -> Scores:
        history = rows_of(studied(interactions, self.half_life_days), rows)
        if issparse(self._weights):
            return positive((history @ self._weights).toarray())
        return spread(positive(history[:, self._learned] @ self._weights), self._learned, history.shape[1])
