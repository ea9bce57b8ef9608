"""Study time that cannot be farmed: every second of a member counts once, and a day has 24 hours."""

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.study_time import DAY_MICROSECONDS, MICROSECONDS, studied_seconds

NAN = float("nan")
DAY_SECONDS = 86_400
MORNING = 20_000 * DAY_SECONDS + 8 * 3_600
MIDNIGHTS = (20_000 * DAY_SECONDS, 20_001 * DAY_SECONDS)
Event = tuple[int, int, int, float, int]
"""Member, item, second of its end, duration, session."""

# Small numbers, so that intervals begin together, meet and nest; whole seconds, so that they can be counted.
TIMED = st.tuples(
    st.integers(0, 1),
    st.integers(0, 2),
    st.integers(MORNING, MORNING + 5),
    st.sampled_from([NAN, 0.0, 1.0, 2.0, 3.0, 5.0, 8.0]),
    st.sampled_from([0, 0, 1, 2]),
).map(lambda event: (*event[:2], event[2] + int(np.nan_to_num(event[3])), *event[3:]))
DATED = st.tuples(
    st.integers(0, 1),
    st.integers(0, 2),
    st.sampled_from(MIDNIGHTS),
    st.sampled_from([0.0, 5.0, 40_000.0, 86_400.0]),
    st.sampled_from([0, 0, 1]),
)
LOGS = st.lists(st.one_of(TIMED, TIMED, DATED), max_size=10)


def columns_of(events: list[Event]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return members, items and seconds."""
    kinds = (np.int64, np.int64, np.int64, np.float64, np.uint64)
    values = [*zip(*events, strict=True)] or [()] * len(kinds)
    member, item, end, length, session = (np.array(column, kind) for column, kind in zip(values, kinds, strict=True))
    end = end * MICROSECONDS
    return studied_seconds(member, item, end, length, session, end % DAY_MICROSECONDS == 0)


def studied(*events: Event) -> dict[tuple[int, int], float]:
    """Return the seconds of each member and item."""
    return {(int(member), int(item)): seconds for member, item, seconds in zip(*columns_of([*events]), strict=True)}


def spans_of(events: list[Event]) -> list[tuple[int, int, int, int]]:
    """Return ``(member, start, end, item)``: one for each session, one for each event outside of sessions."""
    sessions: dict[tuple[int, int, int, bool], list[tuple[int, int]]] = defaultdict(list)
    spans = []
    for member, item, end, duration, session in events:
        if duration > 0 and session:
            sessions[member, item, session, end % DAY_SECONDS == 0].append((end, int(duration)))
        elif duration > 0:
            spans.append((member, end - int(duration), end, item))
    for (member, item, _, _), intervals in sessions.items():
        end, length = max(end for end, _ in intervals), max(length for _, length in intervals)
        spans.append((member, end - length, end, item))
    return spans


def second_by_second(events: list[Event]) -> dict[tuple[int, int], float]:
    """Return the same seconds, counted one by one: each belongs to the interval that began first."""
    owner: dict[tuple[int, int], int] = {}
    days: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    seconds: dict[tuple[int, int], float] = {}
    for member, start, end, item in sorted(spans_of(events)):
        seconds[member, item] = 0.0
        if end % DAY_SECONDS == 0:
            days[member, end].append((item, end - start))
        else:
            for second in range(start, end):
                owner.setdefault((member, second), item)
    for (member, _), item in owner.items():
        seconds[member, item] += 1
    for (member, _), item_lengths in days.items():
        total = sum(length for _, length in item_lengths)
        for item, length in item_lengths:
            seconds[member, item] += length * min(1.0, DAY_SECONDS / total)
    return seconds


@given(events=LOGS)
def test_seconds_are_those_that_counting_one_by_one_gives(events: list[Event]) -> None:
    assert studied(*events) == pytest.approx(second_by_second(events))


@settings(max_examples=50)
@given(events=LOGS, data=st.data())
def test_the_order_of_events_makes_no_difference_to_the_last_bit(events: list[Event], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(events))
    assert [column.tobytes() for column in columns_of(events)] == [column.tobytes() for column in columns_of(shuffled)]


@settings(max_examples=50)
@given(events=st.lists(TIMED, max_size=10), data=st.data())
def test_events_told_twice_add_nothing(events: list[Event], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(events), max_size=5)) if events else []
    assert studied(*events, *again) == studied(*events)


def union_seconds(intervals: list[tuple[float, float]]) -> float:
    """Return the length of what intervals cover together, between each two of their ends."""
    ends = sorted({end for interval in intervals for end in interval})
    return sum(
        after - before
        for before, after in pairwise(ends)
        if any(start <= before and after <= end for start, end in intervals)
    )


@given(
    events=st.lists(
        st.tuples(
            st.just(0),
            st.integers(0, 3),
            st.integers(MORNING, MORNING + 50_000),
            st.floats(0.001, 30_000),
            st.just(0),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_all_items_together_take_exactly_the_time_that_the_intervals_cover(events: list[Event]) -> None:
    union = union_seconds([(end - duration, float(end)) for _, _, end, duration, _ in events])
    assert sum(studied(*events).values()) == pytest.approx(union, rel=1e-6, abs=1e-4)


@given(events=st.lists(DATED, max_size=12))
def test_days_without_times_hold_no_more_than_24_hours_of_a_member(events: list[Event]) -> None:
    totals: dict[int, float] = defaultdict(float)
    for (member, _), seconds in studied(*events).items():
        totals[member] += seconds
    assert all(total <= DAY_SECONDS * len(MIDNIGHTS) * (1 + 1e-9) for total in totals.values())


def test_time_told_at_once_for_two_items_counts_for_the_one_begun_first() -> None:
    assert studied((0, 7, MORNING, 600.0, 0), (0, 8, MORNING + 300, 600.0, 0)) == {(0, 7): 600.0, (0, 8): 300.0}


def test_of_intervals_begun_together_the_one_that_ends_first_counts_first_whichever_was_logged_first() -> None:
    events: list[Event] = [
        (0, 7, MORNING + 600, 600.0, 0),
        (0, 8, MORNING + 60, 60.0, 0),
        (0, 9, MORNING + 60, 60.0, 0),
    ]
    assert studied(*events) == studied(*events[::-1]) == {(0, 7): 540.0, (0, 8): 60.0, (0, 9): 0.0}


def test_an_interval_within_another_counts_nothing_but_keeps_its_row() -> None:
    assert studied((0, 7, MORNING, 600.0, 0), (0, 8, MORNING - 100, 60.0, 0)) == {(0, 7): 600.0, (0, 8): 0.0}


def test_the_longest_interval_so_far_covers_what_begins_after_a_shorter_one_within_it() -> None:
    events: list[Event] = [
        (0, 7, MORNING + 600, 600.0, 0),
        (0, 8, MORNING + 200, 100.0, 0),
        (0, 9, MORNING + 700, 400.0, 0),
    ]
    assert studied(*events) == {(0, 7): 600.0, (0, 8): 0.0, (0, 9): 100.0}


def test_events_outside_of_sessions_add_to_those_of_a_session() -> None:
    events = [(0, 7, MORNING + 60, 60.0, 9), (0, 7, MORNING + 300, 300.0, 9), (0, 7, MORNING + 900, 30.0, 0)]
    assert studied(*events) == {(0, 7): 330.0}


def test_members_do_not_take_time_from_each_other() -> None:
    assert studied((0, 7, MORNING, 600.0, 0), (1, 7, MORNING, 600.0, 0)) == {(0, 7): 600.0, (1, 7): 600.0}


def test_a_session_tells_its_time_so_far_and_the_longest_counts() -> None:
    events = [(0, 7, MORNING + 60 * minute, 60.0 * minute, 9) for minute in (1, 5, 3)]
    assert studied(*events) == {(0, 7): 300.0}
    apart = [(0, 7, MORNING + 600 * place, 60.0, place + 1) for place in range(3)]
    assert studied(*apart) == {(0, 7): 180.0}


def test_sessions_of_the_same_name_are_apart_for_other_items_and_members() -> None:
    assert studied((0, 7, MORNING, 60.0, 9), (0, 8, MORNING + 600, 60.0, 9), (1, 7, MORNING, 60.0, 9)) == {
        (0, 7): 60.0,
        (0, 8): 60.0,
        (1, 7): 60.0,
    }


def test_dates_without_times_overlap_with_nothing_and_share_the_24_hours_of_their_day() -> None:
    assert studied((0, 7, MIDNIGHTS[0], 600.0, 0), (0, 8, MIDNIGHTS[0], 600.0, 0)) == {(0, 7): 600.0, (0, 8): 600.0}
    farmed = [(0, item, MIDNIGHTS[0], 86_400.0, 0) for item in range(4)]
    assert studied(*farmed) == {(0, item): 21_600.0 for item in range(4)}
    assert studied(*farmed, (0, 9, MIDNIGHTS[1], 60.0, 0))[0, 9] == 60.0


@pytest.mark.parametrize("duration", [NAN, 0.0])
def test_events_without_a_duration_tell_no_time(duration: float) -> None:
    assert studied((0, 7, MORNING, duration, 0), (0, 8, MIDNIGHTS[0], duration, 1)) == {}


def test_no_events_give_no_rows_of_the_same_types() -> None:
    empty, seconds = columns_of([]), columns_of([(0, 7, MORNING, 60.0, 0)])
    assert [column.dtype for column in empty] == [column.dtype for column in seconds]
    assert [len(column) for column in empty] == [0, 0, 0]


def test_parts_of_seconds_count_to_the_microsecond() -> None:
    assert studied((0, 7, MORNING, 0.0000014, 0), (0, 8, MORNING + 9, 1.5, 0)) == {(0, 7): 0.000001, (0, 8): 1.5}
    assert DAY_MICROSECONDS == DAY_SECONDS * MICROSECONDS
    assert np.isclose(studied((0, 7, MORNING, 604_800.0, 0))[0, 7], 604_800.0)
