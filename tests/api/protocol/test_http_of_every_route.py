"""Rules of HTTP that hold on every route of the OpenAPI document: HEAD, Allow, conditions, types, Location, limits."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from api.app import create_app
from infra.settings.settings import Settings
from tests.api.conftest import MakeKey
from tests.api.operations import DOCUMENT, KEYED, OPERATIONS, Operation, address, ask, bodies

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ARGUMENTS = {"member_id": "d1", "item_id": "v1", "unit": "North"}
CHANGING = {"x-request-id", "ratelimit", "content-length", "date"}
VERSION = {"X-Experience-API-Version": "1.0.3"}
GETS = [operation for operation in OPERATIONS if operation[0] == "get"]
BODIES = [operation for operation in KEYED if "requestBody" in operation[2]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings with a limit that nothing here reaches."""
    return settings.model_copy(update={"rate_limit_per_minute": 100_000})


@pytest.fixture
def arguments(served_online: dict[str, Any], client: TestClient) -> dict[str, str]:
    """Return ids of things that the service has; everything else that paths of examples name is made."""
    drawn = ARGUMENTS | {"run_id": str(served_online["run_id"])}
    for operation in OPERATIONS:
        if operation[0] in {"put", "post"} and "{member_id}" not in operation[1]:
            for kind, example in bodies(operation):
                answer = ask(client, operation, kind, example, arguments=drawn)
                if operation[1] == "/v1/endpoints":
                    drawn["endpoint_id"] = answer.json()["endpoint_id"]
    return drawn


def headers_of(answer: Response) -> dict[str, str]:
    """Return the headers of an answer that do not change from one request to the next."""
    return {name: value for name, value in answer.headers.items() if name not in CHANGING}


def faults(check: Callable[[Operation], Iterator[str]], operations: list[Operation]) -> list[str]:
    """Return the faults of all operations."""
    return [
        f"{verb} {path}: {fault}"
        for verb, path, description in operations
        for fault in check((verb, path, description))
    ]


def test_head_and_allow_of_every_route(client: TestClient, arguments: dict[str, str]) -> None:
    def check(operation: Operation) -> Iterator[str]:
        _, path, description = operation
        url = address(operation, arguments)
        version = VERSION if path.startswith("/xAPI/") else {}
        got, head = client.get(url, headers=version), client.head(url, headers=version)
        if (head.status_code, head.content) != (got.status_code, b""):
            yield f"GET {got.status_code}, HEAD {head.status_code}"
        if head.is_success and headers_of(head) != headers_of(got) and "statements" not in path:
            yield f"headers of HEAD differ: {headers_of(head)}"
        wrong = client.request("TRACE", url, headers=version)
        allowed = {verb.upper() for verb in DOCUMENT["paths"][path]} | {"HEAD"}
        if path.endswith("/at-risk"):  # a requirement could have this id, which its own route refuses
            allowed |= {"DELETE", "PATCH", "PUT"}
        if wrong.status_code != 405 or set(wrong.headers["allow"].split(", ")) != allowed:
            yield f"TRACE {wrong.status_code}, Allow {wrong.headers.get('allow')}, not {sorted(allowed)}"
        if "304" in description["responses"] and "etag" not in got.headers:
            yield "no ETag"

    assert faults(check, GETS) == []


def test_parameters_are_read_strictly_on_every_route(client: TestClient, arguments: dict[str, str]) -> None:
    def check(operation: Operation) -> Iterator[str]:
        path = address(operation, arguments).partition("?")[0]
        version = VERSION if operation[1].startswith("/xAPI/") else {}
        names = {
            parameter["name"]: parameter["schema"]
            for parameter in operation[2].get("parameters", [])
            if parameter["in"] == "query"
        }
        single = [name for name, schema in names.items() if "array" not in str(schema)]
        queries = ["nope=1", "=1", *(f"{name}=1&{name}=1" for name in single), *(f"{name}=" for name in names)]
        queries += [f"limit={text}" for text in ("0x5", "1e3", "10.0", "+5", "1_0", "01", "", "9" * 30)]
        if "cursor" in names:
            queries += [f"cursor={text}" for text in ("", "rubbish", "%00", "a%20b", "AA", "Zg=", "Zh", "=", "%C3%A9")]
        for query in queries:
            answer = client.get(f"{path}?{query}", headers=version)
            if answer.status_code != 400:
                yield f"{query} is {answer.status_code}"

    assert faults(check, [operation for operation in GETS if operation[2]["security"]]) == []


def test_conditions_on_every_route_that_has_an_entity_tag(client: TestClient, arguments: dict[str, str]) -> None:
    def check(operation: Operation) -> Iterator[str]:
        url = address(operation, arguments)
        tag = client.get(url).headers["etag"]
        for lines in ([tag], [f"W/{tag}"], ["*"], ['"other"', f"W/{tag}"], [f'"a,b", {tag}']):
            if client.get(url, headers=[("If-None-Match", line) for line in lines]).status_code != 304:
                yield f"If-None-Match {lines} is not 304"
        for name, status in (("If-None-Match", 200), ("If-Match", 412)):
            if client.get(url, headers={name: '"other"'}).status_code != status:
                yield f"{name} of another state is not {status}"

    tagged = [operation for operation in GETS if "304" in operation[2]["responses"]]
    assert len(tagged) >= 8
    assert faults(check, tagged) == []


def test_writes_behind_a_compressing_proxy_say_what_helps(client: TestClient, arguments: dict[str, str]) -> None:
    def check(operation: Operation) -> Iterator[str]:
        url = address(operation, arguments)
        tag = client.get(url).headers.get("etag")
        if tag is None:
            return
        kind, example = next(bodies(operation))
        answer = client.request(
            operation[0], url, headers={"If-Match": f"W/{tag}", "Content-Type": kind or "text/plain"},
            json=example if kind else None,
        )  # fmt: skip
        if answer.status_code != 412 or "Accept-Encoding: identity" not in answer.json()["detail"]:
            yield f"{answer.status_code} {answer.text[:200]}"

    writes = [operation for operation in KEYED if operation[0] in {"put", "patch", "delete"}]
    assert faults(check, [operation for operation in writes if "get" in DOCUMENT["paths"][operation[1]]]) == []


def test_a_body_of_another_type_or_coding_is_415_on_every_route(client: TestClient, arguments: dict[str, str]) -> None:
    def check(operation: Operation) -> Iterator[str]:
        verb, path, _ = operation
        url = address(operation, arguments)
        version = VERSION if path.startswith("/xAPI/") else {}
        kind, example = next(bodies(operation))
        content = example if isinstance(example, str) else "{}"
        for headers in (
            {"Content-Type": "application/xml"},
            {"Content-Type": "text/json"},
            {"Content-Type": "application/json+ld"},
            {"Content-Type": kind, "Content-Encoding": "gzip"},
            {},
        ):
            answer = client.request(verb, url, content=content.encode(), headers=version | headers)
            if answer.status_code != 415 and not (version and headers.get("Content-Encoding") is None):
                yield f"{headers}: {answer.status_code} {answer.text[:120]}"
        if "415" not in operation[2]["responses"] and not version:
            yield "415 is not described"

    assert faults(check, BODIES) == []


def test_what_was_made_is_read_at_its_location_or_where_it_was_put(client: TestClient, served: dict[str, Any]) -> None:
    del served
    creations = []
    for operation in KEYED:
        if operation[0] in {"put", "post"} and "201" in operation[2]["responses"]:
            kind, example = next(bodies(operation))
            answer = ask(client, operation, kind, example, arguments={"unit": "Example", "code": "example"})
            described = "Location" in operation[2]["responses"]["201"]["headers"]
            assert ("location" in answer.headers) == described == (operation[0] == "post"), operation[1]
            at = answer.headers["location"] if described else str(answer.request.url)
            creations.append((operation[1], answer.status_code, client.get(at).status_code))
    assert len(creations) >= 6
    assert [(path, status, read) for path, status, read in creations if (status, read) != (201, 200)] == []


def test_every_keyed_route_has_the_fields_of_the_limit(client: TestClient, arguments: dict[str, str]) -> None:
    def check(operation: Operation) -> Iterator[str]:
        kind, example = next(bodies(operation))
        answer = ask(client, operation, kind, example, arguments=arguments)
        policy, left = answer.headers.get("ratelimit-policy"), answer.headers.get("ratelimit", "")
        if policy != '"minute";q=100000;w=60' or not left.startswith('"minute";r='):
            yield f"{answer.status_code}: {policy}, {left}"

    assert faults(check, KEYED) == []


def test_a_key_over_its_limit_gets_429_with_the_fields_on_every_route(settings: Settings, make_key: MakeKey) -> None:
    narrow = create_app(settings.model_copy(update={"rate_limit_per_minute": 1}))
    with TestClient(narrow) as client:
        authorization = f"Bearer {make_key()}"
        client.get("/v1/items", headers={"Authorization": authorization})

        def check(operation: Operation) -> Iterator[str]:
            kind, example = next(bodies(operation))
            answer = ask(client, operation, kind, example, authorization=authorization)
            names = {"ratelimit", "ratelimit-policy", "retry-after"} - set(answer.headers)
            if answer.status_code == 429 and names:
                yield f"{answer.status_code} without {names}"
            elif answer.status_code not in {429, 400, 404}:
                yield f"{answer.status_code}"

        assert faults(check, KEYED) == []
