"""Times in ISO 8601, strictly: only complete dates and times, never parts of one; and times of a mapping's format."""

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from time import strptime
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from content_catalog.io.values import parse_numbers

NAT: Final = np.iinfo(np.int64).min
DAY_SECONDS: Final = 86_400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ISO: Final = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2}|\d{8})"
    r"(?:[Tt ](?P<hour>\d{2})(?::?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?)?"
    r" ?(?P<offset>[Zz]|UTC|[+-]\d{2}(?::?[0-5]\d)?)?)?",
    re.ASCII,
)
_FULL: Final = r"^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?"
_WITH_OFFSET: Final = _FULL + r"(?:Z|[+-]\d{2}(?::?[0-5]\d)?))$"
_LOCAL: Final = _FULL + r")?$"
DAY: Final = r"\d{4}-\d{2}-\d{2}"
"""An event's date without a time stays one: it is the same day in every zone."""
BASIC_DAY: Final = rf"{DAY}|\d{{8}}"
DAY_DIRECTIVES: Final = frozenset("YymdbBjGVuUWwaAx%")
"""Directives of formats that say nothing of the time of the day."""
UNIX_EPOCH: Final = "1970-01-01"
"""Counts from here are in UTC, whatever the zone."""
RELATIVE: Final = re.compile(r"(?P<unit>milliseconds|seconds|minutes|hours|days) since (?P<start>\d{4}-\d{2}-\d{2}\S*)")
UNIT_MICROSECONDS: Final = {
    "milliseconds": 1_000,
    "seconds": 1_000_000,
    "minutes": 60_000_000,
    "hours": 3_600_000_000,
    "days": 86_400_000_000,
}
MAX_MICROSECONDS: Final = 86_400_000_000 * 366_000
"""A thousand years, beyond which no time is in bounds."""


def parse_times(texts: pa.Array, *, zone: str = "UTC") -> NDArray[np.int64]:
    """Return instants as microseconds since 1970; :data:`NAT` for a missing text and for one that is not a time.

    Parameters
    ----------
    texts : Array of string
        ISO 8601: a date, or a date and a time to the hour or finer, with or without an offset.
    zone : str
        IANA name of the zone of times without an offset. A local time that summer time skips is moved forward, of a
        repeated one the first counts.

    Examples
    --------
    >>> texts = pa.array(["1970-01-01T08:00:01+08:00", "1970-01-01T23:59:60Z", "2026.5", None])
    >>> (parse_times(texts) == [1_000_000, 86_400_000_000, NAT, NAT]).all()
    np.True_
    """
    for pattern, read in ((_WITH_OFFSET, _with_offset), (_LOCAL, _local)):
        if pc.all(pc.match_substring_regex(texts, pattern)).as_py():
            try:
                return read(texts, zone)
            except pa.ArrowInvalid:
                break  # a field is out of its range: 24:00, a leap second, 30 February
    return np.array([NAT if text is None else _microseconds(text, zone) for text in texts.to_pylist()], dtype=np.int64)


def _with_offset(texts: pa.Array, zone: str) -> NDArray[np.int64]:
    del zone
    return _filled(pc.cast(texts, pa.timestamp("us", "UTC")).cast(pa.int64()))


def _local(texts: pa.Array, zone: str) -> NDArray[np.int64]:
    naive = pc.cast(texts, pa.timestamp("us"))
    if zone == "UTC":
        return _filled(naive.cast(pa.int64()))
    return _in_utc(naive.to_pandas().astype("datetime64[us]"), zone)


def localised(naive: pd.Series, zone: str) -> pd.Series:
    """Return naive local times of a zone in UTC; a skipped one is moved forward, of a repeated one the first counts."""
    repeated = np.ones(len(naive), dtype=bool)
    return naive.dt.tz_localize(zone, ambiguous=repeated, nonexistent="shift_forward").dt.tz_convert("UTC")


def _in_utc(naive: pd.Series, zone: str) -> NDArray[np.int64]:
    return _filled(pa.array(localised(naive, zone), pa.timestamp("us", "UTC"), from_pandas=True).cast(pa.int64()))


def _filled(microseconds: pa.Array) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(microseconds, NAT).to_numpy(zero_copy_only=False), dtype=np.int64)


@lru_cache(maxsize=4_096)
def _microseconds(text: str, zone: str) -> int:
    """Return one time as microseconds; :data:`NAT` for a text that is not a time."""
    match = _ISO.fullmatch(text)
    if match is None:
        return NAT
    try:
        day = date.fromisoformat(match["date"])
        hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
        micro = int((match["fraction"] or "").ljust(6, "0")[:6] or 0)
        # ISO 8601 has 24:00 for the end of a day, and UTC a second 60 at the end of some.
        ends_day = hour == 24 and minute == second == micro == 0
        is_leap = second == 60
        clock = time(0 if ends_day else hour, minute, 59 if is_leap else second, micro)
        naive = datetime.combine(day, clock) + timedelta(days=ends_day)
        if match["offset"] is None:
            microseconds = int(_in_utc(pd.Series([naive], dtype="datetime64[us]"), zone)[0])
        else:
            microseconds = (naive.replace(tzinfo=_fixed(match["offset"])) - _EPOCH) // _MICROSECOND
        if is_leap and microseconds // 1_000_000 % DAY_SECONDS != DAY_SECONDS - 1:
            return NAT
        return microseconds + is_leap * 1_000_000
    except (ValueError, OverflowError):
        return NAT


def _fixed(offset: str) -> timezone:
    if offset[0] not in "+-":
        return UTC
    hours, minutes = int(offset[1:3]), int(offset[3:].lstrip(":") or 0)
    return timezone(timedelta(hours=hours, minutes=minutes) * (-1 if offset[0] == "-" else 1))


def days_of(values: pd.Series, form: str, *, zone: str, alone: bool) -> pd.Series:
    """Return the days that a format reads in ISO 8601; other texts unchanged.

    Parameters
    ----------
    alone : bool
        Only days without a time are read.
    """
    if relative := RELATIVE.fullmatch(form):
        local = _counts_local_days(relative)
        microseconds = _relative(values, relative, zone="UTC" if local else zone)
        is_day = microseconds != NAT
        if alone:
            is_day &= local & (microseconds % UNIT_MICROSECONDS["days"] == 0)
        moments = pd.Series(microseconds.view("datetime64[us]"), index=values.index).dt.tz_localize("UTC")
        return moments.dt.tz_convert("UTC" if local else zone).dt.strftime("%Y-%m-%d").where(is_day, values)
    if alone and not DAY_DIRECTIVES.issuperset(re.findall("%(.)", form)):
        return values
    days = [_strptime(text, form) for text in values]
    texts = [day.date().isoformat() if day else text for day, text in zip(days, values, strict=True)]
    return pd.Series(texts, index=values.index, dtype="str")


def iso_times(values: pd.Series, form: str | None, *, zone: str) -> pd.Series:
    """Return times in a format or in ISO 8601 as ISO 8601 in UTC; other texts unchanged."""
    texts = pa.array(values.mask(values == ""), pa.string(), from_pandas=True)
    if form is None:
        microseconds = parse_times(texts, zone=zone)
    elif relative := RELATIVE.fullmatch(form):
        microseconds = _relative(values, relative, zone=zone)
    else:
        clean = values.where(~values.isin(["now", "today"]), "")  # pandas would read the clock
        with_zone = "%z" in form or "%Z" in form
        moments = pd.to_datetime(clean, format=form, errors="coerce", utc=with_zone)
        moments = moments if with_zone else localised(moments.astype("datetime64[us]"), zone)
        microseconds = moments.astype("datetime64[us, UTC]").astype("int64").to_numpy(copy=True)
        # pandas takes a second 60 of any minute, and a second 61.
        for place in np.flatnonzero(clean.str.contains("6[01]") & (moments.dt.second <= 1)):
            if microseconds[place] // 1_000_000 % DAY_SECONDS and _leaps(clean.iloc[place], form):
                microseconds[place] = NAT
    if form is not None:
        microseconds = np.where(microseconds == NAT, parse_times(texts, zone=zone), microseconds)
    moments = pd.Series(microseconds.view("datetime64[us]"), index=values.index)
    return moments.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ").where(moments.notna(), values)


def _counts_local_days(form: re.Match[str]) -> bool:
    return form["unit"] == "days" and len(form["start"]) == len("2026-03-01")


def _relative(values: pd.Series, form: re.Match[str], *, zone: str) -> NDArray[np.int64]:
    """Return times counted from a start; days are local days where the start has no offset."""
    local_days = _counts_local_days(form)
    in_utc = local_days or form["start"].startswith(UNIX_EPOCH)
    start = int(parse_times(pa.array([form["start"]]), zone="UTC" if in_utc else zone)[0])
    numbers, unit = parse_numbers(values), UNIT_MICROSECONDS[form["unit"]]
    near = np.abs(numbers) < MAX_MICROSECONDS / unit
    microseconds = np.where(near, start + (np.where(near, numbers, 0) * unit).round().astype(np.int64), NAT)
    if not local_days:
        return microseconds
    naive = pd.Series(microseconds.view("datetime64[us]"))
    return localised(naive, zone).astype("datetime64[us, UTC]").astype("int64").to_numpy()


def _leaps(text: str, form: str) -> bool:
    """Return whether a text names a second after 59."""
    try:
        return strptime(text, form).tm_sec > 59
    except ValueError:
        return False


def _strptime(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007 - a day is the same day everywhere
    except ValueError:
        return None
