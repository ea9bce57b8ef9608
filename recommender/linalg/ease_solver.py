"""The weights of EASE in closed form: in full from either side of a matrix, or about and the largest alone."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.sparse import csr_matrix, vstack
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from recommender.errors import ModelError
from recommender.linalg.parallel import in_threads
from recommender.linalg.topk import top_k

BLOCK = 500
"""Rows and columns that are worked on at once."""

LARGEST = 10_000
"""Side of the largest matrix that LAPACK inverts; one of 30,000 crashed the process in it."""

SMALL = 3_000
"""Side of matrices that one thread inverts: several wait for each other longer than they work on a busy machine."""

FEW = 10_000
"""Columns below which their Gram matrix is always inverted: that of the rows would save seconds."""


def full(rows: csr_matrix, regularization: float) -> NDArray[np.float32]:
    """Return the weight of each item (row) for each other (column): (n, n).

    A matrix (members, n) of float32 gives it, from the smaller of its two Gram matrices.
    """
    rows = rows[np.diff(rows.indptr) > 0]
    if FEW < rows.shape[1] > rows.shape[0]:
        return of_members(rows, regularization)
    return of_items(gram_of(rows.T.tocsr()), regularization)


def gram_of(rows: csr_matrix) -> NDArray[np.float32]:
    """Return ``rows @ rows.T`` (n, n) of float32 in Fortran order, made block by block."""
    size = rows.shape[0]
    gram = np.zeros((size, size), dtype=np.float32, order="F")
    across = rows.T.tocsr()
    for start in range(0, size, BLOCK):
        gram.T[start : start + BLOCK] = (rows[start : start + BLOCK] @ across).toarray()
    return gram


def of_items(gram: NDArray[np.float32], regularization: float) -> NDArray[np.float32]:
    """Return the weights of EASE from the items' Gram matrix (n, n) of float32 in Fortran order, made in its memory.

    With ``P`` the inverse of the regularised matrix, the weights are ``-P / diag(P)`` outside the diagonal.

    Two items of which one alone was studied with the other by both of two members:

    >>> of_items(np.asfortranarray(np.float32([[2, 2], [2, 3]])), 1.0).round(3)
    array([[0.   , 0.667],
           [0.5  , 0.   ]], dtype=float32)
    """
    inverse = inverted(gram, regularization).T  # it is symmetric, and products with it want rows in one piece
    diagonal = np.arange(len(inverse))
    inverse /= -inverse[diagonal, diagonal].copy()[None, :]
    inverse[diagonal, diagonal] = 0.0
    return inverse


def of_members(rows: csr_matrix, regularization: float) -> NDArray[np.float32]:
    """Return the weights of EASE from the members' Gram matrix, which is the smaller where items outnumber members.

    ``(X'X + l)^-1 = (1 - X'(XX' + l)^-1 X) / l``, so with ``H = X'(XX' + l)^-1 X`` the weights are
    ``H / (1 - diag(H))`` outside the diagonal: a third of the work where there are 30,000 members and 41,000 items.

    >>> of_members(csr_matrix(np.float32([[1, 1], [1, 1], [0, 1]])), 1.0).round(3)
    array([[0.   , 0.667],
           [0.5  , 0.   ]], dtype=float32)
    """
    inverse = inverted(gram_of(rows), regularization).T
    across = rows.T.tocsr()
    weights = np.empty((rows.shape[1], rows.shape[1]), dtype=np.float32)

    def columns(start: int) -> None:
        few = across[start : start + BLOCK]
        found = across @ np.ascontiguousarray((few @ inverse).T)
        own = found[np.arange(start, start + few.shape[0]), np.arange(few.shape[0])]
        weights[:, start : start + BLOCK] = found / (1.0 - own)

    list(in_threads(columns, range(0, len(weights), BLOCK)))
    np.fill_diagonal(weights, 0.0)
    return weights


def largest_weights(rows: csr_matrix, regularization: float, *, rank: int, kept: int) -> csr_matrix:
    """Return about the largest weights where there are too many items for all: (n, n) of float32.

    Each item (column) keeps those of the items (rows) that speak most for it.

    The Gram matrix is taken for its leading eigenvectors and the rest of its diagonal, ``V S V' + D``, the inverse of
    which is ``1/D - 1/D V (1/S + V' 1/D V)^-1 V' 1/D`` (Woodbury). The eigenvectors are found by random projections
    (Halko et al. 2011, https://doi.org/10.1137/090771806).

    Parameters
    ----------
    rows : csr_matrix (members, n) of float32
    regularization : float
        Added to the diagonal of the Gram matrix.
    rank : int
        Eigenvectors taken.
    kept : int
        Weights above 0 that are kept of each column.
    """
    left, right = _factors(rows, regularization, rank)

    def columns(start: int) -> csr_matrix:
        found = right[start : start + BLOCK] @ left.T
        own = np.arange(len(found))
        found[own, start + own] = 0.0
        place, items, values = top_k(np.where(found > 0, found, np.float32(-np.inf)), kept)
        return csr_matrix((values, (place, items)), shape=found.shape)

    return csr_matrix(vstack(list(in_threads(columns, range(0, len(right), BLOCK)))).T)


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


def inverted(gram: NDArray[np.float32], regularization: float) -> NDArray[np.float32]:
    """Return the inverse of a regularised Gram matrix (n, n) of float32 in Fortran order, made in its memory.

    Raises
    ------
    ModelError
        The matrix has no inverse.
    """
    diagonal = np.arange(len(gram))
    gram[diagonal, diagonal] += np.float32(regularization)
    if not _invert(gram):
        raise ModelError(f"the Gram matrix cannot be inverted with regularization = {regularization}; choose a larger")
    return gram


def _invert(matrix: NDArray[np.float32]) -> bool:
    """Put the inverse of a symmetric positive matrix (n, n) in its place; return whether there is one.

    Beyond :data:`LARGEST` by quarters: with ``S = D - B'A^-1 B`` the inverse of ``[A B; B' D]`` has ``S^-1`` last,
    ``-A^-1 B S^-1`` above it, and ``A^-1 + A^-1 B S^-1 B'A^-1`` first.
    """
    size = len(matrix)
    if size == 0:  # before anybody studied anything; LAPACK refuses it
        return True
    if size <= LARGEST:
        return _inverted_whole(matrix)
    half = size // 2
    first, beside, last = matrix[:half, :half], matrix[:half, half:], matrix[half:, half:]
    if not _invert(first):
        return False
    through = first @ beside
    for start in range(0, size - half, BLOCK):
        last[:, start : start + BLOCK] -= beside.T @ through[:, start : start + BLOCK]
    if not _invert(last):
        return False
    beside[:] = through @ last
    for start in range(0, half, BLOCK):
        first[:, start : start + BLOCK] += beside @ through[start : start + BLOCK].T
    beside *= np.float32(-1.0)
    matrix[half:, :half] = beside.T
    return True


def _inverted_whole(matrix: NDArray[np.float32]) -> bool:
    # In its memory where that is in one piece.
    with threadpool_limits(limits=1 if len(matrix) <= SMALL else None, user_api="blas"):
        factor, fault = lapack.spotrf(np.asfortranarray(matrix), lower=1, overwrite_a=1)
        inverse, fault_too = lapack.spotri(factor, lower=1, overwrite_c=1)
    if fault or fault_too:
        return False
    for start in range(0, len(matrix), BLOCK):  # the upper triangle of what LAPACK returns is not its own
        end = min(start + BLOCK, len(matrix))
        corner = inverse[start:end, start:end]
        matrix[start:end, start:end] = np.tril(corner) + np.tril(corner, -1).T
        matrix[end:, start:end] = inverse[end:, start:end]
        matrix[start:end, end:] = inverse[end:, start:end].T
    return True
