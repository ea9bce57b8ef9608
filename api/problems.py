"""Problem answers of routes in the OpenAPI document."""

from typing import Any, Final

from api.errors import PROBLEM_JSON

CONTENT: Final = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}

DESCRIPTIONS: dict[int, str] = {
    400: "A parameter or the body is not what the route takes",
    401: "There is no key, or one that opens nothing",
    403: "The key is not for this",
    404: "There is no such thing",
    409: "It is there already and says something else",
    412: "It is not what the request expected",
    413: "The body is too large",
    415: "The body has another content type or coding",
    429: "The key has made too many requests",
    503: "The database is away",
}


def problem(status: int) -> dict[str, Any]:
    """Return the OpenAPI description of a problem."""
    return {"description": DESCRIPTIONS[status], "content": CONTENT}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the problems of a route, as FastAPI wants them announced.

    Those of every operation with a key or a body are added to the document (:mod:`api.description`).
    """
    # Without the default FastAPI announces a 422 that never comes.
    return {status: problem(status) for status in statuses} | {
        "default": {"description": "Any other fault", "content": CONTENT}
    }
