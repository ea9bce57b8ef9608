from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.scheduling.hours import DAY_MINUTES, learn_study_hours, local_day, open_minutes

MINUTE = st.integers(0, DAY_MINUTES - 1)


def clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


@given(MINUTE, MINUTE)
def test_a_span_and_the_span_from_its_end_to_its_start_share_the_day(start: int, end: int) -> None:
    there, back = open_minutes(f"{clock(start)}-{clock(end)}"), open_minutes(f"{clock(end)}-{clock(start)}")

    if start == end:
        assert there.all()
    else:
        assert (there ^ back).all()
        assert there[start]
        assert not there[end]


def test_the_end_of_a_span_may_be_the_end_of_the_day() -> None:
    assert open_minutes("23:00-24:00").sum() == 60
    assert open_minutes("00:00-24:00").all()


@pytest.mark.parametrize(
    ("zone", "date", "minutes"),
    [
        ("Asia/Shanghai", "2026-03-29", 1_440),
        ("Europe/Paris", "2026-03-29", 1_380),
        ("America/New_York", "2026-11-01", 1_500),
        ("Australia/Lord_Howe", "2026-04-05", 1_470),  # half an hour
        ("Pacific/Kiritimati", "2026-01-01", 1_440),  # UTC+14
        ("Pacific/Pago_Pago", "2026-01-01", 1_440),  # UTC-11
    ],
)
def test_a_date_has_the_minutes_that_its_clocks_go_through(zone: str, date: str, minutes: int) -> None:
    since_epoch, shown = local_day(zone, date)

    assert len(since_epoch) == len(shown) == minutes
    assert (np.diff(since_epoch) == 1).all()
    assert shown[0] == 0
    assert shown[-1] == DAY_MINUTES - 1


@pytest.mark.parametrize(
    ("zone", "date", "minutes", "first"),
    [
        ("America/Santiago", "2026-09-06", 1_380, 60),  # 00:00 is 01:00
        ("America/Santiago", "2026-04-04", 1_500, 0),  # 24:00 is 23:00
        ("Africa/Cairo", "2026-04-24", 1_380, 60),
        ("Asia/Beirut", "2026-03-29", 1_380, 60),
        ("America/Havana", "2026-03-08", 1_380, 60),
        ("America/Havana", "2026-11-01", 1_500, 0),  # 01:00 is 00:00
        ("Atlantic/Azores", "2026-03-29", 1_380, 60),
        ("Pacific/Apia", "2011-12-30", 0, None),  # not in that calendar
    ],
)
def test_summer_time_may_change_at_midnight(zone: str, date: str, minutes: int, first: int | None) -> None:
    since_epoch, shown = local_day(zone, date)

    assert len(since_epoch) == len(shown) == minutes
    assert next(iter(shown), None) == first


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/Santiago", "America/Havana", "Asia/Beirut", "Pacific/Apia"])
@pytest.mark.parametrize("start", ["2026-03-01", "2026-08-25", "2026-10-20", "2011-12-20"])
def test_dates_follow_each_other_without_a_gap(zone: str, start: str) -> None:
    day, last = datetime.fromisoformat(start).replace(tzinfo=UTC), None
    for _ in range(45):
        since_epoch, _ = local_day(zone, day.date().isoformat())
        if not len(since_epoch):
            day += timedelta(days=1)
            continue
        assert last is None or since_epoch[0] == last + 1
        last, day = since_epoch[-1], day + timedelta(days=1)


COUNTS = st.lists(st.integers(0, 9), min_size=24, max_size=24)


@given(COUNTS, MINUTE, MINUTE)
def test_a_habit_is_the_most_studied_span_outside_quiet_hours(counts: list[int], start: int, end: int) -> None:
    quiet = open_minutes(f"{clock(start)}-{clock(end)}")

    [habit] = learn_study_hours(np.array([counts]), quiet=quiet, length_hours=2, least_events=5)

    pairs = {hour: counts[hour] + counts[(hour + 1) % 24] for hour in range(24)}
    free = {hour: pairs[hour] for hour in pairs if not any(quiet[m % 1440] for m in range(60 * hour, 60 * hour + 120))}
    best = max(free.values(), default=0)
    if sum(counts) < 5 or not best:
        assert habit == ""
    else:
        assert not (open_minutes(habit) & quiet).any()
        assert open_minutes(habit).sum() == 120
        assert pairs[int(habit[:2])] == best


def test_few_events_are_no_habit() -> None:
    counts = np.zeros((2, 24), dtype=int)
    counts[:, 9] = 4, 5

    habits = learn_study_hours(counts, quiet=open_minutes("22:00-08:00"), length_hours=2, least_events=5)

    assert habits.tolist() == ["", "08:00-10:00"]
