"""Collaborative filtering by alternating least squares, fitted by ``implicit``."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from threadpoolctl import threadpool_limits

from features.interactions import Interactions, rows_of
from recommender.content.member_attributes import Attributes
from recommender.linalg.als_fold_in import grams, member_factors
from recommender.linalg.topk import Positions
from recommender.models.factor_base import FactorModel, Vectors

FITS: Final = 4
"""The lists of a single fit depend on its first factors almost as much as on the data: a few members turn them over."""


class Als(FactorModel):
    """Items by matrix factorisation for implicit feedback (Hu, Koren, Volinsky 2008, https://doi.org/10.1109/ICDM.2008.22).

    Scores are the mean over fits from different first factors (an ensemble, Hansen and Salamon 1990,
    https://doi.org/10.1109/34.58871), which steadies the lists and makes them better.

    Only the items' factors are taken from ``implicit`` 0.7.3: its lists pad with item 0 and serve members without
    events, and a second ``fit`` on a larger matrix raises NaN, so each fit uses a fresh object.

    With attributes the matrix has a column for each of them beside those of the items, with factors of its own (Fang
    and Si 2011, https://doi.org/10.1145/2039320.2039330), so that a member without history has factors from its role,
    industry and units.

    A member's factors are made anew from its evidence whenever it is scored: fold-in, Hu et al. 2008, equation 4.

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
    attributes : Attributes, optional
        What is known of members beside their studies.

    Attributes
    ----------
    fits : int
        How many fits scores are the mean of.
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
        attributes: Attributes | None = None,
    ) -> None:
        self.factors = factors
        self.iterations = iterations
        self.regularization = regularization
        self.alpha = alpha
        self.half_life_days = half_life_days
        self.seed = seed
        self.threads = threads
        self.attributes = attributes

    def _fit(self, interactions: Interactions) -> None:
        self._columns = self.attributes.columns(interactions) if self.attributes else {}
        evidence = self._evidence(interactions)
        seeds = np.random.SeedSequence(self.seed).generate_state(self.fits).tolist()
        threads = self.threads or os.cpu_count() or 1
        # Fits beside each other, as threads of one fit wait for each other after each pass.
        fit = partial(self._fitted, evidence, threads=max(1, threads // self.fits))
        # implicit asks for one BLAS thread while it fits: https://github.com/benfred/implicit/issues/215
        with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            self._items = np.stack(list(pool.map(fit, seeds)))
        self._gram = grams(self._items)
        self._known = np.flatnonzero(np.asarray((evidence > 0).sum(axis=0)).ravel()[: interactions.shape[1]])
        # One after the other the fits' factors are those of a single one, whose product is the sum over fits.
        self._side = np.hstack(list(self._items[:, self._known]))

    def _fitted(self, evidence: csr_matrix, seed: int, *, threads: int) -> NDArray[np.float64]:
        """Return the factors of the items, and of attributes, by one fit: (columns, factors)."""
        model = AlternatingLeastSquares(
            factors=self.factors,
            iterations=self.iterations,
            regularization=self.regularization,
            alpha=self.alpha,
            random_state=seed,
            num_threads=threads,
        )
        model.fit(evidence, show_progress=False)
        return np.asarray(model.item_factors, dtype=np.float64)

    def _evidence(self, known: Interactions) -> csr_matrix:
        """Return what members studied and, beside it, what else is known of them."""
        evidence = known.matrix(self.half_life_days)
        if self.attributes is None or not self._columns:
            return evidence
        attributes = self.attributes
        key = ("attributes", attributes.weight, *self._columns)
        return csr_matrix(hstack([evidence, known.memo(key, lambda: attributes.of(known, self._columns))]))

    def _vectors(self, known: Interactions, rows: Positions) -> Vectors:
        evidence = rows_of(self._evidence(known), rows)
        members = member_factors(
            evidence, self._items, regularization=self.regularization, alpha=self.alpha, gram=self._gram
        )
        return Vectors(
            members=np.hstack([one / self.fits for one in members]),
            items=self._side,
            served=np.diff(evidence.indptr) > 0,
            known=self._known,
        )
