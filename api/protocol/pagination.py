"""Lists in pages: opaque cursors, and links to the next page (RFC 8288)."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query, Request, Response

from api.errors import InvalidCursorError

Cursor = Annotated[
    str | None, Query(max_length=20_000, description="Where the page begins: the `cursor` of a `next` link, unchanged.")
]


def cursor_of(key: str) -> str:
    """Return the cursor for what comes after a key.

    >>> position_of(cursor_of("North/仓库"))
    'North/仓库'
    """
    return urlsafe_b64encode(key.encode()).decode().rstrip("=")


def position_of(cursor: str | None) -> str:
    """Return the key that a page begins after; empty for the first page.

    Raises
    ------
    InvalidCursorError
        The cursor is none of ours.
    """
    if cursor is None:
        return ""
    try:
        return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError as error:
        raise InvalidCursorError("cursor is none that a `next` link gave; begin again without one") from error


def link_next(request: Request, response: Response, after: str) -> None:
    """Tell where the next page is."""
    asked = {**request.query_params, "cursor": cursor_of(after)}
    response.headers["Link"] = f'<{request.url.path}?{urlencode(asked)}>; rel="next"'
