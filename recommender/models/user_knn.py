"""User-based nearest neighbours (user kNN) among recently active members."""

from copy import copy
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, vstack

from features.histories import first_interactions, influences, studied
from features.interactions import Interactions
from recommender.linalg.cache import cache_of
from recommender.linalg.ranges import rows_of
from recommender.linalg.topk import Positions, Scores, positive
from recommender.models.base import Model

BLOCK_CELLS: Final = 8_000_000
"""Cosines, and members' units, held at once by a thread: 32 MB of float32 each."""

BLOCK_MEMBERS: Final = 64
"""Members whose neighbours are summed over at once: their cosines stay in the cache of a core."""


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
        influence = influences(interactions)[active]
        weighed = csr_matrix(diags(influence) @ studied(interactions, self.half_life_days)[active])
        self._studied_by = csr_matrix(weighed.T, dtype=np.float32)

    def _score(self, interactions: Interactions, rows: Positions) -> Scores:
        cosines, history = self._similarity.nearest(interactions, rows, self.neighbours)
        scores = np.empty((cosines.shape[0], interactions.shape[1]), dtype=np.float32)
        for start in range(0, len(scores), BLOCK_MEMBERS):
            block = slice(start, start + BLOCK_MEMBERS)
            # By a dense matrix: a product of two sparse ones takes four times as long, for the same sums.
            scores[block] = positive(self._studied_by @ np.ascontiguousarray(cosines[block].toarray().T)).T
        return rows_of(scores, history)

    def without_member(self, row: int) -> Self:
        """Return the fitted model without the vectors of one member, which is no neighbour any more."""
        model = copy(self)
        studied_by = _without_columns(self._studied_by, self._similarity.active == row)
        model.__dict__ |= {"_similarity": self._similarity.without_member(row), "_studied_by": studied_by}
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

    def without_member(self, row: int) -> "MemberSimilarity":
        """Return the same with an empty vector for one member."""
        similarity = copy(self)
        similarity.__dict__["_unit"] = _without_columns(self._unit, self.active == row)
        return similarity

    def nearest(self, interactions: Interactions, rows: Positions, n: int) -> tuple[csr_matrix, Positions]:
        """Return the cosines of the ``n`` members nearest to each distinct history, and the history of each member.

        They are (histories, n_active) and (len(rows),), cached for the next model. Members with few items often have
        the same ones, and so do those who are scored as if they had not studied an item.
        """

        def compute() -> tuple[csr_matrix, Positions]:
            every = rows_of(studied(interactions), rows)
            first, history = _distinct(every)
            own = _unit(every[first])
            size = max(1, BLOCK_CELLS // max(1, len(self.active)))
            parts = [self._nearest(own[start : start + size], n) for start in range(0, len(first), size)]
            cosines = csr_matrix(vstack(parts, format="csr")) if parts else own @ self._unit
            return cosines, history

        nearest: tuple[csr_matrix, Positions] = cache_of(self, interactions).get((rows.tobytes(), n), compute)
        return nearest

    def _nearest(self, own: csr_matrix, n: int) -> csr_matrix:
        """Return the largest ``n`` cosines of each row of a block of unit vectors."""
        items, columns = np.unique(own.indices, return_inverse=True)
        short = csr_matrix((own.data, columns, own.indptr), shape=(own.shape[0], len(items)))
        unit, width = self._unit[items], max(1, BLOCK_CELLS // max(1, len(items)))
        starts = range(0, max(1, unit.shape[1]), width)
        cosines = np.hstack([short @ unit[:, start : start + width].toarray() for start in starts])
        best = _largest(cosines, n)
        ends = np.cumsum(np.count_nonzero(best, axis=1))
        places = np.flatnonzero(best)  # one dimension at a time: several times as fast
        return csr_matrix((cosines.ravel()[places], places % cosines.shape[1], np.append(0, ends)), shape=cosines.shape)


def _largest(values: Scores, n: int) -> NDArray[np.bool_]:
    """Return which values above 0 are among the best ``n`` of their row; of equal ones the first are."""
    if n >= values.shape[1]:
        return np.asarray(values > 0)
    least = np.sort(values, axis=1)[:, -n, None]  # several times as fast as a partition, which is slow on equal values
    best = values > least
    equal = (values == least) & (least > 0)
    counts = np.count_nonzero(equal, axis=1)
    places = np.flatnonzero(equal)
    number = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
    best.ravel()[places[number < np.repeat(n - np.count_nonzero(best, axis=1), counts)]] = True
    return best


def _without_columns(matrix: csr_matrix, columns: NDArray[np.bool_]) -> csr_matrix:
    """Return a matrix in which some columns are empty."""
    rest = matrix.copy()
    rest.data[columns[rest.indices]] = 0
    rest.eliminate_zeros()
    return rest


def _distinct(rows: csr_matrix) -> tuple[Positions, Positions]:
    """Return the first of each distinct set of columns, and the number of each row's set among these.

    >>> [array.tolist() for array in _distinct(csr_matrix([[1, 0, 1], [0, 1, 0], [1, 0, 1]]))]
    [[0, 1], [0, 1, 0]]
    """
    first: dict[bytes, int] = {}
    bounds = zip(rows.indptr[:-1].tolist(), rows.indptr[1:].tolist(), strict=True)
    sets = (rows.indices[start:end].tobytes() for start, end in bounds)
    number = np.fromiter(
        (first.setdefault(columns, len(first)) for columns in sets), dtype=np.intp, count=rows.shape[0]
    )
    return np.unique(number, return_index=True)[1], number


def _unit(rows: csr_matrix) -> csr_matrix:
    """Return rows of ones divided by their length."""
    count = np.diff(rows.indptr)
    each = np.repeat(1.0 / np.sqrt(np.maximum(count, 1)), count).astype(np.float32)
    return csr_matrix((each, rows.indices, rows.indptr), shape=rows.shape)
