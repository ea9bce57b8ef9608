"""Popularity among members who joined at about the same time, for members without history."""

import numpy as np
from scipy.sparse import csr_matrix

from features.histories import bounded, first_interactions, joining_order_of
from features.interactions import Interactions
from features.weights import decay
from recommender.linalg.topk import Positions, Scores, positive
from recommender.models.base import Model


class Cohort(Model):
    """Items by the first interactions of members near in the order of joining; for members without history.

    Classes and depots join together and study together. The order is that of
    :func:`features.histories.joining_order`, cut into bins of equal size; a bin weighs
    ``1 / (1 + members between / bandwidth)``, a kernel over the order of joining (Nadaraya 1964,
    https://doi.org/10.1137/1109020).

    Parameters
    ----------
    half_life_days : float
        A first interaction counts half after this many days.
    bandwidth : int
        Members between two at which the one counts half for the other.
    """

    def __init__(self, half_life_days: float = 7.0, bandwidth: int = 300) -> None:
        self.half_life_days = half_life_days
        self.bandwidth = bandwidth

    def _fit(self, interactions: Interactions) -> None:
        firsts = first_interactions(interactions)
        place = joining_order_of(interactions)
        self._size = bin_size(place)
        bins = (place[firsts.member] // self._size).astype(np.int64)
        weight = decay(firsts.age_days, self.half_life_days) / firsts.on_day
        weight = bounded(firsts, weight, interactions.rules.member_cap)
        shape = (int(place.max(initial=0.0) // self._size) + 1, interactions.shape[1])
        self._by_bin = csr_matrix((weight, (bins, firsts.item)), shape=shape)
        self._used_bins = np.flatnonzero(np.diff(self._by_bin.indptr))

    def _score(self, interactions: Interactions, rows: Positions) -> Scores:
        scores = np.full((len(rows), interactions.shape[1]), -np.inf, dtype=np.float32)
        without_history = np.flatnonzero(np.diff(interactions.seen.indptr)[rows] == 0)
        if not len(without_history):
            return scores
        bins, which = np.unique(
            joining_order_of(interactions)[rows[without_history]] // self._size, return_inverse=True
        )
        between = np.abs(bins[:, None] - self._used_bins[None, :]) * self._size
        totals = (1.0 / (1.0 + between / self.bandwidth)) @ self._by_bin[self._used_bins].toarray()
        scores[without_history] = positive(totals)[which]
        return scores


MEMBERS_PER_BIN = 100
MAX_BINS = 1_000


def bin_size(place: np.ndarray) -> float:
    """Return the number of members per bin: 100, or more where there would be over 1,000 bins."""
    return max(float(MEMBERS_PER_BIN), np.ceil((place.max(initial=0.0) + 1) / MAX_BINS))
