"""Fold-in: the factors of rows, those of the columns being given, for several fits of ALS together."""

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.linalg.parallel import in_threads

BLOCK_ROWS: Final = 2_048
"""Rows solved at once: what belongs to them stays in the processor's cache."""

Floats = NDArray[np.floating[Any]]


def grams(items: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the products of the items' factors with themselves, ``Y'Y`` of each fit: (fits, factors, factors)."""
    return items.transpose(0, 2, 1) @ items


def columns_in_use(matrix: csr_matrix) -> tuple[NDArray[np.intp], csr_matrix]:
    """Return the columns of a sparse matrix that hold anything, and the matrix of these alone.

    >>> used, few = columns_in_use(csr_matrix([[0, 2, 0, 1], [0, 0, 0, 3]]))
    >>> used.tolist(), few.toarray().tolist()
    ([1, 3], [[2, 1], [0, 3]])
    """
    if matrix.nnz < matrix.shape[1]:
        used, places = np.unique(matrix.indices, return_inverse=True)
    else:
        used = np.flatnonzero(np.bincount(matrix.indices, minlength=matrix.shape[1]))
        place = np.zeros(matrix.shape[1], dtype=np.intp)
        place[used] = np.arange(len(used))
        places = place[matrix.indices]
    places = places.astype(matrix.indices.dtype, copy=False)
    return used, csr_matrix((matrix.data, places, matrix.indptr), shape=(matrix.shape[0], len(used)))


def member_factors(
    evidence: csr_matrix,
    items: NDArray[np.float64],
    *,
    regularization: float,
    alpha: float,
    gram: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return the factors that fit members' evidence best, the items' being given: (fits, members, factors).

    Solves ``(Y'Y + regularization + Y'(C - 1)Y) x = Y'C p`` exactly for each member (Hu, Koren and Volinsky 2008,
    equation 4, https://doi.org/10.1109/ICDM.2008.22), for all fits in one product of a sparse matrix with a dense one,
    and by elimination (Cholesky) over all members of a block at a time. A member's factors are the same, to the last
    bit, alone and among any others.

    Parameters
    ----------
    evidence : csr_matrix (members, items)
    items : array (fits, items, factors)
    regularization : float
        Weight of the factors' squared length.
    alpha : float
        Confidence per unit of evidence.
    gram : array (fits, factors, factors), optional
        The :func:`grams` of the items, where they are at hand.
    """
    fits, _, size = items.shape
    gram = (grams(items) if gram is None else gram) + regularization * np.eye(size)
    # Only items that somebody has evidence of play a part: of one member, few of a large catalogue.
    used, evidence = columns_in_use(evidence)
    items = items[:, used]
    weight = (evidence.data * alpha).astype(np.float64)
    confidence, beyond = (
        csr_matrix((values, evidence.indices, evidence.indptr), shape=evidence.shape) for values in (weight, weight - 1)
    )
    upper, place = _triangle(size)
    others = np.ascontiguousarray(items.transpose(1, 0, 2))
    outer = (others[:, :, upper[0]] * others[:, :, upper[1]]).reshape(len(others), fits * len(upper[0]))
    flat = others.reshape(len(others), fits * size)
    within = gram.transpose(1, 2, 0)[..., None]
    members = np.empty((confidence.shape[0], fits, size))

    def fill(start: int) -> None:
        block = slice(start, start + BLOCK_ROWS)
        here = members[block]
        left = (beyond[block] @ outer).reshape(len(here), -1, len(upper[0])).transpose(2, 1, 0)[place]
        left += within
        right = (confidence[block] @ flat).reshape(here.shape).transpose(2, 1, 0).copy()
        here[:] = solved(left, right).transpose(2, 1, 0)

    list(in_threads(fill, range(0, len(members), BLOCK_ROWS)))
    return members.transpose(1, 0, 2)


@cache
def _triangle(size: int) -> tuple[tuple[NDArray[np.intp], ...], NDArray[np.intp]]:
    """Return the places of a symmetric matrix that tell all of it, and which of them tells each place."""
    upper = np.triu_indices(size)
    place = np.zeros((size, size), dtype=np.intp)
    place[upper] = place.T[upper] = np.arange(len(upper[0]))
    return upper, place


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
