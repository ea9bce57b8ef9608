"""Six hundred requests that are no good: always a problem document, never an error of ours, nothing stored."""

import json
import random
import re
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, func, select
from starlette.testclient import TestClient

from infra.db.core_tables import metadata
from infra.db.engine import transaction
from tests.api.operations import DOCUMENT
from tests.conftest import ON_SQLITE

REQUESTS = {"sqlite": 500, "postgresql": 100}
"""Requests to each database."""

EVENT = {
    "event_id": "e1",
    "member_id": "m1",
    "item_id": "i1",
    "verb": "viewed",
    "occurred_at": "2026-03-01T08:00:00Z",
    "progress": 0.5,
}
STATEMENT: dict[str, Any] = {
    "id": "6690e6c9-3ef0-4ed3-8b37-7f3964730bee",
    "actor": {"mbox": "mailto:li@example.org"},
    "verb": {"id": "http://adlnet.gov/expapi/verbs/experienced"},
    "object": {"id": "https://lms.example/items/7"},
    "result": {"score": {"scaled": 0.5}, "extensions": {"http://x.org/1": 1}},
}
OWN_PATHS = (
    "/v1/events",
    "/v1/events?partial=true",
    "/xAPI/statements",
    "/xAPI/statements?statementId=6690e6c9-3ef0-4ed3-8b37-7f3964730bee",
    "/xAPI/statements?method=PUT",
    "/xAPI/{}",
    "/{}",
)
EVERY_PATH = tuple(re.sub(r"\{[^}]*\}", "{}", path) for path in DOCUMENT["paths"])
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "BREW")
NASTY_TEXTS = (
    "\x00",
    "a\x00b",
    "\ud800",
    "\udfff\ud800",
    "￿",
    "🀄" * 300,
    "\u202ex",
    "' OR 1=1 --",
    "../../etc/passwd",
    "%00",
    "x" * 5_000,
    "",
    " ",
    "NaN",
    "1e999",
)
NASTY_VALUES: tuple[Any, ...] = (None, True, [], {}, [[]], {"a": {"b": {}}}, -1, 2**63, 2**64, 1e308, -0.0, 10**30, 0.1)
NASTY_BYTES = (
    b"",
    b" ",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b"{",
    b"nul",
    b"NaN",
    b"[Infinity]",
    b'{"a":1,"a":2}',
    b'{"events":[],"events":[]}',
    b'"\\ud800"',
    b"[" * 5_000,
    b"[" * 500 + b"]" * 500,
    b'{"a":' * 500 + b"1" + b"}" * 500,
    b"1" * 5_000,
    b"-",
    b"1e999999",
    b"statementId=1&content={}",
    b"content=%FF",
    b"--x\r\nContent-Type: application/json\r\n\r\n{}\r\n--x--",
    "{}".encode("utf-16"),
)
NASTY_HEADERS = (
    {},
    {"Content-Type": "text/plain"},
    {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "multipart/mixed; boundary=x"},
    {"Content-Type": "application/json; charset=utf-16"},
    {"Content-Type": "\xff"},
    {"X-Experience-API-Version": "0.9"},
    {"X-Experience-API-Version": "\xe4\xbd\xa0"},
    {"Authorization": "Bearer \xff"},
    {"Authorization": "Basic ////"},
    {"Authorization": "Basic"},
    {"Authorization": ""},
    {"Accept-Language": ",;q=x,*"},
    {"Accept": "application/xml"},
    {"If-None-Match": '"'},
)


def dumped(value: Any) -> bytes:
    """Return a value as JSON, half surrogate pairs and all."""
    # orjson is too strict to write what is wrong.
    return json.dumps(value, ensure_ascii=True).encode()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every part of a value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inside for place in places(part, (*path, key)))]


def spoilt(rng: random.Random, value: Any) -> Any:
    """Return a copy of a value in which one part is wrong."""
    copy = orjson.loads(orjson.dumps(value))
    *way, last = rng.choice(places(copy)[1:])
    holder = copy
    for key in way:
        holder = holder[key]
    match rng.randrange(4):
        case 0:
            del holder[last]
        case 1:
            holder[last] = rng.choice(NASTY_VALUES)
        case 2:
            holder[last] = rng.choice(NASTY_TEXTS)
        case _ if isinstance(holder, dict):
            holder[rng.choice(("extra", "Verb", "", "\x00"))] = holder[last]
        case _:
            holder.append(rng.choice(NASTY_VALUES))
    return copy


def mangled(rng: random.Random, text: bytes) -> bytes:
    """Return bytes of which one is another, or missing."""
    at = rng.randrange(len(text))
    return text[:at] + rng.choice((b"", bytes([rng.randrange(256)]), b'"', b"}", b"\xc3", b"\x00")) + text[at + 1 :]


def bodies(rng: random.Random) -> bytes:
    """Return a body that is mostly no good."""
    good = rng.choice(({"events": [EVENT]}, {"events": [EVENT, EVENT | {"event_id": "e2"}]}, STATEMENT, [STATEMENT]))
    makers = (
        lambda: rng.choice(NASTY_BYTES),
        lambda: rng.randbytes(rng.randrange(200)),
        lambda: dumped(spoilt(rng, good)),
        lambda: dumped(spoilt(rng, good)),
        lambda: mangled(rng, orjson.dumps(good)),
    )
    return rng.choice(makers)()


def request(rng: random.Random) -> tuple[str, str, dict[str, str], bytes]:
    """Return method, path, headers and body."""
    text = rng.choice(NASTY_TEXTS).encode("utf-8", "surrogatepass")[: rng.randrange(200)]
    filled = "".join(f"%{byte:02X}" for byte in text)
    path = rng.choice(OWN_PATHS if rng.random() < 0.7 else EVERY_PATH)
    path = path.replace("{}", filled)
    if rng.random() < 0.3:
        path += f"{'&' if '?' in path else '?'}{rng.choice(('n', 'limit', 'agent', 'more', 'since', 'x', ''))}={filled}"
    method = rng.choice(METHODS) if rng.random() < 0.3 else ("PUT" if "statementId" in path else "POST")
    return method, path, rng.choice(NASTY_HEADERS) if rng.random() < 0.4 else {}, bodies(rng)


def counts(engine: Engine) -> dict[str, int]:
    """Return how many rows every table has, but for the audit log and the counts of each minute: who asked."""
    with transaction(engine) as session:
        return {
            name: session.scalar(select(func.count()).select_from(table)) or 0
            for name, table in metadata.tables.items()
            if not name.startswith(("audit", "rate_counts"))
        }


@pytest.mark.usefixtures("served")
def test_what_is_malformed_is_refused_with_a_problem_and_changes_nothing(
    client: TestClient, engine: Engine, database_url: str
) -> None:
    rng = random.Random(20260301)  # noqa: S311 - the same requests every time
    client.headers.update({"X-Experience-API-Version": "1.0.3", "Content-Type": "application/json"})
    stored, refused = counts(engine), 0
    asked = REQUESTS[database_url.partition(":")[0]]
    for _ in range(asked):
        method, path, headers, body = request(rng)
        raw = [(name, value.encode("latin-1")) for name, value in headers.items()]
        answer = client.request(method, path, headers=raw, content=body)
        if answer.is_success:  # some are good all the same
            stored = counts(engine)
            continue
        refused += 1
        exchange = f"{method} {path} {headers} {body[:300]!r}: {answer.status_code} {answer.text[:300]}"
        assert 400 <= answer.status_code < 500, exchange
        assert answer.headers["content-type"] == "application/problem+json", exchange
        assert answer.json()["status"] == answer.status_code, exchange
    assert counts(engine) == stored
    assert refused > 0.9 * asked


LOOSE_VALUES: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
    ("PUT", "/v1/members/m1", {"pushes": "no"}),
    ("PUT", "/v1/members/m1", {"personalised": 0}),
    ("PATCH", "/v1/members/m1", {"pushes": "off"}),
    ("PUT", "/v1/items/i1", {"hidden": 1}),
    ("PUT", "/v1/items/i1", {"duration_seconds": "90"}),
    ("PUT", "/v1/items/i1", {"duration_seconds": True}),
    ("PUT", "/v1/units/u1", {"name_en": 1}),
    ("POST", "/v1/endpoints/e1/rotate", {"overlap_hours": False}),
    ("POST", "/v1/endpoints/e1/rotate", {"overlap_hours": "24"}),
    ("GET", "/v1/analytics/activity?until=0", None),
    ("GET", "/v1/analytics/rates?since=1767225600", None),
    ("GET", "/v1/analytics/rates?since=2026-01-01T00:00:00Z", None),
    ("GET", "/v1/audit?until=0", None),
    ("GET", "/v1/audit?limit=%2B5", None),
    ("GET", "/v1/items?limit=5.0", None),
    ("GET", "/v1/runs?limit=1_0", None),
    ("POST", "/v1/events?partial=yes", {"events": []}),
)


@ON_SQLITE
def test_values_are_taken_only_as_the_description_spells_them(client: TestClient) -> None:
    for verb, path, body in LOOSE_VALUES:
        headers = {"Content-Type": "application/merge-patch+json"} if verb == "PATCH" else None
        answer = client.request(verb, path, json=body, headers=headers)
        assert answer.status_code == 400, (verb, path, body, answer.text)


@ON_SQLITE
def test_a_body_that_is_nested_too_deeply_is_told_as_that(client: TestClient) -> None:
    for verb, path in (("PUT", "/v1/items/v1"), ("PATCH", "/v1/members/d1"), ("POST", "/v1/session-list")):
        body = b'{"title":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
        answer = client.request(verb, path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, (verb, path, answer.text)
        assert "nested" in answer.json()["detail"], (verb, path, answer.text)
