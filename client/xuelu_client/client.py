"""The client: one method for each thing that an app does."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from types import TracebackType
from typing import Any, Final, Literal, Self
from urllib.parse import quote
from uuid import uuid4

import httpx2

from xuelu_client.errors import ProblemError
from xuelu_client.retry import Patience, send

Json = dict[str, Any]
Kind = Literal["items", "members", "units"]

EVENTS_OF_A_BATCH: Final = 500
MERGE_PATCH: Final = "application/merge-patch+json"
BODIES: Final = {"csv": "text/csv", "jsonl": "application/x-ndjson"}


class Client:
    """A client of one organisation's data, safe to use from several threads.

    Every request can be sent again without harm: writes replace, events have ids of their own. So all are, where the
    service is away for a while or asks for patience.

    Parameters
    ----------
    address : str
        Where the service is, such as ``https://xuelu.example.org``.
    key : str
        A key of the API, as ``xuelu keys create`` prints it.
    timeout_seconds : float
        Longest wait for an answer.
    patience : Patience, optional
        How often, and after how long, requests are sent again.
    transport : httpx2.BaseTransport, optional
        Another way to the service than the network.

    Raises
    ------
    ProblemError
        By every method: the service answered with a problem, such as 404 for what does not exist.
    UnreachableError
        By every method: there was no answer.
    """

    def __init__(
        self,
        address: str,
        key: str,
        *,
        timeout_seconds: float = 30.0,
        patience: Patience | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}", "User-Agent": "xuelu-client"}
        self._http = httpx2.Client(base_url=address, headers=headers, timeout=timeout_seconds, transport=transport)
        self._patience = patience or Patience()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def push_list(self, member_id: str, *, n: int = 10, language: str | None = None) -> Json:
        """Return a member's push list, best item first."""
        return self._json("GET", f"/v1/members/{_part(member_id)}/push-list", params=_given(n=n, language=language))

    def similar_items(self, item_id: str, *, n: int = 10) -> Json:
        """Return the items most like one."""
        return self._json("GET", f"/v1/items/{_part(item_id)}/similar", params={"n": n})

    def preview_list(self, *, role: str | None = None, industry: str | None = None, n: int = 10) -> Json:
        """Return the list that a new member of a role and industry would find."""
        return self._json("GET", "/v1/preview-list", params=_given(role=role, industry=industry, n=n))

    def session_list(self, events: Iterable[Mapping[str, Any]], *, n: int = 10, language: str | None = None) -> Json:
        """Return a list after the events of a session whose member is not known: ``item_id, verb, progress``."""
        body = _given(events=list(events), n=n, language=language)
        return self._json("POST", "/v1/session-list", json=body)

    def post_events(self, events: Iterable[Mapping[str, Any]], *, partial: bool = False) -> Iterator[Json]:
        """Send study events, and yield what became of each, in order, as its batch is stored.

        An event without an ``event_id`` gets one here, before it is sent for the first time: an event that is sent
        again, because the answer got lost, is stored once.

        Parameters
        ----------
        partial : bool
            Take the good events of a batch of 500 where others are bad; else such a batch is refused.
        """
        named = ({"event_id": str(uuid4()), **event} for event in events)
        params = {"partial": str(partial).lower()}
        while batch := list(islice(named, EVENTS_OF_A_BATCH)):
            yield from self._json("POST", "/v1/events", json={"events": batch}, params=params)["results"]

    def each(self, kind: Kind, *, limit: int = 100) -> Iterator[Json]:
        """Yield all items, members or units, page by page, in order of their ids."""
        for page in self.pages(f"/v1/{kind}?limit={limit}"):
            yield from page[kind]

    def pages(self, address: str) -> Iterator[Json]:
        """Yield the pages of an address, each after the ``next`` link of the one before."""
        following: str | None = address
        while following:
            answer = self._send("GET", following)
            yield answer.json()
            following = answer.links.get("next", {}).get("url")

    def read(self, kind: Kind, record_id: str) -> tuple[Json, str]:
        """Return an item, member or unit, and its entity tag."""
        answer = self._send("GET", f"/v1/{kind}/{_part(record_id)}")
        return answer.json(), answer.headers["ETag"]

    def write(self, kind: Kind, record_id: str, body: Mapping[str, Any], *, if_match: str | None = None) -> Json:
        """Make or replace an item, member or unit; with ``if_match`` only where its entity tag is still this one."""
        return self._json("PUT", f"/v1/{kind}/{_part(record_id)}", json=body, headers=_given(**{"If-Match": if_match}))

    def change(self, kind: Kind, record_id: str, patch: Mapping[str, Any], *, if_match: str | None = None) -> Json:
        """Change what a patch names of an item, member or unit: None takes a value away (RFC 7396)."""
        headers = {"Content-Type": MERGE_PATCH, **_given(**{"If-Match": if_match})}
        return self._json("PATCH", f"/v1/{kind}/{_part(record_id)}", json=patch, headers=headers)

    def remove(self, kind: Literal["items", "units"], record_id: str, *, if_match: str | None = None) -> None:
        """Remove an item or unit; one that is gone already, by an earlier attempt say, is no fault."""
        try:
            self._send("DELETE", f"/v1/{kind}/{_part(record_id)}", headers=_given(**{"If-Match": if_match}))
        except ProblemError as error:
            if error.status != httpx2.codes.NOT_FOUND:
                raise

    def take(self, kind: Kind, lines: bytes, *, as_: Literal["csv", "jsonl"] = "csv") -> Json:
        """Take many items, members or units from CSV with a header, or JSON Lines; return what became of the lines."""
        return self._json("POST", f"/v1/{kind}/bulk", content=lines, headers={"Content-Type": BODIES[as_]})

    def export_member(self, member_id: str) -> Json:
        """Return everything that is held about a member."""
        return self._json("GET", f"/v1/members/{_part(member_id)}/export")

    def erase_member(self, member_id: str) -> Json:
        """Erase a member for good; return what went and the signed receipt."""
        return self._json("DELETE", f"/v1/members/{_part(member_id)}")

    def runs(self, *, limit: int = 100) -> Iterator[Json]:
        """Yield all runs, the newest first, page by page."""
        for page in self.pages(f"/v1/runs?limit={limit}"):
            yield from page["runs"]

    def rates(self, by: str = "strategy", *, since: str | None = None, until: str | None = None) -> Json:
        """Return what push lists led to, by group; ``since`` and ``until`` are days, such as ``2026-03-01``."""
        return self._json("GET", "/v1/analytics/rates", params=_given(by=by, since=since, until=until))

    def _json(self, method: str, address: str, **more: Any) -> Json:
        return self._send(method, address, **more).json()

    def _send(self, method: str, address: str, **more: Any) -> httpx2.Response:
        answer = send(self._http, self._http.build_request(method, address, **more), self._patience)
        if answer.is_success:
            return answer
        told = answer.json() if "json" in answer.headers.get("Content-Type", "") else {"detail": answer.text[:200]}
        raise ProblemError(answer.status_code, told)


def _part(record_id: str) -> str:
    """Return an id as a part of an address, its slashes encoded.

    >>> _part("https://lms.example/1")
    'https%3A%2F%2Flms.example%2F1'
    """
    return quote(record_id, safe="")


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
