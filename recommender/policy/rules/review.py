"""Review: finished items return when their recall has fallen."""

from dataclasses import dataclass
from math import floor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.interactions import Interactions
from features.study_time import DAY_MICROSECONDS
from recommender.content.mastery import item_recall
from recommender.explanations.reasons import reason_of
from recommender.linalg.ranges import places_within
from recommender.linalg.topk import Positions
from recommender.policy.policies import MayBeOffered, Rule
from recommender.policy.ranked_lists import RankedLists

REVIEW: Final = "review"
"""Code of the reason of items that return."""
MIN_DAYS: Final = 1.5
"""Days since the last study before an item returns: so never on the same day, in whatever zone a date was meant."""
TOLERANCE: Final = 1e-9


@dataclass(frozen=True)
class Review(Rule):
    """The items of least recall come first, spread over the list.

    An item that the member is against, or switched personalisation off for, does not return.

    Attributes
    ----------
    share : float
        Largest share of such items in any beginning of a list; 0: none return.
    least_recall : float
        Items whose recall (:func:`recommender.content.mastery.recall`) is smaller are due.
    longest_days : float
        Days since the last study after which an item is due whatever its recall. Recall falls with a power of time, so
        that an item studied often would not return within a lifetime.
    """

    share: float = 0.0
    least_recall: float = 0.8
    longest_days: float = 365.0

    def applies(self, interactions: Interactions) -> bool:
        """Return whether any item was finished."""
        return self.share > 0 and bool(interactions.cell("finished").any())

    def apply(
        self, lists: RankedLists, interactions: Interactions, *, k: int, may_be_offered: MayBeOffered
    ) -> RankedLists:
        """Return the lists with the items that are due, and the reason ``review``."""
        member, item = interactions.cell("member"), interactions.cell("item")
        row_of = np.full(len(interactions.members), -1)
        row_of[lists.member] = np.arange(len(lists.member))
        recall, due = interactions.memo(("due", self), lambda: self._due(interactions))
        cells = due[row_of[member[due]] >= 0]
        cells = cells[may_be_offered(member[cells], item[cells])]
        cells = cells[np.lexsort((item[cells], recall[cells], member[cells]))]
        within = places_within(member[cells])
        listed = np.minimum(lists.listed.sum(axis=1), k)
        chosen = within < self._most(listed, k)[row_of[member[cells]]]
        cells, within = cells[chosen], within[chosen]
        places = np.ceil((within + 1) / self.share - TOLERANCE).astype(np.intp)
        reasons = [reason_of(REVIEW) for _ in cells]
        return lists.with_items(row_of[member[cells]], item[cells].astype(np.intp), places - 1, reasons)

    def _due(self, interactions: Interactions) -> tuple[NDArray[np.float64], Positions]:
        """Return the recall of all cells, and the cells of items that are due."""
        recall = item_recall(interactions)
        days = (interactions.as_of.value // 1_000 - interactions.cell("last_at")) / DAY_MICROSECONDS
        fallen = (recall < self.least_recall) | (interactions.cell("finished") & (days >= self.longest_days))
        wanted = (interactions.cell("weight") > 0) & interactions.personalised[interactions.cell("member")]
        return recall, np.flatnonzero(fallen & (days > MIN_DAYS) & wanted)

    def _most(self, listed: Positions, k: int) -> Positions:
        """Return the most such items on each list, by the number of its entries: the share holds for short ones too."""
        if self.share >= 1:
            return np.full(len(listed), k)
        beside = np.floor(listed * self.share / (1 - self.share) + TOLERANCE)
        return np.minimum(floor(k * self.share + TOLERANCE), beside).astype(np.intp)
