"""Matrix factorisation for implicit feedback by alternating least squares (ALS), fitted by ``implicit``."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import get_cached_controller

from features.interactions import Interactions
from recommender.linalg.als_fold_in import grams, member_factors
from recommender.linalg.ranges import rows_of
from recommender.linalg.topk import Positions
from recommender.models.factor_base import FactorModel, Vectors

FITS: Final = 4
"""The lists of a single fit depend on its initial factors almost as much as on the data."""


class Als(FactorModel):
    """Items by matrix factorisation for implicit feedback (Hu, Koren, Volinsky 2008, https://doi.org/10.1109/ICDM.2008.22).

    The confidence in an interaction of weight ``r`` is ``1 + alpha * r``, and 1 in what was not studied.

    Scores are the mean over fits from different initial factors (an ensemble, Hansen and Salamon 1990,
    https://doi.org/10.1109/34.58871), which makes the lists steadier and better.

    Only the items' factors are taken from ``implicit`` 0.7.3: its lists pad with item 0 and serve members without
    events, and a second ``fit`` on a larger matrix raises NaN, so each fit uses a fresh object.

    A member's factors are computed from its interactions whenever it is scored: fold-in, Hu et al. 2008, equation 4.

    Parameters
    ----------
    factors : int
        Length of the factors of each fit.
    iterations : int
        Passes over the data.
    regularization : float
        Weight of the factors' squared length.
    alpha : float
        Confidence per unit of interaction weight, beyond 1.
    half_life_days : float
        An interaction counts half after this many days.
    seed : int
        Seed of the fits' initial factors.
    threads : int
        Threads for fitting, 0 for all cores; the result does not depend on it.

    Attributes
    ----------
    fits : int
        Number of fits that scores are the mean of.
    """

    fits: int = FITS

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
        weights = interactions.matrix(self.half_life_days)
        seeds = np.random.SeedSequence(self.seed).generate_state(self.fits).tolist()
        threads = self.threads or os.cpu_count() or 1
        # Fits beside each other, as threads of one fit wait for each other after each pass.
        fit = partial(self._item_factors, weights, threads=max(1, threads // self.fits))
        # implicit asks for one BLAS thread while it fits: https://github.com/benfred/implicit/issues/215
        with get_cached_controller().limit(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            self._items = np.stack(list(pool.map(fit, seeds)))
        self._gram = grams(self._items)
        self._scored = np.flatnonzero(np.asarray((weights > 0).sum(axis=0)).ravel())
        # Stacked, the fits' factors are those of a single model whose scores are the sums over fits.
        self._stacked = np.hstack(list(self._items[:, self._scored]))

    def _item_factors(self, weights: csr_matrix, seed: int, *, threads: int) -> NDArray[np.float64]:
        """Return the factors of the items by one fit: (items, factors)."""
        # implicit takes confidences: https://github.com/benfred/implicit/issues/199
        confidence = csr_matrix((1 + self.alpha * weights.data, weights.indices, weights.indptr), shape=weights.shape)
        model = AlternatingLeastSquares(
            factors=self.factors,
            iterations=self.iterations,
            regularization=self.regularization,
            alpha=1.0,
            random_state=seed,
            num_threads=threads,
        )
        model.fit(confidence.astype(np.float32), show_progress=False)
        return np.asarray(model.item_factors, dtype=np.float64)

    def _vectors(self, interactions: Interactions, rows: Positions) -> Vectors:
        weights = rows_of(interactions.matrix(self.half_life_days), rows)
        members = member_factors(
            weights, self._items, regularization=self.regularization, alpha=self.alpha, gram=self._gram
        )
        return Vectors(
            members=np.hstack([factors / self.fits for factors in members]),
            items=self._stacked,
            served=np.diff(weights.indptr) > 0,
            scored=self._scored,
        )
