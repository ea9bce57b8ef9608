"""Popularity by first interactions: items that members start these days."""

import numpy as np

from features.histories import bounded, first_interactions
from features.interactions import Interactions
from features.weights import decay
from recommender.linalg.topk import positive
from recommender.models.base import NonPersonalisedModel


class Trend(NonPersonalisedModel):
    """Items by the number of members who first studied them, with exponential decay; each member's part is bounded.

    Recent popularity as in Ji et al. 2020 (https://doi.org/10.1145/3397271.3401233), decayed instead of cut off.

    Parameters
    ----------
    half_life_days : float
        A first interaction counts half after this many days.
    normalise_days : bool
        Divide each first interaction by the number of items the member first studied on that day, so that working
        through a whole course at once counts no more than opening the item of the day.
    exclude_first_day : bool
        Leave out each member's first day: count only what members come back for.
    """

    def __init__(
        self, half_life_days: float = 7.0, *, normalise_days: bool = False, exclude_first_day: bool = False
    ) -> None:
        self.half_life_days = half_life_days
        self.normalise_days = normalise_days
        self.exclude_first_day = exclude_first_day

    def _fit(self, interactions: Interactions) -> None:
        firsts = first_interactions(interactions)
        weight = decay(firsts.age_days, self.half_life_days)
        if self.normalise_days:
            weight = weight / firsts.on_day
        if self.exclude_first_day:
            weight = weight * ~firsts.first_day
        weight = bounded(firsts, weight, interactions.rules.member_cap)
        total = np.bincount(firsts.item, weights=weight, minlength=interactions.shape[1])
        self.item_scores = positive(total)
