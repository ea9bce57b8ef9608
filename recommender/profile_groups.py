"""Groups of members whose lists would be the same if none of them had any history."""

from typing import Final

import numpy as np
import pandas as pd

from content_catalog.audience import AudienceMask, Mask
from content_catalog.taxonomy import Taxonomy
from features.histories import joining_order_of
from features.interactions import Interactions
from recommender.linalg.topk import Positions
from recommender.models.cohort import bin_size
from recommender.models.first_items import FirstItems
from recommender.role_changes import present_weight

PROFILE: Final = ["role", "industry", "language", "less_topics", "follows", "timezone", "devices"]
"""Columns of members that models and policies read beside their audience."""


def audience_mask(interactions: Interactions, roles: Taxonomy, industries: Taxonomy) -> AudienceMask:
    """Return which items each audience may be offered."""
    return interactions.item_memo(
        ("audience", roles, industries), lambda: AudienceMask(interactions.items, roles=roles, industries=industries)
    )


def profile_groups(
    interactions: Interactions,
    roles: Taxonomy,
    industries: Taxonomy,
    first_items: FirstItems,
    transition_days: int,
) -> Positions:
    """Return the number of each member's group: the same for equal profile, audience and place of joining.

    A member whose list still goes by an earlier role or industry has a group of its own.
    """

    def compute() -> Positions:
        members, place = interactions.members, joining_order_of(interactions)
        group, _ = audience_mask(interactions, roles, industries).groups(members)
        alike = members[PROFILE].fillna("").assign(group=group, personalised=interactions.personalised)
        alike["joined"] = np.where(interactions.personalised, place // bin_size(place), -1)
        alike["new"] = first_items.are_newcomers(interactions, np.arange(len(members))) & interactions.personalised
        blended = present_weight(interactions, transition_days) < 1.0
        alike["moved"] = np.where(blended, np.arange(len(members)), -1)
        return alike.groupby(list(alike.columns), sort=False).ngroup().to_numpy(dtype=np.intp)

    return interactions.memo(("profile groups", roles, industries, first_items, transition_days), compute)


def representatives(interactions: Interactions, groups: Positions, own_lists: Mask) -> pd.Series:
    """Return for every member the member whose list it shares: itself, or one without history of its group.

    ``own_lists``: members who share none.
    """
    members = interactions.members.index
    alone = np.where((np.diff(interactions.seen.indptr) > 0) | own_lists, np.arange(len(members)), -1)
    own = pd.Series(members, index=members)
    return own.groupby([groups, alone], sort=False).transform("first")
