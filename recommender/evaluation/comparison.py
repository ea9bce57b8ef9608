"""Comparison of two rankings on the same lists."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from recommender.evaluation.summary import interval, resampled

MIN_LISTS: Final = 30
"""Fewer lists do not tell a difference from chance."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Paired difference in NDCG between two rankings.

    Attributes
    ----------
    before : float
        Mean NDCG of the earlier ranking.
    mean : float
        Mean of the difference; below 0 where the earlier one is better.
    low, high : float
        95 % interval of the mean, members being resampled.
    """

    lists: int
    before: float
    mean: float
    low: float
    high: float


def compare(now: pd.DataFrame, then: pd.DataFrame) -> Difference | None:
    """Return the difference from an earlier ranking to a later one on their common lists; None where these are too few.

    Parameters
    ----------
    now, then : DataFrame
        ``cut, member, ndcg``, and what else must agree of lists to be common, such as the objective.
    """
    both = now.merge(then, on=[name for name in now if name != "ndcg"], suffixes=("_now", "_then"))
    if len(both) < MIN_LISTS:
        return None
    difference = (both["ndcg_now"] - both["ndcg_then"]).to_numpy()
    members = pd.factorize(both["member"], sort=True)[0]
    low, high = interval(difference, members, resampled(members, np.random.default_rng(0)))
    return Difference(len(both), float(both["ndcg_then"].mean()), float(difference.mean()), low, high)
