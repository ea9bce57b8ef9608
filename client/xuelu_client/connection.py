"""Connection to the service: authentication, retries, and what answers say."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any, Final, Self

import httpx2

from xuelu_client.addresses import checked_address
from xuelu_client.errors import ClientError, ProblemError
from xuelu_client.models import Record
from xuelu_client.retry import Patience, send

KEY: Final = re.compile(r"[\x21-\x7e]+")
SHOWN_CHARACTERS: Final = 200
JSON_TYPE: Final = "application/json"


class Connection:
    """Base of the client: sends requests and reads answers."""

    def __init__(
        self,
        address: str,
        key: str,
        *,
        timeout_seconds: float = 30.0,
        patience: Patience | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        key = (key or "").strip()
        if not KEY.fullmatch(key):
            raise ValueError("the key is empty or has spaces in it; give the one that `xuelu keys create` printed")
        headers = {"Authorization": f"Bearer {key}", "User-Agent": "xuelu-client"}
        base_url = checked_address(address)
        self._http = httpx2.Client(base_url=base_url, headers=headers, timeout=timeout_seconds, transport=transport)
        self._patience = patience or Patience()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def pages(self, address: str) -> Iterator[Record]:
        """Yield the pages of an address, following ``next`` links.

        Raises
        ------
        ClientError
            A link leads back to a page before, as where a proxy drops the query.
        """
        following: str | None = address
        seen: set[str] = set()
        while following:
            if following in seen:
                raise ClientError(f"{following} leads back to a page before; does a proxy drop its query?")
            seen.add(following)
            response = self._send("GET", following)
            yield value_of(response)
            link = response.links.get("next", {}).get("url")
            following = str(response.url.join(link)) if link else None  # links have the path prefix of the address

    def _json(self, method: str, address: str, **more: Any) -> Any:
        return value_of(self._send(method, address, **more))

    def _send(
        self,
        method: str,
        address: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        once: bool = False,
        **more: Any,
    ) -> httpx2.Response:
        """Send a request, ``body`` as JSON, and return the answer; ``once``: without a second attempt."""
        if body is not None:
            more["content"] = json.dumps(body, default=_iso, allow_nan=False, ensure_ascii=False).encode()
            headers = {"Content-Type": JSON_TYPE, **(headers or {})}
        request = self._http.build_request(method, address, headers=headers, **more)
        response = send(self._http, request, replace(self._patience, attempts=1) if once else self._patience)
        if response.is_success:
            return response
        raise ProblemError(response.status_code, _problem(response))


def _iso(value: Any) -> str:
    """Return a time or a day as JSON has it."""
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{value!r} is no value of JSON; give a text, a number, a flag, a time or a day")


def value_of(response: httpx2.Response) -> Any:
    """Return the JSON value of an answer.

    Raises
    ------
    ClientError
        It is no JSON.
    """
    try:
        return response.json()
    except ValueError as error:
        shown = response.text[:SHOWN_CHARACTERS]
        raise ClientError(f"{response.url} answers no JSON; is this the address of the service? {shown!r}") from error


def _problem(response: httpx2.Response) -> dict[str, Any]:
    """Return the problem of an answer; of an answer without one, the beginning of its text."""
    if response.has_redirect_location:
        return {"detail": f"the service is at {response.headers['Location']}; give its address there"}
    try:
        problem = response.json()
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {"detail": response.text[:SHOWN_CHARACTERS]}
