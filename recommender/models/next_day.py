"""Transitions between study days: what members study on the next day they come back."""

import numpy as np
from scipy.sparse import diags

from features.histories import by_session, first_interactions, last_day, mean_of_ties
from features.interactions import Interactions
from features.weights import decay
from recommender.linalg.ranges import rows_of
from recommender.linalg.shrinkage import shrunk_shares
from recommender.linalg.topk import Positions, Scores, positive
from recommender.models.base import Model


class NextDay(Model):
    """Items by how often they were first studied on the study day after one with the items of the member's latest day.

    A Markov chain over baskets (Rendle et al. 2010, https://doi.org/10.1145/1772690.1772773), a basket being a day's
    first interactions, estimated by counting: ``count / (visits + shrinkage)``.

    Parameters
    ----------
    half_life_days : float
        A next day counts half after this many days.
    items : int
        Latest items of a day that count.
    step_decay : float
        Factor for each item further back.
    shrinkage : float
        Days with an item at which its shares count half.
    """

    def __init__(
        self, half_life_days: float = 60.0, items: int = 8, step_decay: float = 0.85, shrinkage: float = 2.0
    ) -> None:
        self.half_life_days = half_life_days
        self.items = items
        self.step_decay = step_decay
        self.shrinkage = shrinkage

    def _fit(self, interactions: Interactions) -> None:
        firsts = first_interactions(interactions)
        counted = firsts.from_session_end < self.items
        place_weight = np.where(counted, self.step_decay**firsts.from_session_end, 0.0)
        sources = by_session(interactions, mean_of_ties(firsts, place_weight))
        visited = by_session(interactions, mean_of_ties(firsts, counted.astype(np.float64)))
        targets = by_session(interactions, decay(firsts.age_days, self.half_life_days) * firsts.influence)
        first = np.flatnonzero(firsts.from_session_end == firsts.on_day - 1)
        follows = firsts.member[first][1:] == firsts.member[first][:-1]
        before, after = np.flatnonzero(follows), np.flatnonzero(follows) + 1
        weight = decay(firsts.age_days[first][after], self.half_life_days) * firsts.influence[first][after]
        visits = np.asarray((diags(weight) @ visited[before]).sum(axis=0)).ravel()
        pairs = (sources[before].T @ targets[after]).tocsr()
        self._shares = shrunk_shares(pairs, visits, self.shrinkage).astype(np.float32)

    def _score(self, interactions: Interactions, rows: Positions) -> Scores:
        session = rows_of(last_day(interactions, self.items, self.step_decay), rows)
        return positive((session @ self._shares).toarray())
