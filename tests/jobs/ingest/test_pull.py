"""Statements pulled from a record store: all of them, once, from where the last pull ended."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import Engine, func, select

from infra.db.core_tables import events
from infra.db.engine import transaction
from infra.errors import RemoteError, SettingsError
from infra.lrs import remote
from infra.settings.settings import Settings
from jobs.ingest import pull as pulling
from jobs.ingest.pull import PullResult, pull
from tests.conftest import ON_SQLITE
from tests.jobs.conftest import Answer

START = datetime.fromisoformat("2026-03-01T08:00:00+00:00")
VIEWED = "http://adlnet.gov/expapi/verbs/experienced"


def statement(number: int, **changes: Any) -> dict[str, Any]:
    """Return a statement that a record store stored `number` seconds after the start."""
    return {
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "actor": {"mbox": "mailto:li@example.org"},
        "verb": {"id": VIEWED},
        "object": {"id": f"https://lms.example/items/{number}"},
        "timestamp": (START + timedelta(seconds=number)).isoformat(),
        "stored": (START + timedelta(seconds=number)).isoformat(),
    } | changes


class Store:
    """A record store on the loopback: its statements, and what it was asked."""

    def __init__(self) -> None:
        self.statements: list[dict[str, Any]] = []
        self.asked: list[dict[str, list[str]]] = []
        self.headers: dict[str, str] = {}
        self.user = ""
        self.absolute = False
        self.n_empty = 0
        self.fails_after: int | None = None
        self.body: bytes | None = None
        self.refusals: list[tuple[int, dict[str, str]]] = []
        self.versions = ["1.0.3"]
        self.base = ""

    @property
    def url(self) -> str:
        """Address of the record store."""
        return f"{self.base}/xapi/"

    def answer(self, path: str, authorization: str) -> tuple[int, bytes]:
        """Return status and body of an answer."""
        query = parse_qs(urlsplit(path).query)
        self.asked.append(query)
        if self.user and authorization != "Basic " + base64.b64encode(self.user.encode()).decode():
            return 401, b"who?"
        if self.fails_after is not None and len(self.asked) > self.fails_after:
            return 503, b"later"
        if self.body is not None:
            return 200, self.body
        n_empty = int(query.get("empty", ["0"])[0])
        if n_empty < self.n_empty:
            more = path.partition("&empty")[0] + f"&empty={n_empty + 1}"
            return 200, json.dumps({"statements": [], "more": more}).encode()
        since = datetime.fromisoformat(query["since"][0]) if "since" in query else None
        rest = [
            xapi_statement
            for xapi_statement in self.statements
            if since is None or datetime.fromisoformat(xapi_statement["stored"]) > since
        ]
        start, limit = int(query.get("start", ["0"])[0]), int(query["limit"][0])
        page, more = rest[start : start + limit], ""
        if len(rest) > start + limit:
            link = {name: values[0] for name, values in query.items()} | {"start": str(start + limit)}
            more = "/xapi/statements?" + "&".join(f"{name}={value}" for name, value in link.items()).replace("+", "%2B")
            more = f"https://elsewhere.example{more}" if self.absolute else more
        return 200, json.dumps({"statements": page, "more": more}).encode()


@contextmanager
def running(store: Store) -> Iterator[None]:
    """Run a record store."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, headers = 400, b"another version", store.headers
            if self.headers["X-Experience-API-Version"] in store.versions:
                status, body = store.answer(self.path, self.headers.get("Authorization", ""))
                if store.refusals:
                    (status, headers), body = store.refusals.pop(0), b"busy"
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    store.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Return a running record store, asked for two statements a page and stored four at a time."""
    monkeypatch.setattr(remote, "PAGE_STATEMENTS", 2)
    monkeypatch.setattr(pulling, "BATCH_STATEMENTS", 4)
    own = Store()
    with running(own):
        yield own


@pytest.fixture
def run(engine: Engine, settings: Settings, store: Store, now: datetime) -> Callable[..., PullResult]:
    """Return what pulls from the record store."""

    def pulled(**changes: Any) -> PullResult:
        return pull(engine, settings.model_copy(update=changes), store.url, now=now, actor="test")

    return pulled


def count(engine: Engine) -> int:
    """Return the number of stored events."""
    with transaction(engine) as session:
        return session.scalar(select(func.count()).select_from(events)) or 0


def counted(result: PullResult, *names: str) -> tuple[int, ...]:
    """Return figures of a pull."""
    return tuple(result.figures[name] for name in names or ("lines", "stored", "duplicates"))


def test_all_statements_are_pulled_once_and_later_ones_by_the_next_pull(
    run: Callable[..., PullResult], store: Store, engine: Engine
) -> None:
    store.statements = [statement(number) for number in range(7)]
    store.statements[3]["verb"]["id"] = "http://example.org/verbs/unheard"
    first = run()
    assert (*counted(first), count(engine)) == (7, 6, 0, 6)
    assert first.pulled_until == START + timedelta(seconds=6)
    assert "since" not in store.asked[0]
    store.statements += [statement(number) for number in range(7, 10)]
    store.asked.clear()
    second = run()
    assert store.asked[0]["since"] == ["2026-03-01T08:00:05.000000Z"]
    assert (*counted(second), count(engine)) == (4, 3, 1, 9)
    assert (run().figures["stored"], count(engine)) == (0, 9)


def test_a_pull_that_stops_goes_on_where_it_was(run: Callable[..., PullResult], store: Store, engine: Engine) -> None:
    store.statements = [statement(number) for number in range(10)]
    store.fails_after = 3
    with pytest.raises(RemoteError, match="answers 503"):
        run()
    assert count(engine) == 4, "one batch of two pages"
    store.fails_after = None
    assert (run().figures["stored"], count(engine)) == (6, 10)


def test_statements_that_become_visible_late_are_not_missed(
    run: Callable[..., PullResult], store: Store, engine: Engine
) -> None:
    store.statements = [statement(0), statement(5)]
    store.headers["X-Experience-API-Consistent-Through"] = (START + timedelta(seconds=1)).isoformat()
    assert run().pulled_until == START + timedelta(seconds=1)
    store.statements.insert(1, statement(3))
    assert (run().figures["stored"], count(engine)) == (1, 3)


def test_the_password_goes_to_the_record_store_alone(
    run: Callable[..., PullResult], store: Store, engine: Engine
) -> None:
    store.user, store.absolute = "me:secret", True
    store.statements = [statement(number) for number in range(5)]
    with pytest.raises(RemoteError, match="answers 401; set lrs_user and XUELU_LRS_PASSWORD"):
        run()
    user, password = store.user.split(":")
    assert (run(lrs_user=user, lrs_password=password).figures["stored"], count(engine)) == (5, 5)


@ON_SQLITE
def test_empty_pages_before_others_are_not_the_end(run: Callable[..., PullResult], store: Store) -> None:
    store.statements, store.n_empty = [statement(number) for number in range(5)], 3
    assert run().figures["stored"] == 5
    store.body = b'{"statements": [], "more": "/xapi/statements?ascending=true"}'
    assert run().figures == {}, "the link on a last page that leads to itself"
    store.body, store.n_empty = None, remote.MAX_EMPTY_PAGES + 1
    with pytest.raises(RemoteError, match="gave 101 pages without a statement"):
        run()


def test_a_store_that_is_busy_is_asked_again_when_it_says(run: Callable[..., PullResult], store: Store) -> None:
    store.statements = [statement(number) for number in range(3)]
    store.refusals = [(429, {"Retry-After": "0"}), (503, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"})]
    assert run().figures["stored"] == 3
    store.refusals = [(503, {"Retry-After": "0"})] * 4
    with pytest.raises(RemoteError, match="answers 503; run the command again to go on: busy"):
        run()
    store.refusals = [(301, {"Location": "https://lrs.example/"})]
    with pytest.raises(RemoteError, match="answers 301; give its address 'https://lrs"):
        run()


def test_a_store_of_version_2_alone_is_asked_in_it(run: Callable[..., PullResult], store: Store) -> None:
    store.versions = ["2.0.0"]
    agent = {"objectType": "contextAgent", "agent": {"mbox": "mailto:tutor@example.org"}}
    store.statements = [statement(0, version="2.0.0", context={"contextAgents": [agent]}), statement(1), statement(2)]
    assert run().figures["stored"] == 3


def test_one_statement_with_half_a_character_or_of_a_quiet_day_costs_itself_alone(
    run: Callable[..., PullResult], store: Store
) -> None:
    store.statements = [statement(0, actor={"mbox": "mailto:li@example.org", "name": "\ud83d"}), statement(1)]
    result = run()
    assert (result.figures["stored"], result.figures["rejected"], result.pulled_until) == (
        1,
        1,
        START + timedelta(seconds=1),
    )


def test_bad_statements_are_rejects(run: Callable[..., PullResult], store: Store) -> None:
    store.statements = [statement(0), statement(1, actor={}), *(statement(number) for number in range(2, 40))]
    result = run(max_reject_share=0.5)
    assert counted(result, "lines", "stored", "rejected") == (40, 39, 1)
    [path] = result.rejects_files
    assert "actor" in path.read_text()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "answers no JSON"),
        (b"[]", "no page of statements"),
        (b'{"statements": {}}', "no page of statements"),
        (b'{"statements": [1]}', "no page of statements"),
        (b'{"statements": [{"id": "x"}]}', "does not say when it was `stored`"),
        (
            b'{"statements": [{"stored": "2026-03-01T08:00:01Z"}, {"stored": "2026-03-01T08:00:00Z"}]}',
            "does not sort statements",
        ),
        (
            b'{"statements": [{"stored": "2026-03-01T08:00:00Z"}], "more": "/xapi/statements?ascending=true&limit=2"}',
            "leads back to a page before",
        ),
        (b'{"statements": [], "more": "http://[x/"}', "is no address"),
    ],
)
@ON_SQLITE
def test_a_store_that_answers_something_else_is_an_error(
    run: Callable[..., PullResult], store: Store, body: bytes, why: str
) -> None:
    store.body = body
    with pytest.raises(RemoteError, match=why):
        run()


@pytest.mark.parametrize(
    "url", ["lrs.example", "ftp://lrs.example/", "https://me:pw@lrs.example/", "https://x/?a=b", "https://[x/", ""]
)
def test_what_is_no_address_of_a_record_store_is_refused(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        remote.statements_url(url)
    assert "pw" not in str(refused.value)


@ON_SQLITE
def test_the_command_pulls_and_says_what_made_no_event(xuelu: Callable[..., Answer], store: Store) -> None:
    store.statements = [statement(0), statement(1, verb={"id": "http://example.org/verbs/unheard"})]
    pulled = xuelu("ingest", "xapi", "--from", store.url)
    assert (pulled.status, pulled.out) == (
        0,
        f"{store.base}/xapi/statements: 2 statements pulled\n  stored: 1\n  without event: 1\n  unresolved events: 1\n",
    )
    report = xuelu("ingest", "xapi", "--from", store.url, "--json").json
    assert (report["statements"], report["duplicates"], report["without_event"]) == (1, 0, 1)
    assert "give no file" in xuelu("ingest", "events", "--from", store.url).complaint
    assert "give a file of xapi" in xuelu("ingest", "xapi").complaint
    assert [row["action"] for row in xuelu("audit", "list", "--json").json] == ["xapi.import"] * 2
