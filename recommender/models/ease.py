"""EASE: a linear model of what goes with what, in closed form."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import diags

from features.histories import first_studies, studied
from features.interactions import Interactions, rows_of
from recommender.answers import Answers
from recommender.base import Model, Opinion
from recommender.closed_form import Full, LowRank, full, low_rank
from recommender.fold_in import columns_in, places_among
from recommender.topk import Positions, Scores

LAST_KEPT: Final = 4
"""Answers kept of what was asked last: several models ask for the same, and several threads may be at work."""


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
        self._learned = interactions.once(
            key, lambda: Learned(interactions, self.regularization, self.most_items, self.rank)
        )
        self._learned.half_lives.setdefault(self.half_life_days, len(self._learned.half_lives))

    def _score(self, known: Interactions, rows: Positions) -> Scores:
        history = rows_of(studied(known, self.half_life_days), rows)
        scores = np.full(history.shape, -np.inf, dtype=np.float32)
        found = self._learned.weights.scores(history[:, self._learned.items])
        scores[:, self._learned.items] = np.where(found > 0, found, np.float32(-np.inf))
        return scores

    def opinion(self, known: Interactions, rows: Positions, closed: Scores, depth: int) -> Opinion:
        """See :meth:`recommender.base.Model.opinion`; of weights of low rank few scores are made exactly."""
        learned, weights = self._learned, self._learned.weights
        if isinstance(weights, Full):
            return super().opinion(known, rows, closed, depth)
        asked, number = learned.asked(weights, known, rows, closed, depth), learned.half_lives[self.half_life_days]
        row, place, values = asked.best[number]
        return Opinion(row, learned.items[place], values, lambda row, item: asked.at(row, item)[number])


class Learned:
    """What was learned, shared by models that differ in what a member's own history counts.

    Attributes
    ----------
    items : array (n,)
        The items that anybody studied.
    weights : Full or LowRank
        Their weights for each other.
    half_lives : dict
        The half-lives of the models that share it, with a number each.
    """

    def __init__(self, interactions: Interactions, regularization: float, most_items: int, rank: int) -> None:
        firsts = first_studies(interactions)
        self.items = np.flatnonzero(np.bincount(firsts.item, minlength=interactions.shape[1]))
        influence = np.zeros(interactions.shape[0])
        influence[firsts.member] = np.sqrt(firsts.influence)
        rows = (diags(influence) @ studied(interactions)).tocsr()[:, self.items].astype(np.float32)
        self.weights: Full | LowRank = (
            low_rank(rows, regularization, rank) if len(self.items) > most_items else full(rows, regularization)
        )
        self._places = places_among(self.items, interactions.shape[1])
        self.half_lives: dict[float, int] = {}
        self._last = Answers[_Asked](LAST_KEPT)

    def asked(self, weights: LowRank, known: Interactions, rows: Positions, closed: Scores, depth: int) -> "_Asked":
        """Return what weights of low rank tell by all half-lives at once: reading them is what takes the time."""

        def made() -> _Asked:
            histories = [rows_of(studied(known, days), rows) for days in self.half_lives]
            learned = [columns_in(history, self._places, len(self.items)) for history in histories]
            vectors = np.stack([weights.vectors(history) for history in learned])
            return _Asked(known, closed, self.items, weights, vectors, depth)

        # What is known and closed is held with its answer, so that nothing else has its identity.
        return self._last.once((id(known), id(closed), rows.tobytes(), depth, *self.half_lives), made)


class _Asked:
    """What was asked of weights of low rank last: the best items by each half-life, and scores of others."""

    def __init__(
        self,
        known: Interactions,
        closed: Scores,
        items: Positions,
        weights: LowRank,
        vectors: NDArray[np.float64],
        depth: int,
    ) -> None:
        self._held = known, closed
        self._items, self._weights, self._vectors = items, weights, vectors
        self.best = weights.best(vectors, closed[:, items], depth)
        self._pairs: tuple[Positions, Positions] | None = None
        self._scores = np.empty((0, 0), dtype=np.float32)

    def at(self, row: Positions, item: Positions) -> Scores:
        """Return scores by each half-life: (half-lives, len(row))."""
        if self._pairs is None or self._pairs[0] is not row or self._pairs[1] is not item:
            place = np.searchsorted(self._items, item)
            there = self._items[np.minimum(place, len(self._items) - 1)] == item
            found = self._weights.at(self._vectors, row[there], place[there])
            self._scores = np.full((len(found), len(row)), -np.inf, dtype=np.float32)
            self._scores[:, there] = np.where(found > 0, found, np.float32(-np.inf))
            self._pairs = row, item
        return self._scores
