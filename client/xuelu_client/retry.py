"""Retries of requests with exponential backoff and jitter."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import httpx2

from xuelu_client.errors import UnreachableError

RETRIABLE: Final = frozenset({429, 502, 503, 504})
"""Statuses of a passing state, with which nothing was stored."""


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

    def wait(self, attempt: int, retry_after: str | None) -> None:
        """Wait before the next attempt; ``attempt`` counts from 1."""
        if retry_after is not None and retry_after.isascii() and retry_after.isdigit():
            self.sleep(min(float(retry_after), self.most_seconds))
            return
        longest = min(self.first_seconds * 2 ** (attempt - 1), self.most_seconds)
        self.sleep(longest * self.rng.uniform(0.5, 1.0))


def send(http: httpx2.Client, request: httpx2.Request, patience: Patience) -> httpx2.Response:
    """Send an idempotent request until it is answered, and return the response.

    Raises
    ------
    UnreachableError
        There was no answer to any attempt.
    """
    for attempt in range(1, patience.attempts + 1):
        last = attempt == patience.attempts
        try:
            response = http.send(request)
        except httpx2.TransportError as error:
            if last:
                raise UnreachableError(
                    f"{request.url.host}: no answer to {attempt} attempts ({error}); is the service running?"
                ) from error
            patience.wait(attempt, None)
            continue
        if last or response.status_code not in RETRIABLE:
            return response
        patience.wait(attempt, response.headers.get("Retry-After"))
    raise UnreachableError("patience of no attempt at all; give at least 1")
