"""Linear ranking over the models' scores and ranks: what an organisation's first few examples can tell."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from recommender.linalg.topk import Positions, Scores

LOG_LAST_RANK: Final = np.log(61.0)
"""Logarithm of the first rank that counts nothing."""
MAX_STEPS: Final = 60
Floats = NDArray[np.float64]


def rank_value(log_ranks: NDArray[np.floating[Any]]) -> Floats:
    """Return what ranks are worth: 1 for the first, falling with the logarithm to 0; 0 where there is none.

    >>> rank_value(np.log(np.float32([1, 61**0.5, 61, np.nan]))).round(6).tolist()
    [1.0, 0.5, 0.0, 0.0]
    """
    return _bounded(1.0 - log_ranks.astype(np.float64) / LOG_LAST_RANK)


def _bounded(values: Floats) -> Floats:
    """Return values cut to 0..1; 0 where there is none. Changes them in place: new memory takes longer than the cut."""
    np.fmax(values, 0.0, out=values)
    return np.asarray(np.minimum(values, 1.0, out=values))


class LinearRanking:
    """Weighted sum of the models' normalised scores and logarithms of ranks, from 0 (not proposed) to 1 each.

    Parameters
    ----------
    names : sequence of str
        Names of the features of candidates; those of models are the names that also occur as ``rank_by_NAME``.
    l2 : float
        Weight of the squared weights beside the log-likelihood of the lists: fewer lists move the weights less.

    Attributes
    ----------
    weights : array (2 · models,)
        Of the scores, then of the ranks.
    """

    def __init__(self, names: Sequence[str], l2: float = 3.0) -> None:
        names = list(names)
        models = [name for name in names if f"rank_by_{name}" in names]
        self.columns = np.array(
            [names.index(name) for name in (*models, *(f"rank_by_{name}" for name in models))], dtype=np.intp
        )
        self.l2 = l2

    def fit(
        self, features: Scores, gain: NDArray[Any], row: Positions, start: Floats, weight: Floats | None = None
    ) -> "LinearRanking":
        """Fit the weights to lists, in addition to a score that each candidate starts with.

        The likelihood of a list is the mean log-probability of its items by their gains, a candidate being chosen with
        odds that are the exponential of its score: a conditional logit (McFadden 1974), which is ListNet's loss (Cao et
        al. 2007, https://doi.org/10.1145/1273496.1273513). A uniform sample of the others gives the same weights in
        expectation.

        Parameters
        ----------
        gain : array (n,)
            Gain of each candidate, such as whether it was studied next; every list has one above 0.
        weight : array (n,), optional
            Weight of each candidate's list; by default 1.
        """
        x = self._inputs(features)
        lists = np.unique(row, return_inverse=True)[1]
        n_lists = int(lists.max(initial=-1)) + 1
        of_list = np.ones(len(lists)) if weight is None else weight
        target = of_list * (gain / np.bincount(lists, weights=gain, minlength=n_lists)[lists])

        def loss(weights: Floats) -> tuple[float, Floats]:
            score = start + x @ weights
            highest = np.full(n_lists, -np.inf)
            np.maximum.at(highest, lists, score)
            odds = np.exp(score - highest[lists])
            total = np.bincount(lists, weights=odds, minlength=n_lists)
            log_probability = score - highest[lists] - np.log(total)[lists]
            value = -(target @ log_probability) + self.l2 * (weights @ weights)
            return value, x.T @ (of_list * (odds / total[lists]) - target) + 2.0 * self.l2 * weights

        fitted = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": MAX_STEPS})
        self.weights: Floats = fitted.x
        self._means = x.mean(axis=0)
        return self

    def score(self, features: Scores) -> Floats:
        """Return the score of each candidate: (n,)."""
        return np.asarray(self._inputs(features) @ self.weights)

    def contributions(self, features: Scores, groups: NDArray[np.float64]) -> Floats:
        """Return what each group of features adds to the score: (n, n_groups).

        Contributions are relative to the mean of the examples, as those of trees are to the mean of their leaves.

        Parameters
        ----------
        groups : array (n_features + 1, n_groups)
            1 where a feature belongs to a group; the last row stands for the constant.
        """
        parts = (self._inputs(features) - self._means) @ (self.weights[:, None] * groups[self.columns])
        return np.asarray(parts + (self._means @ self.weights) * groups[-1])

    def _inputs(self, features: Scores) -> Floats:
        """Return the scores as they count, and what the ranks are worth (:func:`rank_value`): (n, 2 · models)."""
        inputs = features[:, self.columns].astype(np.float64)
        log_ranks = inputs[:, inputs.shape[1] // 2 :]
        np.subtract(1.0, np.divide(log_ranks, LOG_LAST_RANK, out=log_ranks), out=log_ranks)
        return _bounded(inputs)
