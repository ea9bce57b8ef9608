"""Operations of the OpenAPI document, and requests made from its examples."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import orjson
from httpx2 import Response
from starlette.testclient import TestClient

from tests.docs.pages import REFERENCE

# That it is the service's is tested in test_openapi; to make it takes seconds of every process.
DOCUMENT = orjson.loads((REFERENCE / "openapi.json").read_bytes())
METHODS = ("put", "post", "patch", "get", "delete")

Operation = tuple[str, str, Any]
"""Method, path and description."""


def in_order(operation: Operation) -> tuple[int, int]:
    """Return a place in the order in which things are made from the top, read, and removed from the bottom."""
    verb, path, _ = operation
    # A requirement and a curation need their items, a saved item its member as well, and a waiver the requirement.
    depth = 10 * (path.count("requirement") + path.count("curation") + path.count("/waivers/") + path.count("/saved/"))
    depth += path.count("/")
    return METHODS.index(verb), -depth if verb == "delete" else depth


OPERATIONS: list[Operation] = sorted(
    ((verb, path, description) for path, verbs in DOCUMENT["paths"].items() for verb, description in verbs.items()),
    key=in_order,
)
KEYED = [operation for operation in OPERATIONS if operation[2]["security"]]


def scope_of(operation: Operation) -> str:
    """Return the scope that a key needs."""
    [[scope]] = [needed["key"] for needed in operation[2]["security"]]
    return str(scope)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema, or the one it refers to."""
    resolved_schema: dict[str, Any] = (
        DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    )
    return resolved_schema


def bodies(operation: Operation) -> Iterator[tuple[str, Any]]:
    """Yield content type and example of every kind of body of an operation; one without has an empty one."""
    contents = operation[2].get("requestBody", {}).get("content", {})
    for kind, content in contents.items():
        schema = resolved(content["schema"])
        examples = [content[name] for name in ("example",) if name in content] or schema.get("examples", [])
        parts = {name: part["examples"][0] for name, part in schema.get("properties", {}).items() if "examples" in part}
        assert examples or parts or not schema.get("required"), f"{kind}: give an example"
        yield kind, examples[0] if examples else parts
    if not contents:
        yield "", None


def address(operation: Operation, arguments: Mapping[str, str]) -> str:
    """Return an address with the arguments given, and examples of the other parameters that it requires."""
    _, path, description = operation
    query = []
    for parameter in description.get("parameters", []):
        name = parameter["name"]
        if not parameter["required"] and name not in arguments:
            continue
        examples = parameter.get("examples") or parameter["schema"].get("examples")
        value = quote(arguments.get(name) or str(next(iter(examples))), safe="")
        if parameter["in"] == "path":
            path = path.replace(f"{{{name}}}", value)
        elif parameter["in"] == "query":
            query.append(f"{name}={value}")
    return "?".join([path, "&".join(query)]).rstrip("?")


def ask(client: TestClient, operation: Operation, kind: str, example: Any, **asked: Any) -> Response:
    """Ask with an example of a body; ``arguments`` holds the values of parameters, ``authorization`` the header."""
    verb, path, _ = operation
    content = example if isinstance(example, str) or example is None else orjson.dumps(example)
    headers = {"Content-Type": kind} if kind else {}
    if path.startswith("/xAPI/"):
        headers["X-Experience-API-Version"] = "1.0.3"
    if asked.get("authorization"):
        headers["Authorization"] = asked["authorization"]
    return client.request(verb, address(operation, asked.get("arguments", {})), content=content, headers=headers)
