"""Trend: what members begin to study these days."""

import numpy as np

from features.histories import bounded, first_interactions
from features.interactions import Interactions
from features.weights import decay
from recommender.models.base import NonPersonalisedModel


class Trend(NonPersonalisedModel):
    """Items by how many members first studied them, newer studies counting more; each member's part is bounded.

    Parameters
    ----------
    half_life_days : float
        A first study counts half after this many days.
    days_alike : bool
        A member's day counts once, divided among the items first studied on it: whoever works through a course in one
        go says no more than one who opens the item of the day.
    returning : bool
        Leave out members' first days: what members come back for.
    """

    def __init__(self, half_life_days: float = 7.0, *, days_alike: bool = False, returning: bool = False) -> None:
        self.half_life_days = half_life_days
        self.days_alike = days_alike
        self.returning = returning

    def _fit(self, interactions: Interactions) -> None:
        firsts = first_interactions(interactions)
        weight = decay(firsts.age_days, self.half_life_days)
        if self.days_alike:
            weight = weight / firsts.on_day
        if self.returning:
            weight = weight * ~firsts.first_day
        weight = bounded(firsts, weight, interactions.rules.member_cap)
        total = np.bincount(firsts.item, weights=weight, minlength=interactions.shape[1])
        self.common = np.where(total > 0, total, -np.inf).astype(np.float32)
