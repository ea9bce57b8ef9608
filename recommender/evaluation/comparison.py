"""Judging a ranker by nights it has not learned from, and beside another one on the same lists."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recommender.evaluation.summary import interval, resampled
from recommender.ranking.ranker import Lessons, Ranker, estimated

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
