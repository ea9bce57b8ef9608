"""Variety: limits on entries of one topic, provider or format in any window, and maximal marginal relevance."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from content_catalog.schema import split_list
from features.interactions import Interactions
from recommender.linalg.topk import Positions
from recommender.policy.policies import MayBeOffered, Rule
from recommender.policy.ranked_lists import Mask, RankedLists
from recommender.policy.rules.less_of_topics import unwanted
from recommender.policy.rules.review import REVIEW

NO_VALUE = 0
PLACED: Final = frozenset({REVIEW, "continue", "next_in_series"})
"""Codes of reasons of entries that a rule put at a certain place."""


@dataclass(frozen=True)
class Variety(Rule):
    """Greedy choice of one entry after the other by maximal marginal relevance, within limits.

    Each place goes to the best remaining candidate of which the window before it does not hold too many alike; where no
    such candidate is left, to the best of all. The best is the one with the largest ``(1 - diversity) · relevance -
    diversity · similarity``: relevance is the score as a share of the list's largest, similarity the share of the
    item's topics that entries of the window have. After Carbonell and Goldstein (1998), doi:10.1145/290941.291025.

    Entries that a rule placed (:data:`PLACED`) stay there and count in the windows after them. Entries of topics that
    the member wants less of stay last.

    Attributes
    ----------
    window : int
        Successive entries that are looked at together.
    max_per_topic, max_per_provider, max_per_format : int
        Most entries of one value in a window; 0: any number.
    diversity : float
        0: relevance alone; 1: similarity alone.

    Examples
    --------
    Four items on safety rank above one on history; at most two of a topic stand among any three.

    >>> chosen(
    ...     score=np.array([[0.9, 0.8, 0.7, 0.6, 0.5]]),
    ...     values=[(np.array([[[1], [1], [1], [1], [2]]]), 2)],
    ...     window=3,
    ...     diversity=0.0,
    ...     n=5,
    ... ).tolist()
    [[0, 1, 4, 2, 3]]
    """

    window: int = 5
    max_per_topic: int = 0
    max_per_provider: int = 0
    max_per_format: int = 0
    diversity: float = 0.0

    @property
    def limits(self) -> dict[str, int]:
        """The most entries in a window, by column of items."""
        limits = {"topics": self.max_per_topic, "provider": self.max_per_provider, "format": self.max_per_format}
        return {name: limit for name, limit in limits.items() if limit}

    def applies(self, interactions: Interactions) -> bool:
        """Return whether any limit is set, or diversity is above 0."""
        del interactions
        return bool(self.limits) or self.diversity > 0

    def apply(
        self, lists: RankedLists, interactions: Interactions, *, k: int, may_be_offered: MayBeOffered
    ) -> RankedLists:
        """Return the lists with their first ``k`` entries chosen one after the other."""
        del may_be_offered
        names = dict.fromkeys([*(["topics"] if self.diversity else []), *self.limits])
        codes = {
            name: interactions.item_memo(("values", name), partial(_codes, interactions.items, name)) for name in names
        }
        placed = np.array([*(reason["code"] in PLACED for reason in lists.reasons), False])[lists.reason]
        values = [
            (np.where(lists.listed[:, :, None], codes[name][lists.item], NO_VALUE), self.limits.get(name, 0))
            for name in names
        ]
        rows = np.arange(len(lists.member)) if self.diversity else np.flatnonzero(self._crowded(values, k))
        if not len(rows):
            return lists
        order = np.tile(np.arange(lists.item.shape[1]), (len(lists.member), 1))
        order[rows] = chosen(
            score=np.where(unwanted(lists, interactions), -np.inf, lists.score)[rows],
            values=[(value[rows], limit) for value, limit in values],
            fixed=placed[rows],
            window=self.window,
            diversity=self.diversity,
            n=k,
        )
        return lists.reordered(order)

    def _crowded(self, values: list[tuple[NDArray[Any], int]], k: int) -> Mask:
        """Return which lists hold too many alike in some window."""
        crowded = np.zeros(len(values[0][0]), dtype=bool)
        for value, limit in values:
            first = value[:, :k]
            for start in range(first.shape[1]):
                later = first[:, start + 1 : start + self.window]
                same = (later[:, :, :, None] == first[:, start, None, None, :]) & (later[:, :, :, None] != NO_VALUE)
                crowded |= (same.any(axis=2).sum(axis=1) >= limit).any(axis=1)
        return crowded


def chosen(
    *,
    score: NDArray[np.float64],
    values: list[tuple[NDArray[Any], int]],
    window: int,
    diversity: float,
    n: int,
    fixed: Mask | None = None,
) -> Positions:
    """Return for each list the order of its candidates: ``n`` chosen ones, then the others as they stood.

    Parameters
    ----------
    score : array (n_lists, length)
        ``-inf`` where there is no candidate, or one that comes after all others.
    values : list of (array (n_lists, length, n_values), int)
        Distinct values of each candidate, 0 for none, and the most entries of one value in a window, 0 for any number.
        The first are the topics.
    fixed : array (n_lists, length) of bool, optional
        Candidates that keep their place, where it is among the ``n``.
    """
    n_lists, length = score.shape
    every = np.arange(n_lists)
    cells, limits, n_cells = _cells(values)
    # Counts of values in the window; those of no value stay so small that they reach no limit and resemble nothing.
    counts = np.zeros(n_lists * n_cells, dtype=np.int32)
    counts[every * n_cells] = -(length + 1)
    n_topics = values[0][0].shape[2]
    n_own = np.maximum((values[0][0] != NO_VALUE).sum(axis=2), 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        relevance = score / np.maximum(score.max(axis=1, keepdims=True), 1e-300)
    n = min(n, length)
    stays = np.zeros(score.shape, dtype=bool) if fixed is None else fixed & (np.arange(length) < n)
    gain = np.where(np.isfinite(score) & ~stays, (1 - diversity) * np.nan_to_num(relevance, neginf=0.0), -np.inf)
    order = np.zeros((n_lists, length), dtype=np.intp)
    placed = stays.copy()
    for step in range(n):
        near = counts.take(cells)
        value = gain - diversity * np.add.reduce(near[:n_topics] > 0, axis=0) / n_own if diversity else gain
        best = np.where(np.logical_and.reduce(near < limits, axis=0), value, -np.inf)
        place = best.argmax(axis=1)
        if (none_fits := best[every, place] == -np.inf).any():
            # Where nothing is left that may be chosen, the rest stands as it stood.
            placed[every[:, None], order[:, :step]] = True
            left = np.where(value > -np.inf, value, np.where(placed, -np.inf, -1e300))
            place = np.where(none_fits, left.argmax(axis=1), place)
        if stays[:, step].any():
            place = np.where(stays[:, step], step, place)
        order[:, step] = place
        gain[every, place] = -np.inf
        counts[cells[:, every, place]] += 1
        if step >= window - 1:
            counts[cells[:, every, order[:, step - window + 1]]] -= 1
    placed[every[:, None], order[:, :n]] = True
    order[:, n:] = np.argsort(placed, axis=1, kind="stable")[:, : length - n]
    return order


def _cells(values: list[tuple[NDArray[Any], int]]) -> tuple[Positions, NDArray[np.int32], int]:
    """Return the cells of all values of each candidate in a flat table of counts, their limits, and cells of a list.

    Values of different columns have cells of their own; the first cell of a list is for no value.

    Returns
    -------
    (array (n_values, n_lists, length), array (n_values, 1, 1), int)
    """
    parts, limits, n_cells = [], list[int](), 1
    for value, limit in values:
        parts.append(np.where(value == NO_VALUE, 0, value + (n_cells - 1)))
        limits += [limit or np.iinfo(np.int32).max] * value.shape[2]
        n_cells += int(value.max(initial=0))
    of_list = np.concatenate(parts, axis=2)
    cells = np.ascontiguousarray((of_list + np.arange(len(of_list))[:, None, None] * n_cells).transpose(2, 0, 1))
    return cells, np.array(limits, dtype=np.int32)[:, None, None], n_cells


def _codes(items: pd.DataFrame, column: str) -> NDArray[np.int32]:
    """Return the values of each item in a column as numbers from 1, padded with 0: (n_items, n_values)."""
    texts = [tuple(dict.fromkeys(split_list(text))) if column == "topics" else _whole(text) for text in items[column]]
    numbers: dict[str, int] = {}
    codes = np.zeros((len(texts), max(map(len, texts), default=0) or 1), dtype=np.int32)
    for row, parts in enumerate(texts):
        codes[row, : len(parts)] = [numbers.setdefault(part, len(numbers) + 1) for part in parts]
    return codes


def _whole(text: object) -> tuple[str, ...]:
    """Return a text as the only part of a list; none for a missing value."""
    return (text,) if isinstance(text, str) and text else ()
