"""Outermost middleware: request id, timing, metrics, security headers, HEAD, and checks before any route is asked."""

import asyncio
import os
import re
import time
from collections.abc import Callable, Iterable
from itertools import count
from typing import Final
from urllib.parse import unquote_to_bytes

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.dependencies import READING
from api.errors import (
    BodyTooLargeError,
    BodyTooSlowError,
    MalformedRequestError,
    Presentation,
    UnsupportedBodyError,
    answer_to,
)
from api.protocol.metrics import Metrics
from content_catalog.errors import XueluError

REQUEST_ID: Final = b"x-request-id"
SOUND_ID: Final = re.compile(rb"[\w.-]{1,64}")
HOST: Final = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[\w.~%!$&'()*+;=-]*)(:[0-9]*)?")
"""Host and port of RFC 3986, without the comma, by which proxies join two fields."""
ONCE: Final = (b"authorization", b"content-type", b"content-encoding")
"""Headers of one value: of two, a proxy may have looked at the other one."""
NO_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
CACHING: Final = b"cache-control"
CSP: Final = b"content-security-policy"
DEFAULT_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (CSP, b"default-src 'none'; frame-ancestors 'none'"),
    (CACHING, b"no-store"),
)
"""Headers of every answer whose route does not set them itself."""

log = structlog.get_logger("xuelu.http")


class RequestMiddleware:
    """Outermost middleware of the service.

    Parameters
    ----------
    max_body_bytes : int
        Larger bodies are refused.
    body_seconds : float
        Bodies that take longer to arrive are refused.
    present : function
        Gives the problem of a refused request the form of its answer.
    share : function
        Lets scripts of other origins read the answers of an application.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        max_body_bytes: int,
        body_seconds: float,
        present: Presentation,
        share: Callable[[ASGIApp], ASGIApp],
    ) -> None:
        self._app, self._share = share(app), share
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._body_seconds = body_seconds
        self._present = present
        self._process = os.urandom(8).hex().encode()  # once: each system call takes longer than the number
        self._numbers = count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, method = time.perf_counter(), 500, scope["method"]
        headers = dict(reversed(scope["headers"]))
        sent_id = headers.get(REQUEST_ID, b"")
        request_id = sent_id if SOUND_ID.fullmatch(sent_id) else b"%s%016x" % (self._process, next(self._numbers))
        if method == "HEAD":  # answered as GET, without the body (RFC 9110, 9.3.2)
            scope = {**scope, "method": "GET"}

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = message["headers"]
                message["headers"] = [(REQUEST_ID, request_id), *with_defaults(own), *scope.get("xuelu.headers", ())]
            elif method == "HEAD":
                if message.get("more_body"):
                    return
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        try:
            try:
                check_request(scope, headers, max_body_bytes=self._max_body_bytes)
            except XueluError as error:
                refusal = self._present(Request(scope), error, answer_to(error))
                await self._share(refusal)(scope, receive, sending)
                return
            if b"content-length" in headers or b"transfer-encoding" in headers:
                receive = self._bounded(receive)
            await self._app(scope, receive, sending)
        finally:
            self._count(scope, method, status, request_id, seconds=time.perf_counter() - began)

    def _count(self, scope: Scope, method: str, status: int, request_id: bytes, *, seconds: float) -> None:
        """Count an answer, and log it where it wrote or failed."""
        # The template, so that no id of a member gets into metrics or logs.
        route = getattr(scope.get("route"), "path", "none")
        self._metrics.answered(method, route, status, seconds)
        if method not in READING or status >= 500:
            fields = {"method": method, "route": route, "status": int(status), "request_id": request_id.decode()}
            log.info("answered", **fields, milliseconds=round(1_000 * seconds, 3))

    def _bounded(self, receive: Receive) -> Receive:
        """Return a function that receives a body, and raises where it is too large or too slow."""
        read, whole = 0, False
        end = asyncio.get_running_loop().time() + self._body_seconds

        async def receiving() -> Message:
            nonlocal read, whole
            if whole:
                return await receive()  # until the connection is closed
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError as error:
                raise BodyTooSlowError(
                    f"the body has not arrived within {self._body_seconds:g} s; send it in smaller parts"
                ) from error
            read += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if read > self._max_body_bytes:
                raise _too_large(self._max_body_bytes)
            return message

        return receiving


def with_defaults(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer, with the default ones that it does not set itself.

    >>> [name for name, _ in with_defaults([(b"cache-control", b"no-cache")])][0]
    b'cache-control'
    >>> len(with_defaults([(b"cache-control", b"no-cache")])), len(with_defaults([]))
    (4, 4)
    """
    own = list(headers)
    names = {name for name, _ in own}
    return own + [header for header in DEFAULT_HEADERS if header[0] not in names]


def check_request(scope: Scope, headers: dict[bytes, bytes], *, max_body_bytes: int) -> None:
    """Refuse a request that cannot be given to its route.

    Raises
    ------
    MalformedRequestError
        It has no Host header, several or a bad one (RFC 9112, 3.2), several of another that has one value, or a
        transfer coding that is not read (RFC 9112, 6.1); its path or query is not UTF-8 in percents, so that several
        ids would become one, or its path holds a line feed.
    UnsupportedBodyError
        The body has a Content-Encoding.
    BodyTooLargeError
        Its Content-Length is larger than ``max_body_bytes``.
    """
    _check_headers(scope, headers)
    _check_address(scope)
    coding = headers.get(b"content-encoding", b"identity")
    if coding.strip().lower() != b"identity":
        shown = coding.decode("latin-1")[:100]
        raise UnsupportedBodyError(f"Content-Encoding {shown!r} is not taken; send the body as it is")
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length[:20]) > max_body_bytes:
        raise _too_large(max_body_bytes)


def _check_headers(scope: Scope, headers: dict[bytes, bytes]) -> None:
    hosts = sum(name == b"host" for name, _ in scope["headers"])
    if hosts != 1 and scope.get("http_version") == "1.1":
        raise MalformedRequestError(f"the request has {hosts} Host headers; send one")
    host = headers.get(b"host", b"")
    if not HOST.fullmatch(host):
        raise MalformedRequestError(f"the Host header {host.decode('latin-1')[:100]!r} is no host; send name and port")
    for name in ONCE:
        times = sum(other == name for other, _ in scope["headers"])
        if times > 1:
            raise MalformedRequestError(f"the request has {times} {name.decode()} headers; send one")
    transfer = headers.get(b"transfer-encoding")
    if transfer is not None and (transfer.strip().lower() != b"chunked" or scope.get("http_version") == "1.0"):
        shown = transfer.decode("latin-1")[:100]
        raise MalformedRequestError(f"Transfer-Encoding {shown!r} is not taken; send the body with its length")


def _check_address(scope: Scope) -> None:
    if "\n" in scope["path"]:  # the patterns of routes ignore it at the end: the id "a\n" would be "a"
        raise MalformedRequestError("the address holds a line feed (%0A); no id has any: take it out")
    try:
        for part in (scope.get("raw_path") or b"", scope["query_string"]):
            if b"%" in part:
                if NO_ESCAPE.search(part):
                    raise MalformedRequestError("the address has a % without two hexadecimal digits; write it as %25")
                unquote_to_bytes(part).decode()
    except UnicodeDecodeError as error:
        raise MalformedRequestError("the address is not UTF-8; encode ids as UTF-8, then in percents") from error


def _too_large(max_body_bytes: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"the body is larger than {max_body_bytes:,} bytes; send it in parts")
