"""Retries of requests with exponential backoff and jitter."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final

import httpx2

from xuelu_client.errors import UnreachableError

RETRIABLE: Final = frozenset({429, 502, 503, 504})
"""Statuses of a passing state."""
FINAL: Final = (httpx2.LocalProtocolError, httpx2.UnsupportedProtocol)
"""Faults of the request itself, which another attempt would have too."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Retry policy: number of attempts and the waits between them.

    Parameters
    ----------
    attempts : int
        Most times that a request is sent, at least 1.
    first_seconds, most_seconds : float
        The wait before the second attempt, and the longest; it doubles in between, and is shortened by chance, so that
        many clients do not come back at once. ``Retry-After`` overrules it, up to ``most_seconds``.
    """

    attempts: int = 5
    first_seconds: float = 0.5
    most_seconds: float = 30.0
    sleep: Callable[[float], None] = time.sleep
    rng: random.Random = field(default_factory=random.Random)

    def wait(self, attempt: int, after_seconds: float | None) -> None:
        """Wait before the next attempt; ``attempt`` counts from 1."""
        if after_seconds is not None:
            self.sleep(min(after_seconds, self.most_seconds))
            return
        longest = min(self.first_seconds * 2 ** (attempt - 1), self.most_seconds)
        self.sleep(longest * self.rng.uniform(0.5, 1.0))


def seconds_until_retry(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, None without one (RFC 9110, 10.2.3).

    A time is counted from ``Date``, as clocks differ.

    >>> seconds_until_retry({"Retry-After": "7"})
    7.0
    >>> date = "Fri, 31 Dec 1999 23:59:{} GMT"
    >>> seconds_until_retry({"Retry-After": date.format(59), "Date": date.format(39)})
    20.0
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError, OverflowError):
        return None
    return max(wait.total_seconds(), 0.0)


def send(http: httpx2.Client, request: httpx2.Request, patience: Patience) -> httpx2.Response:
    """Send an idempotent request until it is answered, and return the response.

    Raises
    ------
    UnreachableError
        There was no answer to any attempt, or none that can be read.
    """
    for attempt in range(1, patience.attempts + 1):
        last = attempt == patience.attempts
        try:
            response = http.send(request)
        except httpx2.RequestError as error:
            if last or isinstance(error, FINAL) or not isinstance(error, httpx2.TransportError):
                reason, place = str(error) or type(error).__name__, request.url.netloc.decode()
                attempts = "1 attempt" if attempt == 1 else f"{attempt} attempts"
                raise UnreachableError(
                    f"{place}: no answer to {attempts} ({reason}); is the service running?"
                ) from error
            patience.wait(attempt, None)
            continue
        if last or response.status_code not in RETRIABLE:
            return response
        patience.wait(attempt, seconds_until_retry(response.headers))
    raise UnreachableError("patience of no attempt at all; give at least 1")
