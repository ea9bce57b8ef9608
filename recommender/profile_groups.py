"""Groups of members whose lists would be the same if none of them had any history."""

from typing import Final

import numpy as np

from content_catalog.audience import AudienceMask
from content_catalog.taxonomy import Taxonomy
from features.histories import places
from features.interactions import Interactions
from recommender.linalg.topk import Positions
from recommender.models.cohort import bin_size
from recommender.models.first_items import FirstItems

PROFILE: Final = ["role", "industry", "language", "less_topics", "follows", "timezone"]
"""Columns of members that models and policies read beside their audience."""


def profile_groups(known: Interactions, roles: Taxonomy, industries: Taxonomy, first_items: FirstItems) -> Positions:
    """Return the number of each member's group: the same for equal profile, audience and place of joining."""
    inputs = roles, industries, first_items
    groups: Positions = known.memo(("profile groups", *inputs), lambda: _groups(known, *inputs))
    return groups


def _groups(known: Interactions, roles: Taxonomy, industries: Taxonomy, first_items: FirstItems) -> Positions:
    members, place = known.members, places(known)
    audience = AudienceMask(known.items, roles=roles, industries=industries)
    alike = members[PROFILE].fillna("").assign(group=audience.groups(members)[0], personalised=known.personalised)
    alike["joined"] = np.where(known.personalised, place // bin_size(place), -1)
    alike["new"] = first_items.are_newcomers(known, np.arange(len(members))) & known.personalised
    return alike.groupby(list(alike.columns), sort=False).ngroup().to_numpy(dtype=np.intp)
