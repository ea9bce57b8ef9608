"""One ranking out of several, where none has been learned: fusion by rank."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.linalg.topk import Positions, Scores

RANK_OFFSET: Final = 60
"""Dampens the difference between the first ranks."""


def reciprocal_rank(ranks: Scores, weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], Positions]:
    """Return the fused score of each candidate, and which model gave most of it.

    The score is the sum over models of ``weight / (60 + rank)`` (reciprocal rank fusion, Cormack et al. 2009,
    https://doi.org/10.1145/1571941.1572114).

    Parameters
    ----------
    ranks : array (n, n_models) of float32
        Rank of each candidate among a model's proposals, from 1; NaN where the model does not propose it.
    weights : array (n, n_models) or (n_models,)
        Weight of each model.

    Examples
    --------
    Found first by one and second by the other: 1/61 + 1/62.

    >>> score, source = reciprocal_rank(np.float32([[1, 2], [np.nan, 1]]), np.array([1.0, 1.0]))
    >>> score.round(4).tolist(), source.tolist()
    ([0.0325, 0.0164], [0, 1])
    """
    parts = np.nan_to_num(weights / (RANK_OFFSET + ranks.astype(np.float64)))
    # Rounded, so that sums of the same parts in another order stay equal and the item id decides.
    return parts.sum(axis=1).round(12), parts.argmax(axis=1)
