"""Member profiles: hours, session lengths, formats and topics of study."""

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from content_catalog.schema import split_list
from features.interactions import Interactions
from features.local_days import date_only_of, local_times
from features.study_time import DAY_MICROSECONDS

HOURS: Final = [f"hour_{hour:02d}" for hour in range(24)]
WEEKDAYS: Final = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
HOUR_MICROSECONDS: Final = 3_600_000_000
FIRST_WEEKDAY: Final = 3
"""1970-01-01 was a Thursday; Monday is 0."""
SESSION_GAP_SECONDS: Final = 30 * 60
"""Events of a member further apart than this belong to different sessions."""


def build_profiles(events: pd.DataFrame, interactions: Interactions) -> pd.DataFrame:
    """Return the habits of every member, indexed by ``member_id``.

    Columns: ``hour_00 … hour_23`` and ``monday … sunday`` (shares of the events with a time, in the member's own
    time zone), ``session_seconds`` (median length of a session), ``study_seconds, items, finished``, ``format_…`` and
    ``topic_…`` (shares of the member's interaction weights), ``last_active_days`` and ``tenure_days`` before ``as_of``.
    A member without events has zeros, and NaN for unknown values.

    Parameters
    ----------
    events : DataFrame
        As :func:`features.interactions.build_interactions` takes them.
    interactions : Interactions
        Built from the same events.
    """
    parts = [
        _hours(events, interactions),
        _session_lengths(events, len(interactions.members)),
        _totals(interactions),
        _shares(interactions, "format_", [split_list(value) for value in interactions.items["format"]]),
        _shares(interactions, "topic_", [split_list(value) for value in interactions.items["topics"]]),
        _times(interactions),
    ]
    return pd.concat(parts, axis=1).set_axis(interactions.members.index, axis=0)


def _hours(events: pd.DataFrame, interactions: Interactions) -> pd.DataFrame:
    """Return shares of events by local hour and weekday; date-only events are left out."""
    by_hour, by_weekday = count_by_hour(events, interactions.members["timezone"], default=interactions.rules.timezone)
    total = np.maximum(by_hour.sum(axis=1, keepdims=True), 1)
    return pd.DataFrame(np.hstack([by_hour, by_weekday]) / total, columns=[*HOURS, *WEEKDAYS])


def count_by_hour(
    events: pd.DataFrame, timezones: pd.Series, *, default: str = "UTC"
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the events of every member by local hour and by weekday; date-only ones are left out.

    Parameters
    ----------
    events : DataFrame
        Columns ``member``, a row number of ``timezones``, ``occurred_at`` in microseconds, and ``date_only``.
    timezones : Series
        The zone of every member.
    default : str
        The zone of members whose own is missing or unknown.

    Returns
    -------
    (ndarray, ndarray)
        Shapes (members, 24) and (members, 7).
    """
    timed = events[~date_only_of(events)]
    members = timed["member"].to_numpy()
    local = local_times(timed["occurred_at"].to_numpy(), timezones, members, default=default)
    hour, weekday = local // HOUR_MICROSECONDS % 24, (local // DAY_MICROSECONDS + FIRST_WEEKDAY) % 7
    n = len(timezones)
    by_hour = np.bincount(members * 24 + hour, minlength=n * 24).reshape(n, 24)
    by_weekday = np.bincount(members * 7 + weekday, minlength=n * 7).reshape(n, 7)
    return by_hour, by_weekday


def _session_lengths(events: pd.DataFrame, n_members: int) -> pd.DataFrame:
    """Return the median length of a member's sessions, from the start of the first event to the last one."""
    frame = pd.DataFrame({"member": events["member"], "end": events["occurred_at"]})
    frame["start"] = frame["end"] - (events["duration_seconds"].fillna(0.0) * 1e6).astype("int64")
    frame = frame.sort_values(["member", "end", "start"], ignore_index=True)
    gap = frame["start"] - frame.groupby("member")["end"].shift()
    frame["session"] = (gap.isna() | (gap > SESSION_GAP_SECONDS * 1_000_000)).cumsum()
    sessions = frame.groupby(["member", "session"]).agg(start=("start", "min"), end=("end", "max"))
    seconds = ((sessions["end"] - sessions["start"]) / 1e6).groupby("member").median()
    return pd.DataFrame({"session_seconds": seconds.reindex(range(n_members)).to_numpy()})


def _totals(interactions: Interactions) -> pd.DataFrame:
    cells = interactions.cells
    totals = cells.groupby("member").agg(
        study_seconds=("study_seconds", "sum"), items=("item", "size"), finished=("finished", "sum")
    )
    return totals.reindex(range(len(interactions.members)), fill_value=0).reset_index(drop=True)


def _shares(interactions: Interactions, prefix: str, labels: list[tuple[str, ...]]) -> pd.DataFrame:
    """Return the share of each member's interaction weights that goes to items with each label."""
    cells = interactions.cells[["member", "item", "weight"]].copy()
    cells["label"] = pd.Series(labels, dtype=object).reindex(cells["item"]).to_numpy()
    each = cells.explode("label").dropna(subset="label")
    table = each.pivot_table(
        index="member", columns="label", values="weight", aggfunc="sum", fill_value=0.0, observed=True
    )
    table = table.reindex(range(len(interactions.members)), fill_value=0.0)
    total = cells.groupby("member")["weight"].sum().reindex(table.index, fill_value=0.0)
    return table.div(total.where(total > 0, 1.0), axis=0).add_prefix(prefix).reset_index(drop=True)


def _times(interactions: Interactions) -> pd.DataFrame:
    now = interactions.as_of
    last = interactions.cells.groupby("member")["last_at"].max().reindex(range(len(interactions.members)))
    first = interactions.cells.groupby("member")["first_at"].min().reindex(range(len(interactions.members)))
    joined = interactions.members["joined_on"].reset_index(drop=True)
    since = joined.fillna(pd.to_datetime(first, unit="us", utc=True))
    return pd.DataFrame(
        {
            "last_active_days": (now.value // 1_000 - last) / DAY_MICROSECONDS,
            "tenure_days": (now - since) / pd.Timedelta(days=1),
        }
    )
