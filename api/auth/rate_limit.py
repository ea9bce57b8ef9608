"""Rate limit per caller."""

from api.errors import TooManyRequestsError
from infra.access.rate_counts import CallerKey, RequestCounts


class RateLimit:
    """Limits each caller to a number of requests a minute, over all processes; 0 is no limit."""

    def __init__(self, per_minute: int, request_counts: RequestCounts) -> None:
        self._limit = per_minute
        self._request_counts = request_counts
        self._limit_header = (b"ratelimit-limit", b"%d" % per_minute)

    def count(self, caller: CallerKey) -> list[tuple[bytes, bytes]]:
        """Count a request, and return the headers with the limit and the requests left.

        Raises
        ------
        TooManyRequestsError
            None is left; it says in how many seconds the next window begins.
        """
        if not self._limit:
            return []
        count, seconds = self._request_counts.count(caller)
        if count > self._limit:
            raise TooManyRequestsError(
                f"more than {self._limit:,} requests a minute; ask again in {seconds} s", seconds=seconds
            )
        left = self._limit - count
        return [self._limit_header, (b"ratelimit-remaining", b"%d" % left), (b"ratelimit-reset", b"%d" % seconds)]
