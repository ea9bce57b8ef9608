"""Version headers and the alternate request syntax of xAPI (Communication, 1.3 and 3.3)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends, Header
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.dependencies import clock
from api.errors import MalformedBodyError, MalformedRequestError, ProblemResponse, route_path
from api.protocol.media_types import FORM, media_type
from features.xapi.validation import formats
from infra.lrs.store import VISIBILITY_DELAY, format_timestamp

PREFIX: Final = "/xAPI"
STATEMENTS: Final = f"{PREFIX}/statements"
VERSION_1, VERSION_2 = "1.0.3", "2.0.0"
"""Versions of xAPI that answers name."""
VERSION_HEADER: Final = "X-Experience-API-Version"
CONSISTENT_HEADER: Final = "X-Experience-API-Consistent-Through"
FORM_HEADERS: Final = (
    "authorization",
    "x-experience-api-version",
    "content-type",
    "content-length",
    "if-match",
    "if-none-match",
    "accept-language",
)
"""Form fields that are headers of the plain request."""


VERSION_PARAMETER: Final[dict[str, Any]] = {
    "name": VERSION_HEADER,
    "in": "header",
    "required": True,
    "schema": {
        "type": "string",
        "pattern": f"^({formats.VERSION.pattern}|{formats.VERSION_2.pattern})$",
        "examples": [VERSION_1],
    },
    "description": "Version of xAPI that the client speaks: 1.0, 1.0.x, 2.0 or 2.0.x.",
}
"""The header in the OpenAPI document."""


def supported_version(header: str) -> str | None:
    """Return the supported version of xAPI that a version header asks for, None where there is none.

    >>> supported_version("1.0"), supported_version("2.0.1"), supported_version("0.95")
    ('1.0.3', '2.0.0', None)
    """
    if formats.VERSION.fullmatch(header):
        return VERSION_1
    return VERSION_2 if formats.VERSION_2.fullmatch(header) else None


def require_version(version: Annotated[str, Header(alias=VERSION_HEADER, include_in_schema=False)] = "") -> str:
    """Return the version of xAPI of a request; checked before authentication (Communication, 3.3).

    Raises
    ------
    MalformedRequestError
    """
    supported = supported_version(version)
    if supported is None:
        raise MalformedRequestError(
            f"the header {VERSION_HEADER} is {version[:100]!r}; send {VERSION_1} or {VERSION_2}"
        )
    return supported


XapiVersion = Annotated[str, Depends(require_version)]


class XapiMiddleware:
    """Adds the headers of xAPI to responses, and turns requests in the alternate syntax into plain ones."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http" or not route_path(scope).startswith(f"{PREFIX}/"):
            await self.app(scope, receive, send)
            return
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if scope["method"] == "POST" and "method" in dict(query):
            try:
                scope, receive = await _plain(scope, receive, query)
            except MalformedBodyError as error:
                await ProblemResponse(HTTPStatus.BAD_REQUEST, str(error))(scope, receive, _with_headers(scope, send))
                return
        await self.app(scope, receive, _with_headers(scope, send))


def _with_headers(scope: Scope, send: Send) -> Send:
    version = supported_version(Headers(scope=scope).get(VERSION_HEADER, "")) or VERSION_1
    reading = route_path(scope) == STATEMENTS and scope["method"] in {"GET", "HEAD"}

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers[VERSION_HEADER] = version
            if reading:  # "regardless of the code returned": where the statements were not looked at, the safe answer
                headers.setdefault(CONSISTENT_HEADER, format_timestamp(clock() - VISIBILITY_DELAY))
        await send(message)

    return sending


async def _plain(scope: Scope, receive: Receive, query: list[tuple[str, str]]) -> tuple[Scope, Receive]:
    """Return the plain request of a form.

    Raises
    ------
    MalformedBodyError
        It is no such form.
    """
    headers = Headers(scope=scope)
    if len(query) > 1:
        raise MalformedBodyError("beside ?method= no other parameter may stand; send them as fields of the form")
    method = query[0][1].upper()
    if method not in {"GET", "HEAD", "PUT", "POST", "DELETE"}:
        raise MalformedBodyError(f"?method={method[:20]} is no method of xAPI; use GET, PUT or POST")
    if media_type(headers.get("content-type", "")) != FORM:
        raise MalformedBodyError(f"with ?method= the body must be a form of type {FORM}")
    fields = _fields(await Request(scope, receive).body())
    content = fields.pop("content", None)
    if content is None and method in {"PUT", "POST"}:
        raise MalformedBodyError(f"the form has no field `content`; a {method} needs it")
    body = (content or "").encode()
    form_headers = {name: fields.pop(field) for field in list(fields) if (name := field.lower()) in FORM_HEADERS}
    plain = dict(scope)
    plain["method"] = method
    plain["query_string"] = urlencode(fields).encode("latin-1")
    plain["headers"] = _merged(headers, form_headers, len(body))

    async def receive_body() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return plain, receive_body


def _fields(body: bytes) -> dict[str, str]:
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise MalformedBodyError("the form is not in UTF-8") from error
    by_name = dict(fields)
    if len(by_name) < len(fields):
        raise MalformedBodyError("a field of the form comes twice; send it once")
    return by_name


def _merged(headers: Headers, form_headers: Mapping[str, str], length: int) -> list[tuple[bytes, bytes]]:
    """Return the headers of the plain request: those of the form override those of the request."""
    merged = {**headers, "content-type": "application/json", **form_headers, "content-length": str(length)}
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in merged.items()]
