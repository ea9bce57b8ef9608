"""The straight way to a stored list: plain requests for one are answered past the routing and parsing of FastAPI.

These cost more than finding the list. Whatever is not plain, or not right, goes the general way, so every fault of a
request is told there; keys, limits and the audit log are the same on both.
"""

import re
from datetime import datetime
from http import HTTPStatus
from typing import Final

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth.auth import authenticate
from api.errors import answer_to
from api.routers.lists import CACHING, DEFAULT_LENGTH, read, tag_of, tagged
from content_catalog.errors import XueluError
from infra.serving.list_json import Asked

TOLD: Final = ((b"content-type", b"application/json"), (b"cache-control", CACHING.encode()))
BEFORE, AFTER = "/v1/members/", "/push-list"
PLAIN_LENGTH: Final = re.compile("[1-9][0-9]?|100")
PLAIN_LANGUAGE: Final = re.compile("[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}")


class Straight:
    """Answers plain requests for stored lists as their route does, and hands on all others."""

    def __init__(self, app: ASGIApp, *, route: BaseRoute) -> None:
        self._app = app
        self._route = route
        self.taken = True
        """Whether it is: traces are made on the general way only."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        member_id = plain_path(scope) if self.taken else None
        asked = None if member_id is None else plain_query(scope["query_string"], scope["app"].state.clock())
        if member_id is None or asked is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = self._route
        headers = scope["xuelu.given"]
        try:
            caller = await authenticate(scope, headers.get(b"authorization", b"").decode("latin-1"), "lists:read")
            body = await read(scope["app"].state, caller, member_id, asked)
        except XueluError as error:
            await answer_to(error)(scope, receive, send)
            return
        except Exception:  # noqa: BLE001 - whatever it is, the general way meets it too, and tells it
            await self._app(scope, receive, send)
            return
        if (known := headers.get(b"if-none-match")) is not None:
            await tagged(body, known.decode("latin-1"))(scope, receive, send)
            return
        told = [(b"content-length", b"%d" % len(body)), (b"etag", tag_of(body).encode()), *TOLD]
        await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": told})
        await send({"type": "http.response.body", "body": body})


def plain_path(scope: Scope) -> str | None:
    """Return the member whose stored list a request is for, where its path says so."""
    if scope["type"] != "http" or scope["method"] != "GET" or scope.get("root_path"):
        return None
    path: str = scope["path"]
    if not path.startswith(BEFORE) or not path.endswith(AFTER):
        return None
    return path[len(BEFORE) : -len(AFTER)] or None


def plain_query(query: bytes, now: datetime) -> Asked | None:
    """Return what a query asks for where it is plain: no escapes, nothing twice, nothing unknown or out of range.

    >>> asked = plain_query(b"n=5&language=en", datetime(2026, 3, 2))
    >>> asked.n, asked.language, plain_query(b"n=500", asked.now), plain_query(b"exclude=i%2F1", asked.now)
    (5, 'en', None, None)
    """
    found: dict[str, str] = {}
    for part in query.decode("latin-1").split("&") if query else ():
        name, _, value = part.partition("=")
        form = PLAIN_LENGTH if name == "n" else PLAIN_LANGUAGE if name == "language" else None
        if form is None or name in found or not form.fullmatch(value):
            return None
        found[name] = value
    return Asked(int(found.get("n", DEFAULT_LENGTH)), now, found.get("language"))
