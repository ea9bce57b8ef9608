"""Study sessions, at the hours and weekdays of each kind of work."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from simulator.organisation.catalogue import DAY_SECONDS, Floats, Ints, Period
from simulator.organisation.members import Block
from simulator.organisation.world import Work, World

MAX_SESSIONS: Final = 150
"""Most sessions of a member in one simulation: a bound on the work of a block, hardly ever reached."""
HOUR_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts to study one item each, as parallel arrays ordered by member and time.

    ``turn`` counts a member's attempts from 0, ``opened_at`` is when its session begins, in seconds since 1970.
    """

    member: Ints
    turn: Ints
    opened_at: Ints


def draw_attempts(world: World, block: Block, span: Period, rng: np.random.Generator) -> Attempts:
    """Return all attempts of the members of a block; each session has one or a few."""
    edges = np.append(np.arange(span.start, span.until, HOUR_SECONDS), span.until)
    expected = np.zeros(len(block.work))
    clocks = {}
    offsets = np.array([city.utc_offset_hours for city in world.cities])[block.city]
    for number, work in enumerate(world.works):
        for offset in sorted({city.utc_offset_hours for city in world.cities}):
            own = np.flatnonzero((block.work == number) & (offsets == offset))
            clock = _clock(work, edges, offset)
            low, high = (
                np.interp(block.active_from[own], edges, clock),
                np.interp(block.active_until[own], edges, clock),
            )
            expected[own] = high - low
            clocks[number, offset] = own, clock, low, high
    sessions = np.minimum(rng.poisson(block.activity * expected), MAX_SESSIONS)
    member = np.repeat(np.arange(len(sessions)), sessions)
    share = rng.random(len(member))
    opened_at = np.zeros(len(member))
    for own, clock, low, high in clocks.values():
        lows, highs = np.zeros(len(sessions)), np.full(len(sessions), -1.0)
        lows[own], highs[own] = low, high
        mine = highs[member] >= 0
        wanted = lows[member[mine]] + share[mine] * (highs - lows)[member[mine]]
        opened_at[mine] = np.interp(wanted, clock, edges)
    return _attempts(world, block, member, opened_at.astype(np.int64), rng)


def _clock(work: Work, edges: Ints, offset: int) -> Floats:
    """Return the days of average study that have gone by at each edge, for people of this work in one time zone."""
    local = edges[:-1] // HOUR_SECONDS + offset
    hours = np.array(work.hours) / np.mean(work.hours)
    weekdays = np.array(work.weekdays) / np.mean(work.weekdays)
    pace = hours[local % 24] * weekdays[(local // 24 + 3) % 7]  # 1970-01-01 was a Thursday; Monday is 0
    return np.concatenate([[0.0], np.cumsum(pace * np.diff(edges))]) / DAY_SECONDS


def _attempts(world: World, block: Block, member: Ints, opened_at: Ints, rng: np.random.Generator) -> Attempts:
    more = np.array([work.items_per_session for work in world.works])[block.work[member]] - 1
    size = 1 + np.minimum(rng.poisson(more), 6)
    order = np.lexsort((opened_at, member))
    member, opened_at = np.repeat(member[order], size[order]), np.repeat(opened_at[order], size[order])
    first = np.searchsorted(member, member)
    return Attempts(member=member, turn=np.arange(len(member)) - first, opened_at=opened_at)
