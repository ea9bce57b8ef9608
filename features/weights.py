"""The weight of an interaction, from verbs, progress, study time, score and days."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from content_catalog.schema import split_list

VERB_STRENGTH: Final[dict[str, float]] = {
    "viewed": 1.0,
    "started": 1.0,
    "progressed": 1.0,
    "answered": 1.0,
    "failed": 1.0,
    "rated": 1.0,
    "bookmarked": 1.5,
    "completed": 2.0,
    "passed": 2.0,
    "liked": 2.0,
    "shared": 2.0,
    "disliked": 0.0,
    "dismissed": 0.0,
}
"""Weight of the strongest verb of a member and item."""

ENGAGEMENT_STRENGTH: Final = 2.0
SCORE_STRENGTH: Final = 0.5
RETURN_STRENGTH: Final = 0.5
COUNTED_DAYS: Final = 8
MAX_WEIGHT: Final = max(VERB_STRENGTH.values()) + ENGAGEMENT_STRENGTH + SCORE_STRENGTH + RETURN_STRENGTH * 3

MAX_HALF_LIVES: Final = 120.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WeightingRules:
    """Bounds on interaction weights, so that farmed events do not pay.

    Attributes
    ----------
    item_time_cap : float
        Study time of an item counts up to this multiple of its duration.
    unknown_item_cap_seconds : float
        ... and up to this many seconds where the duration is not known.
    member_cap : float
        The weights of one member over all items sum to at most this in any matrix.
    timezone : str
        The zone that cuts the days of members without one of their own.
    """

    item_time_cap: float = 2.0
    unknown_item_cap_seconds: float = 14_400.0
    member_cap: float = 20.0
    timezone: str = "UTC"


def interaction_weight(
    *, strength: Floats, progress: Floats, time_share: Floats, score: Floats, days: Floats
) -> Floats:
    """Return the weight of each interaction, 0 to 6.

    ``strength + 2 · max(progress, time share) + score / 2 + log2(days) / 2``, and 0 where the strongest verb is worth
    0.

    Parameters
    ----------
    strength : array (n,)
        Strength of the strongest verb, 0..2 (:data:`VERB_STRENGTH`).
    progress : array (n,)
        Furthest progress, 0..1; NaN where unknown.
    time_share : array (n,)
        Study time as a share of the item's duration, cut at 1; NaN where either is unknown.
    score : array (n,)
        Best score, 0..1; NaN where there is none.
    days : array (n,)
        Days with study of the item, counted up to 8.

    Examples
    --------
    Completed in one day, everything watched, scored 0.8: 2 + 2·1 + 0.8/2 + 0 = 4.4. Opened on two days for a quarter of
    its length: 1 + 2·0.25 + 0 + 1/2 = 2.0. Dismissed: 0.

    >>> nan = float("nan")
    >>> interaction_weight(
    ...     strength=np.array([2.0, 1.0, 0.0]),
    ...     progress=np.array([1.0, nan, nan]),
    ...     time_share=np.array([0.9, 0.25, nan]),
    ...     score=np.array([0.8, nan, nan]),
    ...     days=np.array([1.0, 2.0, 1.0]),
    ... ).round(2).tolist()
    [4.4, 2.0, 0.0]
    """
    engagement = np.fmax(np.nan_to_num(progress), np.minimum(np.nan_to_num(time_share), 1.0))
    returns = np.log2(np.clip(days, 1, COUNTED_DAYS))
    weight = (
        strength + ENGAGEMENT_STRENGTH * engagement + SCORE_STRENGTH * np.nan_to_num(score) + RETURN_STRENGTH * returns
    )
    return np.where(strength > 0, weight, 0.0)


def decay(age_days: Floats, half_life_days: float) -> Floats:
    """Return the share of a weight that is left after some days: ``0.5 ** (age / half-life)``, 1 for the future.

    It is cut at 120 half-lives: smaller weights would be 0 as float32, and all old items equal.

    >>> decay(np.array([0.0, 7.0, 14.0, -3.0]), 7.0).tolist()
    [1.0, 0.5, 0.25, 1.0]
    """
    half_lives = np.clip(age_days / half_life_days, 0.0, MAX_HALF_LIVES)
    return np.asarray(0.5**half_lives, dtype=np.float64)


def of_deleted_topics(
    item_topics: pd.Series, deleted: Mapping[int, Iterable[str]], item: NDArray[np.int32], member: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Return which interactions are with an item of a topic that the member deleted.

    Parameters
    ----------
    item_topics : Series
        Topics of all items, as lists in texts.
    deleted : mapping
        Topics that members deleted, by row number.
    item, member : array (n,)
        Row numbers of each interaction's item and member.

    Examples
    --------
    >>> topics = pd.Series(["safety;history", "chess", None])
    >>> of_deleted_topics(topics, {0: ["history"]}, np.array([0, 1, 2, 0]), np.array([0, 0, 0, 1])).tolist()
    [True, False, False, False]
    """
    mask = np.zeros(len(item), dtype=bool)
    for row, of_row in deleted.items():
        of_member, topics = np.flatnonzero(member == row), {*of_row}
        mask[of_member] = [not topics.isdisjoint(split_list(text)) for text in item_topics.iloc[item[of_member]]]
    return mask


def latest_against(opinion: Floats, at: NDArray[np.int64], cell: NDArray[np.int64], n_cells: int) -> NDArray[np.bool_]:
    """Return for each cell whether the member's latest opinion of the item is against it."""
    against = np.zeros(n_cells, dtype=bool)
    rows = np.flatnonzero(~np.isnan(opinion))
    # At the same moment the opinion against wins: leaving an item out is the smaller mistake.
    rows = rows[np.lexsort((-opinion[rows], at[rows], cell[rows]))]
    against[cell[rows]] = opinion[rows] < 0  # the latest is written last
    return against
