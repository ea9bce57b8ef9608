"""Signed pushes over HTTP, by the Standard Webhooks specification (https://www.standardwebhooks.com)."""

import asyncio
import random
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib.metadata import version
from types import TracebackType
from typing import Final, Self

import httpx2
from standardwebhooks import Webhook

from infra.delivery.ssrf import addresses_of

READ_BYTES: Final = 65_536
"""More of an answer is not read; its connection is closed instead."""

LONGEST_WAIT_SECONDS: Final = 3_600.0
"""No receiver can ask for a longer pause."""

ASKS_TO_WAIT: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver answered, or why it did not.

    Attributes
    ----------
    told : str
        In words, for the ledger.
    status : int or None
        None where there was no answer.
    wait_seconds : float or None
        For how long the receiver asked to be left alone.
    """

    told: str
    status: int | None = None
    wait_seconds: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether the push has arrived: an answer of 2xx, nothing else."""
        return self.status is not None and self.status // 100 == 2

    @property
    def gone(self) -> bool:
        """Whether the receiver wants no pushes any more."""
        return self.status == HTTPStatus.GONE


class Receiver:
    """The receiver behind one address; use it as an asynchronous context.

    Parameters
    ----------
    url : str
    timeout_seconds : float
        For a whole push, from connecting to the end of the answer.
    connections : int
        Most at a time.
    private : bool
        Whether it may be at an address that is not public.
    rng : Random
        Chooses among several addresses of the host.
    trust : SSLContext, optional
        Whose certificates are good; by default those of the usual authorities.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float,
        connections: int,
        private: bool,
        rng: random.Random,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._url, self._timeout_seconds, self._private, self._rng = httpx2.URL(url), timeout_seconds, private, rng
        self._pinned = self._url
        self._trust = trust or httpx2.create_ssl_context(trust_env=False)
        # One client for each connection: a pool looks at all its connections for every request, which at 50 of them
        # takes longer than the request.
        self._slots = asyncio.Semaphore(connections)
        self._clients: list[httpx2.AsyncClient] = []
        self._idle: list[httpx2.AsyncClient] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            await client.aclose()

    def _new_client(self) -> httpx2.AsyncClient:
        client = httpx2.AsyncClient(
            verify=self._trust,
            trust_env=False,  # no proxies and no credentials: they would lead past the checked address
            follow_redirects=False,
            timeout=None,  # a push as a whole has one
            limits=httpx2.Limits(max_connections=1, max_keepalive_connections=1),
            headers={"user-agent": f"xuelu/{version('xuelu')}", "content-type": "application/json"},
        )
        self._clients.append(client)
        return client

    async def look_up(self) -> None:
        """Find the host's address anew; all pushes until the next call go to it.

        Raises
        ------
        EndpointError
            It has none, or one that is not allowed.
        """
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        known = await addresses_of(self._url.host, port, private=self._private)
        self._pinned = self._url.copy_with(host=self._rng.choice(known))

    async def push(self, delivery_id: str, body: bytes, secrets: Sequence[str], *, now: datetime) -> Answer:
        """Send one push, signed with every secret, and return what came of it."""
        headers = {**signed_headers(delivery_id, body, secrets, now=now), "host": self._url.netloc.decode()}
        async with self._slots:
            client = self._idle.pop() if self._idle else self._new_client()
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    response = await self._post(client, body, headers)
            except TimeoutError:
                return Answer(f"no answer within {self._timeout_seconds:g} s")
            except httpx2.HTTPError as error:
                return Answer(f"no answer: {type(error).__name__} {error}".strip()[:200])
            finally:
                self._idle.append(client)
        status = response.status_code
        wait = wait_seconds(response.headers.get("retry-after"), now=now) if status in ASKS_TO_WAIT else None
        return Answer(f"status {status}", status, wait)

    async def _post(self, client: httpx2.AsyncClient, body: bytes, headers: dict[str, str]) -> httpx2.Response:
        # TLS names and checks the host, though the connection goes to its address.
        named = {"sni_hostname": self._url.host}
        request = client.build_request("POST", self._pinned, content=body, headers=headers, extensions=named)
        response = await client.send(request, stream=True)
        try:
            await _read_some(response)
        finally:
            await response.aclose()
        return response


async def _read_some(response: httpx2.Response) -> None:
    """Read the answer, so that its connection can be used again; not more than anyone needs to say that it is well."""
    read = 0
    async for part in response.aiter_raw():
        read += len(part)
        if read > READ_BYTES:
            return


def signed_headers(delivery_id: str, body: bytes, secrets: Sequence[str], *, now: datetime) -> dict[str, str]:
    """Return the headers that say who sent a body: id, time, and one signature by each secret."""
    signatures = (Webhook(secret).sign(delivery_id, now, body.decode()) for secret in secrets)
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def wait_seconds(retry_after: str | None, *, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` (RFC 9110) asks for, an hour at most; None where it asks for nothing.

    Examples
    --------
    >>> now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> [wait_seconds(one, now=now) for one in ("30", "Sun, 01 Mar 2026 12:01:00 GMT", "86400", "soon", None)]
    [30.0, 60.0, 3600.0, None, None]
    """
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after[:9]), LONGEST_WAIT_SECONDS)
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    seconds = (moment.astimezone(UTC) - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT_SECONDS)
