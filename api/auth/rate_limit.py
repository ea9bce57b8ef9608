"""Rate limit per caller, with the RateLimit header fields of draft-ietf-httpapi-ratelimit-headers-10."""

from dataclasses import dataclass

from api.errors import TooManyRequestsError
from infra.access.rate_counts import CallerKey, RequestCounts

POLICY = b'"minute"'


@dataclass(frozen=True, slots=True)
class Quota:
    """State of a caller's limit after a request: headers that tell it, and the error where none was left."""

    headers: tuple[tuple[bytes, bytes], ...] = ()
    error: TooManyRequestsError | None = None


class RateLimit:
    """Limits each caller to a number of requests a minute, over all processes; 0 is no limit."""

    def __init__(self, per_minute: int, request_counts: RequestCounts) -> None:
        self._limit = per_minute
        self._request_counts = request_counts
        self._policy = (b"ratelimit-policy", POLICY + b";q=%d;w=60" % per_minute)

    def count(self, caller: CallerKey) -> Quota:
        """Count a request, and return what is left of the limit."""
        if not self._limit:
            return Quota()
        count, seconds = self._request_counts.count(caller)
        left = max(0, self._limit - count)
        headers = (self._policy, (b"ratelimit", POLICY + b";r=%d;t=%d" % (left, seconds)))
        if count <= self._limit:
            return Quota(headers)
        message = f"more than {self._limit:,} requests a minute; ask again in {seconds} s"
        return Quota(headers, TooManyRequestsError(message, seconds=seconds))
