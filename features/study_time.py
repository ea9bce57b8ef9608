"""Study time that cannot be farmed: sessions merged, days bounded, items capped."""

import numpy as np
import pandas as pd

MICROSECONDS = 1_000_000
DAY_MICROSECONDS = 86_400 * MICROSECONDS


def studied_seconds(events: pd.DataFrame) -> pd.DataFrame:
    """Return the seconds each member really spent on each item: ``member, item, study_seconds``.

    An event tells the time that led up to it: it covers ``[occurred_at - duration, occurred_at]``. Events of one
    session (same member, item and session) tell the time so far, so the longest counts. Where intervals of one member
    overlap, on whatever items, the shared time counts once, for the interval that began first. Events stamped at
    exactly midnight UTC carry a date and no time: they overlap with nothing, but together give a day no more than 24
    hours.

    Parameters
    ----------
    events : DataFrame
        ``member, item, occurred_at`` (microseconds), ``duration_seconds, session`` (0: none).
    """
    timed = events[events["duration_seconds"].to_numpy() > 0]
    spans = _sessions(timed)
    dated = (spans["end"] % DAY_MICROSECONDS == 0).to_numpy()
    seconds = np.zeros(len(spans))
    seconds[~dated] = _without_overlap(spans[~dated])
    seconds[dated] = _within_day(spans[dated])
    spans = spans.assign(study_seconds=seconds)
    return spans.groupby(["member", "item"], as_index=False, sort=True)["study_seconds"].sum()


def _sessions(events: pd.DataFrame) -> pd.DataFrame:
    """Return one span per session, and one per event outside of sessions, in an order that content alone decides."""
    frame = pd.DataFrame(
        {
            "member": events["member"],
            "item": events["item"],
            "session": events["session"],
            "end": events["occurred_at"],
            "length": (events["duration_seconds"] * MICROSECONDS).round().astype("int64"),
        }
    )
    in_session = frame["session"] != 0
    keys = ["member", "item", "session"]
    merged = frame[in_session].groupby(keys, as_index=False).agg(end=("end", "max"), length=("length", "max"))
    spans = pd.concat([merged, frame[~in_session]], ignore_index=True)
    spans["start"] = spans["end"] - spans["length"]
    return spans.sort_values(["member", "start", "end", "item"], ignore_index=True)


def _without_overlap(spans: pd.DataFrame) -> np.ndarray:
    """Return the seconds of each span that no earlier span of its member covers."""
    covered_to = (
        spans.groupby("member")["end"].cummax().groupby(spans["member"]).shift(fill_value=np.iinfo(np.int64).min)
    )
    start = np.maximum(spans["start"].to_numpy(), covered_to.to_numpy())
    return np.maximum(spans["end"].to_numpy() - start, 0) / MICROSECONDS


def _within_day(spans: pd.DataFrame) -> np.ndarray:
    """Return the seconds of date-only spans, scaled down where a day of a member would pass 24 hours."""
    day = spans["length"].groupby([spans["member"], spans["end"]]).transform("sum").to_numpy()
    return spans["length"].to_numpy() / MICROSECONDS * np.minimum(1.0, DAY_MICROSECONDS / np.maximum(day, 1))
