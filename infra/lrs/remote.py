"""Client of the statement resource of a record store, and how far its statements were pulled."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpx2
from sqlalchemy import select
from sqlalchemy.orm import Session

from features.xapi.validation.formats import instant
from infra.db import bulk
from infra.db.lrs_tables import statement_sources
from infra.errors import RemoteError, SettingsError
from infra.lrs.store import format_timestamp
from infra.retry_after import wait_seconds

VERSION_HEADER: Final = "X-Experience-API-Version"
VERSION, NEXT_VERSION = "1.0.3", "2.0.0"
"""Version that is asked in, and that of stores which refuse it."""
PAGE_STATEMENTS: Final = 500
MAX_EMPTY_PAGES: Final = 100
"""Empty pages in a row after which a record store is not asked on."""
MAX_PAGE_BYTES: Final = 134_217_728
TIMEOUT_SECONDS: Final = 60.0
CONNECT_RETRIES: Final = 3
BUSY: Final = frozenset({429, 502, 503, 504})
BUSY_RETRIES: Final = 3
MAX_WAIT_SECONDS: Final = 60
SHOWN_CHARACTERS: Final = 200

Statement = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """A page of statements in the order of storing, and the time up to which none is missing."""

    statements: list[Statement]
    complete_until: datetime | None


def statements_url(url: str) -> str:
    """Return the address of the statement resource of a record store.

    >>> statements_url("https://lrs.example/xapi/"), statements_url("https://lrs.example/xapi/statements")
    ('https://lrs.example/xapi/statements', 'https://lrs.example/xapi/statements')

    Raises
    ------
    SettingsError
        It is no HTTP address, or holds a user or a query.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(f"the record store's address {url[:SHOWN_CHARACTERS]!r} is wrong: {error}") from error
    if "@" in parts.netloc:
        raise SettingsError("the record store's address holds a user; set lrs_user and XUELU_LRS_PASSWORD instead")
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        raise SettingsError(
            f"the record store's address is {url[:SHOWN_CHARACTERS]!r}; give one such as https://lrs.example/xapi/"
        )
    path = parts.path.rstrip("/")
    return parts._replace(path=path if path.endswith("/statements") else f"{path}/statements").geturl()


class RecordStore:
    """Reads the statements of a record store (xAPI Communication, 2.1.3), until it is closed.

    Parameters
    ----------
    url : str
        Address of its statement resource.
    user, password : str
        For HTTP Basic; an empty user: no authentication.
    """

    def __init__(self, url: str, *, user: str = "", password: str = "") -> None:
        self.url = url
        self._client = httpx2.Client(
            auth=(user, password) if user else None,
            headers={VERSION_HEADER: VERSION, "Accept": "application/json"},
            timeout=TIMEOUT_SECONDS,
            transport=httpx2.HTTPTransport(retries=CONNECT_RETRIES),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def pages(self, since: datetime | None) -> Iterator[Page]:
        """Yield the pages of statements stored after a moment, oldest first.

        Raises
        ------
        RemoteError
            The record store does not answer, or not as xAPI demands.
        """
        parameters = {"ascending": "true", "limit": str(PAGE_STATEMENTS)}
        if since is not None:
            parameters["since"] = format_timestamp(since)
        url = str(httpx2.URL(self.url, params=parameters))
        seen: set[str] = set()
        n_empty, more = 0, url
        while more:
            # Path and query only: behind a proxy some stores name another scheme or host, and the password stays here.
            try:
                link = urlsplit(urljoin(url, more))
            except ValueError as error:
                raise RemoteError(f"{self.url}: its `more` {more[:SHOWN_CHARACTERS]!r} is no address") from error
            url = urlsplit(url)._replace(path=link.path, query=link.query).geturl()
            if url in seen and n_empty:
                return  # a store that has a link on its last page, too
            if url in seen or n_empty > MAX_EMPTY_PAGES:
                fault = "leads back to a page before" if url in seen else f"gave {n_empty} pages without a statement"
                raise RemoteError(f"{self.url}: its `more` {fault}; nothing more was pulled")
            seen.add(url)
            statements, more, consistent_through = self._get(url)
            # Stores that search for a bounded time answer empty pages: https://github.com/adlnet/xAPI-Spec/issues/549
            n_empty = 0 if statements else n_empty + 1
            if statements:
                yield Page(statements, _complete_until(statements, consistent_through, self.url))

    def _get(self, url: str) -> tuple[list[Statement], str, datetime | None]:
        response, content = self._answer(url)
        if response.status_code == httpx2.codes.BAD_REQUEST and self._client.headers[VERSION_HEADER] == VERSION:
            self._client.headers[VERSION_HEADER] = NEXT_VERSION
            response, content = self._answer(url)
        for _ in range(BUSY_RETRIES):
            asked = response.headers.get("Retry-After")
            if response.status_code not in BUSY or asked is None:
                break
            time.sleep(min(wait_seconds(asked, now=datetime.now(UTC)) or 0.0, MAX_WAIT_SECONDS))
            response, content = self._answer(url)
        if response.status_code != httpx2.codes.OK:
            shown = content[:SHOWN_CHARACTERS].decode("utf-8", "replace")
            raise RemoteError(f"{self.url} answers {response.status_code}{_advice(response)}: {shown}")
        try:
            # Not orjson, which refuses half a surrogate pair, and with it the page for one statement that holds it.
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise RemoteError(f"{self.url} answers no JSON ({error}); check the address") from error
        statements = document.get("statements") if isinstance(document, dict) else None
        more = document.get("more") if isinstance(document, dict) else None
        if not isinstance(statements, list) or not all(isinstance(item, dict) for item in statements):
            raise RemoteError(f"{self.url} answers no page of statements; check the address")
        header = response.headers.get("X-Experience-API-Consistent-Through", "")
        return statements, more if isinstance(more, str) else "", instant(header)

    def _answer(self, url: str) -> tuple[httpx2.Response, bytes]:
        try:
            with self._client.stream("GET", url) as response:
                content = bytearray()
                for part in response.iter_bytes():
                    content += part
                    if len(content) > MAX_PAGE_BYTES:
                        raise RemoteError(f"{self.url}: a page has more than {MAX_PAGE_BYTES // 2**20} MiB")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            reason = str(error) or type(error).__name__
            raise RemoteError(f"{self.url} does not answer: {reason}; run the command again to go on") from error
        return response, bytes(content)


def _advice(response: httpx2.Response) -> str:
    """Return what to do about an answer that is no page."""
    if response.status_code in {401, 403}:
        return "; set lrs_user and XUELU_LRS_PASSWORD"
    if response.has_redirect_location:
        return f"; give its address {response.headers['Location'][:SHOWN_CHARACTERS]!r}"
    return "; run the command again to go on" if response.status_code in BUSY else ""


def _complete_until(statements: list[Statement], consistent_through: datetime | None, url: str) -> datetime | None:
    """Return the time of storing up to which no statement can still be missing.

    Raises
    ------
    RemoteError
        A statement does not say when it was stored, or the order is not that of storing.
    """
    moments = [instant(str(statement.get("stored"))) for statement in statements]
    ordered = [moment for moment in moments if moment is not None]
    if len(ordered) < len(moments):
        raise RemoteError(f"{url}: a statement does not say when it was `stored`, so nothing could be resumed")
    if any(later < earlier for earlier, later in pairwise(ordered)):
        raise RemoteError(f"{url} does not sort statements by `ascending=true`, so nothing could be resumed")
    return ordered[-1] if consistent_through is None else min(ordered[-1], consistent_through)


def pulled_until(session: Session, organisation_key: int, url: str) -> datetime | None:
    """Return the time of storing up to which a record store's statements were pulled, None where none were."""
    of = statement_sources.c
    query = select(of.pulled_until).where(of.organisation_key == organisation_key, of.url == url)
    return session.scalar(query)


def set_pulled_until(session: Session, organisation_key: int, url: str, moment: datetime) -> None:
    """Store how far a record store's statements were pulled."""
    key = {"organisation_key": organisation_key, "url": url}
    bulk.put(session, statement_sources, key, {"pulled_until": moment})
