"""Exploration: in some lists one entry is tried by chance, with the probability of each entry at its place."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.interactions import Interactions
from recommender.explanations.reasons import reason_of
from recommender.linalg.topk import Positions
from recommender.policy.chance import draws
from recommender.policy.policies import MayBeOffered, Rule
from recommender.policy.ranked_lists import Mask, RankedLists
from recommender.policy.rules.less_of_topics import unwanted

TO_TRY: Final = "to_try"
"""Code of the reason of an item that chance moved up."""


@dataclass(frozen=True)
class Exploration(Rule):
    """A share of lists in which a place is drawn, and a candidate that changes places with the entry there.

    The place is drawn among the first ones, the candidate among the entries of the list and the ranked items below it,
    each with the same probability; where the candidate is the entry itself the list stays as it is. Entries to which a
    rule gave their place have no part, nor items of topics that the member wants less of. Where variety is limited,
    only entries alike change places, so every limit holds as before. The draws depend on the seed, the day and the
    member: the same night gives the same lists.

    Attributes
    ----------
    share : float
        Share of the lists that explore.
    places : int
        Places from the top that are explored.
    alike : tuple of str
        Columns of items in which entries that change places are equal.
    seed : int
    """

    share: float = 0.0
    places: int = 10
    alike: tuple[str, ...] = ()
    seed: int = 0

    def applies(self, interactions: Interactions) -> bool:
        """Return whether any list explores."""
        del interactions
        return self.share > 0

    def own_lists(self, interactions: Interactions) -> Mask:
        """Return whose lists explore: what was drawn for a member is shown to no other."""
        every = np.arange(len(interactions.members))
        drawn: Mask = draws(interactions, every, n=1, seed=self.seed)[:, 0] < self.share
        return drawn & _personal(interactions)

    def apply(
        self, lists: RankedLists, interactions: Interactions, *, k: int, may_be_offered: MayBeOffered
    ) -> RankedLists:
        """Return the lists with the reason ``to_try`` for what was moved up, and all propensities."""
        del may_be_offered
        taking_part = lists.listed & (lists.reason < 0) & (lists.place >= 0)
        taking_part &= _personal(interactions)[lists.member][:, None] & ~unwanted(lists, interactions)
        kinds = interactions.item_memo(("kinds", self.alike), partial(_kinds, interactions.items, self.alike))
        kind = np.where(taking_part, kinds[lists.item], -1)
        explored = taking_part & (np.arange(lists.item.shape[1]) < min(self.places, k))
        explores, at, candidate = draws(interactions, lists.member, n=3, seed=self.seed).T
        rows = np.flatnonzero((explores < self.share) & explored.any(axis=1))
        place = _drawn(explored[rows], at[rows])
        other = _drawn(kind[rows] == kind[rows, place][:, None], candidate[rows])
        moves = place != other
        rows, place, other = rows[moves], place[moves], other[moves]
        stays, pair = _propensities(kind, explored, self.share)
        propensity = np.where(taking_part, stays, 1.0)
        ways = explored[rows, place].astype(np.float64) + explored[rows, other]
        propensity[rows, place] = propensity[rows, other] = pair[rows, place] * ways
        changed = replace(lists.swapped(rows, place, other), propensity=propensity)
        return changed.explained(rows, np.minimum(place, other), [reason_of(TO_TRY)] * len(rows))


def _propensities(kind: Positions, explored: Mask, share: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the probability that each entry stays, and that of each pair of a place that is drawn and a candidate.

    Of P places that are explored one is drawn, and of the s entries of its kind one, so each pair has the probability
    share / (P s). An entry at an explored place is moved by s - 1 pairs of its own place, and every entry by one
    pair of each other explored place of its kind.

    Of three entries of one kind the first place alone is explored, in every list: its entry stays in one of three
    draws, each of the others in two.

    >>> stays, pair = _propensities(np.array([[0, 0, 0]]), np.array([[True, False, False]]), 1.0)
    >>> stays.round(3).tolist(), pair.round(3).tolist()
    ([[0.333, 0.667, 0.667]], [[0.333, 0.333, 0.333]])
    """
    cell = kind + 1 + np.arange(len(kind))[:, None] * (int(kind.max(initial=0)) + 2)
    size = np.bincount(cell.ravel())[cell]
    places_of_kind = np.bincount(cell.ravel(), weights=explored.ravel())[cell]
    pair = share / (np.maximum(explored.sum(axis=1), 1)[:, None] * size)
    return 1.0 - pair * (explored * (size - 2) + places_of_kind), pair


def _personal(interactions: Interactions) -> Mask:
    """Return whose lists are their own: not those for anyone, nor those of members who want none."""
    personal: Mask = interactions.personalised & (interactions.members.index != "")
    return personal


def _drawn(mask: Mask, share: NDArray[np.float64]) -> Positions:
    """Return for each row the column of a true value, by a number from 0 up to 1: of n the one at ``share * n``.

    >>> _drawn(np.array([[False, True, True], [True, True, True]]), np.array([0.6, 0.1])).tolist()
    [2, 0]
    """
    number = (share * mask.sum(axis=1)).astype(np.intp)
    order = np.argsort(~mask, axis=1, kind="stable")
    column: Positions = order[np.arange(len(mask)), number]
    return column


def _kinds(items: pd.DataFrame, alike: tuple[str, ...]) -> Positions:
    """Return a number for each item, the same for items that are equal in some columns."""
    if not alike:
        return np.zeros(len(items), dtype=np.intp)
    return items.groupby(list(alike), dropna=False, sort=False).ngroup().to_numpy(dtype=np.intp)
