"""Popularity with exponential decay."""

import numpy as np

from features.interactions import Interactions
from recommender.linalg.topk import positive
from recommender.models.base import NonPersonalisedModel


class Popularity(NonPersonalisedModel):
    """Items by the decayed interaction weight of all members, each member's part bounded.

    The baseline of Cremonesi et al. 2010 (TopPop, https://doi.org/10.1145/1864708.1864721), with exponential decay.

    Parameters
    ----------
    half_life_days : float
        An interaction counts half after this many days.
    """

    def __init__(self, half_life_days: float = 7.0) -> None:
        self.half_life_days = half_life_days

    def _fit(self, interactions: Interactions) -> None:
        total = np.asarray(interactions.matrix(self.half_life_days).sum(axis=0, dtype=np.float64)).ravel()
        self.item_scores = positive(total)
