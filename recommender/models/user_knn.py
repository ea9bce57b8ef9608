"""Alike: what members with a like history study these days."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from features.histories import first_interactions, studied
from features.interactions import Interactions, rows_of
from recommender.linalg.cache import Answers
from recommender.linalg.topk import Positions, Scores
from recommender.models.base import Model

LAST_KEPT: Final = 4
"""Answers kept of :meth:`Likeness.nearest`: two models ask for the same, and two threads may be at work."""


class UserKNN(Model):
    """Items by what the members nearest in history studied, newer studies counting more.

    Member-based neighbours (Herlocker et al. 1999, https://doi.org/10.1145/312624.312682) with the cosine of what both
    have studied, among those who were active of late.

    Parameters
    ----------
    half_life_days : float
        A study of the others counts half after this many days.
    active_days : float
        Others count who first studied something within this many days.
    most_members : int
        ... and of these at most this many, the latest ones.
    neighbours : int
        Nearest members that count for a member.
    """

    def __init__(
        self,
        half_life_days: float = 30.0,
        active_days: float = 60.0,
        most_members: int = 5_000,
        neighbours: int = 1_000,
    ) -> None:
        self.half_life_days = half_life_days
        self.active_days = active_days
        self.most_members = most_members
        self.neighbours = neighbours

    def _fit(self, interactions: Interactions) -> None:
        key = ("likeness", self.active_days, self.most_members)
        self._likeness = interactions.memo(key, lambda: Likeness(interactions, self.active_days, self.most_members))
        active = self._likeness.active
        firsts = first_interactions(interactions)
        influence = np.zeros(interactions.shape[0])
        influence[firsts.member] = firsts.influence
        weighed = csr_matrix(diags(influence[active]) @ studied(interactions, self.half_life_days)[active])
        self._studied = weighed.astype(np.float32)

    def _score(self, known: Interactions, rows: Positions) -> Scores:
        scores = (self._likeness.nearest(known, rows, self.neighbours) @ self._studied).toarray()
        return np.where(scores > 0, scores, np.float32(-np.inf))


class Likeness:
    """How alike members are in what they have studied, measured against those who were active of late.

    Attributes
    ----------
    active : array (n_active,)
        Their positions.
    """

    def __init__(self, interactions: Interactions, active_days: float, most_members: int) -> None:
        firsts = first_interactions(interactions)
        age = np.full(interactions.shape[0], np.inf)
        np.minimum.at(age, firsts.member, firsts.age_days)
        latest = np.argsort(age, kind="stable")[:most_members]
        self.active = np.sort(latest[age[latest] < active_days])
        self._unit = csr_matrix(_unit(studied(interactions)[self.active]).T)
        self._last = Answers[tuple[Interactions, csr_matrix]](LAST_KEPT)

    def nearest(self, known: Interactions, rows: Positions, n: int) -> csr_matrix:
        """Return the cosines of members' ``n`` nearest: (len(rows), n_active).

        What was asked for last is kept: models that differ in what they make of it ask one after the other.
        """

        def made() -> tuple[Interactions, csr_matrix]:
            alike = _unit(rows_of(studied(known), rows)) @ self._unit
            alike.sort_indices()  # so that sums over them are the same whatever they are asked with
            if (np.diff(alike.indptr) > n).any():
                dense = alike.toarray()
                alike = csr_matrix(dense * _among_best(dense, n))
            return known, alike

        # What is known is held beside its answer, so that nothing else has its identity.
        return self._last.once((id(known), rows.tobytes(), n), made)[1]


def _among_best(values: Scores, n: int) -> NDArray[np.bool_]:
    """Return which values are among the best ``n`` of their row; of equal ones the first are."""
    least = np.sort(values, axis=1)[:, -n, None]  # several times as fast as a partition, which stumbles over equal ones
    above, equal = values > least, values == least
    places = np.cumsum(equal, axis=1, dtype=np.int32)
    return above | (equal & (places <= n - above.sum(axis=1, keepdims=True)))


def _unit(rows: csr_matrix) -> csr_matrix:
    """Return rows of ones divided by their length."""
    count = np.diff(rows.indptr)
    each = np.repeat(1.0 / np.sqrt(np.maximum(count, 1)), count).astype(np.float32)
    return csr_matrix((each, rows.indices, rows.indptr), shape=rows.shape)
