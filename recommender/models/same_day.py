"""Co-occurrence of items first studied on the same day."""

import numpy as np
from scipy.sparse import csr_matrix, diags

from features.histories import by_session, first_interactions, last_day
from features.interactions import Interactions, rows_of
from recommender.linalg.topk import Positions, Scores
from recommender.models.base import Model


class SameDay(Model):
    """Items by how often members first studied them on the same day as the items of the member's last day.

    A day counts once for each of its items, divided among the others.

    Parameters
    ----------
    items : int
        Last items of the day that count.
    fade : float
        Each item further back counts this much less.
    shrinkage : float
        Studies of an item at which its shares count half.
    """

    def __init__(self, items: int = 8, fade: float = 0.85, shrinkage: float = 5.0) -> None:
        self.items = items
        self.fade = fade
        self.shrinkage = shrinkage

    def _fit(self, interactions: Interactions) -> None:
        firsts = first_interactions(interactions)
        days = by_session(interactions, np.sqrt(firsts.influence / firsts.on_day))
        pairs = csr_matrix(days.T @ days, dtype=np.float64)
        pairs.setdiag(0.0)
        studies = np.bincount(firsts.item, minlength=interactions.shape[1])
        self._with = csr_matrix(diags(1.0 / (studies + self.shrinkage)) @ pairs, dtype=np.float32)

    def _score(self, known: Interactions, rows: Positions) -> Scores:
        scores = (rows_of(last_day(known, self.items, self.fade), rows) @ self._with).toarray()
        return np.where(scores > 0, scores, np.float32(-np.inf))
