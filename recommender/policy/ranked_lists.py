"""Ranked lists of many members as arrays, and the changes that rules make to them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.explanations.reasons import Reason
from recommender.linalg.ranges import places_within
from recommender.linalg.topk import Positions

NONE = -1
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RankedLists:
    """Lists of some members, one row each, the best entry first; rows are filled from the left.

    Attributes
    ----------
    member : array (n_lists,)
        Positions of the members in the interactions.
    item : array (n_lists, length)
        Positions of the items; -1 after the end of a list.
    score : array (n_lists, length)
        Relevance, 0 to 1; ``-inf`` after the end of a list.
    place : array (n_lists, length)
        Places among the candidates; -1 for an item that a rule inserted.
    reason : array (n_lists, length)
        Positions in ``reasons``; -1 where no rule gave the entry its place.
    propensity : array (n_lists, length)
        Probability with which chance gives the item this place; 1 where it has no part.
    reasons : tuple of Reason
    """

    member: Positions
    item: Positions
    score: NDArray[np.float64]
    place: Positions
    reason: Positions
    propensity: NDArray[np.float64]
    reasons: tuple[Reason, ...] = ()

    @classmethod
    def of(
        cls, member: Positions, row: Positions, item: Positions, score: NDArray[np.float64], place: Positions
    ) -> "RankedLists":
        """Return the lists of members by entries that are sorted by list, the best first.

        >>> entries = np.array([0, 0, 1]), np.array([7, 5, 7]), np.array([0.9, 0.4, 0.2]), np.array([0, 1, 2])
        >>> RankedLists.of(np.array([10, 11]), *entries).item.tolist()
        [[7, 5], [7, -1]]
        """
        within = places_within(row)
        shape = len(member), int(within.max(initial=-1)) + 1
        items, places = (np.full(shape, NONE, dtype=np.intp) for _ in range(2))
        scores = np.full(shape, -np.inf)
        items[row, within], places[row, within], scores[row, within] = item, place, score
        return cls(member, items, scores, places, np.full(shape, NONE, dtype=np.intp), np.ones(shape))

    @property
    def listed(self) -> Mask:
        """Whether there is an entry: (n_lists, length)."""
        return self.item >= 0

    def reordered(self, order: Positions) -> "RankedLists":
        """Return the lists with their entries in another order: for each list the present ranks, from 0."""
        rows = np.arange(len(order))[:, None]
        return self._with(each[rows, order] for each in self._arrays)

    def by_score(self, score: NDArray[np.float64]) -> "RankedLists":
        """Return the lists ordered by other scores, which they keep; of equal ones the present order."""
        scored = replace(self, score=np.where(self.listed, score, -np.inf))
        return scored.reordered(np.argsort(-scored.score, axis=1, kind="stable"))

    def without(self, dropped: Mask) -> "RankedLists":
        """Return the lists without some entries."""
        if not dropped.any():
            return self
        order = np.argsort(dropped | ~self.listed, axis=1, kind="stable")
        item, place, reason = (np.where(dropped, NONE, each) for each in (self.item, self.place, self.reason))
        score = np.where(dropped, -np.inf, self.score)
        return replace(self, item=item, score=score, place=place, reason=reason).reordered(order)

    def swapped(self, rows: Positions, first: Positions, second: Positions) -> "RankedLists":
        """Return the lists with two entries of some of them in each other's place; ranks count from 0."""
        order = np.tile(np.arange(self.item.shape[1]), (len(self.member), 1))
        order[rows, first], order[rows, second] = second, first
        return self.reordered(order)

    def explained(self, rows: Positions, ranks: Positions, reasons: Sequence[Reason]) -> "RankedLists":
        """Return the lists with the reasons of rules for some entries; ``ranks`` count from 0."""
        reason = self.reason.copy()
        reason[rows, ranks] = len(self.reasons) + np.arange(len(reasons))
        return replace(self, reason=reason, reasons=(*self.reasons, *reasons))

    def with_items(
        self, rows: Positions, items: Positions, ranks: Positions, reasons: Sequence[Reason]
    ) -> "RankedLists":
        """Return the lists with items at given ranks, from 0; one that is there already moves.

        All other entries keep their order and move down. Of two items for one rank the first gets it; a list that is
        shorter than a rank gets the item at its end.

        >>> lists = RankedLists.of(np.array([9]), np.zeros(3, int), np.array([4, 5, 6]), np.ones(3), np.arange(3))
        >>> reason = {"code": "continue", "arguments": {}}
        >>> lists.with_items(np.array([0, 0]), np.array([6, 8]), np.array([0, 0]), [reason, reason]).item.tolist()
        [[6, 8, 4, 5]]
        """
        if not len(rows):
            return self
        first = np.lexsort((np.arange(len(rows)), ranks, rows))
        rows, items, ranks, reasons = rows[first], items[first], ranks[first], [reasons[number] for number in first]
        within = places_within(rows)
        again = np.zeros(self.item.shape, dtype=bool)
        wide = np.full((len(self.member), int(within.max()) + 1), NONE, dtype=np.intp)
        wide[rows, within] = items
        for column in wide.T:
            again |= (self.item == column[:, None]) & (column >= 0)[:, None]
        places = _values_of(self.item, again, self.place, wide)[rows, within]
        scores = _values_of(self.item, again, self.score, wide)[rows, within]
        rest = self.without(again)
        # Ranks within a list increase strictly: the n-th cannot be before the n-1 others.
        at = np.maximum(ranks - within, 0)
        starts = np.flatnonzero(within == 0)
        for start, end in pairwise([*starts, len(at)]):
            at[start:end] = np.maximum.accumulate(at[start:end])
        at = np.minimum(at, rest.listed.sum(axis=1)[rows]) + within
        values = items, scores, places, len(self.reasons) + np.arange(len(rows)), np.ones(len(rows))
        inserted = rest.inserted(rows, at, values)
        return replace(inserted, reasons=(*self.reasons, *reasons))

    def first(self, k: int) -> "RankedLists":
        """Return the first ``k`` entries of each list."""
        return self._with(each[:, :k] for each in self._arrays)

    @property
    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return self.item, self.score, self.place, self.reason, self.propensity

    def _with(self, arrays: Iterable[NDArray[Any]]) -> "RankedLists":
        item, score, place, reason, propensity = arrays
        return replace(self, item=item, score=score, place=place, reason=reason, propensity=propensity)

    def inserted(self, rows: Positions, at: Positions, values: tuple[NDArray[Any], ...]) -> "RankedLists":
        """Return the lists with new entries at some ranks, and all others, in their order, at those that are left."""
        length = int((self.listed.sum(axis=1) + np.bincount(rows, minlength=len(self.member))).max())
        occupied = np.zeros((len(self.member), length), dtype=bool)
        occupied[rows, at] = True
        free = np.argsort(occupied, axis=1, kind="stable")[:, : self.item.shape[1]]
        columns: list[NDArray[Any]] = []
        for entries, new, empty in zip(self._arrays, values, (NONE, -np.inf, NONE, NONE, 1.0), strict=True):
            column: NDArray[Any] = np.full(occupied.shape, empty, dtype=entries.dtype)
            np.put_along_axis(column, free, entries[:, : free.shape[1]], axis=1)
            column[rows, at] = new
            columns.append(column)
        return self._with(columns)


def _values_of(item: Positions, chosen: Mask, values: NDArray[Any], wanted: Positions) -> NDArray[Any]:
    """Return the values of some entries by the items that are wanted; the least for an item that is not among them."""
    least: Any = -np.inf if values.dtype.kind == "f" else NONE
    out = np.full(wanted.shape, least, dtype=values.dtype)
    rows, columns = np.nonzero(chosen)
    for column in range(wanted.shape[1]):
        same = item[rows, columns] == wanted[rows, column]
        out[rows[same], column] = values[rows[same], columns[same]]
    return out


@dataclass(frozen=True, slots=True)
class Listed:
    """The entries of lists, list by list and the best first.

    Attributes
    ----------
    member, item : array (n,)
        Positions of members and items in the interactions.
    rank : array (n,)
        Place on the list, from 1.
    source : list of str
        The group of features that contributes most to each item's score, one of
        :data:`recommender.explanations.sources.GROUPS`; ``policy`` for an item that a rule inserted.
    score : array (n,)
        The pipeline's score of each item; NaN for an item that a rule inserted.
    reason : list of Reason or None
        The reason of the rule that gave the item its place; None where it stands by its score.
    propensity : array (n,)
        Probability with which chance gives the item this place; 1 where it has no part.
    """

    member: Positions
    item: Positions
    rank: Positions
    source: list[str]
    score: NDArray[np.float64]
    reason: list[Reason | None]
    propensity: NDArray[np.float64]
