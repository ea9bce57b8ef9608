"""Newest items first: fills lists while there are no study events yet."""

import numpy as np

from features.interactions import Interactions
from recommender.models.base import NonPersonalisedModel

DAY_NANOSECONDS = 86_400 * 10**9


class Newest(NonPersonalisedModel):
    """Items by their day of publication; those without one come last."""

    def _fit(self, interactions: Interactions) -> None:
        published = interactions.items["published_at"]
        days = published.astype("datetime64[ns, UTC]").astype("int64") // DAY_NANOSECONDS
        self.item_scores = np.where(published.notna(), days, 0).astype(np.float32)
