"""Advised prerequisites: an item stands lower until what it builds on is finished, and what opens it says so."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from content_catalog.schema import split_list
from features.interactions import Interactions
from recommender.explanations.reasons import reason_of
from recommender.linalg.ranges import cells_of, rows_of
from recommender.policy.policies import MayBeOffered, Rule
from recommender.policy.ranked_lists import Mask, RankedLists

ADVISED, MANDATORY = RELATIONS = ("advised_prerequisites", "prerequisites")
"""Columns of items that name those that each builds on."""


@dataclass(frozen=True)
class AdvisedPrerequisites(Rule):
    """Rule over ``advised_prerequisites`` and ``prerequisites`` of items.

    It reads what members finished, so it leaves the lists of those who switched personalisation off as they are.

    Attributes
    ----------
    factor : float
        The score of an item is multiplied by this while an advised prerequisite of it is not finished.
    """

    factor: float = 0.5

    def applies(self, interactions: Interactions) -> bool:
        """Return whether any item builds on another."""
        return any(len(_relation(interactions, column).data) for column in RELATIONS)

    def apply(
        self, lists: RankedLists, interactions: Interactions, *, k: int, may_be_offered: MayBeOffered
    ) -> RankedLists:
        """Return the lists with such items lower and the reasons ``better_after`` and ``opens``."""
        del may_be_offered
        finished = np.zeros((len(lists.member), len(interactions.items)), dtype=bool)
        finished[cells_of(rows_of(interactions.finished, lists.member))] = True
        missing = _unfinished(_relation(interactions, ADVISED), finished) > 0
        missing &= interactions.personalised[lists.member][:, None]
        rows = np.arange(len(lists.member))[:, None]
        early = lists.listed & missing[rows, lists.item]
        if early.any():
            lists = lists.by_score(np.where(early, lists.score * self.factor, lists.score))
            early = lists.listed & missing[rows, lists.item]
            lists = _with_cautions(lists, early, finished, interactions)
        return _with_openers(lists, finished, interactions, k)


def _with_cautions(lists: RankedLists, early: Mask, finished: Mask, interactions: Interactions) -> RankedLists:
    """Return the lists with the first unfinished prerequisite of each early item as its reason."""
    advised = _relation(interactions, ADVISED)
    rows, ranks = np.nonzero(early)
    reasons = []
    for row, item in zip(rows.tolist(), lists.item[rows, ranks].tolist(), strict=True):
        first = next(needed for needed in _of_item(advised, item) if not finished[row, needed])
        reasons.append(reason_of("better_after", item_id=str(interactions.items.index[first])))
    return lists.explained(rows, ranks, reasons)


def _with_openers(lists: RankedLists, finished: Mask, interactions: Interactions, k: int) -> RankedLists:
    """Return the lists with the reason ``opens`` for items that are the last unfinished prerequisite of another."""
    required = _relation(interactions, MANDATORY)
    dependants = interactions.item_memo("dependants", lambda: csr_matrix(required.T))
    opens = np.diff(dependants.indptr) > 0
    rows, ranks = np.nonzero(lists.listed[:, :k] & opens[lists.item[:, :k]] & (lists.reason[:, :k] < 0))
    if not len(rows):
        return lists
    open_after = _unfinished(required, finished) == 1
    open_after &= interactions.personalised[lists.member][:, None]
    chosen, reasons = [], []
    for place, (row, item) in enumerate(zip(rows.tolist(), lists.item[rows, ranks].tolist(), strict=True)):
        opened = next((other for other in _of_item(dependants, item) if open_after[row, other]), None)
        if opened is not None:
            chosen.append(place)
            reasons.append(reason_of("opens", item_id=str(interactions.items.index[opened])))
    return lists.explained(rows[chosen], ranks[chosen], reasons)


def _of_item(relation: csr_matrix, item: int) -> list[int]:
    """Return the items that an item is related to."""
    return relation.indices[relation.indptr[item] : relation.indptr[item + 1]].tolist()


def _unfinished(relation: csr_matrix, finished: Mask) -> NDArray[np.int32]:
    """Return how many of the items that each item builds on each member has not finished: (n_lists, n_items)."""
    unfinished = np.zeros(finished.shape, dtype=np.int32)
    building = np.flatnonzero(np.diff(relation.indptr))
    if len(building):
        left = ~finished[:, relation.indices]
        unfinished[:, building] = np.add.reduceat(left, relation.indptr[building], axis=1, dtype=np.int32)
    return unfinished


def _relation(interactions: Interactions, column: str) -> csr_matrix:
    """Return which items each item builds on: (n_items, n_items) of ones; see :func:`_pairs`."""
    return interactions.item_memo(("builds on", column), partial(_pairs, interactions, column))


def _pairs(interactions: Interactions, column: str) -> csr_matrix:
    """Return which items each item builds on by a column, those that the catalogue lacks left out."""
    pairs = [
        (row, name) for row, text in enumerate(interactions.items[column]) for name in dict.fromkeys(split_list(text))
    ]
    rows = np.array([row for row, _ in pairs], dtype=np.intp)
    needed = interactions.items.index.get_indexer([name for _, name in pairs])
    exists = needed >= 0
    shape = (len(interactions.items), len(interactions.items))
    return csr_matrix((np.ones(int(exists.sum()), dtype=np.float32), (rows[exists], needed[exists])), shape=shape)
