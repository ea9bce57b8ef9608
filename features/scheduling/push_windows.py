"""Push times: the first open minute of a member's study hours, outside quiet hours and within caps."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from content_catalog.time_zones import zone_of
from features.scheduling.hours import DAY_MINUTES, Minutes, local_day, open_minutes

WEEK_DAYS: Final = 7
SWITCHED_OFF, CAPPED, CLOSED = "switched_off", "capped", "no_open_hours"
"""Reasons for no push: switched off by the member, caps reached, no open hours today or tomorrow."""


@dataclass(frozen=True, slots=True)
class PushRules:
    """Default hours, and the caps of all members.

    Attributes
    ----------
    study_hours : str
        Open hours of members without learned habits.
    quiet_hours : str
        No push in these.
    per_day, per_week : int
        Most pushes to one member over all channels on one local date, and on seven dates in a row.
    timezone : str
        The zone of members whose own is missing or unknown.
    """

    study_hours: str
    quiet_hours: str
    per_day: int
    per_week: int
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class PushWindow:
    """Time in which a push of a date may be sent: until quiet hours or the next date begin; minutes since 1970."""

    date: str
    opens: int
    closes: int


def first_window(zone: str, on: str, *, study: Minutes, quiet: Minutes, after: int) -> PushWindow | None:
    """Return the first push window of a date, not before the minute ``after``; None where there is none."""
    minutes, shown = local_day(zone, on)
    quiet_here = quiet[shown]
    opens = np.flatnonzero(study[shown] & ~quiet_here & (minutes >= after))
    if not len(opens):
        return None
    first = int(opens[0])
    closing = np.flatnonzero(quiet_here[first:])
    last = first + int(closing[0]) if len(closing) else len(minutes)
    return PushWindow(on, int(minutes[first]), int(minutes[last - 1]) + 1)


def quiet_until(zone: str, quiet: Minutes, now: datetime) -> datetime | None:
    """Return the end of the quiet hours that a moment lies in; None where it lies in none.

    Examples
    --------
    >>> night, now = open_minutes("22:00-08:00"), datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
    >>> quiet_until("Europe/Paris", night, now).isoformat(), quiet_until("Asia/Shanghai", night, now)
    ('2026-03-02T07:00:00+00:00', None)
    """
    today = now.astimezone(ZoneInfo(zone)).date()
    days = [local_day(zone, (today + timedelta(days=ahead)).isoformat()) for ahead in (0, 1)]
    minutes, shown = (np.concatenate(parts) for parts in zip(*days, strict=True))
    ahead = minutes >= int(now.timestamp()) // 60
    is_quiet = quiet[shown[ahead]]
    if not is_quiet[0]:
        return None
    end = minutes[ahead][~is_quiet]
    return datetime.fromtimestamp(60 * int(end[0] if len(end) else minutes[-1] + 1), tz=UTC)


def next_open_hour(study: Minutes, quiet: Minutes) -> Minutes:
    """Return the open minutes of the hour that begins with the first open one after the study hours begin.

    Examples
    --------
    >>> hour = next_open_hour(open_minutes("22:30-23:30"), open_minutes("22:00-08:00"))
    >>> (hour == open_minutes("08:00-09:00")).all()
    np.True_
    """
    begins = np.flatnonzero(study & ~np.roll(study, 1))
    first = int(begins[0]) if len(begins) else 0
    ahead = (first + np.arange(DAY_MINUTES)) % DAY_MINUTES
    is_open = ahead[~quiet[ahead]]
    hour = np.zeros(DAY_MINUTES, dtype=bool)
    if len(is_open):
        hour[(is_open[0] + np.arange(60)) % DAY_MINUTES] = True
    return hour & ~quiet


def plan_pushes(members: pd.DataFrame, planned: pd.DataFrame, *, now: datetime, rules: PushRules) -> pd.DataFrame:
    """Return the push time of each member, indexed as ``members``.

    Columns: ``period, push_at, expires_at, outside_study_hours, no_push``.

    The push is for one local date, the ``period``: today, or else tomorrow. It may be sent from ``push_at`` on and
    before ``expires_at``. Where there is none, these are missing and ``no_push`` says why; else ``no_push`` is empty.
    Study hours that lie wholly within quiet hours move to the next hour that does not: ``outside_study_hours``.

    Parameters
    ----------
    members : DataFrame
        Columns ``timezone, pushes, study_hours, quiet_hours`` as members have set them (missing where they have not),
        and ``habit``, the hours learned for them (empty where none were).
    planned : DataFrame
        Existing pushes, of the last week and to come: ``member_id, period, pushes``.
    now : datetime
        Aware.
    """
    after = int(now.timestamp()) // 60
    days = _Days(members.index, planned, now.date(), rules)
    count = len(members)
    no_push = np.full(count, CLOSED, dtype=object)
    wanted = members["pushes"].fillna(value=True).to_numpy(dtype=bool)
    period = np.full(count, "", dtype=object)
    outside = np.zeros(count, dtype=bool)
    opens, closes = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    for (zone, study_hours, quiet_hours), rows in _by_hours(members, wanted, rules).items():
        study, quiet = open_minutes(study_hours), open_minutes(quiet_hours)
        if (quiet | ~study).all():
            study, outside[rows] = next_open_hour(study, quiet), True
        waiting = rows
        for window in _windows(zone, study, quiet, now=now, after=after):
            free = days.free(waiting, window.date)
            taken = waiting[free]
            period[taken], opens[taken], closes[taken], no_push[taken] = window.date, window.opens, window.closes, ""
            waiting = waiting[~free]
            no_push[waiting] = CAPPED
    no_push[~wanted] = SWITCHED_OFF
    planned_rows = no_push == ""
    frame = pd.DataFrame({"period": period, "push_at": opens, "expires_at": closes}, index=members.index)
    for name in ("push_at", "expires_at"):
        frame[name] = pd.to_datetime(frame[name].where(planned_rows), unit="m", utc=True).astype("datetime64[us, UTC]")
    frame["push_at"] = frame["push_at"].clip(lower=pd.Timestamp(now).as_unit("us"))
    frame["outside_study_hours"] = outside & planned_rows
    return frame.assign(period=frame["period"].where(planned_rows).astype("str"), no_push=no_push.astype(str))


def _by_hours(
    members: pd.DataFrame, wanted: NDArray[np.bool_], rules: PushRules
) -> dict[tuple[str, str, str], NDArray[np.int64]]:
    """Return the rows of members by zone, study hours and quiet hours."""
    habit = members["habit"].where(members["habit"] != "", rules.study_hours)
    hours = {
        "zone": [zone_of(name, rules.timezone).key for name in members["timezone"]],
        "study": members["study_hours"].fillna(habit),
        "quiet": members["quiet_hours"].fillna(rules.quiet_hours),
    }
    rows = np.flatnonzero(wanted)
    groups = pd.DataFrame(hours).iloc[rows].reset_index(drop=True).groupby(list(hours))
    return {key: rows[positions] for key, positions in groups.indices.items()}


def _windows(zone: str, study: Minutes, quiet: Minutes, *, now: datetime, after: int) -> list[PushWindow]:
    today = now.astimezone(ZoneInfo(zone)).date()
    dates = [(today + timedelta(days=ahead)).isoformat() for ahead in (0, 1)]
    windows = (first_window(zone, on, study=study, quiet=quiet, after=after) for on in dates)
    return [window for window in windows if window is not None]


class _Days:
    """Pushes of each member by date, checked against the caps."""

    _PAST, _AHEAD = WEEK_DAYS + 1, WEEK_DAYS + 2

    def __init__(self, members: pd.Index, planned: pd.DataFrame, today: date, rules: PushRules) -> None:
        self._first, self._rules = today - timedelta(days=self._PAST), rules
        dates = {(self._first + timedelta(days=day)).isoformat(): day for day in range(self._PAST + self._AHEAD)}
        self._number = dates
        rows = members.get_indexer(planned["member_id"])
        days = planned["period"].map(dates).fillna(-1).to_numpy(dtype=np.int64)
        counted = (rows >= 0) & (days >= 0)
        self._pushes = np.zeros((len(members), len(dates)), dtype=np.int64)
        np.add.at(self._pushes, (rows[counted], days[counted]), planned["pushes"].to_numpy(dtype=np.int64)[counted])
        before = np.zeros((len(members), 1), dtype=np.int64)
        self._sums = np.hstack([before, self._pushes.cumsum(axis=1)])

    def free(self, rows: NDArray[np.int64], on: str) -> NDArray[np.bool_]:
        """Return the mask of rows that may have one more push on a date; no seven dates with it may exceed the cap."""
        day = self._number[on]
        free = self._pushes[rows, day] < self._rules.per_day
        for last in range(day, min(day + WEEK_DAYS, self._sums.shape[1] - 1)):
            week = self._sums[rows, last + 1] - self._sums[rows, last + 1 - WEEK_DAYS]
            free &= week < self._rules.per_week
        return free
