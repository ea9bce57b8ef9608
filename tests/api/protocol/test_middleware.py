"""The outermost middleware: ids, headers, counters, limits."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from api.app import create_app
from infra.settings.settings import Settings
from tests.api.conftest import MakeKey
from tests.docs.pages import REFERENCE, plain, rows
from tests.limits import HANG_SECONDS
from tests.together import together

LIST = "/v1/members/d1/push-list"
pytestmark = [
    pytest.mark.usefixtures("served"),
    pytest.mark.parametrize("database_url", ["sqlite"], indirect=True),
]


def test_every_answer_has_an_id_and_security_headers(client: TestClient) -> None:
    for path, status in ((LIST, 200), ("/v1/members/nobody/push-list", 404), ("/nowhere", 404), ("/metrics", 200)):
        answer = client.get(path, headers={"X-Request-ID": "app-1.2"})
        assert (answer.status_code, answer.headers["x-request-id"]) == (status, "app-1.2")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "cache-control" in answer.headers


@together("request_id", ["", "x" * 65, "a b", "<script>"])
def test_an_id_that_is_not_sound_is_replaced(client: TestClient, request_id: str) -> None:
    assert re.fullmatch("[0-9a-f]{32}", client.get(LIST, headers={"X-Request-ID": request_id}).headers["x-request-id"])


def test_requests_are_counted_by_the_template_of_their_route(client: TestClient) -> None:
    client.get(LIST)
    client.get("/v1/members/nobody/push-list")
    client.get("/nowhere")
    metrics = client.get("/metrics").text
    route = 'route="/v1/members/{member_id:path}/push-list"'
    assert f'xuelu_http_requests_total{{method="GET",{route},status="200"}} 1.0' in metrics
    assert f'xuelu_http_requests_total{{method="GET",{route},status="404"}} 1.0' in metrics
    assert 'route="none",status="404"' in metrics
    assert "d1" not in metrics
    assert "nobody" not in metrics


def test_every_metric_is_documented(client: TestClient) -> None:
    metric_names = re.findall(r"^# TYPE (\w+) (?:counter|histogram|gauge)$", client.get("/metrics").text, re.MULTILINE)
    documented = [row.first for row in rows(REFERENCE / "api.md") if "labels" in row.cells]
    assert sorted(documented) == sorted(
        set(metric_names) - {name for name in metric_names if name.endswith("_created")}
    )
    assert all(plain(name) == name for name in documented)


@pytest.fixture
def narrow(settings: Settings, make_key: MakeKey) -> Iterator[TestClient]:
    """Return a client of a service with low limits."""
    low = settings.model_copy(update={"max_body_bytes": 1_024, "rate_limit_per_minute": 3})
    with TestClient(create_app(low), headers={"Authorization": f"Bearer {make_key()}"}) as opened:
        yield opened


def test_a_key_that_asks_too_often_is_told_to_wait_and_others_are_not(narrow: TestClient, make_key: MakeKey) -> None:
    answers = [narrow.get(LIST) for _ in range(4)]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"minute";q=3;w=60'}
    quotas = [re.fullmatch(r'"minute";r=(\d+);t=(\d+)', answer.headers["ratelimit"]) for answer in answers]
    assert [quota[1] for quota in quotas if quota] == ["2", "1", "0", "0"]
    refused = answers[-1]
    assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert narrow.get(LIST, headers={"Authorization": f"Bearer {make_key()}"}).status_code == 200


def test_a_body_too_large_is_refused_whether_its_length_is_told_or_not(narrow: TestClient) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(3):
            yield b" " * 500

    for content in (b" " * 1_025, parts()):
        answer = narrow.post("/v1/events", content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
        assert "1,024 bytes" in answer.json()["detail"]
    assert narrow.get(LIST).status_code == 200


def test_what_is_logged_holds_no_key_and_no_id(client: TestClient) -> None:
    with capture_logs() as lines:
        client.post("/v1/events", json={"events": []})
        client.get(LIST)
        client.delete("/v1/members/d1")
    assert [(line["method"], line["route"]) for line in lines] == [
        ("POST", "/v1/events"),
        ("DELETE", "/v1/members/{member_id:path}"),
    ]
    for line in lines:
        assert set(line) == {"event", "log_level", "method", "route", "status", "request_id", "milliseconds"}
        assert "xuelu_" not in repr(line)


def test_a_body_that_does_not_arrive_in_time_is_refused(settings: Settings, make_key: MakeKey) -> None:
    hasty = create_app(settings.model_copy(update={"request_timeout_seconds": 0.2}))
    with TestClient(hasty) as client:
        answer = asyncio.run(slowly(hasty, make_key()))
        assert client.get("/v1/health/live").status_code == 200
    assert answer["status"] == 408
    assert (b"content-type", b"application/problem+json") in answer["headers"]


async def slowly(app: FastAPI, key: str) -> dict[str, Any]:
    """Send half a body and never the rest; return how the answer begins."""
    sent = [{"type": "http.request", "body": b'{"events"', "more_body": True}]
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if sent:
            return sent.pop()
        await asyncio.sleep(3600)
        raise AssertionError("nobody waits for so long")

    async def send(message: Any) -> None:
        messages.append(message)

    headers = [
        (b"host", b"127.0.0.1"),
        (b"content-length", b"100"),
        (b"content-type", b"application/json"),
        (b"authorization", f"Bearer {key}".encode()),
    ]
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/v1/events", "raw_path": b"/v1/events",
        "query_string": b"", "root_path": "", "scheme": "http", "headers": headers, "server": ("127.0.0.1", 1),
    }  # fmt: skip
    async with asyncio.timeout(HANG_SECONDS):
        await app(scope, receive, send)
    return messages[0]
