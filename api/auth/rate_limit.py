"""Limits of requests per caller and of failed authentications.

The RateLimit header fields are those of draft-ietf-httpapi-ratelimit-headers-10.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from api.errors import TooManyRequestsError
from infra.access.rate_counts import CallerKey, RequestCounts

POLICY = b'"minute"'
MAX_FAILURES: Final = 60
"""Failed authentications from one address in a minute."""
MAX_ADDRESSES: Final = 100_000
"""Addresses that are counted in a minute; where there are more, all are counted from 0 again."""


@dataclass(frozen=True, slots=True)
class Quota:
    """State of a caller's limit after a request: its response headers, and the error if the limit is exceeded."""

    headers: tuple[tuple[bytes, bytes], ...] = ()
    error: TooManyRequestsError | None = None


class RateLimit:
    """Limits each caller to a number of requests a minute, over all processes; 0 is no limit."""

    def __init__(self, per_minute: int, request_counts: RequestCounts) -> None:
        self._limit = per_minute
        self._request_counts = request_counts
        self._policy = (b"ratelimit-policy", POLICY + b";q=%d;w=60" % per_minute)

    def count(self, caller: CallerKey) -> Quota:
        """Count a request, and return the state of the caller's limit."""
        if not self._limit:
            return Quota()
        count, seconds = self._request_counts.count(caller)
        left = max(0, self._limit - count)
        headers = (self._policy, (b"ratelimit", POLICY + b";r=%d;t=%d" % (left, seconds)))
        if count <= self._limit:
            return Quota(headers)
        message = f"more than {self._limit:,} requests a minute; ask again in {seconds} s"
        return Quota(headers, TooManyRequestsError(message, seconds=seconds))


class FailureLimit:
    """Limits failed authentications by the client's address, in one process.

    A key that holds is never refused: behind a proxy, all clients have one address.
    """

    def __init__(self) -> None:
        self._minute = 0
        self._failures: dict[str, int] = {}

    def record(self, address: str, *, now: datetime) -> None:
        """Count a failed attempt.

        Raises
        ------
        TooManyRequestsError
            More attempts have failed than a minute may have.
        """
        minute = int(now.timestamp()) // 60
        if minute != self._minute or len(self._failures) >= MAX_ADDRESSES:
            self._minute, self._failures = minute, {}
        count = self._failures[address] = self._failures.get(address, 0) + 1
        if count > MAX_FAILURES:
            seconds = 60 - now.second
            message = (
                f"more than {MAX_FAILURES} keys a minute were refused; check the key, and try again in {seconds} s"
            )
            raise TooManyRequestsError(message, seconds=seconds)
