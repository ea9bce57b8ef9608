"""Member profiles against logs whose habits are obvious."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.interactions import Interactions, build_interactions
from features.profiles import HOURS, WEEKDAYS, build_profiles

AS_OF = pd.Timestamp("2026-03-31", tz="UTC")
MEMBERS = pd.DataFrame(
    {
        "units": pd.Series([None] * 3, dtype="str"),
        "role": pd.Series([None] * 3, dtype="str"),
        "industry": pd.Series([None] * 3, dtype="str"),
        "timezone": pd.Series(["Asia/Shanghai", None, "Not/AZone"], dtype="str"),
        "joined_on": pd.to_datetime(pd.Series(["2026-03-01", None, None]), utc=True),
        "personalised": pd.Series([None] * 3, dtype="boolean"),
    }
).set_index(pd.Index(["a", "b", "c"], name="member_id"))
ITEMS = pd.DataFrame(
    {
        "format": pd.Series(["video", "article"], dtype="str"),
        "topics": pd.Series(["safety;history", None], dtype="str"),
        "duration_seconds": [600.0, np.nan],
    }
).set_index(pd.Index(["i", "j"], name="item_id"))


def events_of(rows: list[tuple[int, int, str, float]]) -> pd.DataFrame:
    """Return events of ``(member, item, time, seconds)``."""
    frame = pd.DataFrame(rows, columns=["member", "item", "at", "duration_seconds"])
    times = pd.to_datetime(frame["at"], utc=True, format="ISO8601").astype("datetime64[us, UTC]")
    return pd.DataFrame(
        {
            "member": frame["member"].astype("int32"),
            "item": frame["item"].astype("int32"),
            "verb": "completed",
            "occurred_at": times.astype("int64"),
            "duration_seconds": frame["duration_seconds"].astype("float64"),
            "progress": 1.0,
            "score": np.nan,
            "session": 0,
            "date_only": frame["at"].str.len() == len("2026-03-02"),
        }
    )


def known_from(events: pd.DataFrame) -> Interactions:
    """Return the interactions of the members and items above."""
    return build_interactions(events, members=MEMBERS, items=ITEMS, as_of=AS_OF)


def profiles_of(rows: list[tuple[int, int, str, float]]) -> pd.DataFrame:
    """Return the profiles of events."""
    events = events_of(rows)
    return build_profiles(events, known_from(events))


def test_hours_and_weekdays_are_local() -> None:
    profile = profiles_of([(0, 0, "2026-03-02T16:30:00Z", 300)]).loc["a"]
    assert profile["hour_00"] == 1.0  # half past midnight on Tuesday in Shanghai
    assert profile["tuesday"] == 1.0


@pytest.mark.parametrize("member", [1, 2])
def test_a_member_without_a_usable_time_zone_is_taken_in_utc(member: int) -> None:
    profile = profiles_of([(member, 0, "2026-03-02T16:30:00Z", 300)]).iloc[member]
    assert profile["hour_16"] == 1.0
    assert profile["monday"] == 1.0


def test_eight_in_the_morning_in_shanghai_is_an_hour_like_any_other() -> None:
    profile = profiles_of([(0, 0, "2026-03-02T00:00:00Z", 300)]).loc["a"]
    assert profile["hour_08"] == 1.0


def test_events_that_carry_a_date_only_tell_no_hour() -> None:
    profile = profiles_of([(1, 0, "2026-03-02", 300)]).loc["b"]
    assert profile[[*HOURS, *WEEKDAYS]].sum() == 0.0
    assert profile["items"] == 1


def test_a_sitting_ends_after_half_an_hour_without_study() -> None:
    rows = [
        (0, 0, "2026-03-02T10:10:00Z", 600.0),  # 10:00 to 10:10
        (0, 1, "2026-03-02T10:30:00Z", 300.0),  # ... and to 10:30: one session of 30 minutes
        (0, 1, "2026-03-02T15:10:00Z", 600.0),  # 10 minutes
    ]
    assert profiles_of(rows).loc["a", "session_seconds"] == 20 * 60


def test_hours_and_weekdays_are_shares_of_the_events_with_a_time() -> None:
    rows = [
        (1, 0, "2026-03-02T08:05:00Z", 60.0),  # Monday
        (1, 0, "2026-03-02T09:00:00Z", 60.0),
        (1, 1, "2026-03-09T08:50:00Z", 60.0),  # Monday
        (1, 1, "2026-03-10T08:00:00Z", 60.0),
        (1, 0, "2026-03-11", 60.0),
    ]
    profile = profiles_of(rows).loc["b"]
    assert (profile["hour_08"], profile["hour_09"]) == (0.75, 0.25)
    assert (profile["monday"], profile["tuesday"], profile["wednesday"]) == (0.75, 0.25, 0.0)


@pytest.mark.parametrize(("second", "seconds"), [("10:40:00", 40 * 60), ("10:40:01", 5 * 60)])
def test_events_half_an_hour_apart_are_of_one_session_and_a_second_more_of_two(second: str, seconds: int) -> None:
    rows = [(0, 0, "2026-03-02T10:10:00Z", 600.0), (0, 1, f"2026-03-02T{second}Z", np.nan)]  # from 10:00 on
    assert profiles_of(rows).loc["a", "session_seconds"] == seconds


def test_formats_and_topics_are_shares_of_evidence() -> None:
    profile = profiles_of([(0, 0, "2026-03-02T10:10:00Z", 600), (0, 1, "2026-03-02T11:10:00Z", 600)]).loc["a"]
    assert profile["format_video"] + profile["format_article"] == pytest.approx(1.0)
    assert profile["topic_safety"] == profile["topic_history"] == profile["format_video"]


def test_times_count_back_from_the_moment_of_the_matrices() -> None:
    profile = profiles_of([(0, 0, "2026-03-30T00:00:01Z", 60), (1, 0, "2026-03-21T00:00:00Z", 60)])
    assert profile.loc["a", "tenure_days"] == 30
    assert profile.loc["a", "last_active_days"] == pytest.approx(1.0, abs=1e-4)
    assert profile.loc["b", "tenure_days"] == 10


def test_tenure_begins_with_the_first_event_and_quiet_days_with_the_last() -> None:
    profile = profiles_of([(1, 0, "2026-03-11T00:00:00Z", 60), (1, 1, "2026-03-27T00:00:00Z", 60)]).loc["b"]
    assert (profile["tenure_days"], profile["last_active_days"]) == (20, 4)


def test_a_member_without_events_has_no_habits() -> None:
    profile = profiles_of([(0, 0, "2026-03-30T00:00:01Z", 60)]).loc["c"]
    assert (
        profile[[*HOURS, *WEEKDAYS, "items", "study_seconds", "finished", "format_video", "topic_safety"]] == 0
    ).all()
    assert np.isnan(profile["last_active_days"])


moments = st.datetimes(pd.Timestamp("2026-01-01").to_pydatetime(), pd.Timestamp("2026-03-30").to_pydatetime())
rows_of_events = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(0, 1), moments.map(lambda moment: f"{moment.isoformat()}Z"), st.floats(0, 4_000)
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=10)
@given(rows_of_events, st.randoms(use_true_random=False))
def test_the_order_of_events_makes_no_difference(rows: list[tuple[int, int, str, float]], random: object) -> None:
    mixed = rows.copy()
    random.shuffle(mixed)  # type: ignore[attr-defined] # hypothesis' Random
    pd.testing.assert_frame_equal(profiles_of(rows), profiles_of(mixed))


@settings(max_examples=10)
@given(rows_of_events)
def test_shares_of_a_member_sum_to_one_or_nothing(rows: list[tuple[int, int, str, float]]) -> None:
    profiles = profiles_of(rows)
    for columns in (HOURS, WEEKDAYS):
        total = profiles[columns].sum(axis=1)
        assert (np.isclose(total, 1.0) | (total == 0.0)).all()
