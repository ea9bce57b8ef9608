"""The weights of EASE in closed form: in full from either side of a matrix, or of low rank."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

from recommender.errors import ModelError
from recommender.fold_in import columns_in_use
from recommender.threads import in_threads
from recommender.topk import Best, Positions, Scores, contenders, ranked

BLOCK = 500
"""Rows and columns that are worked on at once."""

LARGEST = 10_000
"""Side of the largest matrix that LAPACK inverts; one of 30,000 crashed the process in it."""

SMALL = 3_000
"""Side of matrices that one thread inverts: several wait for each other longer than they work on a busy machine."""

FEW_ROWS = 4
SLICE = 256
"""Items that stay in the cache while few rows are multiplied with them."""

FEW = 10_000
"""Columns below which their Gram matrix is always inverted: that of the rows would save seconds."""


@dataclass(frozen=True, slots=True)
class Full:
    """The weight of each item (row) for each other (column): (n, n) of float32."""

    weights: NDArray[np.float32]

    def scores(self, history: csr_matrix) -> Scores:
        """Return what histories (rows, n) speak for: (rows, n)."""
        return np.asarray(history @ self.weights)


@dataclass(frozen=True, slots=True)
class LowRank:
    """The same as a product: ``left @ right'`` outside the diagonal.

    Attributes
    ----------
    left, right : array (n, rank) of float32
    longest : float
        Length of the longest row of ``right``.
    """

    left: NDArray[np.float32]
    right: NDArray[np.float32]
    longest: float

    def vectors(self, history: csr_matrix) -> NDArray[np.float64]:
        """Return what stands for histories (rows, n): (rows, rank)."""
        used, few = columns_in_use(history)
        return np.asarray(few.astype(np.float64) @ self.left[used].astype(np.float64))

    def scores(self, history: csr_matrix) -> Scores:
        """Return what histories (rows, n) speak for: (rows, n)."""
        # In float64, rounded to float32: a row's scores are the same alone and in a block of any size.
        found = self.vectors(history) @ self.right.T.astype(np.float64)
        rows = np.repeat(np.arange(history.shape[0]), np.diff(history.indptr))
        found[rows, history.indices] -= history.data * self.own(history.indices)
        return np.asarray(found.astype(np.float32))

    def own(self, items: Positions) -> NDArray[np.float64]:
        """Return what items would weigh for themselves, which is left out."""
        return np.einsum("ij,ij->i", self.left[items], self.right[items], dtype=np.float64)

    def best(self, vectors: NDArray[np.float64], closed: Scores, k: int) -> list[Best]:
        """Return the best ``k`` positive scores of open items by each kind of history, as :func:`topk.top_k` does.

        Parameters
        ----------
        vectors : array (kinds, rows, rank)
            What stands for histories (:meth:`vectors`), of several kinds for the same rows.
        closed : array (rows, n) of float32
            ``-inf`` for what is left out, the items of the histories among them; 0 for all else.
        """
        rough = self._rough(vectors.reshape(-1, vectors.shape[-1]).astype(np.float32))
        rough = rough.reshape(*vectors.shape[:2], -1)
        rough += closed
        # What float32 may be wrong by, as in recommender.factors; both sides of a comparison may be.
        unit = np.finfo(np.float32).eps / 2
        error = 1.01 * (vectors.shape[-1] + 3) * unit * self.longest * np.sqrt((vectors**2).sum(axis=-1))
        slack = (3 * error).astype(np.float32) + np.finfo(np.float32).tiny
        return [self._best(*kind, k) for kind in zip(vectors, rough, slack, strict=True)]

    def _rough(self, vectors: Scores) -> Scores:
        """Return products with all items: (rows, n)."""
        if len(vectors) > FEW_ROWS:
            return vectors @ self.right.T
        # The items are read from memory once for all rows, which takes longer than to multiply with few.
        found = np.empty((len(vectors), len(self.right)), dtype=np.float32)
        for start in range(0, len(self.right), SLICE):
            part = slice(start, start + SLICE)
            for vector, row in zip(vectors, found, strict=True):
                np.matmul(self.right[part], vector, out=row[part])
        return found

    def _best(self, vectors: NDArray[np.float64], rough: Scores, slack: Scores, k: int) -> Best:
        rows, items = contenders(rough, k, slack)
        order = np.lexsort((items, rows))
        rows, items = rows[order], items[order]
        (exact,) = self.at(vectors[None], rows, items)
        kept = exact > 0
        return ranked(rows[kept], items[kept], exact[kept], k)

    def at(self, vectors: NDArray[np.float64], rows: Positions, items: Positions) -> Scores:
        """Return the scores of rows and items, sorted by row, that are not of the histories: (kinds, len(rows))."""
        found = np.empty((len(vectors), len(rows)), dtype=np.float32)
        starts = np.searchsorted(rows, np.arange(vectors.shape[1] + 1))
        for row, (start, end) in enumerate(pairwise(starts)):
            few = self.right[items[start:end]].astype(np.float64)
            for kind, vector in enumerate(vectors[:, row]):
                found[kind, start:end] = np.vecdot(few, vector)
        return found


def full(rows: csr_matrix, regularization: float) -> Full:
    """Return the weights that a matrix (members, n) of float32 gives, from the smaller of its two Gram matrices."""
    rows = rows[np.diff(rows.indptr) > 0]
    if FEW < rows.shape[1] > rows.shape[0]:
        return Full(of_members(rows, regularization))
    return Full(of_items(gram_of(rows.T.tocsr()), regularization))


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


def low_rank(rows: csr_matrix, regularization: float, rank: int) -> LowRank:
    """Return approximate weights of EASE that take ``8 * rank`` bytes an item.

    The Gram matrix is taken for its leading eigenvectors and the rest of its diagonal, ``V S V' + D``, the inverse of
    which is ``1/D - 1/D V (1/S + V' 1/D V)^-1 V' 1/D`` (Woodbury). The eigenvectors are found by random projections
    (Halko et al. 2011, https://doi.org/10.1137/090771806).

    Parameters
    ----------
    rows : csr_matrix (members, n) of float32
    regularization : float
        Added to the diagonal of the Gram matrix.
    rank : int
        Eigenvectors kept.
    """
    _, lengths, across = randomized_svd(rows, min(rank, *rows.shape), random_state=0)
    kept = lengths > lengths[0] * 1e-6
    vectors, squares = across[kept].T.astype(np.float64), lengths[kept].astype(np.float64) ** 2
    whole = np.asarray(rows.multiply(rows).sum(axis=0), dtype=np.float64).ravel()
    rest = regularization + np.maximum(whole - vectors**2 @ squares, 0.0)
    left = vectors / rest[:, None]
    right = np.linalg.solve(np.diag(1.0 / squares) + vectors.T @ left, left.T).T
    diagonal = 1.0 / rest - np.einsum("ij,ij->i", left, right)
    # An item's numbers side by side, as they are read.
    scaled = np.ascontiguousarray(right / diagonal[:, None], dtype=np.float32)
    longest = np.sqrt(np.einsum("ij,ij->i", scaled, scaled, dtype=np.float64).max(initial=0.0))
    return LowRank(np.ascontiguousarray(left, dtype=np.float32), scaled, float(longest))


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
