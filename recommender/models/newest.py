"""Newest items first: fills lists while there are no study events yet."""

import numpy as np

from features.interactions import Interactions
from features.study_time import DAY_MICROSECONDS
from recommender.models.base import NonPersonalisedModel


class Newest(NonPersonalisedModel):
    """Items by their day of publication; those without one come last."""

    def _fit(self, interactions: Interactions) -> None:
        published = interactions.items["published_at"]
        days = published.astype("datetime64[us, UTC]").astype("int64") // DAY_MICROSECONDS
        self.item_scores = np.where(published.notna(), days, 0).astype(np.float32)
