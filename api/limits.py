"""How often a key may ask."""

import time
from typing import Final

from api.errors import TooManyRequestsError

WINDOW_SECONDS: Final = 60


class RateLimit:
    """Counts the requests of each key in windows of a minute, in this process; a limit of 0 limits nothing."""

    def __init__(self, per_minute: int) -> None:
        self._most = per_minute
        self._told = (b"ratelimit-limit", b"%d" % per_minute)
        self._ends = 0.0
        self._counts: dict[str, int] = {}

    def count(self, actor: str) -> list[tuple[bytes, bytes]]:
        """Count a request, and return the headers that tell how many are left.

        Raises
        ------
        TooManyRequestsError
            None is left; it says in how many seconds the next window begins.
        """
        if not self._most:
            return []
        now = time.monotonic()
        if now >= self._ends:
            # One window for all keys: what they counted is forgotten at once, and no key is kept longer.
            self._ends = now + WINDOW_SECONDS
            self._counts.clear()
        count = self._counts[actor] = self._counts.get(actor, 0) + 1
        seconds = max(1, round(self._ends - now))
        if count > self._most:
            raise TooManyRequestsError(
                f"more than {self._most:,} requests a minute; ask again in {seconds} s", seconds=seconds
            )
        left = self._most - count
        return [self._told, (b"ratelimit-remaining", b"%d" % left), (b"ratelimit-reset", b"%d" % seconds)]
