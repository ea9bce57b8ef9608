"""Local calendar days of moments, in the time zones of members."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from content_catalog.time_zones import zone_of
from features.study_time import DAY_MICROSECONDS

Ints = NDArray[np.int64]


def local_times(at: Ints, zones: pd.Series, member: Ints, *, default: str = "UTC") -> Ints:
    """Return what the clocks of members show at some moments, in microseconds since 1970-01-01 00:00 on them.

    Parameters
    ----------
    at : array (n,)
        Moments in microseconds since 1970, UTC.
    zones : Series
        The zone of each member.
    member : array (n,)
        Row numbers of ``zones``.
    default : str
        The zone of members whose own is missing or unknown.

    Examples
    --------
    >>> zones = pd.Series(["Asia/Shanghai", None], dtype="str")
    >>> local_times(np.array([0, 0]), zones, np.array([0, 1])) // 3_600_000_000
    array([8, 0])
    """
    code, names = pd.factorize(zones)
    # The last zone is that of code -1, which stands for a missing name.
    resolved = np.array([*(zone_of(name, default).key for name in names), zone_of(default).key])
    local = at.astype(np.int64)
    for zone in np.unique(resolved[code]):
        if zone == "UTC":
            continue
        rows = (resolved[code] == zone)[member]
        moments = pd.DatetimeIndex(local[rows].astype("datetime64[us]"), tz="UTC")
        local[rows] = moments.tz_convert(zone).tz_localize(None).as_unit("us").asi8
    return local


def local_days(at: Ints, date_only: NDArray[np.bool_], zones: pd.Series, member: Ints, *, default: str = "UTC") -> Ints:
    """Return the number of the local day of each moment, counted from 1970-01-01.

    A date-only event is stamped with midnight UTC of its date, whatever the zone.

    Examples
    --------
    07:30 and 09:00 of one morning in Shanghai are two days in UTC.

    >>> at = pd.to_datetime(["2026-03-01T23:30Z", "2026-03-02T01:00Z"]).as_unit("us").asi8
    >>> local_days(at, np.array([False, False]), pd.Series(["Asia/Shanghai"]), np.array([0, 0])).tolist()
    [20514, 20514]
    """
    local = np.where(date_only, at, local_times(at, zones, member, default=default))
    return np.asarray(local // DAY_MICROSECONDS, dtype=np.int64)


def date_only_of(events: pd.DataFrame) -> NDArray[np.bool_]:
    """Return the mask of events that have a date and no time; none where the frame does not say."""
    if "date_only" not in events:
        return np.zeros(len(events), dtype=bool)
    return np.asarray(events["date_only"].fillna(value=False), dtype=bool)
