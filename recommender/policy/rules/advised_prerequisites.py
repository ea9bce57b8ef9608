"""Advised prerequisites: an item stands lower until what it builds on is finished, and what opens it says so."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from content_catalog.schema import split_list
from features.interactions import Interactions, rows_of
from recommender.explanations.reasons import reason_of
from recommender.policy.policies import MayBeOffered, Rule
from recommender.policy.ranked_lists import RankedLists


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
        return bool(interactions.items[["advised_prerequisites", "prerequisites"]].notna().any(axis=None))

    def apply(
        self, lists: RankedLists, interactions: Interactions, *, k: int, may_be_offered: MayBeOffered
    ) -> RankedLists:
        """Return the lists with such items lower and the reasons ``better_after`` and ``opens``."""
        del may_be_offered
        finished = rows_of(interactions.finished, lists.member)
        advised = interactions.item_memo("advised", lambda: _relation(interactions, ("advised_prerequisites",)))
        missing = _unfinished(interactions, "advised", advised, finished) > 0
        missing &= interactions.personalised[lists.member][:, None]
        early = lists.listed & np.take_along_axis(missing, np.maximum(lists.item, 0), axis=1)
        if early.any():
            lists = lists.by_score(np.where(early, lists.score * self.factor, lists.score))
            early = lists.listed & np.take_along_axis(missing, np.maximum(lists.item, 0), axis=1)
        return _with_openers(_with_cautions(lists, early, advised, finished, interactions), finished, interactions, k)


def _with_cautions(
    lists: RankedLists, early: Any, advised: csr_matrix, finished: csr_matrix, interactions: Interactions
) -> RankedLists:
    """Return the lists with the first unfinished prerequisite of each early item as its reason."""
    rows, ranks = np.nonzero(early)
    reasons = []
    for row, rank in zip(rows.tolist(), ranks.tolist(), strict=True):
        done = set(finished.indices[finished.indptr[row] : finished.indptr[row + 1]].tolist())
        item = lists.item[row, rank]
        needed = advised.indices[advised.indptr[item] : advised.indptr[item + 1]].tolist()
        first = next(position for position in needed if position not in done)
        reasons.append(reason_of("better_after", item_id=str(interactions.items.index[first])))
    return lists.explained(rows, ranks, reasons)


def _with_openers(lists: RankedLists, finished: csr_matrix, interactions: Interactions, k: int) -> RankedLists:
    """Return the lists with the reason ``opens`` for items that are the last unfinished prerequisite of another."""
    required = interactions.item_memo("requires", lambda: _relation(interactions, ("prerequisites",)))
    open_after = _unfinished(interactions, "requires", required, finished) == 1
    open_after &= interactions.personalised[lists.member][:, None]
    dependants = _transposed(interactions, "requires", required)
    opens = np.diff(dependants.indptr) > 0
    rows, ranks = np.nonzero(lists.listed[:, :k] & opens[np.maximum(lists.item[:, :k], 0)] & (lists.reason[:, :k] < 0))
    chosen, reasons = [], []
    for place, (row, rank) in enumerate(zip(rows.tolist(), ranks.tolist(), strict=True)):
        item = lists.item[row, rank]
        nexts = dependants.indices[dependants.indptr[item] : dependants.indptr[item + 1]].tolist()
        opened = next((other for other in nexts if open_after[row, other]), None)
        if opened is not None:
            chosen.append(place)
            reasons.append(reason_of("opens", item_id=str(interactions.items.index[opened])))
    return lists.explained(rows[chosen], ranks[chosen], reasons)


def _unfinished(
    interactions: Interactions, name: str, relation: csr_matrix, finished: csr_matrix
) -> NDArray[np.float32]:
    """Return how many of the items that each item builds on each member has not finished: (n_lists, n_items)."""
    needed = interactions.item_memo(("number of", name), lambda: np.diff(relation.indptr).astype(np.float32))
    return np.asarray(needed - (finished @ _transposed(interactions, name, relation)).toarray())


def _transposed(interactions: Interactions, name: str, relation: csr_matrix) -> csr_matrix:
    """Return which items build on each item, computed once."""
    return interactions.item_memo(("transposed", name), lambda: csr_matrix(relation.T))


def _relation(interactions: Interactions, columns: tuple[str, ...]) -> csr_matrix:
    """Return which items each item builds on, those that the catalogue lacks left out: (n_items, n_items) of ones."""
    pairs = [
        (row, name)
        for column in columns
        for row, text in enumerate(interactions.items[column])
        for name in dict.fromkeys(split_list(text))
    ]
    rows = np.array([row for row, _ in pairs], dtype=np.intp)
    needed = interactions.items.index.get_indexer([name for _, name in pairs])
    exists = needed >= 0
    shape = (len(interactions.items), len(interactions.items))
    return csr_matrix((np.ones(int(exists.sum()), dtype=np.float32), (rows[exists], needed[exists])), shape=shape)
