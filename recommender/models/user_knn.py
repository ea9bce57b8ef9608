"""User-based nearest neighbours (user kNN) among recently active members."""

from copy import copy
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from features.histories import first_interactions, studied
from features.interactions import Interactions, rows_of
from recommender.linalg.cache import BoundedCache
from recommender.linalg.topk import Positions, Scores
from recommender.models.base import Model

CACHED_BLOCKS: Final = 4
"""Results of :meth:`MemberSimilarity.nearest` that are cached: two models ask for the same, in up to two threads."""


class UserKNN(Model):
    """Items by what the members nearest in history studied, newer first interactions counting more.

    User-based neighbourhoods (Herlocker et al. 1999, https://doi.org/10.1145/312624.312682) with the cosine of the
    sets of studied items, among recently active members.

    Parameters
    ----------
    half_life_days : float
        A first interaction of a neighbour counts half after this many days.
    active_days : float
        Only members with a first interaction within this many days are neighbours.
    max_members : int
        ... and at most this many of them, the latest ones.
    neighbours : int
        Nearest members that count for a member.
    """

    def __init__(
        self,
        half_life_days: float = 30.0,
        active_days: float = 60.0,
        max_members: int = 5_000,
        neighbours: int = 1_000,
    ) -> None:
        self.half_life_days = half_life_days
        self.active_days = active_days
        self.max_members = max_members
        self.neighbours = neighbours

    def _fit(self, interactions: Interactions) -> None:
        key = ("member similarity", self.active_days, self.max_members)
        self._similarity = interactions.memo(
            key, lambda: MemberSimilarity(interactions, self.active_days, self.max_members)
        )
        active = self._similarity.active
        firsts = first_interactions(interactions)
        influence = np.zeros(interactions.shape[0])
        influence[firsts.member] = firsts.influence
        weighed = csr_matrix(diags(influence[active]) @ studied(interactions, self.half_life_days)[active])
        self._studied = weighed.astype(np.float32)

    def _score(self, interactions: Interactions, rows: Positions) -> Scores:
        scores = (self._similarity.nearest(interactions, rows, self.neighbours) @ self._studied).toarray()
        return np.where(scores > 0, scores, np.float32(-np.inf))

    def without_member(self, row: int) -> Self:
        """Return the fitted model without the vectors of one member, which is no neighbour any more."""
        stays = (self._similarity.active != row).astype(np.float32)
        model = copy(self)
        weights = csr_matrix(diags(stays) @ self._studied, dtype=np.float32)
        weights.eliminate_zeros()
        model.__dict__ |= {"_similarity": self._similarity.without_member(row), "_studied": weights}
        return model


class MemberSimilarity:
    """Cosine of members' sets of studied items, against recently active members.

    Attributes
    ----------
    active : array (n_active,)
        Positions of these.
    """

    def __init__(self, interactions: Interactions, active_days: float, max_members: int) -> None:
        firsts = first_interactions(interactions)
        age = np.full(interactions.shape[0], np.inf)
        np.minimum.at(age, firsts.member, firsts.age_days)
        latest = np.argsort(age, kind="stable")[:max_members]
        self.active = np.sort(latest[age[latest] < active_days])
        self._unit = csr_matrix(_unit(studied(interactions)[self.active]).T)
        self._by_block = BoundedCache[tuple[Interactions, csr_matrix]](CACHED_BLOCKS)

    def without_member(self, row: int) -> "MemberSimilarity":
        """Return the same with an empty vector for one member."""
        similarity = copy(self)
        unit = csr_matrix(self._unit @ diags((self.active != row).astype(np.float32)), dtype=np.float32)
        unit.eliminate_zeros()
        cache = BoundedCache[tuple[Interactions, csr_matrix]](CACHED_BLOCKS)
        similarity.__dict__ |= {"_unit": unit, "_by_block": cache}
        return similarity

    def nearest(self, interactions: Interactions, rows: Positions, n: int) -> csr_matrix:
        """Return the cosines of members' ``n`` nearest: (len(rows), n_active), cached for the next model."""

        def compute() -> tuple[Interactions, csr_matrix]:
            cosines = _unit(rows_of(studied(interactions), rows)) @ self._unit
            cosines.sort_indices()  # so that sums over them do not depend on the other rows
            if (np.diff(cosines.indptr) > n).any():
                dense = cosines.toarray()
                cosines = csr_matrix(dense * _among_best(dense, n))
            return interactions, cosines

        # The interactions are held beside the result, so that no other object gets their id while it is cached.
        return self._by_block.get((id(interactions), rows.tobytes(), n), compute)[1]


def _among_best(values: Scores, n: int) -> NDArray[np.bool_]:
    """Return which values are among the best ``n`` of their row; of equal ones the first are."""
    least = np.sort(values, axis=1)[:, -n, None]  # several times as fast as a partition, which is slow on equal values
    above, equal = values > least, values == least
    places = np.cumsum(equal, axis=1, dtype=np.int32)
    return above | (equal & (places <= n - above.sum(axis=1, keepdims=True)))


def _unit(rows: csr_matrix) -> csr_matrix:
    """Return rows of ones divided by their length."""
    count = np.diff(rows.indptr)
    each = np.repeat(1.0 / np.sqrt(np.maximum(count, 1)), count).astype(np.float32)
    return csr_matrix((each, rows.indices, rows.indptr), shape=rows.shape)
