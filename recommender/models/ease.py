"""EASE: a linear model of what goes with what, in closed form."""

import numpy as np
from scipy.sparse import diags

from features.histories import first_studies, studied
from features.interactions import Interactions, rows_of
from recommender.base import Model, Opinion
from recommender.closed_form import Full, LowRank, full, low_rank
from recommender.topk import Positions, Scores


class Ease(Model):
    """Items by a linear model of each item on all others (Steck 2019, https://doi.org/10.1145/3308558.3313710).

    The weights are ``B = -P / diag(P)`` outside the diagonal, with ``P`` the inverse of the regularised Gram matrix. Of
    large catalogues they are of low rank.

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
        Rank of the weights of more items.
    """

    def __init__(
        self,
        regularization: float = 100.0,
        half_life_days: float = np.inf,
        *,
        most_items: int = 10_000,
        rank: int = 500,
    ) -> None:
        self.regularization = regularization
        self.half_life_days = half_life_days
        self.most_items = most_items
        self.rank = rank

    def _fit(self, interactions: Interactions) -> None:
        key = ("ease", self.regularization, self.most_items, self.rank)
        self._learned, self._weights = interactions.once(key, lambda: self._solved(interactions))

    def _solved(self, interactions: Interactions) -> tuple[Positions, Full | LowRank]:
        """Return the items that are learned, and their weights for each other."""
        firsts = first_studies(interactions)
        learned = np.flatnonzero(np.bincount(firsts.item, minlength=interactions.shape[1]))
        influence = np.zeros(interactions.shape[0])
        influence[firsts.member] = np.sqrt(firsts.influence)
        rows = (diags(influence) @ studied(interactions)).tocsr()[:, learned].astype(np.float32)
        if len(learned) > self.most_items:
            return learned, low_rank(rows, self.regularization, self.rank)
        return learned, full(rows, self.regularization)

    def _score(self, known: Interactions, rows: Positions) -> Scores:
        history = rows_of(studied(known, self.half_life_days), rows)
        scores = np.full(history.shape, -np.inf, dtype=np.float32)
        found = self._weights.scores(history[:, self._learned])
        scores[:, self._learned] = np.where(found > 0, found, np.float32(-np.inf))
        return scores

    def opinion(self, known: Interactions, rows: Positions, closed: Scores, depth: int) -> Opinion:
        """See :meth:`recommender.base.Model.opinion`; of weights of low rank few scores are made exactly."""
        weights = self._weights
        if isinstance(weights, Full):
            return super().opinion(known, rows, closed, depth)
        vectors = weights.vectors(rows_of(studied(known, self.half_life_days), rows)[:, self._learned])
        row, item, values = weights.best(vectors, closed[:, self._learned], depth)

        def at(row: Positions, item: Positions) -> Scores:
            place = np.searchsorted(self._learned, item)
            there = self._learned[np.minimum(place, len(self._learned) - 1)] == item
            scores = np.full(len(row), -np.inf, dtype=np.float32)
            found = weights.at(vectors, row[there], place[there])
            scores[there] = np.where(found > 0, found, np.float32(-np.inf))
            return scores

        return Opinion(row, self._learned[item], values, at)
