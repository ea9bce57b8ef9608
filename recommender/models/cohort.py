"""Cohort: what those begin with who joined at about the same time."""

import numpy as np
from scipy.sparse import csr_matrix

from features.histories import bounded, first_interactions, places
from features.interactions import Interactions
from features.weights import decay
from recommender.linalg.topk import Positions, Scores
from recommender.models.base import Model


class Cohort(Model):
    """Items by what those first studied who stand near the member in the order of joining; for members without history.

    Classes and depots join together and study together. The order is that of :func:`features.histories.positions`, cut
    into bins of equal size; a bin counts ``1 / (1 + members between / reach)``.

    Parameters
    ----------
    half_life_days : float
        A first study counts half after this many days.
    reach : int
        Members between two at which the one counts half for the other.
    """

    def __init__(self, half_life_days: float = 7.0, reach: int = 300) -> None:
        self.half_life_days = half_life_days
        self.reach = reach

    def _fit(self, interactions: Interactions) -> None:
        firsts = first_interactions(interactions)
        place = places(interactions)
        self._size = bin_size(place)
        bins = (place[firsts.member] // self._size).astype(np.int64)
        weight = decay(firsts.age_days, self.half_life_days) / firsts.on_day
        weight = bounded(firsts, weight, interactions.rules.member_cap)
        self._n_bins = int(place.max(initial=0.0) // self._size) + 1
        shape = (self._n_bins, interactions.shape[1])
        self._studied = csr_matrix((weight, (bins, firsts.item)), shape=shape)
        self._used = np.flatnonzero(np.diff(self._studied.indptr))

    def _score(self, known: Interactions, rows: Positions) -> Scores:
        scores = np.full((len(rows), known.shape[1]), -np.inf, dtype=np.float32)
        without = np.flatnonzero(np.diff(known.seen.indptr)[rows] == 0)
        if not len(without):
            return scores
        bins, which = np.unique(places(known)[rows[without]] // self._size, return_inverse=True)
        between = np.abs(bins[:, None] - self._used[None, :]) * self._size
        found = (1.0 / (1.0 + between / self.reach)) @ self._studied[self._used].toarray()
        scores[without] = np.where(found > 0, found, -np.inf)[which].astype(np.float32)
        return scores


MEMBERS_PER_BIN = 100
MOST_BINS = 1_000


def bin_size(place: np.ndarray) -> float:
    """Return how many members share a bin: 100, or more where there would be over 1,000 bins."""
    return max(float(MEMBERS_PER_BIN), np.ceil((place.max(initial=0.0) + 1) / MOST_BINS))
