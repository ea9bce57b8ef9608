"""One ranking out of several, where none has been learned: fusion by rank."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from recommender.linalg.topk import Scores

RANK_OFFSET: Final = 60
"""Dampens the difference between the first ranks."""


def fusion_parts(ranks: Scores, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what each model adds to the fused score of each candidate: ``weight / (60 + rank)``, 0 without a rank.

    Reciprocal rank fusion (Cormack et al. 2009, https://doi.org/10.1145/1571941.1572114).

    Parameters
    ----------
    ranks : array (n, n_models) of float32
        Rank of each candidate among a model's proposals, from 1; NaN where the model does not propose it.
    weights : array (n, n_models) or (n_models,)
        Weight of each model.

    Examples
    --------
    First for the one model and second for the other: 1/61 and 1/62.

    >>> fusion_parts(np.float32([[1, 2], [np.nan, 1]]), np.array([1.0, 1.0])).round(4).tolist()
    [[0.0164, 0.0161], [0.0, 0.0164]]
    """
    return np.nan_to_num(weights / (RANK_OFFSET + ranks.astype(np.float64)))


def reciprocal_rank(ranks: Scores, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the fused score of each candidate: the sum of its :func:`fusion_parts`.

    >>> reciprocal_rank(np.float32([[1, 2], [np.nan, 1]]), np.array([1.0, 1.0])).round(4).tolist()
    [0.0325, 0.0164]
    """
    # Rounded, so that sums of the same parts in another order stay equal and the item id decides.
    return np.asarray(fusion_parts(ranks, weights).sum(axis=1).round(12))
