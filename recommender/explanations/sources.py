"""Sources: groups of ranking features, and the group that contributes most to an item's score."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

GROUPS: Final = ("history", "order", "segment", "topics", "new", "popular", "habits")
"""Own history; order of study; role and industry; topics and content; novelty; popularity; habits of study."""

GROUP_OF: Final[dict[str, str]] = {
    "item_knn": "history",
    "als": "history",
    "ease": "history",
    "ease_recent": "history",
    "user_knn": "history",
    "user_knn_recent": "history",
    "transitions": "order",
    "next_day": "order",
    "same_day": "order",
    "precedence": "order",
    "segment": "segment",
    "role_match": "segment",
    "industry_match": "segment",
    "content": "topics",
    "taste": "topics",
    "language_match": "topics",
    "newest": "new",
    "item_published_days": "new",
    "item_age_days": "new",
    "popularity": "popular",
    "trend_day": "popular",
    "trend_week": "popular",
    "trend_month": "popular",
    "trend_days": "popular",
    "trend_returning": "popular",
    "first_items": "popular",
    "cohort": "popular",
    "item_idle_days": "popular",
    "item_minutes": "habits",
    "days_since_last_activity": "habits",
    "member_tenure_days": "habits",
    "member_items": "habits",
    "member_active_days": "habits",
    "last_day_items": "habits",
    "weekday": "habits",
    "format_share": "habits",
    "log_duration_ratio": "habits",
    "member_just_joined": "habits",
}
"""Group of each model, and of each ranking feature beside the models' own."""


def group_of(feature: str) -> str:
    """Return the group of a feature; that of an analyst's own model is ``history``.

    A reason by own history is given only where the score falls without an item of the member's, so that it is true of
    any model.

    >>> group_of("rank_by_transitions"), group_of("role_match"), group_of("MyModel")
    ('order', 'segment', 'history')
    """
    return GROUP_OF.get(feature.removeprefix("rank_by_"), "history")


def grouping(features: Sequence[str]) -> NDArray[np.float64]:
    """Return which features belong to which group: (n_features + 1, groups + 1) of 0 and 1.

    The last row and column are the constant of contributions, which belongs to no group. What each feature adds to a
    score, times this matrix, is what each group adds to it.

    Examples
    --------
    Two features of the same group and one of another.

    >>> (np.array([0.5, 0.25, -1.0, 7.0]) @ grouping(("als", "rank_by_als", "newest"))).tolist()
    [0.75, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 7.0]
    """
    place = np.array([*(GROUPS.index(group_of(name)) for name in features), len(GROUPS)])
    return np.eye(len(GROUPS) + 1)[place]


def largest(contributions: NDArray[np.float64]) -> list[str]:
    """Return the group with the largest contribution to each score; of equal ones the first.

    Parameters
    ----------
    contributions : array (n, groups + 1)
        What each group and the constant (last) add to a score.

    Examples
    --------
    >>> largest(np.array([[0.25, 0.5, 0.0, 0.0, -1.0, 0.5, 0.0, 7.0]]))
    ['order']
    """
    return [GROUPS[number] for number in contributions[:, :-1].argmax(axis=1)]
