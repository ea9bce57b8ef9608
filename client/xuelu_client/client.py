"""HTTP client: one method per operation of an app."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, Literal
from urllib.parse import urlencode

import httpx2

from xuelu_client.addresses import address
from xuelu_client.connection import Connection
from xuelu_client.errors import ProblemError
from xuelu_client.models import (
    AnonymousList,
    BulkResult,
    Coverage,
    Erasure,
    EventResult,
    ItemReport,
    Kind,
    MemberExport,
    PushList,
    PushListChanges,
    Rates,
    Record,
    Rows,
    Run,
    SimilarItems,
)

EVENTS_OF_A_BATCH: Final = 500
MERGE_PATCH: Final = "application/merge-patch+json"
BODIES: Final = {"csv": "text/csv", "jsonl": "application/x-ndjson"}


class Client(Connection):
    """A client of one organisation's data, safe to use from several threads.

    Requests can be sent again without harm: writes replace, and an event is stored once. So the client retries where
    the service is away for a while or asks to wait; only ``roll_back`` and ``erase_member`` are sent once. A write with
    ``if_match`` whose answer got lost ends with 412. Make a client in each process; in asyncio call it by
    ``asyncio.to_thread``.

    Parameters
    ----------
    address : str
        Address of the service, such as ``https://xuelu.example.org``, with its path prefix if it has one.
    key : str
        A key of the API, as ``xuelu keys create`` prints it.
    timeout_seconds : float
        Longest wait for an answer.
    patience : Patience, optional
        Number of attempts and the waits between them.
    transport : httpx2.BaseTransport, optional
        Transport in place of the network, for tests.

    Raises
    ------
    ProblemError
        By every method: the service answered with a problem, such as 404 for what does not exist.
    UnreachableError
        By every method: there was no answer.
    ValueError
        The address or the key cannot be any.
    """

    def push_list(  # noqa: PLR0913 - parameters of the query
        self,
        member_id: str,
        *,
        n: int = 10,
        language: str | None = None,
        explain: Literal["full"] | None = None,
        as_of: str | None = None,
        minutes: int | None = None,
        max_minutes: int | None = None,
        topics: Iterable[str] = (),
        formats: Iterable[str] = (),
        exclude: Iterable[str] = (),
    ) -> PushList:
        """Return a member's push list, best item first.

        Parameters
        ----------
        minutes : int, optional
            Time to study: the items take no longer together. Where none fits, ``empty`` says why; ``due_left_out`` are
            required items that cannot wait and do not fit.
        max_minutes : int, optional
            Most minutes of one item.
        topics, formats : iterable of str
            Items of one of these.
        exclude : iterable of str
            Ids of items that should not be on the list.
        explain : str, optional
            ``full``: with the breakdown of each score, and the items that were left out.
        as_of : str, optional
            Day in UTC, such as ``2026-03-02``: the list of its night, as it was shown then.
        """
        params = _present(
            n=n, language=language, minutes=minutes, max_minutes=max_minutes, explain=explain, as_of=as_of
        )
        several = {"topics": _texts(topics), "formats": _texts(formats), "exclude": _texts(exclude)}
        params |= {name: values for name, values in several.items() if values}
        return self._json("GET", address("members", member_id, "push-list"), params=params)

    def rows(self, member_id: str, *, n: int = 10, language: str | None = None, minutes: int | None = None) -> Rows:
        """Return a member's push list as titled rows of at most ``n`` items, all together for so many minutes."""
        params = _present(n=n, language=language, minutes=minutes)
        return self._json("GET", address("members", member_id, "rows"), params=params)

    def push_list_changes(self, member_id: str, *, since: str, n: int = 10) -> PushListChanges:
        """Return what changed on a member's list since the night of a day, such as ``2026-03-02``, and why."""
        params = {"since": since, "n": n}
        return self._json("GET", address("members", member_id, "push-list", "changes"), params=params)

    def similar_items(self, item_id: str, *, n: int = 10, member_id: str | None = None) -> SimilarItems:
        """Return the items most similar to an item; for a member, those that it may be offered."""
        params = _present(n=n, member_id=member_id)
        return self._json("GET", address("items", item_id, "similar"), params=params)

    def preview_list(self, *, role: str | None = None, industry: str | None = None, n: int = 10) -> AnonymousList:
        """Return the list that a new member of a role and industry would get."""
        return self._json("GET", "/v1/preview-list", params=_present(role=role, industry=industry, n=n))

    def session_list(
        self, events: Iterable[Mapping[str, Any]], *, n: int = 10, language: str | None = None
    ) -> AnonymousList:
        """Return a list for an anonymous session from its events: ``item_id, verb, progress``."""
        body = _present(events=list(_events(events)), n=n, language=language)
        return self._json("POST", "/v1/session-list", body=body)

    def post_events(self, events: Iterable[Mapping[str, Any]], *, partial: bool = False) -> list[EventResult]:
        """Send study events now, in batches of 500, and return the result of each, in order.

        An event is stored once: sent again it is a ``duplicate``. One without an ``event_id`` is identified by its
        content. Times may be of :mod:`datetime`; those without an offset are in the organisation's zone.

        Parameters
        ----------
        partial : bool
            Store the good events of a batch where others are bad; else such a batch is refused.
        """
        remaining, results = _events(events), list[EventResult]()
        params = {"partial": str(partial).lower()}
        while batch := list(islice(remaining, EVENTS_OF_A_BATCH)):
            results += self._json("POST", "/v1/events", body={"events": batch}, params=params)["results"]
        return results

    def each(self, kind: Kind, *, limit: int = 100, **filters: str | None) -> Iterator[Record]:
        """Yield all records of a kind, page by page, in order of their ids; filters are those of the route."""
        for page in self.pages(f"/v1/{kind}?{urlencode(_present(limit=limit, **filters))}"):
            yield from page[kind]

    def read(self, kind: Kind, record_id: str) -> tuple[Record, str]:
        """Return a record of a kind, and its entity tag."""
        response = self._send("GET", address(kind, record_id))
        return response.json(), response.headers["ETag"]

    def write(self, kind: Kind, record_id: str, body: Mapping[str, Any], *, if_match: str | None = None) -> Record:
        """Create or replace a record of a kind; with ``if_match`` only where its entity tag is unchanged."""
        return self._json("PUT", address(kind, record_id), body=body, headers=_present(**{"If-Match": if_match}))

    def change(self, kind: Kind, record_id: str, patch: Mapping[str, Any], *, if_match: str | None = None) -> Record:
        """Change fields of a record: None clears a field (RFC 7396)."""
        headers = {"Content-Type": MERGE_PATCH, **_present(**{"If-Match": if_match})}
        return self._json("PATCH", address(kind, record_id), body=patch, headers=headers)

    def remove(
        self,
        kind: Literal["items", "units", "requirements", "curations"],
        record_id: str,
        *,
        if_match: str | None = None,
    ) -> None:
        """Remove a record; it is no error where it is gone already, as after a retry."""
        try:
            self._send("DELETE", address(kind, record_id), headers=_present(**{"If-Match": if_match}))
        except ProblemError as error:
            if error.status != httpx2.codes.NOT_FOUND:
                raise

    def bulk_upsert(
        self, kind: Kind, lines: bytes | str | Iterable[bytes | str], *, as_: Literal["csv", "jsonl"] = "csv"
    ) -> BulkResult:
        """Create or update many records of a kind from CSV with a header, or JSON Lines; an open file, too."""
        content = lines
        if not isinstance(lines, bytes | str):  # read once, for all attempts
            content = b"".join(line.encode() if isinstance(line, str) else line for line in lines)
        return self._json("POST", address(kind, "bulk"), content=content, headers={"Content-Type": BODIES[as_]})

    def waive(self, member_id: str, requirement_id: str, *, reason: str | None = None) -> Record:
        """Free a member from a requirement; return the waiver."""
        return self._json("PUT", address("members", member_id, "waivers", requirement_id), body={"reason": reason})

    def end_waiver(self, member_id: str, requirement_id: str) -> None:
        """End a waiver: the requirement holds for the member again."""
        self._send("DELETE", address("members", member_id, "waivers", requirement_id))

    def save_for_later(self, member_id: str, item_id: str) -> Record:
        """Save an item for later for a member: it returns on the list; return the item and the time."""
        return self._json("PUT", address("members", member_id, "saved", item_id))

    def end_saving(self, member_id: str, item_id: str) -> None:
        """Take an item off those that a member saved for later."""
        self._send("DELETE", address("members", member_id, "saved", item_id))

    def saved_items(self, member_id: str) -> list[Record]:
        """Return the items that a member saved for later, the first saved first."""
        return self._json("GET", address("members", member_id, "saved"))["saved"]

    def interests(self, member_id: str) -> Record:
        """Return the topics held about a member, and those that it deleted."""
        return self._json("GET", address("members", member_id, "interests"))

    def delete_interest(self, member_id: str, topic: str) -> None:
        """Delete a topic from what is held about a member."""
        self._send("DELETE", address("members", member_id, "interests", topic))

    def restore_interest(self, member_id: str, topic: str) -> None:
        """Let study of a deleted topic count again."""
        self._send("PUT", address("members", member_id, "interests", topic))

    def requirements_at_risk(self) -> list[Record]:
        """Return counts of members who cannot meet requirements in time, or soon cannot, by requirement and unit."""
        return self._json("GET", "/v1/requirements/at-risk")["requirements"]

    def export_member(self, member_id: str) -> MemberExport:
        """Return all stored data of a member."""
        return self._json("GET", address("members", member_id, "export"))

    def erase_member(self, member_id: str) -> Erasure:
        """Erase a member for good; return the number of rows by table and the signed receipt.

        Sent once: a second attempt would end with 404, and hide that the first one erased. Where the answer got lost,
        send it again: 404 says that nothing is held of the member. The service keeps no receipt; its audit log has the
        erasure.
        """
        return self._json("DELETE", address("members", member_id), once=True)

    def runs(self, *, limit: int = 100) -> Iterator[Run]:
        """Yield all runs, the newest first, page by page."""
        for page in self.pages(f"/v1/runs?limit={limit}"):
            yield from page["runs"]

    def publish_run(self, run_id: str, *, reason: str | None = None) -> Run:
        """Serve a finished run from now on; one that was held needs a reason, which the audit log keeps."""
        return self._json("POST", address("runs", run_id, "publish"), body={"reason": reason})

    def roll_back(self) -> Run:
        """Hold the served run, and serve the one published before it; return that.

        Sent once: a second attempt would go back one run more. Where the answer got lost, ``runs`` shows what holds.
        """
        return self._json("POST", "/v1/runs/rollback", once=True)

    def deliveries(self, *, status: str | None = None, limit: int = 100) -> Iterator[Record]:
        """Yield deliveries, the latest dates first, page by page; ``status`` such as ``dead``."""
        for page in self.pages(f"/v1/deliveries?{urlencode(_present(limit=limit, status=status))}"):
            yield from page["deliveries"]

    def rates(self, by: str = "strategy", *, since: str | None = None, until: str | None = None) -> Rates:
        """Return open and completion rates of push lists by group; bounds are days, such as ``2026-03-01``."""
        return self._json("GET", "/v1/analytics/rates", params=_present(by=by, since=since, until=until))

    def coverage(self) -> Coverage:
        """Return the reach of the served lists, the state of requirements by unit, and topics that lack content."""
        return self._json("GET", "/v1/analytics/coverage")

    def item_report(self, item_id: str) -> ItemReport:
        """Return how many members get an item, by strategy, and its shown, opened and completed counts by month."""
        return self._json("GET", address("analytics", "items", item_id))


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _texts(values: Iterable[str]) -> list[str]:
    """Return several texts as a list; one text would be taken for its letters."""
    if isinstance(values, str):
        raise TypeError(f"{values!r} is one text; give a list of texts")
    return list(values)


def _events(events: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield events; those of one dictionary or a data frame would be its keys."""
    for event in events:
        if not isinstance(event, Mapping):
            raise TypeError(f"an event is a dictionary, not {event!r}; give a list of dictionaries")
        yield event
