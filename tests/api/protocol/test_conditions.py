"""Conditional requests, methods and bodies by RFC 9110, over routes of several kinds."""

import asyncio
import gzip
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from infra.settings.settings import Settings
from tests.api.conftest import MakeKey
from tests.together import together

pytestmark = [
    pytest.mark.usefixtures("served"),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]
READABLE = ("/v1/members/c1/push-list", "/v1/items/v1", "/v1/items/v1/similar", "/v1/members/c1", "/v1/preview-list")


@together("path", READABLE)
def test_a_reader_that_has_the_state_gets_304_by_the_weak_comparison(client: TestClient, path: str) -> None:
    tag = client.get(path).headers["etag"]
    for condition in (tag, f"W/{tag}", f'"a,b", {tag}', "*"):
        assert client.get(path, headers={"If-None-Match": condition}).status_code == 304
    assert client.get(path, headers=[("If-None-Match", '"x"'), ("If-None-Match", tag)]).status_code == 304
    assert client.get(path, headers={"If-None-Match": '"x"'}).status_code == 200


@together("path", READABLE)
def test_a_reader_that_wants_another_state_gets_412(client: TestClient, path: str) -> None:
    tag = client.get(path).headers["etag"]
    assert client.get(path, headers={"If-Match": tag}).status_code == 200
    assert client.get(path, headers={"If-Match": '"x"'}).status_code == 412
    weak = client.get(path, headers={"If-Match": f"W/{tag}"})
    assert (weak.status_code, "Accept-Encoding: identity" in weak.json()["detail"]) == (412, True)


@pytest.mark.parametrize(
    ("method", "path", "kind", "faulty"),
    [
        ("PUT", "/v1/items/v1", "application/json", {"available_until": "never"}),
        ("PATCH", "/v1/members/c1", "application/merge-patch+json", {"role": "none such"}),
        ("PATCH", "/v1/items/v1", "application/merge-patch+json", {"prerequisites": ["v1"]}),
    ],
)
def test_a_condition_is_checked_before_the_record_and_after_the_form_of_the_request(
    client: TestClient, method: str, path: str, kind: str, faulty: dict[str, Any]
) -> None:
    """RFC 9110, 13.2.1: after the normal checks of a request, just before its content is processed."""
    stale = {"If-Match": '"x"', "Content-Type": kind}
    current = stale | {"If-Match": client.get(path).headers["etag"]}
    assert client.request(method, path, headers=current, json=faulty).status_code in {400, 409}
    assert client.request(method, path, headers=stale, json=faulty).status_code == 412
    assert client.request(method, path, headers=stale, json={"no_field": 1}).status_code == 400
    assert client.request(method, path, headers=stale | {"Content-Type": "text/plain"}, json={}).status_code == 415
    assert client.request("DELETE", path, headers=stale | {"Authorization": "Bearer none"}).status_code == 401


@together("path", [*READABLE, "/v1/health/live", "/v1/items?limit=2", "/openapi.json", "/metrics"])
def test_head_is_get_without_the_body(client: TestClient, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    changing = {"x-request-id", "ratelimit", "content-length"}
    assert {name: value for name, value in head.headers.items() if name not in changing} == {
        name: value for name, value in got.headers.items() if name not in changing
    }


def test_head_where_there_is_no_get_is_not_allowed(client: TestClient) -> None:
    answer = client.head("/v1/session-list")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "POST", b"")


@together(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/items", "GET, HEAD"),
        ("POST", "/v1/items/v1", "DELETE, GET, HEAD, PATCH, PUT"),
        ("PUT", "/v1/members/c1/push-list", "GET, HEAD"),
        ("GET", "/v1/events", "POST"),
    ],
)
def test_a_wrong_method_is_told_all_right_ones(client: TestClient, method: str, path: str, allow: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)


@together(
    ("path", "headers", "content"),
    [
        ("/v1/events", {"Content-Type": "text/plain"}, b'{"events": []}'),
        ("/v1/events", {}, b'{"events": []}'),
        ("/v1/session-list", {"Content-Type": "application/x-www-form-urlencoded"}, b'{"events": []}'),
        ("/v1/events", {"Content-Type": "application/json", "Content-Encoding": "gzip"}, gzip.compress(b"{}", mtime=0)),
        ("/v1/items/bulk", {"Content-Type": "application/json"}, b"item_id\na\n"),
        ("/v1/endpoints", {"Content-Type": "application/merge-patch+json"}, b'{"url": "https://app.example/"}'),
        ("/v1/items/v1", {"Content-Type": "application/json-patch+json"}, b'{"title": "T"}'),
    ],
)
def test_a_body_of_another_type_is_415(client: TestClient, path: str, headers: dict[str, str], content: bytes) -> None:
    answer = client.request("PATCH" if path == "/v1/items/v1" else "POST", path, headers=headers, content=content)
    assert (answer.status_code, answer.headers["content-type"]) == (415, "application/problem+json")


def test_a_bulk_body_is_never_unpacked(client: TestClient) -> None:
    packed = gzip.compress(b"item_id\nfrom-gzip\n", mtime=0)
    assert client.post("/v1/items/bulk", headers={"Content-Type": "text/csv"}, content=packed).status_code == 400
    assert client.get("/v1/items/from-gzip").status_code == 404


@together("path", ["/v1/session-list", "/v1/events", "/xAPI/statements"])
def test_a_json_body_of_too_many_values_is_refused_before_they_are_read(client: TestClient, path: str) -> None:
    """Eleven million empty objects, a body of 33 MB, took 3 GB and held up all other requests for 13 s."""
    body = b'{"events":[' + b"{}," * 1_000_000 + b"{}]}"
    headers = {"Content-Type": "application/json", "X-Experience-API-Version": "1.0.3"}
    answer = client.post(path, content=body, headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (
        413,
        "the body has more than 1,000,000 values; send it in parts",
    )


def test_a_bulk_body_of_too_many_lines_is_refused(client: TestClient) -> None:
    body = b"item_id\n" + b"a\n" * 100_000
    answer = client.post("/v1/items/bulk", headers={"Content-Type": "text/csv"}, content=body)
    assert (answer.status_code, "100,000 lines" in answer.json()["detail"]) == (413, True)


@together(
    ("method", "path", "reason"),
    [
        ("GET", "/v1/members/Mu%FCller", "UTF-8"),
        ("GET", "/v1/items/%ff/similar", "UTF-8"),
        ("GET", "/v1/members/a?x=%e4", "UTF-8"),
        ("DELETE", "/v1/members/d0%0A", "line feed"),
        ("GET", "/v1/members/d0/push-list%0a", "line feed"),
        ("PUT", "/v1/members/a%0Ab", "line feed"),
    ],
)
def test_an_address_that_could_be_taken_for_another_is_refused(
    client: TestClient, method: str, path: str, reason: str
) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, reason in answer.json()["detail"]) == (400, True)


def asked(
    client: TestClient, make_key: Callable[..., str], *hosts: str, leaves: bool = False, **more: Any
) -> dict[str, Any]:
    """Return the head of the answer to a request with some Host headers, whose client may leave in its body.

    ``more`` are further values of its scope; ``headers`` are added to its own.
    """
    sent = [{"type": "http.request", "body": b'{"events"', "more_body": True}, {"type": "http.disconnect"}]
    heads: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return sent.pop(0)

    async def send(message: Any) -> None:
        heads.append(message)

    headers = [(b"host", host.encode()) for host in hosts]
    headers += [(b"content-type", b"application/json"), (b"authorization", f"Bearer {make_key()}".encode())]
    headers += [*[(b"content-length", b"100")] * leaves, *more.pop("headers", ())]
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/v1/events", "raw_path": b"/v1/events",
        "query_string": b"", "root_path": "", "scheme": "http", "headers": headers, "server": ("127.0.0.1", 1),
        **more,
    }  # fmt: skip
    asyncio.run(client.app(scope, receive, send))  # type: ignore[arg-type]  # the app is any ASGI app to the client
    return heads[0]


BAD_HOSTS = ("a b", "a.example, b.example", "u@a", "a/b", "[::1", "a:b")


@pytest.mark.parametrize("hosts", [(), ("a.example", "b.example"), *((host,) for host in BAD_HOSTS)])
def test_no_host_two_hosts_and_a_bad_one_are_refused(
    client: TestClient, make_key: MakeKey, hosts: tuple[str, ...]
) -> None:
    assert asked(client, make_key, *hosts)["status"] == 400


@together(
    "more",
    [
        {"headers": [(b"authorization", b"Bearer of another")]},
        {"headers": [(b"content-type", b"text/csv")]},
        {"headers": [(b"transfer-encoding", b"gzip, chunked")]},
        {"headers": [(b"transfer-encoding", b"chunked")], "http_version": "1.0"},
        {"raw_path": b"/v1/events%4"},
        {"query_string": b"a=%zz"},
    ],
)
def test_two_values_unread_codings_and_bad_escapes_are_refused(
    client: TestClient, make_key: MakeKey, more: dict[str, Any]
) -> None:
    assert asked(client, make_key, "a.example", **more)["status"] == 400


def test_a_client_that_leaves_in_its_body_is_no_fault_of_the_service(client: TestClient, make_key: MakeKey) -> None:
    assert asked(client, make_key, "a.example:8080", leaves=True)["status"] == 400
    assert 'status="400"' in client.get("/metrics").text
    assert 'status="500"' not in client.get("/metrics").text


def test_a_made_endpoint_has_a_location(client: TestClient) -> None:
    answer = client.post("/v1/endpoints", json={"url": "https://app.example/pushes"})
    assert answer.status_code == 201
    assert client.get(answer.headers["location"]).json()["endpoint_id"] == answer.json()["endpoint_id"]


def test_browsers_may_call_from_the_origins_of_the_settings_only(settings: Settings, make_key: MakeKey) -> None:
    origin = "https://app.example"
    headers = {"Authorization": f"Bearer {make_key()}"}
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    with TestClient(create_app(settings.model_copy(update={"cors_origins": [origin]}))) as client:
        allowed = client.options("/v1/events", headers={"Origin": origin, **preflight})
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, origin)
        refused = client.options("/v1/events", headers={"Origin": "https://other.example", **preflight})
        assert "access-control-allow-origin" not in refused.headers
        answer = client.get("/v1/items/v1", headers={"Origin": origin, **headers})
        assert "ETag" in answer.headers["access-control-expose-headers"]
        unread = client.post(
            "/v1/events", content=b"{}", headers={"Origin": origin, "Content-Encoding": "gzip", **headers}
        )
        assert (unread.status_code, unread.headers["access-control-allow-origin"]) == (415, origin)
    with TestClient(create_app(settings)) as client:
        closed = client.options("/v1/events", headers={"Origin": origin, **preflight})
        assert "access-control-allow-origin" not in closed.headers
