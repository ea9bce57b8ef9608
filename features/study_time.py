"""Study time without double counting: sessions merged, overlaps removed, days bounded."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MICROSECONDS = 1_000_000
DAY_MICROSECONDS = 86_400 * MICROSECONDS
Ints = NDArray[np.int64]


def studied_seconds(
    member: Ints,
    item: Ints,
    end: Ints,
    length: NDArray[np.float64],
    session: NDArray[Any],
    date_only: NDArray[np.bool_],
) -> tuple[Ints, Ints, NDArray[np.float64]]:
    """Return the study time of members on items, from their events: member, item, seconds.

    The duration of an event leads up to it: it covers ``[end - length, end]``. Events of one session (same member, item
    and session) report the time so far, so the longest counts. Where intervals of one member overlap, on whatever
    items, the shared time counts once, for the interval that began first. Date-only events overlap with nothing, but
    together give a day no more than 24 hours.

    Parameters
    ----------
    member, item : array (n_events,)
    end : array (n_events,)
        In microseconds.
    length : array (n_events,)
        In seconds; NaN where not known.
    session : array (n_events,)
        0 for none.
    date_only : array (n_events,)
    """
    timed = length > 0
    parts = []
    for mask, seconds_in in ((timed & ~date_only, _without_overlap), (timed & date_only, _within_day)):
        microseconds = np.round(length[mask] * MICROSECONDS)
        whole = (values[mask].astype(np.int64) for values in (member, item, end))
        spans = _sessions(*whole, length=microseconds.astype(np.int64), session=session[mask])
        parts.append((spans.member, spans.item, seconds_in(spans)))
    member, item, seconds = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order, starts, group = grouped(item, member)
    total = np.bincount(group, weights=seconds[order], minlength=len(starts)).astype(np.float64, copy=False)
    first = order[starts]
    return member[first], item[first], total


def grouped(*keys: Ints) -> tuple[Ints, Ints, Ints]:
    """Return an order that brings rows with the same keys together, where each group starts in it, and their groups.

    As in :func:`numpy.lexsort` the last key counts first. Rows of one group keep their order.

    >>> [array.tolist() for array in grouped(np.array([1, 0, 1, 0]), np.array([7, 7, 3, 7]))]
    [[2, 1, 3, 0], [0, 1, 3], [0, 1, 1, 2]]
    """
    order = np.lexsort(keys)
    opens = np.ones(len(order), dtype=bool)
    opens[1:] = np.logical_or.reduce([key[order][1:] != key[order][:-1] for key in keys])
    return order, np.flatnonzero(opens), np.cumsum(opens) - 1


@dataclass(frozen=True, slots=True)
class _Spans:
    """Stretches of time, sorted by member, start, end and item: arrays of the same length."""

    member: Ints
    item: Ints
    start: Ints
    end: Ints

    @property
    def length(self) -> Ints:
        return self.end - self.start


def _sessions(member: Ints, item: Ints, end: Ints, *, length: Ints, session: NDArray[Any]) -> _Spans:
    """Return one span per session, and one per event outside of sessions, in an order that content alone decides."""
    within = np.flatnonzero(session != 0)
    if len(within):
        order, starts, _ = grouped(session[within], item[within], member[within])
        merged, alone = within[order], np.flatnonzero(session == 0)
        first = merged[starts]
        member, item = (np.concatenate([values[first], values[alone]]) for values in (member, item))
        end, length = (
            np.concatenate([np.maximum.reduceat(values[merged], starts), values[alone]]) for values in (end, length)
        )
    start = end - length
    order = np.lexsort((item, end, start, member))
    return _Spans(member[order], item[order], start[order], end[order])


def _without_overlap(spans: _Spans) -> NDArray[np.float64]:
    """Return the seconds of each span that no earlier span of its member covers."""
    if not len(spans.end):
        return np.zeros(0)
    ends, rank = np.unique(spans.end, return_inverse=True)
    opens = np.diff(spans.member, prepend=-1) != 0
    # Each member begins above all ranks of those before it, so that one pass over all does for every member.
    floor = (np.cumsum(opens) - 1) * len(ends)
    furthest = ends[np.maximum.accumulate(floor + rank) - floor]
    covered_to = np.where(opens, np.iinfo(np.int64).min, np.concatenate([[0], furthest[:-1]]))
    return np.maximum(spans.end - np.maximum(spans.start, covered_to), 0) / MICROSECONDS


def _within_day(spans: _Spans) -> NDArray[np.float64]:
    """Return the seconds of date-only spans, scaled down where a day of a member would pass 24 hours."""
    if not len(spans.end):
        return np.zeros(0)
    order, starts, group = grouped(spans.end, spans.member)
    day = np.empty(len(order), dtype=np.int64)
    day[order] = np.add.reduceat(spans.length[order], starts)[group]
    return spans.length / MICROSECONDS * np.minimum(1.0, DAY_MICROSECONDS / np.maximum(day, 1))
