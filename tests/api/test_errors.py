"""Errors by HTTP: problem details (RFC 9457), whatever goes wrong."""

from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response
from sqlalchemy import Engine, text
from starlette.testclient import TestClient

from api.app import create_app
from infra.settings.settings import Settings
from tests.conftest import ON_SQLITE
from tests.together import together

MEMBER = "/v1/members/d1/push-list"
WITH_A_KEY = {"Authorization": "Bearer xuelu_0a1b2c3d4e5f_secret"}


def problem_of(answer: Response, status: int) -> dict[str, Any]:
    """Return the problem details of an answer, which must be some."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert list(body)[:4] == ["type", "title", "status", "detail"]
    assert (body["type"], body["status"]) == ("about:blank", status)
    assert "open-sesame" not in answer.text
    assert "Traceback" not in answer.text
    return body


@pytest.mark.usefixtures("served")
@together(
    ("path", "detail"),
    [
        ("/v1/members/nobody/push-list", "no member 'nobody'"),
        ("/v1/members/%00/push-list", "no member"),
        ("/v1/members/d1%27%3B--/push-list", "no member"),
        ("/v1/members/%E5%BF%AB/push-list", "no member '快'"),
        ("/v1/items/nothing/similar", "no item 'nothing'"),
        ("/v1/items/%00/similar", "no item"),
        ("/v1/items/https://lms.example/items/6/similar", "no item 'https://lms.example/items/6'"),
    ],
)
def test_what_does_not_exist_is_not_found(client: TestClient, path: str, detail: str) -> None:
    body = problem_of(client.get(path), 404)
    assert body["title"] == "Not Found"
    assert detail in body["detail"]


@pytest.mark.usefixtures("served")
@together(
    ("path", "query", "detail"),
    [
        (
            MEMBER,
            "size=3",
            "known: as_of, exclude, explain, formats, language, max_minutes, minutes, n, topics",
        ),
        (MEMBER, "n=3&N=4", "unknown parameter 'N'"),
        ("/v1/items/v1/similar", "language=en", "unknown parameter 'language'; known: member_id, n"),
        ("/v1/health/live", "verbose=1", "unknown parameter 'verbose'; known: none"),
        ("/v1/health/ready", "n=1", "unknown parameter 'n'"),
    ],
)
@ON_SQLITE
def test_an_unknown_parameter_is_refused_and_the_known_ones_are_named(
    client: TestClient, path: str, query: str, detail: str
) -> None:
    assert detail in problem_of(client.get(f"{path}?{query}"), 400)["detail"]


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("path", [MEMBER, "/v1/items/v1/similar"])
@pytest.mark.parametrize("n", ["0", "-1", "101", "abc", "1.5", ""])
@ON_SQLITE
def test_a_parameter_out_of_range_is_refused_with_its_name_and_reason(client: TestClient, path: str, n: str) -> None:
    body = problem_of(client.get(f"{path}?n={n}"), 400)
    assert [error["parameter"] for error in body["errors"]] == ["n"]
    assert body["errors"][0]["reason"]
    assert body["detail"].startswith("n: ")


@pytest.mark.usefixtures("served")
@ON_SQLITE
def test_a_language_too_long_to_be_one_is_refused(client: TestClient) -> None:
    body = problem_of(client.get(MEMBER, params={"language": "x" * 36}), 400)
    assert body["errors"][0]["parameter"] == "language"


@together("path", ["/v1", "/v1/member", "/v2/members/d1/push-list", "/v1/runs/"])
@ON_SQLITE
def test_an_unknown_route_is_not_found_and_says_where_the_routes_are(client: TestClient, path: str) -> None:
    assert "/openapi.json" in problem_of(client.get(path), 404)["detail"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", [MEMBER, "/v1/health/live"])
@ON_SQLITE
def test_a_wrong_method_is_not_allowed_and_the_right_one_is_named(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert problem_of(answer, 405)["title"] == "Method Not Allowed"
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.usefixtures("couriers")
@pytest.mark.parametrize("path", [MEMBER, "/v1/items/v1/similar", "/v1/health/ready"])
def test_before_the_first_night_the_service_is_unavailable(client: TestClient, path: str) -> None:
    assert "no lists have been published yet" in problem_of(client.get(path), 503)["detail"]


def test_a_service_for_organisations_nobody_knows_yet_is_not_ready(anonymous: TestClient) -> None:
    assert "no lists have been published yet" in problem_of(anonymous.get("/v1/health/ready"), 503)["detail"]


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("path", [MEMBER, "/v1/health/ready"])
def test_a_database_without_tables_makes_the_service_unavailable(anonymous: TestClient, path: str) -> None:
    assert "xuelu init" in problem_of(anonymous.get(path, headers=WITH_A_KEY), 503)["detail"]


def test_a_database_that_is_not_at_the_newest_migration_makes_the_service_unready(
    client: TestClient, engine: Engine, served: dict[str, Any]
) -> None:
    del served
    assert client.get("/v1/health/ready").status_code == 200
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    assert "is at migration 0000, not " in problem_of(client.get("/v1/health/ready"), 503)["detail"]


@pytest.mark.parametrize("url", ["sqlite:///{}/no folder/x.db", "postgresql://xuelu:open-sesame@/x?host={}"])
def test_a_database_that_is_away_makes_the_service_unavailable_but_alive(url: str, tmp_path: Path) -> None:
    settings = Settings(database_url=url.format(tmp_path))
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        for path in (MEMBER, "/v1/items/v1/similar", "/v1/health/ready"):
            answer = client.get(path, headers=WITH_A_KEY)
            problem_of(answer, 503)
            assert int(answer.headers["retry-after"]) > 0
        assert client.get("/v1/health/live").json() == {"status": "ok"}


def test_what_nobody_foresaw_is_an_error_of_the_service_that_tells_nothing_of_its_insides(
    client: TestClient, engine: Engine, served: dict[str, Any]
) -> None:
    del served
    with engine.begin() as connection:
        connection.execute(text("UPDATE list_entries SET entries = 'no JSON at all'"))
    body = problem_of(client.get(MEMBER), 500)
    assert body["detail"] == "an unforeseen error; the service's log has it"


@ON_SQLITE
def test_a_fault_of_the_query_for_lists_is_no_outage(
    client: TestClient, engine: Engine, served: dict[str, Any]
) -> None:
    """It was answered with 503 and Retry-After, for ever."""
    del served
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE members RENAME COLUMN language TO spoken"))
    assert "retry-after" not in client.get(MEMBER).headers
    assert problem_of(client.get(MEMBER), 500)["detail"] == "an unforeseen error; the service's log has it"


def test_an_error_of_ours_that_the_table_does_not_name_is_an_error_of_the_service(
    client: TestClient, engine: Engine, served: dict[str, Any]
) -> None:
    del served
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO taxonomy_codes VALUES (1, 'role', 'a', 'nowhere', 'A', 'A')"))
    assert "nowhere" in problem_of(client.get(MEMBER), 500)["detail"]


@ON_SQLITE
def test_a_parameter_that_a_route_reads_twice_has_one_error(client: TestClient) -> None:
    answer = client.post("/v1/events?partial=yes", json={"events": []}).json()
    assert answer["errors"] == [{"parameter": "partial", "reason": "write true or false"}]
    assert answer["detail"] == "partial: write true or false"
