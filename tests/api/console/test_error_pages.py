"""Errors below ``/console``: pages in the language of the browser, with the status and headers of the problem."""

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from api import dependencies
from api.app import create_app
from api.console.words import texts
from infra.errors import DatabaseError
from infra.settings.settings import Settings
from tests.api.conftest import MakeKey
from tests.api.console.conftest import Browser

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def check_page(answer: Response, status: int, language: str = "en") -> None:
    """Check that an answer is the page of an error in a language."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    assert texts()[f"error_{status}"][language] in answer.text
    assert texts()[f"error_{status}_note"][language] in answer.text
    assert "openapi.json" not in answer.text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_unknown_address_is_a_page_with_a_session_and_without_one(browser: Browser, language: str) -> None:
    client = browser()
    for path in ("/console/none", "/console/runs/a/b", "/console/", "/console/runs/none"):
        check_page(client.get(path, params={"language": language}), 404, language)
    client.cookies.clear()
    check_page(client.get("/console/none", headers={"accept-language": language}), 404, language)


def test_the_routes_of_the_api_answer_problems_as_before(browser: Browser) -> None:
    for path in ("/v1/none", "/consoles", "/v1/console"):
        assert browser().get(path).headers["content-type"] == "application/problem+json"


def test_what_a_page_does_not_take_is_a_page(browser: Browser) -> None:
    client = browser("analytics:read")
    check_page(client.get("/console/items?hidden=maybe"), 400)
    check_page(client.get("/console/items?q=%ff"), 400)
    check_page(client.get("/console/keys"), 403)
    check_page(client.post("/console/logout", json={}), 415)
    refused = client.delete("/console/runs")
    check_page(refused, 405)
    assert refused.headers["allow"] == "GET, HEAD"
    assert client.head("/console/none").text == ""


def test_a_form_too_large_and_requests_too_many_are_pages(settings: Settings, make_key: MakeKey) -> None:
    low = settings.model_copy(update={"max_body_bytes": 1_000, "rate_limit_per_minute": 2})
    with TestClient(create_app(low), follow_redirects=False) as client:
        check_page(client.post("/console/login", data={"key": "x" * 1_001}), 413)
        assert client.post("/console/login", data={"key": make_key()}).status_code == 303
        answers = [client.get("/console/keys") for _ in range(2)]
    check_page(answers[1], 429)
    assert 1 <= int(answers[1].headers["retry-after"]) <= 60


def test_a_database_that_is_away_and_a_fault_of_the_service_are_pages(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser()

    def failing() -> None:
        raise OSError("unforeseen")

    def away() -> None:
        raise DatabaseError("the database is away")

    client = TestClient(client.app, raise_server_exceptions=False, cookies=client.cookies)
    monkeypatch.setattr(dependencies, "clock", failing)
    check_page(client.get("/console"), 500)
    monkeypatch.setattr(dependencies, "clock", away)
    answer = client.get("/console")
    check_page(answer, 503)
    assert answer.headers["retry-after"] == "5"
