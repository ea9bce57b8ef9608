"""ALS fold-in: least-squares factors of rows for fixed factors of the columns, for several fits together."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.linalg.parallel import parallel_map

BLOCK_ROWS = 2_048
"""Rows solved at once: their systems stay in the processor's cache."""


def grams(items: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Gram matrices of the items' factors, ``Y'Y`` of each fit: (fits, factors, factors)."""
    return items.transpose(0, 2, 1) @ items


def columns_in_use(matrix: csr_matrix) -> tuple[NDArray[np.intp], csr_matrix]:
    """Return the columns of a sparse matrix that hold anything, and the matrix of these alone.

    >>> used, few = columns_in_use(csr_matrix([[0, 2, 0, 1], [0, 0, 0, 3]]))
    >>> used.tolist(), few.toarray().tolist()
    ([1, 3], [[2, 1], [0, 3]])
    """
    used, places = np.unique(matrix.indices, return_inverse=True)
    places = places.astype(matrix.indices.dtype, copy=False)
    return used, csr_matrix((matrix.data, places, matrix.indptr), shape=(matrix.shape[0], len(used)))


def member_factors(
    weights: csr_matrix,
    items: NDArray[np.float64],
    *,
    regularization: float,
    alpha: float,
    gram: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return the factors that fit members' weights best for fixed factors of the items: (fits, members, factors).

    Solves ``(Y'Y + regularization + Y'(C - 1)Y) x = Y'C p`` with the confidences ``C = 1 + alpha * weight`` exactly for
    each member (Hu, Koren and Volinsky 2008, equation 4, https://doi.org/10.1109/ICDM.2008.22), for all fits in one
    product of a sparse matrix with a dense one and one stack of small systems. A member's factors are the same, to the
    last bit, alone and among any others.

    Parameters
    ----------
    weights : csr_matrix (members, items)
    items : array (fits, items, factors)
    regularization : float
        Weight of the factors' squared length.
    alpha : float
        Confidence per unit of weight, beyond the confidence of 1 in what was not studied.
    gram : array (fits, factors, factors), optional
        The :func:`grams` of the items, where they are at hand.
    """
    fits, _, size = items.shape
    gram = (grams(items) if gram is None else gram) + regularization * np.eye(size)
    # Only items with any weight play a part: for one member, few of a large catalogue.
    used, weights = columns_in_use(weights)
    items = items[:, used]
    above_one = weights.data.astype(np.float64) * alpha
    beyond, confidence = (
        csr_matrix((values, weights.indices, weights.indptr), shape=weights.shape)
        for values in (above_one, above_one + 1)
    )
    upper, place = _triangle(size)
    by_item = np.ascontiguousarray(items.transpose(1, 0, 2))
    outer = (by_item[:, :, upper[0]] * by_item[:, :, upper[1]]).reshape(len(by_item), fits * len(upper[0]))
    flat = by_item.reshape(len(by_item), fits * size)
    members = np.empty((weights.shape[0], fits, size))

    def fill(start: int) -> None:
        block = slice(start, start + BLOCK_ROWS)
        triangles = (beyond[block] @ outer).reshape(-1, fits, len(upper[0]))
        right = (confidence[block] @ flat).reshape(-1, fits, size, 1)
        members[block] = np.linalg.solve(triangles[:, :, place] + gram, right)[..., 0]

    list(parallel_map(fill, range(0, len(members), BLOCK_ROWS)))
    return members.transpose(1, 0, 2)


@cache
def _triangle(size: int) -> tuple[tuple[NDArray[np.intp], ...], NDArray[np.intp]]:
    """Return the positions of a symmetric matrix's upper triangle, and the entry of it at each position."""
    upper = np.triu_indices(size)
    place = np.zeros((size, size), dtype=np.intp)
    place[upper] = place.T[upper] = np.arange(len(upper[0]))
    return upper, place
