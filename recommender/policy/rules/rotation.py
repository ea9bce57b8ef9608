"""Rotation: entries of nearly equal scores change places from night to night."""

from dataclasses import dataclass

import numpy as np

from features.interactions import Interactions
from recommender.policy.chance import item_bits, member_bits, mixed, uniform
from recommender.policy.policies import MayBeOffered, Rule
from recommender.policy.ranked_lists import RankedLists


@dataclass(frozen=True)
class Rotation(Rule):
    """Each score is multiplied by a random number from ``1 - tolerance`` to 1, for the order alone.

    So two entries can change places only where the scores differ by less than the tolerance. The numbers depend on the
    seed, the day, the member and the item: the same night gives the same lists.

    Attributes
    ----------
    tolerance : float
        Largest relative difference of scores; 0: no rotation.
    seed : int
    """

    tolerance: float = 0.0
    seed: int = 0

    def applies(self, interactions: Interactions) -> bool:
        """Return whether there is a tolerance."""
        del interactions
        return self.tolerance > 0

    def apply(
        self, lists: RankedLists, interactions: Interactions, *, k: int, may_be_offered: MayBeOffered
    ) -> RankedLists:
        """Return the lists in the rotated order."""
        del k, may_be_offered
        members = member_bits(interactions, lists.member)[:, None]
        share = uniform(mixed(members ^ item_bits(interactions, lists.item) ^ np.uint64(self.seed)))
        order = np.argsort(np.where(lists.listed, -lists.score * (1.0 - self.tolerance * share), np.inf), axis=1)
        return lists.reordered(order)
