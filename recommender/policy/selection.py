"""Selection at request: the entries of a list that fit a time budget, and the topics, formats and lengths asked for."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

SEARCHED: Final = 15
"""Best entries of which every subset is tried: 32,768 subsets, a fraction of a millisecond."""


class ItemFacts(NamedTuple):
    """Facts of an item that a selection asks for."""

    seconds: float | None = None
    format: str | None = None
    topics: frozenset[str] = frozenset()


class Selection(NamedTuple):
    """Conditions of a request on the entries of a list; by default all are wanted.

    Attributes
    ----------
    minutes : int, optional
        Most minutes of all entries together.
    max_minutes : int, optional
        Most minutes of one entry.
    topics, formats : set of str
        Entries have one of these; empty: any.
    """

    minutes: int | None = None
    max_minutes: int | None = None
    topics: frozenset[str] = frozenset()
    formats: frozenset[str] = frozenset()

    def admits(self, item: ItemFacts) -> bool:
        """Return whether an entry fits by itself; one of unknown length fits no limit of time.

        >>> Selection(minutes=12).admits(ItemFacts(720.0)), Selection(minutes=12).admits(ItemFacts(None))
        (True, False)
        >>> Selection(topics=frozenset({"safety"})).admits(ItemFacts(topics=frozenset({"safety", "history"})))
        True
        """
        limits = [60 * limit for limit in (self.minutes, self.max_minutes) if limit is not None]
        if limits and (item.seconds is None or item.seconds > min(limits)):
            return False
        if self.topics and self.topics.isdisjoint(item.topics):
            return False
        return not self.formats or item.format in self.formats


EVERYTHING: Final = Selection()


def value_of(rank: int) -> float:
    """Return the value of the entry at a rank, from 0: the discount of DCG, ``1 / log2(rank + 2)``.

    Järvelin and Kekäläinen (2002), doi:10.1145/582415.582418.

    >>> value_of(0), value_of(2)
    (1.0, 0.5)
    """
    return float(1.0 / np.log2(rank + 2))


def selected(items: Sequence[ItemFacts], selection: Selection, most: int, *, urgent: int = 0) -> list[int]:
    """Return the ranks, from 0, of the entries that a selection shows, at most so many.

    Parameters
    ----------
    items : sequence of ItemFacts
        The entries that may be offered, the best first.
    urgent : int
        Urgent entries at the beginning.

    Examples
    --------
    >>> quiz, video = ItemFacts(600.0, "quiz"), ItemFacts(300.0, "video")
    >>> selected([quiz, video, video], Selection(formats=frozenset({"video"})), 1)
    [1]
    >>> selected([video, quiz, video], Selection(minutes=11), 3)
    [0, 2]
    """
    ranks = [rank for rank, item in enumerate(items) if selection.admits(item)]
    if selection.minutes is not None:
        seconds = [items[rank].seconds or 0.0 for rank in ranks]
        n_urgent = sum(rank < urgent for rank in ranks)
        ranks = [ranks[place] for place in within_budget(seconds, 60.0 * selection.minutes, most, urgent=n_urgent)]
    return ranks[:most]


def within_budget(seconds: Sequence[float], budget_seconds: float, most: int, *, urgent: int = 0) -> list[int]:
    """Return the ranks, from 0, of the entries that are worth most together and take no longer than a budget.

    Urgent entries are taken first, one after the other, each that fits. Of the others the best :data:`SEARCHED` are
    searched for the most valuable subset; later ones fill what time is left.

    Parameters
    ----------
    seconds : sequence of float
        Lengths of the entries, the best first.
    most : int
        Most entries.
    urgent : int
        Urgent entries at the beginning.

    Examples
    --------
    12 minutes: the first entry alone is worth 1, the second and third together .63 + .5.

    >>> within_budget([700.0, 400.0, 300.0], 720.0, 10)
    [1, 2]

    Where the first one is urgent it is taken whatever the others are worth.

    >>> within_budget([700.0, 400.0, 300.0], 720.0, 10, urgent=1)
    [0]
    """
    ranks: list[int] = []
    left = budget_seconds
    for rank in range(urgent):
        if len(ranks) < most and seconds[rank] <= left:
            ranks.append(rank)
            left -= seconds[rank]
    return ranks + [urgent + rank for rank in _most_valuable(seconds[urgent:], left, most - len(ranks))]


def _most_valuable(seconds: Sequence[float], budget_seconds: float, most: int) -> list[int]:
    """Return the ranks of the most valuable subset of the best entries, and of later ones that fill what is left."""
    head = list(seconds[:SEARCHED])
    values, sizes = _values_and_sizes(len(head))
    fits = (_sums(head) <= budget_seconds) & (sizes <= most)
    best = int(np.where(fits, values, -1.0).argmax())
    ranks = [rank for rank in range(len(head)) if best >> rank & 1]
    left = budget_seconds - sum(head[rank] for rank in ranks)
    for rank in range(len(head), len(seconds)):
        if len(ranks) < most and seconds[rank] <= left:
            ranks.append(rank)
            left -= seconds[rank]
    return ranks


@cache
def _values_and_sizes(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what each subset of the first ``n`` ranks is worth, and how many they are; see :func:`_sums`."""
    return _sums([value_of(rank) for rank in range(n)]), _sums([1.0] * n)


def _sums(parts: Sequence[float]) -> NDArray[np.float64]:
    """Return the sum of every subset of some numbers, by the number whose bits say which are in it: (2 ** n,).

    >>> _sums([1.0, 10.0]).tolist()
    [0.0, 1.0, 10.0, 11.0]
    """
    sums = np.zeros(1)
    for part in parts:
        sums = np.concatenate((sums, sums + part))
    return sums


def why_empty(selection: Selection, items: Sequence[ItemFacts]) -> dict[str, Any]:
    """Return why no entry fits, as a code with arguments.

    Parameters
    ----------
    items : sequence of ItemFacts
        The entries that may be offered.

    Examples
    --------
    >>> why_empty(Selection(minutes=12), [ItemFacts(900.0), ItemFacts(1_260.0)])
    {'code': 'all_take_longer', 'arguments': {'minutes': 12, 'shortest_minutes': 15}}
    """
    if not items:
        return {"code": "nothing_to_offer", "arguments": {}}
    of_kind = [item for item in items if selection._replace(minutes=None, max_minutes=None).admits(item)]
    if not of_kind:
        return {"code": "none_of_these_topics_and_formats", "arguments": {}}
    minutes = min(limit for limit in (selection.minutes, selection.max_minutes) if limit is not None)
    lengths = [item.seconds for item in of_kind if item.seconds is not None]
    if not lengths:
        return {"code": "no_length_known", "arguments": {}}
    return {
        "code": "all_take_longer",
        "arguments": {"minutes": minutes, "shortest_minutes": int(np.ceil(min(lengths) / 60))},
    }
