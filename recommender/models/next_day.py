"""Next day: what members study on the day they come back."""

import numpy as np
from scipy.sparse import csr_matrix, diags

from features.histories import by_session, first_interactions, last_day
from features.interactions import Interactions, rows_of
from features.weights import decay
from recommender.linalg.topk import Positions, Scores
from recommender.models.base import Model


class NextDay(Model):
    """Items by how often members studied them on their next day after one with the items of the member's last day.

    Parameters
    ----------
    half_life_days : float
        A day that followed counts half after this many days.
    items : int
        Last items of a day that count.
    fade : float
        Each item further back counts this much less.
    shrinkage : float
        Days with an item at which its shares count half.
    """

    def __init__(
        self, half_life_days: float = 60.0, items: int = 8, fade: float = 0.85, shrinkage: float = 2.0
    ) -> None:
        self.half_life_days = half_life_days
        self.items = items
        self.fade = fade
        self.shrinkage = shrinkage

    def _fit(self, interactions: Interactions) -> None:
        firsts = first_interactions(interactions)
        lasting = firsts.from_session_end < self.items
        ends = by_session(interactions, np.where(lasting, self.fade**firsts.from_session_end, 0.0))
        met = by_session(interactions, lasting.astype(np.float64))
        begun = by_session(interactions, decay(firsts.age_days, self.half_life_days) * firsts.influence)
        first = np.flatnonzero(firsts.from_session_end == firsts.on_day - 1)
        follows = firsts.member[first][1:] == firsts.member[first][:-1]
        before, after = np.flatnonzero(follows), np.flatnonzero(follows) + 1
        age = decay(firsts.age_days[first][after], self.half_life_days) * firsts.influence[first][after]
        visits = np.asarray((diags(age) @ met[before]).sum(axis=0)).ravel()
        pairs = (ends[before].T @ begun[after]).tocsr()
        self._next = csr_matrix(diags(1.0 / (visits + self.shrinkage)) @ pairs, dtype=np.float32)

    def _score(self, known: Interactions, rows: Positions) -> Scores:
        scores = (rows_of(last_day(known, self.items, self.fade), rows) @ self._next).toarray()
        return np.where(scores > 0, scores, np.float32(-np.inf))
