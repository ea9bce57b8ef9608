"""Parts of the OpenAPI document that hold for many operations: problems, headers, tags, servers and security."""

from typing import Any, Final

from api.problems import problem
from api.schemas.lists import Problem

TAGS: Final = {
    "lists": "Push lists, similar items, session and preview lists.",
    "events": "Study events.",
    "xAPI": "xAPI statements.",
    "catalogue": "Items and taxonomies.",
    "people": "Members and units.",
    "policy": "Requirements, waivers and curations.",
    "analytics": "Runs, activity, rates and coverage.",
    "data": "Imports, their rejected lines, data quality.",
    "delivery": "Endpoints of study apps.",
    "audit": "The audit log.",
    "health": "Whether the service lives and is ready.",
}
HEADERS: Final[dict[str, dict[str, Any]]] = {
    "X-Request-Id": {"description": "Id of the request, as the log of the service has it.", "type": "string"},
    "RateLimit-Policy": {"description": "Requests a minute that the key may make.", "type": "string"},
    "RateLimit": {"description": "Requests that are left, and seconds until the next window.", "type": "string"},
    "Retry-After": {"description": "Seconds after which to ask again.", "type": "integer"},
    "ETag": {"description": "Entity tag of the answer.", "type": "string"},
    "Link": {"description": 'The next page, where there is one: `rel="next"`.', "type": "string"},
    "Location": {"description": "Address of what was made.", "type": "string"},
}
KEYED: Final = (401, 403, 429, 503)
"""Problems of every operation that wants a key."""
WITH_BODY: Final = (413, 415)
"""Problems of every operation that takes a body."""
LATER: Final = {"429", "503"}
"""Problems after which to ask again."""


def complete(document: dict[str, Any]) -> None:
    """Add to a document of FastAPI the parts that many operations share."""
    components = document.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
    components["headers"] = {
        name: {"description": header["description"], "schema": {"type": header["type"]}}
        for name, header in HEADERS.items()
    }
    document.setdefault("servers", [{"url": "/", "description": "The service that gave this document."}])
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "requestBody" in operation and not path.startswith("/xAPI"):
                _describe(operation, *WITH_BODY)
            operation.setdefault("tags", ["xAPI" if path.startswith("/xAPI") else path.split("/")[2]])
            operation.setdefault("security", [])
            _complete_responses(method, operation)
    used = {
        tag
        for operations in document["paths"].values()
        for operation in operations.values()
        for tag in operation["tags"]
    }
    document["tags"] = [{"name": name, "description": TAGS[name]} for name in TAGS if name in used]


def _describe(operation: dict[str, Any], *statuses: int) -> None:
    """Add problems to the responses of an operation that does not describe them itself."""
    for status in statuses:
        operation["responses"].setdefault(str(status), problem(status))


def _complete_responses(method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if operation["security"]:
        _describe(operation, *KEYED)
    parameters = {parameter["name"].lower() for parameter in operation.get("parameters", ())}
    for status, response in responses.items():
        names = ["X-Request-Id"]
        if operation["security"] and status != "401":
            names += ["RateLimit-Policy", "RateLimit"]
        if status in LATER:
            names.append("Retry-After")
        if "if-none-match" in parameters and status in {"200", "201", "304"}:
            names.append("ETag")
        if "cursor" in parameters and status == "200":
            names.append("Link")
        if status == "201" and method == "post":  # what PUT makes has the address that was asked (RFC 9110, 15.3.2)
            names.append("Location")
        response.setdefault("headers", {}).update({name: {"$ref": f"#/components/headers/{name}"} for name in names})
    operation["responses"] = dict(sorted(responses.items()))
