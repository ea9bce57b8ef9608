"""How often a key may ask."""

from api.errors import TooManyRequestsError
from infra.access.rate_counts import Caller, Rates


class RateLimit:
    """Lets callers make so many requests a minute, over all processes; a limit of 0 limits nothing."""

    def __init__(self, per_minute: int, rates: Rates) -> None:
        self._most = per_minute
        self._rates = rates
        self._told = (b"ratelimit-limit", b"%d" % per_minute)

    def count(self, caller: Caller) -> list[tuple[bytes, bytes]]:
        """Count a request, and return the headers that tell how many are left.

        Raises
        ------
        TooManyRequestsError
            None is left; it says in how many seconds the next window begins.
        """
        if not self._most:
            return []
        count, seconds = self._rates.count(caller)
        if count > self._most:
            raise TooManyRequestsError(
                f"more than {self._most:,} requests a minute; ask again in {seconds} s", seconds=seconds
            )
        left = self._most - count
        return [self._told, (b"ratelimit-remaining", b"%d" % left), (b"ratelimit-reset", b"%d" % seconds)]
