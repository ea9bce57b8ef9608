"""Popularity of the items that members study on their first day, for members without history."""

import numpy as np
from numpy.typing import NDArray

from features.histories import bounded, first_interactions, joining_order_of
from features.interactions import Interactions
from features.weights import decay
from recommender.linalg.topk import Positions, Scores, positive
from recommender.models.base import Model


class FirstItems(Model):
    """Items by how often members study them on their first day; for members without history.

    Newcomers and others are counted apart. A member is a newcomer where all who started before it had joined before it
    too: most of these start with what is laid out for newcomers, whereas a member who joined long ago and starts
    today mostly follows the day's push.

    Parameters
    ----------
    half_life_days : float
        A first interaction counts half after this many days.
    """

    def __init__(self, half_life_days: float = 30.0) -> None:
        self.half_life_days = half_life_days

    def _fit(self, interactions: Interactions) -> None:
        firsts = first_interactions(interactions)
        place = joining_order_of(interactions)
        opening = np.flatnonzero(np.diff(firsts.member, prepend=-1) != 0)
        order = opening[np.argsort(-firsts.age_days[opening], kind="stable")]
        furthest = np.maximum.accumulate(place[firsts.member[order]])
        before = np.concatenate([[-1.0], furthest[:-1]]) if len(order) else furthest
        newcomer = np.zeros(interactions.shape[0], dtype=bool)
        newcomer[firsts.member[order]] = place[firsts.member[order]] > before
        self._furthest = float(furthest[-1]) if len(order) else -1.0
        weight = decay(firsts.age_days, self.half_life_days) / firsts.on_day * firsts.first_day
        weight = bounded(firsts, weight, interactions.rules.member_cap)
        by_newcomer = newcomer[firsts.member]
        totals = [
            np.bincount(firsts.item, weights=weight * (by_newcomer == kind), minlength=interactions.shape[1])
            for kind in (False, True)
        ]
        self._totals = positive(np.stack(totals))

    def _score(self, interactions: Interactions, rows: Positions) -> Scores:
        scores = self._totals[self.are_newcomers(interactions, rows).astype(np.intp)]
        scores[np.diff(interactions.seen.indptr)[rows] > 0] = -np.inf
        return scores

    def are_newcomers(self, interactions: Interactions, rows: Positions) -> NDArray[np.bool_]:
        """Return which members joined after everybody who had started by the time of fitting."""
        return np.asarray(joining_order_of(interactions)[rows] > self._furthest)
