"""Conditional requests: entity tags, If-Match and If-None-Match (RFC 9110, 8.8.3 and 13)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Final

from fastapi import Depends, Header, Request, Response

from api.errors import PreconditionFailedError

CACHING: Final = "private, no-cache"
TAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
WEAK: Final = "W/"


@dataclass(frozen=True, slots=True)
class Preconditions:
    """Conditions of a request; each header with all its lines, None where the request has none."""

    if_match: str | None
    if_none_match: str | None

    def check(self, etag: str | None) -> None:
        """Refuse a write that the preconditions rule out; ``etag`` is None where there is nothing yet.

        Raises
        ------
        PreconditionFailedError
            The record was changed since the caller read it, or it exists already.
        """
        self._check_match(etag)
        if self.if_none_match is not None and names(self.if_none_match, etag, weakly=True):
            raise PreconditionFailedError(
                f"If-None-Match is {self.if_none_match[:100]}, but it exists already with ETag {etag}; "
                "leave the header out to replace it"
            )

    def unchanged(self, etag: str) -> bool:
        """Return whether a reader has this already.

        Raises
        ------
        PreconditionFailedError
            The reader wants a state that is not there any more.
        """
        self._check_match(etag)
        return self.if_none_match is not None and names(self.if_none_match, etag, weakly=True)

    def _check_match(self, etag: str | None) -> None:
        if self.if_match is None or names(self.if_match, etag, weakly=False):
            return
        present = f"its ETag is {etag}" if etag else "there is none"
        advice = "read it again, then write"
        if etag is not None and names(self.if_match, etag, weakly=True):
            advice = (
                "a weak tag never matches (RFC 9110, 13.1.1): a proxy that compresses has weakened it; "
                "read with `Accept-Encoding: identity`, and send the tag of that answer"
            )
        raise PreconditionFailedError(f"If-Match is {self.if_match[:100]}, but {present}; {advice}")


def names(header: str, etag: str | None, *, weakly: bool) -> bool:
    """Return whether a header names an entity tag.

    The strong comparison takes no weak tag; to the weak one ``W/`` makes no difference (RFC 9110, 8.8.3.2).

    >>> names('"a,b", W/"c"', '"c"', weakly=True), names('"a,b", W/"c"', '"c"', weakly=False)
    (True, False)
    """
    if etag is None:
        return False
    if header.strip() == "*":
        return True
    tags = TAG.findall(header)
    return etag in ([tag.removeprefix(WEAK) for tag in tags] if weakly else tags)


def conditions_of(request: Request) -> Preconditions:
    """Return the conditions of a request; of a header that comes in several lines all count."""

    def joined(name: str) -> str | None:
        lines = request.headers.getlist(name)
        return ", ".join(lines) if lines else None

    return Preconditions(joined("if-match"), joined("if-none-match"))


def _preconditions(
    request: Request,
    _if_match: Annotated[
        str | None,
        Header(alias="if-match", description="Go on only where the present `ETag` is one of these.", examples=["*"]),
    ] = None,
    _if_none_match: Annotated[
        str | None,
        Header(
            alias="if-none-match",
            description="Go on only where the present `ETag` is none of these; `*`: where there is nothing yet.",
        ),
    ] = None,
) -> Preconditions:
    return conditions_of(request)


PreconditionsDep = Annotated[Preconditions, Depends(_preconditions)]


def tag_of(body: bytes) -> str:
    """Return the strong entity tag of a body."""
    # No secret hangs on it, and it takes half the time of SHA-256.
    return f'"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"'


def tagged(
    body: bytes, request: Request, media_type: str = "application/json", more: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """Return a body with its strong entity tag and more headers, or 304 where the client has it.

    Raises
    ------
    PreconditionFailedError
        The client wants a state that is not there any more.
    """
    tag = tag_of(body)
    headers = {"ETag": tag, "Cache-Control": CACHING, **more}
    if ("if-match" in request.headers or "if-none-match" in request.headers) and conditions_of(request).unchanged(tag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media_type)
