"""Alike: what members with a like history study these days."""

import numpy as np
from scipy.sparse import csr_matrix, diags

from features.histories import first_studies, studied
from features.interactions import Interactions
from recommender.base import Model
from recommender.topk import Positions, Scores, top_k


class Alike(Model):
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
        firsts = first_studies(interactions)
        age = np.full(interactions.shape[0], np.inf)
        np.minimum.at(age, firsts.member, firsts.age_days)
        latest = np.argsort(age, kind="stable")[: self.most_members]
        active = np.sort(latest[age[latest] < self.active_days])
        self._others = _unit(studied(interactions)[active]).T.tocsr()
        influence = np.zeros(interactions.shape[0])
        influence[firsts.member] = firsts.influence
        self._studied = csr_matrix(diags(influence[active]) @ studied(interactions, self.half_life_days)[active])
        self._studied = self._studied.astype(np.float32)

    def _score(self, known: Interactions, rows: Positions) -> Scores:
        alike = csr_matrix(_unit(studied(known)[rows]) @ self._others)
        if self._others.shape[1] > self.neighbours:
            asked, others, values = top_k(np.where((dense := alike.toarray()) > 0, dense, -np.inf), self.neighbours)
            alike = csr_matrix((values, (asked, others)), shape=alike.shape)
        scores = (alike @ self._studied).toarray()
        return np.where(scores > 0, scores, np.float32(-np.inf))


def _unit(rows: csr_matrix) -> csr_matrix:
    """Return rows of ones divided by their length."""
    count = np.diff(rows.indptr)
    return csr_matrix(diags(1.0 / np.sqrt(np.maximum(count, 1))) @ rows, dtype=np.float32)
