"""Signed pushes over HTTP, by the Standard Webhooks specification (https://www.standardwebhooks.com)."""

import asyncio
import random
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

import httpx2
from standardwebhooks import Webhook

from infra.delivery.ssrf import resolve_host
from infra.errors import EndpointError
from infra.retry_after import wait_seconds

READ_BYTES: Final = 65_536
"""Bound of a response: the connection of a longer one is closed."""

ASKS_TO_WAIT: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class WebhookResponse:
    """Result of one attempt to push.

    Attributes
    ----------
    outcome : str
        For the log of attempts: ``status 204``, or why there was no response.
    status : int or None
        None where there was no response.
    wait_seconds : float or None
        Pause that the receiver asked for.
    """

    outcome: str
    status: int | None = None
    wait_seconds: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether the push has arrived: 2xx, nothing else."""
        return self.status is not None and self.status // 100 == 2

    @property
    def gone(self) -> bool:
        """Whether the receiver wants no pushes any more."""
        return self.status == HTTPStatus.GONE


@cache
def usual_authorities() -> ssl.SSLContext:
    """Return the certificates of the usual authorities, read once in a process: to read them takes 25 milliseconds."""
    return httpx2.create_ssl_context(trust_env=False)


class WebhookClient:
    """HTTP client of one webhook.

    Parameters
    ----------
    timeout_seconds : float
        From connecting to the end of the response, of whose body the rest is left unread then.
    connections : int
        Most at a time.
    allow_private : bool
        Whether the host may have an address that is not public.
    rng : Random
        Chooses among several addresses of the host.
    trust : SSLContext, optional
        Trusted certificates; by default those of the usual authorities.

    Raises
    ------
    EndpointError
        The address is not valid.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float,
        connections: int,
        allow_private: bool,
        rng: random.Random,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        try:
            self._url = httpx2.URL(url)
        except httpx2.InvalidURL as error:
            raise EndpointError(f"the endpoint's address is not valid ({error}); register another one") from error
        # `URL.host` would decode `xn--` labels, and other code would encode them again by older rules.
        self._host = self._url.raw_host.decode("ascii")
        self._timeout_seconds, self._allow_private, self._rng = timeout_seconds, allow_private, rng
        self._pinned = self._url
        self._trust = trust or usual_authorities()
        # One client for each connection: a pool looks at all its connections for every request, which at 50 of them
        # takes longer than the request.
        self._slots = asyncio.Semaphore(connections)
        # A thread of its own: a name server that does not answer must not hold up the pushes to other endpoints.
        self._resolver = ThreadPoolExecutor(1, thread_name_prefix="resolver")
        self._clients: list[httpx2.AsyncClient] = []
        self._idle: list[httpx2.AsyncClient] = []

    async def close(self) -> None:
        """Close all connections."""
        self._resolver.shutdown(wait=False, cancel_futures=True)
        for client in self._clients:
            await client.aclose()

    def _new_client(self) -> httpx2.AsyncClient:
        client = httpx2.AsyncClient(
            verify=self._trust,
            trust_env=False,  # no proxies and no credentials: they would lead past the checked address
            follow_redirects=False,
            timeout=None,  # a push as a whole has a timeout
            limits=httpx2.Limits(max_connections=1, max_keepalive_connections=1),
            headers={"user-agent": f"xuelu/{version('xuelu')}", "content-type": "application/json"},
        )
        self._clients.append(client)
        return client

    async def resolve(self) -> None:
        """Resolve the host again; all pushes until the next call go to the address that was checked.

        Raises
        ------
        EndpointError
            It has no address, or one that is not allowed, or the name server does not answer.
        """
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                addresses = await resolve_host(
                    self._host, port, allow_private=self._allow_private, threads=self._resolver
                )
        except TimeoutError as error:
            waited = f"within {self._timeout_seconds:g} s"
            raise EndpointError(f"{self._host} was not resolved {waited}; check its name servers") from error
        self._pinned = self._url.copy_with(host=self._rng.choice(addresses))

    async def push(self, delivery_id: str, body: bytes, secrets: Sequence[str], *, now: datetime) -> WebhookResponse:
        """Send one push, signed with every secret; whatever goes wrong is a response without a status."""
        headers = {**signed_headers(delivery_id, body, secrets, now=now), "host": self._url.netloc.decode("ascii")}
        async with self._slots:
            client = self._idle.pop() if self._idle else self._new_client()
            try:
                response = await self._post(client, body, headers)
            except TimeoutError:
                return WebhookResponse(f"no answer within {self._timeout_seconds:g} s")
            except Exception as error:  # noqa: BLE001 - a receiver must not be able to end the worker of all others
                return WebhookResponse(f"no answer: {type(error).__name__} {error}".strip()[:200])
            finally:
                if _has_unread(client):
                    self._clients.remove(client)
                    await client.aclose()
                else:
                    self._idle.append(client)
        status = response.status_code
        wait = wait_seconds(response.headers.get("retry-after"), now=now) if status in ASKS_TO_WAIT else None
        return WebhookResponse(f"status {status}", status, wait)

    async def _post(self, client: httpx2.AsyncClient, body: bytes, headers: dict[str, str]) -> httpx2.Response:
        # TLS names and checks the host, though the connection goes to its address.
        extensions = {"sni_hostname": self._host}
        request = client.build_request("POST", self._pinned, content=body, headers=headers, extensions=extensions)
        deadline = asyncio.get_running_loop().time() + self._timeout_seconds
        async with asyncio.timeout_at(deadline):
            response = await client.send(request, stream=True)
        try:
            # The status decides: a receiver that has answered is not pushed to again for a body that does not end.
            with suppress(TimeoutError, httpx2.HTTPError):
                async with asyncio.timeout_at(deadline):
                    await _read_some(response)
        finally:
            await response.aclose()
        return response


def _has_unread(client: httpx2.AsyncClient) -> bool:
    """Return whether a receiver sent more than its response, which would be read as that to the next push.

    So do bodies after 204 and lengths counted in characters: https://github.com/pydantic/httpx2/issues/570.
    """
    transport: Any = client._transport  # noqa: SLF001 - nothing public tells it
    try:
        return any(each._connection._h11_state.trailing_data[0] for each in transport._pool.connections)  # noqa: SLF001 - as above
    except AttributeError:  # of another version, or not connected: a new connection is always right
        return True


async def _read_some(response: httpx2.Response) -> None:
    """Read the response, so that its connection can be used again, up to a bound."""
    read = 0
    async for part in response.aiter_raw():
        read += len(part)
        if read > READ_BYTES:
            return


def signed_headers(delivery_id: str, body: bytes, secrets: Sequence[str], *, now: datetime) -> dict[str, str]:
    """Return the headers of Standard Webhooks: id, time, and one signature by each secret."""
    signatures = (Webhook(secret).sign(delivery_id, now, body.decode()) for secret in secrets)
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
