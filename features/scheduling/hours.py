"""Hours of a day, such as ``07:30-09:00;18:00-20:00``, as the minutes of a local day that they hold."""

from functools import lru_cache
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from content_catalog.schema import split_list

DAY_MINUTES: Final = 24 * 60

Minutes = NDArray[np.bool_]
"""One flag for each minute of the clock, from 00:00 to 23:59."""


@lru_cache(maxsize=4_096)
def open_minutes(hours: str) -> Minutes:
    """Return the mask of the minutes within spans of hours; a span may cross midnight.

    Examples
    --------
    >>> [int(open_minutes(hours).sum()) for hours in ("07:30-09:00;18:00-20:00", "22:00-08:00", "")]
    [210, 600, 0]
    """
    mask = np.zeros(DAY_MINUTES, dtype=bool)
    for span in split_list(hours):
        start, end = (60 * int(time[:2]) + int(time[3:]) for time in span.split("-"))
        if start < end:
            mask[start:end] = True
        else:
            mask[start:] = True
            mask[:end] = True
    mask.flags.writeable = False
    return mask


def learn_study_hours(
    counts: NDArray[np.int64], *, quiet: Minutes, length_hours: int, least_events: int
) -> NDArray[np.str_]:
    """Return the hours in which each member studies most; empty where there are too few events.

    Parameters
    ----------
    counts : ndarray, shape (members, 24)
        Events by local hour.
    quiet : Minutes
        Hours that touch them are left out.
    length_hours : int
        Length of the span returned.
    least_events : int
        Fewest events that make a habit.

    Examples
    --------
    >>> counts = np.zeros((1, 24), dtype=int); counts[0, [12, 18, 19]] = 3, 2, 2
    >>> learn_study_hours(counts, quiet=open_minutes("22:00-08:00"), length_hours=2, least_events=5).tolist()
    ['18:00-20:00']
    """
    ahead = np.add.outer(np.arange(24), np.arange(length_hours)) % 24
    open_hours = np.logical_not(quiet.reshape(24, 60).any(axis=1))
    studied = np.where(open_hours[ahead].all(axis=1), counts[:, ahead].sum(axis=2), 0)
    spans = [f"{start:02d}:00-{(start + length_hours - 1) % 24 + 1:02d}:00" for start in range(24)]
    learned = (counts.sum(axis=1) >= least_events) & (studied.max(axis=1) > 0)
    return np.where(learned, np.array(spans)[studied.argmax(axis=1)], "")


@lru_cache(maxsize=1_024)
def local_day(zone: str, date: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the minutes since 1970 of a date in a zone, and the local minute of the day of each.

    A day has 1440 minutes, but 1380 or 1500 where summer time begins or ends.

    Examples
    --------
    >>> [len(local_day("Europe/Paris", date)[0]) for date in ("2026-03-28", "2026-03-29", "2026-10-25")]
    [1440, 1380, 1500]
    >>> len(local_day("America/Santiago", "2026-09-06")[0])
    1380
    """
    noon = pd.Timestamp(date, tz="UTC") + pd.Timedelta(hours=12)
    around = pd.date_range(noon - pd.Timedelta(hours=28), noon + pd.Timedelta(hours=28), freq="min", unit="s")
    # As shown by the clocks, without the zone: where summer time begins at midnight, that day has no midnight.
    local = around.tz_convert(zone).tz_localize(None)
    here = local.normalize() == pd.Timestamp(date)
    since_epoch = around.asi8[here] // 60
    return since_epoch, (60 * local.hour + local.minute).to_numpy(dtype=np.int64)[here]
