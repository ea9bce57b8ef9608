"""EASE: a linear model of what goes with what, in closed form."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.sparse import csr_matrix, diags

from features.histories import first_studies, studied
from features.interactions import Interactions
from recommender.base import Model
from recommender.errors import ModelError
from recommender.topk import Positions, Scores

BLOCK = 1_000


class Ease(Model):
    """Items by a linear model of each item on all others (Steck 2019, https://doi.org/10.1145/3308558.3313710).

    The weights are ``B = -P / diag(P)`` outside the diagonal, with ``P`` the inverse of the regularised Gram matrix:
    (n_items, n_items) of float32, inverted in place.

    Parameters
    ----------
    regularization : float
        Added to the diagonal of the Gram matrix.
    half_life_days : float
        The member's own history counts half after this many days; learning counts all of it.
    most_items : int
        Learn the weights of this many items, the most studied ones: memory is 4 bytes times its square.
    """

    def __init__(
        self, regularization: float = 100.0, half_life_days: float = np.inf, *, most_items: int = 10_000
    ) -> None:
        self.regularization = regularization
        self.half_life_days = half_life_days
        self.most_items = most_items

    def _fit(self, interactions: Interactions) -> None:
        self._learned, self._weights = interactions.once(
            ("ease", self.regularization, self.most_items), lambda: self._solved(interactions)
        )

    def _solved(self, interactions: Interactions) -> tuple[Positions, NDArray[np.float32]]:
        """Return the items that are learned, and the weight of each (row) for each other (column)."""
        firsts = first_studies(interactions)
        counts = np.bincount(firsts.item, minlength=interactions.shape[1])
        learned = np.sort(np.argsort(-counts, kind="stable")[: min(self.most_items, np.count_nonzero(counts))])
        influence = np.zeros(interactions.shape[0])
        influence[firsts.member] = np.sqrt(firsts.influence)
        rows = (diags(influence) @ studied(interactions))[:, learned].astype(np.float32)
        gram = np.zeros((len(learned), len(learned)), dtype=np.float32, order="F")
        csr_matrix(rows.T @ rows).toarray(out=gram)
        return learned, closed_form(gram, self.regularization)

    def _score(self, known: Interactions, rows: Positions) -> Scores:
        history = studied(known, self.half_life_days)[rows]
        scores = np.full(history.shape, -np.inf, dtype=np.float32)
        found = history[:, self._learned] @ self._weights
        scores[:, self._learned] = np.where(found > 0, found, np.float32(-np.inf))
        return scores


def closed_form(gram: NDArray[np.float32], regularization: float) -> NDArray[np.float32]:
    """Return the weights of EASE from a Gram matrix (n, n) of float32 in Fortran order, in whose memory they are made.

    Two items of which one alone was studied with the other by both of two members:

    >>> closed_form(np.asfortranarray(np.float32([[2, 2], [2, 3]])), 1.0).round(3)
    array([[0.   , 0.667],
           [0.5  , 0.   ]], dtype=float32)
    """
    if not len(gram):
        return gram
    diagonal = np.arange(len(gram))
    gram[diagonal, diagonal] += np.float32(regularization)
    factor, fault = lapack.spotrf(gram, lower=1, overwrite_a=1)
    inverse, fault_too = lapack.spotri(factor, lower=1, overwrite_c=1)
    if fault or fault_too:
        raise ModelError(f"the Gram matrix cannot be inverted with regularization = {regularization}; choose a larger")
    for start in range(0, len(inverse), BLOCK):  # the upper triangle still holds what was there before
        end = min(start + BLOCK, len(inverse))
        corner = inverse[start:end, start:end]
        corner[:] = np.tril(corner) + np.tril(corner, -1).T
        inverse[start:end, end:] = inverse[end:, start:end].T
    inverse /= -inverse[diagonal, diagonal].copy()[None, :]
    inverse[diagonal, diagonal] = 0.0
    return inverse
