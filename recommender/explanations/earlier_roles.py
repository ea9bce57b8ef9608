"""Reason of entries that stand on a list by the role or industry that a member had before a change."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.interactions import Interactions
from recommender.explanations.sources import GROUPS
from recommender.linalg.topk import Positions
from recommender.role_changes import present_weight

FITS_EARLIER: Final = "fits_earlier_role"
"""Code of the reason."""
SEGMENT, TOPICS = GROUPS.index("segment"), GROUPS.index("topics")


def earlier_prevails(
    interactions: Interactions,
    members: Positions,
    present: NDArray[np.float64],
    blended: NDArray[np.float64],
    transition_days: int,
) -> NDArray[np.bool_]:
    """Return the entries whose largest contribution is by role and industry, and more by the earlier than the present.

    Contributions of topics are by role and industry where a member has studied nothing itself.

    Parameters
    ----------
    members : array (n,)
        The member of each entry.
    present, blended : array (n, groups + 1)
        What each group adds to the score by the present profile alone, and by both
        (:func:`recommender.role_changes.blended`).
    """
    group = blended[:, :-1].argmax(axis=1)
    without_study = np.diff(interactions.seen.indptr)[members] == 0
    by_profile = (group == SEGMENT) | ((group == TOPICS) & without_study)
    both, own = (parts[np.arange(len(group)), group] for parts in (blended, present))
    own = own * present_weight(interactions, transition_days)[members]
    return by_profile & (both - own > own)
