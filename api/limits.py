"""How often a key may ask."""

import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from api.errors import TooManyRequestsError


class RateLimit:
    """Counts the requests of each key in windows of a minute, in this process; a limit of 0 limits nothing."""

    def __init__(self, per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def count(self, actor: str) -> list[tuple[str, str]]:
        """Count a request, and return the headers that tell how many are left.

        Raises
        ------
        TooManyRequestsError
            None is left; it says in how many seconds the next window begins.
        """
        if self._item is None:
            return []
        allowed = self._limiter.hit(self._item, actor)
        reset_time, remaining = self._limiter.get_window_stats(self._item, actor)
        seconds = max(1, round(reset_time - time.time()))
        if not allowed:
            raise TooManyRequestsError(
                f"more than {self._item.amount:,} requests a minute; ask again in {seconds} s", seconds=seconds
            )
        return [
            ("RateLimit-Limit", str(self._item.amount)),
            ("RateLimit-Remaining", str(remaining)),
            ("RateLimit-Reset", str(seconds)),
        ]
