"""The OpenAPI document in the docs is the service's, and every example in it works."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from starlette.testclient import TestClient

from api.openapi import document, main
from infra.settings import DeliverySettings, Settings
from tests.docs.pages import REFERENCE

DOCUMENT = REFERENCE / "openapi.json"
TOLD = orjson.loads(document())
METHODS = ("put", "post", "patch", "get", "delete")


def in_order(operation: tuple[str, str, Any]) -> tuple[int, int]:
    """Return a place in the order in which things are made from the top, read, and removed from the bottom."""
    verb, path, _ = operation
    depth = path.count("/")
    return METHODS.index(verb), -depth if verb == "delete" else depth


def test_the_document_in_the_docs_is_that_of_the_service(tmp_path: Any) -> None:
    assert main([str(tmp_path / "openapi.json")]) == 0
    assert (tmp_path / "openapi.json").read_text(encoding="utf-8") == document()
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run `make openapi`"


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema, or the one it refers to."""
    found: dict[str, Any] = (
        TOLD["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    )
    return found


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield content type and example of every kind of body of an operation, nothing for one without."""
    for kind, told in operation.get("requestBody", {}).get("content", {}).items():
        schema = resolved(told["schema"])
        given = [told[name] for name in ("example",) if name in told] or schema.get("examples", [])
        parts = {name: part["examples"][0] for name, part in schema.get("properties", {}).items() if "examples" in part}
        assert given or parts or not schema.get("required"), f"{kind}: give an example"
        yield kind, given[0] if given else parts


def address(path: str, operation: dict[str, Any], known: dict[str, str]) -> str:
    """Return an address with the examples of what it requires."""
    query = []
    for one in operation.get("parameters", []):
        if not one["required"]:
            continue
        examples = one.get("examples") or one["schema"].get("examples")
        value = known.get(one["name"]) or str(next(iter(examples)))
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", quote(value, safe=""))
        elif one["in"] == "query":
            query.append(f"{one['name']}={quote(value, safe='')}")
    return "?".join([path, "&".join(query)]).rstrip("?")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings with a key that seals the secrets of endpoints."""
    return settings.model_copy(update={"delivery": DeliverySettings(secret_key="x" * 40)})


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_example_is_answered_as_a_success(client: TestClient, served: dict[str, Any]) -> None:
    operations = [(verb, path, operation) for path, verbs in TOLD["paths"].items() for verb, operation in verbs.items()]
    # Nobody has been told of the run beforehand; role and unit of the examples have members, and stay.
    known = {"run_id": served["run_id"], "code": "example", "unit": "Example"}
    failed = []
    for verb, path, operation in sorted(operations, key=in_order):
        for kind, example in list(bodies(operation)) or [("", None)]:
            content = example if isinstance(example, str) or example is None else orjson.dumps(example)
            headers = {"Content-Type": kind} if kind else {}
            if path.startswith("/xAPI/"):
                headers["X-Experience-API-Version"] = "1.0.3"
            answer = client.request(verb, address(path, operation, known), content=content, headers=headers)
            if (verb, path) == ("post", "/v1/endpoints"):
                known["endpoint_id"] = answer.json()["endpoint_id"]
            if not answer.is_success:
                failed.append(f"{verb} {path} {kind}: {answer.status_code} {answer.text[:200]}")
    assert failed == []
