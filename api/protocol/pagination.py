"""Lists in pages: opaque cursors, and links to the next page (RFC 8288)."""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Query, Request, Response

from api.errors import MalformedRequestError
from infra.catalog.store import NUL
from infra.errors import NotFoundError

Cursor = Annotated[
    str | None, Query(max_length=20_000, description="Where the page begins: the `cursor` of a `next` link, unchanged.")
]

MAX_DIGITS: Final = 18
NOT_OURS: Final = "cursor comes from no `next` link; begin again without one"


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
    MalformedRequestError
        The cursor comes from no `next` link.
    """
    if cursor is None:
        return ""
    try:
        position = b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise MalformedRequestError(NOT_OURS) from error
    if not position or NUL in position or cursor_of(position) != cursor:
        raise MalformedRequestError(NOT_OURS)
    return position


def number_of(cursor: str | None) -> int | None:
    """Return the number that a page begins after; None for the first page.

    Raises
    ------
    MalformedRequestError
        The cursor comes from no `next` link.
    """
    text = position_of(cursor)
    if text and not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise MalformedRequestError(NOT_OURS)
    return int(text) if text else None


def key_of(cursor: str | None, find: Callable[[str], int]) -> int | None:
    """Return the key of the row that a page begins after, whose id the cursor holds; None for the first page.

    Keys count the rows of all organisations, so that cursors, which anybody can decode, hold ids.

    Raises
    ------
    MalformedRequestError
        The cursor comes from no `next` link, or ``find`` knows no such row.
    """
    row_id = position_of(cursor)
    try:
        return find(row_id) if row_id else None
    except NotFoundError as error:
        raise MalformedRequestError(NOT_OURS) from error


def link_next(request: Request, response: Response, after: str) -> None:
    """Tell where the next page is."""
    asked = {**request.query_params, "cursor": cursor_of(after)}
    response.headers["Link"] = f'<{request.url.path}?{urlencode(asked)}>; rel="next"'
