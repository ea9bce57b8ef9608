"""Continue: items that a member began and did not finish return to its list."""

from dataclasses import dataclass

import numpy as np

from features.interactions import Interactions
from features.study_time import DAY_MICROSECONDS
from recommender.explanations.reasons import reason_of
from recommender.linalg.ranges import places_within
from recommender.linalg.topk import Positions
from recommender.policy.policies import MayBeOffered, Rule
from recommender.policy.ranked_lists import RankedLists


@dataclass(frozen=True)
class Continuing(Rule):
    """The items begun last come first.

    An item is begun where some of it was studied: progress above 0, study time, or a failed attempt. One that the
    member is against, or switched personalisation off for, does not return.

    Attributes
    ----------
    items : int
        Most such items on a list; 0: none return.
    days : float
        Days since the last study within which an item returns.
    rank : int
        Rank of the first, from 1; the others follow it.
    """

    items: int = 0
    days: float = 30.0
    rank: int = 3

    def applies(self, interactions: Interactions) -> bool:
        """Return whether any item was begun and not finished."""
        return self.items > 0 and bool((~interactions.cell("finished")).any())

    def apply(
        self, lists: RankedLists, interactions: Interactions, *, k: int, may_be_offered: MayBeOffered
    ) -> RankedLists:
        """Return the lists with the items that return, and the reason ``continue``."""
        del k
        member, item, last = interactions.cell("member"), interactions.cell("item"), interactions.cell("last_at")
        row_of = np.full(len(interactions.members), -1)
        row_of[lists.member] = np.arange(len(lists.member))
        begun = interactions.memo(("begun", self), lambda: self._begun(interactions))
        cells = begun[row_of[member[begun]] >= 0]
        cells = cells[may_be_offered(member[cells], item[cells])]
        cells = cells[np.lexsort((item[cells], -last[cells], member[cells]))]
        within = places_within(member[cells])
        cells, within = cells[within < self.items], within[within < self.items]
        reasons = [reason_of("continue") for _ in cells]
        return lists.with_items(row_of[member[cells]], item[cells].astype(np.intp), self.rank - 1 + within, reasons)

    def _begun(self, interactions: Interactions) -> Positions:
        """Return the cells of items that return to the list of their member."""
        began = (interactions.cell("progress") > 0) | (interactions.cell("study_seconds") > 0)
        began |= interactions.cell("failures") > 0
        recent = interactions.cell("last_at") >= interactions.as_of.value // 1_000 - self.days * DAY_MICROSECONDS
        wanted = (interactions.cell("weight") > 0) & interactions.personalised[interactions.cell("member")]
        return np.flatnonzero(began & recent & wanted & ~interactions.cell("finished"))
