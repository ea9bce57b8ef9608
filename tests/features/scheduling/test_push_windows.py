from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import hypothesis
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.scheduling.hours import Minutes, open_minutes
from features.scheduling.push_windows import PushRules, plan_pushes

ZONES = (
    "Asia/Shanghai",  # no summer time
    "Europe/Paris",
    "America/New_York",
    "America/Santiago",  # summer time changes at midnight
    "Australia/Lord_Howe",  # half an hour of summer time, southern
    "Pacific/Kiritimati",  # UTC+14
)
CHANGES = {
    "spring": {
        "Europe/Paris": "2026-03-29",
        "America/New_York": "2026-03-08",
        "America/Santiago": "2026-09-06",
        "Australia/Lord_Howe": "2026-10-04",
    },
    "autumn": {
        "Europe/Paris": "2026-10-25",
        "America/New_York": "2026-11-01",
        "America/Santiago": "2026-04-05",
        "Australia/Lord_Howe": "2026-04-05",
    },
}
ANY_DAY = {"spring": "2026-03-29", "autumn": "2026-10-25"}
RULES = PushRules(study_hours="08:00-21:00", quiet_hours="22:00-08:00", per_day=1, per_week=7)
NONE = pd.DataFrame({"member_id": [], "period": [], "pushes": []})
HABITS = ("07:00-09:00", "12:00-14:00", "01:30-03:30", "20:00-23:00", "")


def members(zone: str | None, **columns: object) -> pd.DataFrame:
    """Return members in a zone, one for each value of the columns that are lists."""
    all_columns = {"pushes": None, "study_hours": None, "quiet_hours": None, "habit": ""} | columns
    count = max(len(value) for value in all_columns.values() if isinstance(value, list | tuple)) if columns else 1
    frame = pd.DataFrame(
        {
            name: list(value) if isinstance(value, list | tuple) else [value] * count
            for name, value in all_columns.items()
        },
        index=pd.Index([f"m{number}" for number in range(count)], name="member_id"),
    )
    return frame.assign(timezone=zone, pushes=frame["pushes"].astype("boolean"))


def local(moment: pd.Timestamp, zone: str) -> pd.Timestamp:
    return moment.tz_convert(zone)


def minute_of(moment: pd.Timestamp) -> int:
    return 60 * moment.hour + moment.minute


def first_open(now: datetime, zone: str, hours: str, quiet: str, dates: list[date]) -> datetime | None:
    """Return the first open moment on one of some dates, found by looking at every minute."""
    silent = open_minutes(quiet)
    study = moved(hours, silent)
    first = int(now.timestamp()) // 60
    for minute in range(first, first + 52 * 60):
        on, shown = wall(minute, zone)
        if on in dates and study[shown] and not silent[shown]:
            return max(now, datetime.fromtimestamp(60 * minute, UTC))
    return None


def moved(hours: str, silent: Minutes) -> Minutes:
    """Return study hours, moved to the next hour that is not silent where all of them are, minute by minute."""
    study = open_minutes(hours).copy()
    minute = int(hours[:2]) * 60 + int(hours[3:5])
    if not (study & ~silent).any():
        study[:] = False
        while silent[minute % 1440] and minute < 2880:
            minute += 1
        for later in range(minute, minute + 60):
            study[later % 1440] = True
    return study


@cache
def wall(minute: int, zone: str) -> tuple[date, int]:
    """Return what the clocks of a zone show at a minute since 1970."""
    here = datetime.fromtimestamp(60 * minute, ZoneInfo(zone))
    return here.date(), 60 * here.hour + here.minute


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("change", CHANGES)
def test_around_a_change_of_the_clocks_each_member_is_pushed_to_in_the_first_open_hours_and_once_a_date(
    change: str, zone: str
) -> None:
    """Nights on three days around the change, for members of five habits: over the zones, at every hour."""
    changes_on = CHANGES[change].get(zone, ANY_DAY[change])
    people = members(zone, habit=HABITS)
    for hour in range((ZONES.index(zone) + list(CHANGES).index(change)) % 3, 24, 3):
        day = datetime.fromisoformat(f"{changes_on}T{hour:02d}:00:00").replace(tzinfo=UTC) - timedelta(days=1)
        pushed: set[tuple[str, str]] = set()
        for night in range(3):
            now = day + timedelta(days=night)
            planned = pd.DataFrame([(*push, 1) for push in pushed], columns=["member_id", "period", "pushes"])

            plan = plan_pushes(people, planned, now=now, rules=RULES)

            today = now.astimezone(ZoneInfo(zone)).date()
            for habit, (member_id, row) in zip(HABITS, plan.iterrows(), strict=True):
                had = {period for name, period in pushed if name == member_id}
                dates = [on for on in (today, today + timedelta(days=1)) if on.isoformat() not in had]
                expected = first_open(now, zone, habit or RULES.study_hours, RULES.quiet_hours, dates)
                if expected is None:
                    assert row["no_push"] in {"no_open_hours", "capped"}
                    continue
                assert row["push_at"] == expected
                shown = local(row["push_at"], zone)
                assert not open_minutes(RULES.quiet_hours)[minute_of(shown)]
                assert row["period"] == shown.date().isoformat()
                last = local(row["expires_at"] - pd.Timedelta(minutes=1), zone)
                assert last.date() == shown.date()
                assert not open_minutes(RULES.quiet_hours)[minute_of(last)]
                assert (member_id, row["period"]) not in pushed
                pushed.add((str(member_id), row["period"]))


def test_hours_that_the_change_skips_are_open_on_the_next_day() -> None:
    people = members("Europe/Paris", study_hours=["02:00-03:00"], quiet_hours=["22:00-01:00"])

    [row] = plan_pushes(people, NONE, now=datetime(2026, 3, 29, 0, tzinfo=UTC), rules=RULES).to_dict("records")

    assert row["push_at"] == pd.Timestamp("2026-03-30T00:00Z")


def test_hours_that_the_change_brings_twice_get_one_push() -> None:
    people = members("Europe/Paris", study_hours=["02:00-03:00"], quiet_hours=["22:00-01:00"])
    before, between = datetime(2026, 10, 24, 23, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)

    [first] = plan_pushes(people, NONE, now=before, rules=RULES).to_dict("records")
    had = pd.DataFrame([("m0", first["period"], 1)], columns=["member_id", "period", "pushes"])
    [second] = plan_pushes(people, had, now=between, rules=RULES).to_dict("records")

    assert first["push_at"] == pd.Timestamp("2026-10-25T00:00Z")
    assert second["push_at"] == pd.Timestamp("2026-10-26T01:00Z")


DAYS = sorted({on for change in CHANGES.values() for on in change.values()})
MOMENTS = st.builds(
    lambda day, seconds: datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(seconds=seconds),
    st.sampled_from(DAYS),
    st.integers(-36 * 3_600, 36 * 3_600),
)
HOURS = st.tuples(st.integers(0, 47), st.integers(0, 47)).map(
    lambda ends: "-".join(f"{end // 2:02d}:{30 * (end % 2):02d}" for end in ends)
)


@given(MOMENTS, st.sampled_from(ZONES), HOURS, HOURS)
def test_a_push_is_at_the_first_open_minute_and_ends_before_the_next_quiet_one(
    now: datetime, zone: str, study: str, quiet: str
) -> None:
    people = members(zone, study_hours=[study], quiet_hours=[quiet])

    [row] = plan_pushes(people, NONE, now=now, rules=RULES).to_dict("records")

    today = now.astimezone(ZoneInfo(zone)).date()
    expected = first_open(now, zone, study, quiet, [today, today + timedelta(days=1)])
    if expected is None:
        assert row["no_push"] == "no_open_hours"
        assert pd.isna(row["push_at"])
        return
    assert row["push_at"] == expected >= now
    silent = open_minutes(quiet)
    for minute in range(int(expected.timestamp()) // 60, int(row["expires_at"].timestamp()) // 60):
        assert not silent[wall(minute, zone)[1]]


@hypothesis.settings(max_examples=4)
@given(st.lists(st.integers(0, 23), min_size=16, max_size=16), st.integers(1, 3), st.integers(0, 7))
def test_caps_hold_on_every_date_and_any_seven_in_a_row(hours: list[int], per_day: int, per_week: int) -> None:
    """Sixteen days of nights at any hour, each planning for two endpoints, for a member of every zone at once."""
    rules = PushRules(study_hours="09:00-12:00", quiet_hours="22:00-08:00", per_day=per_day, per_week=per_week)
    people = members(None, habit=[""] * len(ZONES)).assign(timezone=ZONES)
    pushes: Counter[tuple[str, str]] = Counter()
    start = datetime(2026, 3, 1, tzinfo=UTC)
    for night, hour in enumerate(hours):
        now = start + timedelta(days=night, hours=hour)
        for _ in range(2):
            planned = pd.DataFrame(
                [(*key, count) for key, count in pushes.items()], columns=["member_id", "period", "pushes"]
            )
            plan = plan_pushes(people, planned, now=now, rules=rules).query("no_push == ''")
            pushes.update(zip(plan.index, plan["period"], strict=True))
    assert all(count <= per_day for count in pushes.values())
    dates = [(start.date() + timedelta(days=day)).isoformat() for day in range(-7, 26)]
    for member_id in people.index:
        for first in range(len(dates) - 6):
            assert sum(pushes[member_id, on] for on in dates[first : first + 7]) <= per_week


def test_who_switched_pushes_off_gets_none_and_what_a_member_set_stands() -> None:
    people = members(
        "Asia/Shanghai",
        pushes=[False, True, None, None],
        study_hours=[None, None, "06:00-07:00", "06:00-07:00"],
        quiet_hours=[None, "20:00-10:00", "23:00-05:00", None],
        habit=["09:00-11:00", "09:00-11:00", "09:00-11:00", ""],
    )

    plan = plan_pushes(people, NONE, now=datetime(2026, 3, 1, 16, tzinfo=UTC), rules=RULES)

    assert plan["no_push"].tolist() == ["switched_off", "", "", ""]
    assert plan["push_at"].tolist()[1:] == [
        pd.Timestamp("2026-03-02T02:00Z"),
        pd.Timestamp("2026-03-01T22:00Z"),
        pd.Timestamp("2026-03-02T00:00Z"),  # 06:00 is quiet: the next hour that is not
    ]
    assert plan["outside_study_hours"].tolist() == [False, False, False, True]


def test_study_hours_within_quiet_hours_move_to_the_next_open_hour_and_no_open_hour_is_none() -> None:
    people = members(
        "UTC", study_hours=["22:30-23:30", "23:00-01:00", "12:00-13:00"], quiet_hours=[None, None, "00:00-24:00"]
    )

    plan = plan_pushes(people, NONE, now=datetime(2026, 3, 1, 21, tzinfo=UTC), rules=RULES)

    assert plan["push_at"].tolist()[:2] == [pd.Timestamp("2026-03-02T08:00Z")] * 2
    assert plan["expires_at"].tolist()[:2] == [pd.Timestamp("2026-03-02T22:00Z")] * 2
    assert plan["no_push"].tolist() == ["", "", "no_open_hours"]
    assert plan["outside_study_hours"].tolist() == [True, True, False]


def test_members_without_a_zone_are_pushed_to_in_the_one_of_the_rules() -> None:
    rules = replace(RULES, timezone="Asia/Shanghai")

    plan = plan_pushes(members(None), NONE, now=datetime(2026, 3, 1, 12, tzinfo=UTC), rules=rules)

    assert plan["push_at"].tolist() == [pd.Timestamp("2026-03-01T12:00Z")]
    plan = plan_pushes(members(None), NONE, now=datetime(2026, 3, 1, 15, tzinfo=UTC), rules=rules)
    assert plan["push_at"].tolist() == [pd.Timestamp("2026-03-02T00:00Z")]


def test_an_unknown_zone_and_none_at_all_count_as_utc() -> None:
    for zone in ("Mars/Olympus", None):
        plan = plan_pushes(members(zone), NONE, now=datetime(2026, 3, 1, 16, 0, 1, tzinfo=UTC), rules=RULES)
        assert plan["push_at"].tolist() == [pd.Timestamp("2026-03-01T16:00:01Z")]


def test_pushes_of_others_and_of_long_ago_count_for_nobody() -> None:
    planned = pd.DataFrame(
        [("other", "2026-03-01", 9), ("m0", "2026-02-01", 9)], columns=["member_id", "period", "pushes"]
    )

    plan = plan_pushes(members("UTC"), planned, now=datetime(2026, 3, 1, 16, tzinfo=UTC), rules=RULES)

    assert plan["no_push"].tolist() == [""]
