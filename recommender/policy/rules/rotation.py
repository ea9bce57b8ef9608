"""Rotation: entries of nearly equal scores change places from night to night."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.interactions import Interactions
from features.study_time import DAY_MICROSECONDS
from recommender.policy.policies import MayBeOffered, Rule
from recommender.policy.ranked_lists import RankedLists

DAY_NANOSECONDS = DAY_MICROSECONDS * 1_000


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
        day = interactions.as_of.value // DAY_NANOSECONDS
        ids = interactions.memo("hashed members", lambda: _hashed(interactions.members.index))[lists.member]
        items = interactions.item_memo("hashed items", lambda: _hashed(interactions.items.index))[lists.item]
        mixed = _mixed(_mixed(ids[:, None] ^ np.uint64(day)) ^ items ^ np.uint64(self.seed))
        share = (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53
        order = np.argsort(np.where(lists.listed, -lists.score * (1.0 - self.tolerance * share), np.inf), axis=1)
        return lists.reordered(order)


def _hashed(index: pd.Index) -> NDArray[np.uint64]:
    """Return a number for each id."""
    return pd.util.hash_array(np.asarray(index, dtype=object), categorize=False)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return well mixed bits of 64-bit numbers: the finalizer of SplitMix64 (Steele, Lea and Flood 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
