"""Co-occurrence of items first studied on the same day."""

import numpy as np
from scipy.sparse import csr_matrix

from features.histories import by_session, first_interactions, last_day
from features.interactions import Interactions
from recommender.linalg.ranges import rows_of
from recommender.linalg.shrinkage import shrunk_shares
from recommender.linalg.topk import Positions, Scores, positive
from recommender.models.base import Model


class SameDay(Model):
    """Items by how often members first studied them on the same day as the items of the member's latest day.

    Association rules of size two within sessions (Ludewig and Jannach 2018, https://doi.org/10.1007/s11257-018-9209-6),
    a session being a study day. Each session counts once for each of its items, divided among the others; rows are
    shrunk: ``count / (interactions + shrinkage)``.

    Parameters
    ----------
    items : int
        Latest items of the day that count.
    step_decay : float
        Factor for each item further back.
    shrinkage : float
        First interactions of an item at which its shares count half.
    """

    def __init__(self, items: int = 8, step_decay: float = 0.85, shrinkage: float = 5.0) -> None:
        self.items = items
        self.step_decay = step_decay
        self.shrinkage = shrinkage

    def _fit(self, interactions: Interactions) -> None:
        firsts = first_interactions(interactions)
        sessions = by_session(interactions, np.sqrt(firsts.influence / firsts.on_day))
        pairs = csr_matrix(sessions.T @ sessions, dtype=np.float64)
        pairs.setdiag(0.0)
        studies = np.bincount(firsts.item, minlength=interactions.shape[1]).astype(np.float64)
        self._shares = shrunk_shares(pairs, studies, self.shrinkage).astype(np.float32)

    def _score(self, interactions: Interactions, rows: Positions) -> Scores:
        session = rows_of(last_day(interactions, self.items, self.step_decay), rows)
        return positive((session @ self._shares).toarray())
