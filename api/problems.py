"""Problem answers of routes in the OpenAPI document."""

from typing import Any, Final

from api.errors import PROBLEM_JSON

PROBLEM_REF: Final = {"$ref": "#/components/schemas/Problem"}

DESCRIPTIONS: dict[int, str] = {
    400: "A parameter or the body is not what the route takes",
    401: "There is no key, or one that opens nothing",
    403: "The key is not for this",
    404: "There is no such thing",
    409: "It is there already and says something else",
    412: "It is not what the request expected",
    413: "The body is too large",
    415: "The body is of a type that the route does not read",
    503: "The database is away",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the problems of a route, as FastAPI wants them announced."""
    content = {PROBLEM_JSON: {"schema": PROBLEM_REF}}
    announced: dict[int | str, dict[str, Any]] = {
        status: {"description": DESCRIPTIONS[status], "content": content} for status in statuses
    }
    # Without it FastAPI announces a 422 that never comes.
    return announced | {"default": {"description": "Any other fault", "content": content}}
