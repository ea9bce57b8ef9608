"""Collaborative filtering by alternating least squares, fitted by ``implicit``."""

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from features.interactions import Interactions
from recommender.base import Model
from recommender.topk import Positions, Scores


class Als(Model):
    """Items by matrix factorisation for implicit feedback (Hu, Koren, Volinsky 2008, https://doi.org/10.1109/ICDM.2008.22).

    Only the factors are taken from ``implicit`` 0.7.3: its lists pad with item 0 and serve members without events, and
    a second ``fit`` on a larger matrix raises NaN, so each fit uses a fresh object.

    Parameters
    ----------
    factors : int
        Length of the factors.
    iterations : int
        Passes over the data.
    regularization : float
        Weight of the factors' squared length.
    alpha : float
        Confidence per unit of evidence.
    half_life_days : float
        Evidence counts half after this many days.
    seed : int
        Seed of the first factors.
    threads : int
        Threads for fitting, 0 for all cores; the result does not depend on it.
    """

    def __init__(
        self,
        factors: int = 32,
        iterations: int = 15,
        regularization: float = 0.05,
        alpha: float = 10.0,
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
        # implicit asks for one BLAS thread while it fits: https://github.com/benfred/implicit/issues/215
        with threadpool_limits(limits=1, user_api="blas"):
            model = AlternatingLeastSquares(
                factors=self.factors,
                iterations=self.iterations,
                regularization=self.regularization,
                alpha=self.alpha,
                random_state=self.seed,
                num_threads=self.threads,
            )
            model.fit(evidence, show_progress=False)
        self._member_factors = model.user_factors.astype(np.float64)
        self._item_factors = model.item_factors.astype(np.float64)
        self._served = np.diff(evidence.indptr) > 0
        self._known = np.asarray((evidence > 0).sum(axis=0)).ravel() > 0

    def _score(self, rows: Positions) -> Scores:
        # In float64, rounded to float32: a member's scores are the same alone and in a block of any size.
        scores = (self._member_factors[rows] @ self._item_factors.T).astype(np.float32)
        scores[~self._served[rows]] = -np.inf
        scores[:, ~self._known] = -np.inf
        return scores
