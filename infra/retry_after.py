"""Waits that other services ask for."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

MAX_WAIT_SECONDS: Final = 3_600.0
"""Longest pause that a service can ask for."""


def wait_seconds(retry_after: str | None, *, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` (RFC 9110) asks for, an hour at most; None where it asks for no wait.

    Examples
    --------
    >>> now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> values = ("30", "Sun, 01 Mar 2026 12:01:00 GMT", "86400", "0", "soon", None)
    >>> [wait_seconds(value, now=now) for value in values]
    [30.0, 60.0, 3600.0, None, None, None]
    """
    if retry_after is None:
        return None
    try:
        if retry_after.isascii() and retry_after.isdigit():
            seconds = float(retry_after)
        else:
            moment = parsedate_to_datetime(retry_after)
            # "-0000" parses to a time without a zone, which stands for UTC (RFC 5322, 3.3).
            aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
            seconds = (aware.astimezone(UTC) - now).total_seconds()
    except (ValueError, OverflowError, TypeError, IndexError):  # the parser of the standard library raises all of these
        return None
    # None of no time: a push that counts as no failure would be sent again at once, for as long as the answer stays.
    return min(seconds, MAX_WAIT_SECONDS) if seconds > 0 else None
