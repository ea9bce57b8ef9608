"""Collaborative filtering by alternating least squares, fitted by ``implicit``."""

from typing import Final

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from features.interactions import Interactions
from recommender.factors import FactorModel, Vectors
from recommender.topk import Positions

FITS: Final = 4
"""The lists of a single fit depend on its first factors almost as much as on the data: a few members turn them over."""


class Als(FactorModel):
    """Items by matrix factorisation for implicit feedback (Hu, Koren, Volinsky 2008, https://doi.org/10.1109/ICDM.2008.22).

    Scores are the mean over fits from different first factors (an ensemble, Hansen and Salamon 1990,
    https://doi.org/10.1109/34.58871), which steadies the lists and makes them better.

    Only the factors are taken from ``implicit`` 0.7.3: its lists pad with item 0 and serve members without events, and
    a second ``fit`` on a larger matrix raises NaN, so each fit uses a fresh object.

    Parameters
    ----------
    factors : int
        Length of the factors of each fit.
    iterations : int
        Passes over the data.
    regularization : float
        Weight of the factors' squared length.
    alpha : float
        Confidence per unit of evidence.
    half_life_days : float
        Evidence counts half after this many days.
    seed : int
        Seed of the fits' first factors.
    threads : int
        Threads for fitting, 0 for all cores; the result does not depend on it.
    """

    def __init__(
        self,
        factors: int = 8,
        iterations: int = 15,
        regularization: float = 5.0,
        alpha: float = 3.0,
        half_life_days: float = 90.0,
        seed: int = 0,
        threads: int = 0,
    ) -> None:
        self.factors = factors
        self.iterations = iterations
        self.regularization = regularization
        self.alpha = alpha
        self.half_life_days = half_life_days
        self.seed = seed
        self.threads = threads

    def _fit(self, interactions: Interactions) -> None:
        evidence = interactions.matrix(self.half_life_days)
        seeds = np.random.SeedSequence(self.seed).generate_state(FITS).tolist()
        # implicit asks for one BLAS thread while it fits: https://github.com/benfred/implicit/issues/215
        with threadpool_limits(limits=1, user_api="blas"):
            fits = [self._fitted(evidence, seed) for seed in seeds]
        self._item_factors = [fit.item_factors.astype(np.float64) for fit in fits]
        self._known = np.asarray((evidence > 0).sum(axis=0)).ravel() > 0

    def _fitted(self, evidence: csr_matrix, seed: int) -> AlternatingLeastSquares:
        model = AlternatingLeastSquares(
            factors=self.factors,
            iterations=self.iterations,
            regularization=self.regularization,
            alpha=self.alpha,
            random_state=seed,
            num_threads=self.threads,
        )
        model.fit(evidence, show_progress=False)
        return model

    def member_factors(self, evidence: csr_matrix, items: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the factors that fit members' evidence best, the items' being given: (members, factors).

        Solves ``(Y'Y + regularization + Y'(C - 1)Y) x = Y'C p`` for each member: fold-in, Hu et al. 2008, equation 4.

        Parameters
        ----------
        evidence : csr_matrix (members, n_items)
        items : array (n_items, factors)
            Factors of one fit.
        """
        size = items.shape[1]
        confidence = evidence.astype(np.float64) * self.alpha
        beyond = confidence.copy()
        beyond.data -= 1.0
        outer = (items[:, :, None] * items[:, None, :]).reshape(len(items), size * size)
        left = (beyond @ outer).reshape(-1, size, size) + items.T @ items + self.regularization * np.eye(size)
        return np.linalg.solve(left, (confidence @ items)[:, :, None])[:, :, 0]

    def _vectors(self, known: Interactions, rows: Positions) -> Vectors:
        evidence = known.matrix(self.half_life_days)[rows]
        return Vectors(
            members=np.hstack([self.member_factors(evidence, items) / FITS for items in self._item_factors]),
            items=np.hstack(self._item_factors),
            served=np.diff(evidence.indptr) > 0,
            known=self._known,
        )
