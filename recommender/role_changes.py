"""Changes of role or industry: the lists of a member go over from the earlier profile to the present one by days."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.interactions import Interactions
from recommender.linalg.topk import Positions
from recommender.member_rows import of_members

EARLIER = {"role": "previous_role", "industry": "previous_industry"}
"""Columns of the codes before the last change."""


def present_weight(interactions: Interactions, transition_days: int) -> NDArray[np.float64]:
    """Return the weight of each member's present role and industry; the earlier ones have the rest of 1.

    It grows evenly from 0 on the day of a change to 1 after ``transition_days``, whatever ``moved_days`` the members
    have; 1 for all others, and for members who switched personalisation off.
    """
    days = interactions.members.get("moved_days")
    if not transition_days or days is None:
        return np.ones(len(interactions.members))
    share = pd.to_numeric(days).to_numpy(dtype=np.float64, na_value=np.nan) / transition_days
    return np.where(interactions.personalised & (share < 1.0), share, 1.0)


def blended(
    present: NDArray[np.float64], earlier: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return scores of which the present ones have a weight, and the earlier ones the rest.

    Of two items the one with the higher present score never falls behind the other while the weight grows. So no
    beginning of a list loses any of the best items of the present profile from one day to the next.

    >>> blended(np.array([0.9, 0.1]), np.array([0.1, 0.5]), np.array([0.25, 0.25])).round(2).tolist()
    [0.3, 0.4]
    >>> blended(np.array([0.9, 0.1]), np.array([0.1, 0.5]), np.array([0.5, 0.5])).round(2).tolist()
    [0.5, 0.3]
    """
    return weight * present + (1.0 - weight) * earlier


def with_earlier_profiles(interactions: Interactions, rows: Positions) -> Interactions:
    """Return the interactions of the members at ``rows`` alone, in this order, with their earlier role and industry."""

    def compute() -> Interactions:
        codes = {name: interactions.members[earlier].iloc[rows] for name, earlier in EARLIER.items()}
        return of_members(interactions, rows, interactions.members.iloc[rows].assign(**codes))

    return interactions.memo(("earlier profiles", rows.tobytes()), compute)


def settled_and_blended(
    interactions: Interactions, rows: Positions, transition_days: int
) -> tuple[Positions, Positions]:
    """Return the members at ``rows`` with lists by the present profile alone, and those with lists by both profiles."""
    both = (present_weight(interactions, transition_days) < 1.0)[rows]
    return rows[~both], rows[both]
