"""Judging a ranker by nights it has not learned from, and beside another one on the same lists."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recommender.ranking import COUNTED_ITEMS, Lessons, Ranker
from recommender.summary import interval, resampled

FEWEST_LISTS: Final = 30
"""Fewer lists say nothing about a difference."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better lists are than others, list by list.

    Attributes
    ----------
    lists : int
    before : float
        Mean NDCG of the others.
    mean : float
        Mean of the difference; below 0 where the others are better.
    low, high : float
        95 % interval of the mean, members being resampled.
    """

    lists: int
    before: float
    mean: float
    low: float
    high: float


def judged(ranker: Ranker, night: Lessons, *, share: float) -> NDArray[np.float64]:
    """Return the NDCG at 10 of each list of a night, estimated from the candidates that the night teaches.

    Of candidates not studied next only a share was kept, drawn evenly, so each stands for ``1 / share``: an item's rank
    is 1 + the studied ones above it + the others above it / ``share``.

    Parameters
    ----------
    ranker : Ranker
        One that has not learned from this night.
    night : Lessons
    share : float
        Share of the candidates not studied next that was kept.
    """
    return estimated(ranker.score(night.features), night, share=share)


def estimated(score: NDArray[np.float64], night: Lessons, *, share: float) -> NDArray[np.float64]:
    """Return the NDCG at 10 of each list of a night for scores of its candidates, as :func:`judged` does.

    Examples
    --------
    A list with one item studied next, above one of the others that were kept and below the other: 1 / log2(1 + 3).

    >>> night = Lessons(
    ...     np.zeros((3, 1), dtype=np.float32),
    ...     np.array([False, True, False]),
    ...     np.ones(3, dtype=np.float32),
    ...     np.zeros(3, dtype=np.intp),
    ...     np.array([7], dtype=np.uint64),
    ...     np.array([1]),
    ... )
    >>> estimated(np.array([0.9, 0.5, 0.1]), night, share=0.5).tolist()
    [0.5]
    """
    order = np.lexsort((night.studied, -score, night.row))  # of equal scores those not studied come first
    row, studied = night.row[order], night.studied[order]
    start = np.searchsorted(row, row)
    above: NDArray[np.int64] = np.cumsum(studied) - studied
    found: NDArray[np.int64] = above - above[start]
    others = np.arange(len(row)) - start - found
    rank = 1.0 + found + others / share
    gain = np.where(studied & (rank <= COUNTED_ITEMS), 1.0 / np.log2(1.0 + rank), 0.0)
    best = np.cumsum(1.0 / np.log2(np.arange(2, COUNTED_ITEMS + 2)))
    ideal = best[np.minimum(night.n_true, COUNTED_ITEMS) - 1]
    return np.bincount(row, weights=gain, minlength=len(night.members)) / ideal


def compared(now: pd.DataFrame, then: pd.DataFrame, *, seed: int = 0) -> Difference | None:
    """Return how much better lists are now than then, on the lists that both judged; None where these are too few.

    Parameters
    ----------
    now, then : DataFrame
        ``cut, member, ndcg``.
    """
    both = now.merge(then, on=["cut", "member"], suffixes=("_now", "_then"))
    if len(both) < FEWEST_LISTS:
        return None
    difference = (both["ndcg_now"] - both["ndcg_then"]).to_numpy()
    members = pd.factorize(both["member"], sort=True)[0]
    low, high = interval(difference, members, resampled(members, np.random.default_rng(seed)))
    return Difference(len(both), float(both["ndcg_then"].mean()), float(difference.mean()), low, high)
