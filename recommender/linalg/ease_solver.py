"""Closed-form weights of EASE: exact, or the largest ones from a low-rank Gram matrix."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.sparse import csr_matrix, vstack
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import get_cached_controller

from recommender.errors import ModelError
from recommender.linalg.parallel import parallel_map
from recommender.linalg.topk import positive, top_k

BLOCK = 500
"""Rows and columns worked on at once."""


def exact_weights(rows: csr_matrix, regularization: float) -> NDArray[np.float32]:
    """Return the weight of each item (row) for each other (column), from (members, n) of float32: (n, n) of float32.

    With ``P`` the inverse of the regularised Gram matrix of the items, the weights are ``-P / diag(P)`` outside the
    diagonal (Steck 2019, https://doi.org/10.1145/3308558.3313710).

    Two items of which one alone was studied with the other by both of two members:

    >>> exact_weights(csr_matrix(np.float32([[1, 1], [1, 1], [0, 1]])), 1.0).round(3)
    array([[0.   , 0.667],
           [0.5  , 0.   ]], dtype=float32)

    Raises
    ------
    ModelError
        The matrix has no inverse.
    """
    inverse = inverted(gram_of_items(rows), regularization).T  # symmetric, and products want rows in one piece
    diagonal = np.arange(len(inverse))
    inverse /= -inverse[diagonal, diagonal].copy()[None, :]
    inverse[diagonal, diagonal] = 0.0
    return inverse


def gram_of_items(rows: csr_matrix) -> NDArray[np.float32]:
    """Return ``rows.T @ rows`` (n, n) of float32 in Fortran order, block by block."""
    items, size = rows.T.tocsr(), rows.shape[1]
    gram = np.zeros((size, size), dtype=np.float32, order="F")
    for start in range(0, size, BLOCK):
        gram.T[start : start + BLOCK] = (items[start : start + BLOCK] @ rows).toarray()
    return gram


def inverted(gram: NDArray[np.float32], regularization: float) -> NDArray[np.float32]:
    """Return the inverse of a regularised Gram matrix (n, n) of float32 in Fortran order, in its memory.

    Raises
    ------
    ModelError
        The matrix has no inverse.
    """
    size = len(gram)
    if size == 0:  # before the first study event; LAPACK refuses it
        return gram
    gram[np.arange(size), np.arange(size)] += np.float32(regularization)
    # One thread: on a busy machine several wait for each other longer than they work.
    with get_cached_controller().limit(limits=1, user_api="blas"):
        factor, failed = lapack.spotrf(gram, lower=1, overwrite_a=1)
        if not failed:
            gram, failed = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise ModelError(f"the Gram matrix cannot be inverted with regularization = {regularization}; choose a larger")
    for start in range(0, size, BLOCK):  # LAPACK leaves the upper triangle as it was
        end = min(start + BLOCK, size)
        corner = gram[start:end, start:end]
        gram[start:end, start:end] = np.tril(corner) + np.tril(corner, -1).T
        gram[start:end, end:] = gram[end:, start:end].T
    return gram


def largest_weights(rows: csr_matrix, regularization: float, *, rank: int, per_item: int) -> csr_matrix:
    """Return about the largest weights where there are too many items for all: (n, n) of float32.

    The Gram matrix is approximated by its leading eigenvectors and the rest of its diagonal, ``V S V' + D``, the
    inverse of which is ``1/D - 1/D V (1/S + V' 1/D V)^-1 V' 1/D`` (Woodbury). The eigenvectors are found by random
    projections (Halko et al. 2011, https://doi.org/10.1137/090771806).

    Parameters
    ----------
    rows : csr_matrix (members, n) of float32
    regularization : float
        Added to the diagonal of the Gram matrix.
    rank : int
        Number of eigenvectors.
    per_item : int
        Largest weights above 0 kept for each item (column).
    """
    left, right = _factors(rows, regularization, rank)

    def columns(start: int) -> csr_matrix:
        weights = right[start : start + BLOCK] @ left.T
        own = np.arange(len(weights))
        weights[own, start + own] = 0.0
        place, items, values = top_k(positive(weights), per_item)
        return csr_matrix((values, (place, items)), shape=weights.shape)

    return csr_matrix(vstack(list(parallel_map(columns, range(0, len(right), BLOCK)))).T)


def _factors(rows: csr_matrix, regularization: float, rank: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return two matrices (n, rank) whose product ``left @ right'`` is about the weights outside the diagonal."""
    _, lengths, across = randomized_svd(rows, min(rank, *rows.shape), random_state=0)
    leading = lengths > lengths[0] * 1e-6
    vectors, squares = across[leading].T.astype(np.float64), lengths[leading].astype(np.float64) ** 2
    whole = np.asarray(rows.multiply(rows).sum(axis=0), dtype=np.float64).ravel()
    rest = regularization + np.maximum(whole - vectors**2 @ squares, 0.0)
    left = vectors / rest[:, None]
    right = np.linalg.solve(np.diag(1.0 / squares) + vectors.T @ left, left.T).T
    diagonal = 1.0 / rest - np.einsum("ij,ij->i", left, right)
    right /= diagonal[:, None]
    return (
        np.ascontiguousarray(left, dtype=np.float32),
        np.ascontiguousarray(right, dtype=np.float32),
    )
