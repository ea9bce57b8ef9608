"""Factorisation: several fits of alternating least squares for implicit feedback, solved together."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

BLOCK_ROWS: Final = 2_048
"""Rows solved at once: what belongs to them stays in the processor's cache."""

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Factorisation:
    """Factors of members and items whose product says how much a member wants an item.

    Every half pass solves ``(Y'Y + regularization + Y'(C - 1)Y) x = Y'C p`` exactly for each row (Hu, Koren and
    Volinsky 2008, equation 4, https://doi.org/10.1109/ICDM.2008.22), for all fits in one product of a sparse matrix
    with a dense one, and by elimination (Cholesky) over all rows of a block at a time.

    Attributes
    ----------
    factors : int
        Length of a row's factors in each fit.
    iterations : int
        Passes over the data.
    regularization : float
        Weight of the factors' squared length.
    alpha : float
        Confidence per unit of evidence.
    threads : int
        Threads for fitting, 0 for all cores; the result does not depend on it.
    """

    factors: int
    iterations: int
    regularization: float
    alpha: float
    threads: int = 0

    def item_factors(self, evidence: csr_matrix, seeds: Sequence[int]) -> NDArray[np.float64]:
        """Return the items' factors of one fit for each seed of first factors: (fits, items, factors)."""
        shape = (evidence.shape[1], self.factors)
        first = [np.random.default_rng(seed).random(shape, dtype=np.float32) for seed in seeds]
        items: Floats = np.float32(0.01) * np.stack(first, axis=1)
        by_member = self._weighed(evidence, np.dtype(np.float32))
        by_item = csr_matrix(by_member[0].T), csr_matrix(by_member[1].T)
        with ThreadPoolExecutor(self.threads or os.cpu_count()) as pool:
            for _ in range(self.iterations):
                members = self._solved(*by_member, items, pool)
                items = self._solved(*by_item, members, pool)
        return np.ascontiguousarray(items.transpose(1, 0, 2), dtype=np.float64)

    def member_factors(self, evidence: csr_matrix, items: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the factors that fit members' evidence best, the items' being given: (fits, members, factors).

        A member's are the same, to the last bit, alone and among any others.

        Parameters
        ----------
        evidence : csr_matrix (members, items)
        items : array (fits, items, factors)
        """
        confidence, beyond = self._weighed(evidence, np.dtype(np.float64))
        members = self._solved(confidence, beyond, items.transpose(1, 0, 2))
        return members.transpose(1, 0, 2).astype(np.float64, copy=False)

    def _weighed(self, evidence: csr_matrix, dtype: np.dtype[Any]) -> tuple[csr_matrix, csr_matrix]:
        """Return the confidence in each piece of evidence, and what it is beyond that in none."""
        confidence = (evidence * self.alpha).astype(dtype)
        beyond = (confidence.data - dtype.type(1), confidence.indices, confidence.indptr)
        return confidence, csr_matrix(beyond, shape=confidence.shape)

    def _solved(
        self, confidence: csr_matrix, beyond: csr_matrix, others: Floats, pool: ThreadPoolExecutor | None = None
    ) -> Floats:
        """Return the factors of rows, those of the columns being given: (n, fits, factors) both."""
        size = self.factors
        upper = np.triu_indices(size)
        place = np.zeros((size, size), dtype=np.intp)
        place[upper] = place.T[upper] = np.arange(len(upper[0]))
        outer = (others[:, :, upper[0]] * others[:, :, upper[1]]).reshape(len(others), -1)
        flat = np.ascontiguousarray(others).reshape(len(others), -1)
        within = self._gram(others).astype(others.dtype)[..., None]
        rows = np.empty((confidence.shape[0], *others.shape[1:]), dtype=others.dtype)

        def solve(start: int) -> None:
            block = slice(start, start + BLOCK_ROWS)
            here = rows[block]
            left = (beyond[block] @ outer).reshape(len(here), -1, len(upper[0])).transpose(2, 1, 0)[place]
            left += within
            right = (confidence[block] @ flat).reshape(here.shape).transpose(2, 1, 0).copy()
            here[:] = solved(left, right).transpose(2, 1, 0)

        starts = range(0, len(rows), BLOCK_ROWS)
        for _ in (pool.map if pool else map)(solve, starts):
            pass
        return rows

    def _gram(self, others: Floats) -> NDArray[np.float64]:
        """Return ``Y'Y + regularization`` of each fit: (factors, factors, fits)."""
        size = self.factors
        gram = np.zeros((others.shape[1], size, size)) + self.regularization * np.eye(size)
        for start in range(0, len(others), BLOCK_ROWS):
            block = others[start : start + BLOCK_ROWS].astype(np.float64)
            gram += block.transpose(1, 2, 0) @ block.transpose(1, 0, 2)
        return gram.transpose(1, 2, 0)


def solved(left: Floats, right: Floats) -> Floats:
    """Return the solutions of many small systems with symmetric positive matrices, in the memory of the right sides.

    The systems lie along the last axes, so that every step is one operation over all of them.

    Parameters
    ----------
    left : array (size, size, ...)
        Overwritten.
    right : array (size, ...)

    Examples
    --------
    >>> left = np.array([[4.0, 2.0], [2.0, 5.0]])[:, :, None]
    >>> solved(left, np.array([[8.0], [8.0]])).ravel().tolist()
    [1.5, 1.0]
    """
    size = len(left)
    for one in range(size):
        scale = 1.0 / np.sqrt(left[one, one])
        column = left[one:, one]
        column *= scale
        right[one] *= scale
        below = column[1:]
        left[one + 1 :, one + 1 :] -= below[:, None] * below[None, :]
        right[one + 1 :] -= below * right[one]
        left[one, one] = scale
    for one in range(size - 1, -1, -1):
        for other in range(one + 1, size):
            right[one] -= left[other, one] * right[other]
        right[one] *= left[one, one]
    return right
