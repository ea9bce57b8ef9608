"""Popularity of the items that members study on their first day, for members without history."""

import numpy as np
from numpy.typing import NDArray

from features.histories import bounded, first_interactions, places
from features.interactions import Interactions
from features.weights import decay
from recommender.linalg.topk import Positions, Scores
from recommender.models.base import Model


class FirstItems(Model):
    """Items by what members studied on their first day; for members without history.

    A member counts as new where all who began before it had joined before it too: most begin with what is laid out for
    newcomers. Who joined long ago and begins today mostly follows the day's push.

    Parameters
    ----------
    half_life_days : float
        A first study counts half after this many days.
    """

    def __init__(self, half_life_days: float = 30.0) -> None:
        self.half_life_days = half_life_days

    def _fit(self, interactions: Interactions) -> None:
        firsts = first_interactions(interactions)
        place = places(interactions)
        opening = np.flatnonzero(np.diff(firsts.member, prepend=-1) != 0)
        order = opening[np.argsort(-firsts.age_days[opening], kind="stable")]
        furthest = np.maximum.accumulate(place[firsts.member[order]])
        before = np.concatenate([[-1.0], furthest[:-1]]) if len(order) else furthest
        new = np.zeros(interactions.shape[0], dtype=bool)
        new[firsts.member[order]] = place[firsts.member[order]] > before
        self._furthest = float(furthest[-1]) if len(order) else -1.0
        weight = decay(firsts.age_days, self.half_life_days) / firsts.on_day * firsts.first_day
        weight = bounded(firsts, weight, interactions.rules.member_cap)
        is_new = new[firsts.member]
        self._begun = np.stack([self._total(firsts.item, weight * (is_new == kind), interactions) for kind in (0, 1)])

    def _score(self, known: Interactions, rows: Positions) -> Scores:
        scores = self._begun[self.are_new(known, rows).astype(np.intp)]
        scores[np.diff(known.seen.indptr)[rows] > 0] = -np.inf
        return scores

    def are_new(self, known: Interactions, rows: Positions) -> NDArray[np.bool_]:
        """Return which members joined after everybody who had begun."""
        return np.asarray(places(known)[rows] > self._furthest)

    @staticmethod
    def _total(items: Positions, weight: NDArray[np.float64], interactions: Interactions) -> Scores:
        total = np.bincount(items, weights=weight, minlength=interactions.shape[1])
        return np.where(total > 0, total, -np.inf).astype(np.float32)
