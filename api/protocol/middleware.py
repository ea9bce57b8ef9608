"""What surrounds every request, from outside in: its id, clock and counters, security headers, the body's bounds."""

import asyncio
import os
import re
import time
from itertools import count
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.dependencies import READING
from api.errors import BodyTooLargeError, BodyTooSlowError, answer_to
from api.protocol.metrics import Metrics

REQUEST_ID: Final = b"x-request-id"
SOUND_ID: Final = re.compile(rb"[\w.-]{1,64}")
SECURITY: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
CACHING: Final = b"cache-control"
NOT_KEPT: Final = (*SECURITY, (CACHING, b"no-store"))
"""Where a route says nothing of it."""

log = structlog.get_logger("xuelu.http")


class Edge:
    """Wraps the service; errors that escape it are the server's to tell."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, max_body_bytes: int, body_seconds: float) -> None:
        self._app = app
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._body_seconds = body_seconds
        self._process = os.urandom(8).hex().encode()  # once: each call of the system takes longer than the number
        self._numbers = count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500
        headers = scope["xuelu.given"] = dict(reversed(scope["headers"]))
        given = headers.get(REQUEST_ID, b"")
        request_id = given if SOUND_ID.fullmatch(given) else b"%s%016x" % (self._process, next(self._numbers))

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                told = message["headers"]
                kept = [name for name, _ in told if name == CACHING]
                ours = SECURITY if kept else NOT_KEPT
                message["headers"] = [(REQUEST_ID, request_id), *told, *ours, *scope.get("xuelu.headers", ())]
            await send(message)

        try:
            if b"content-length" in headers or b"transfer-encoding" in headers:
                await self._bounded(scope, receive, sending, headers)
            else:
                await self._app(scope, receive, sending)  # it has no body
        finally:
            seconds = time.perf_counter() - began
            # The template, so that no id of a member gets into metrics or logs.
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.answered(scope["method"], route, status, seconds)
            if scope["method"] not in READING or status >= 500:
                told = {"method": scope["method"], "route": route, "status": status, "request_id": request_id.decode()}
                log.info("answered", **told, milliseconds=round(1_000 * seconds, 3))

    async def _bounded(self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, bytes]) -> None:
        """Answer 413 where the body is larger than it may be, told or not, and 408 where it does not arrive in time."""
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._max_body_bytes:
            await answer_to(self._too_large())(scope, receive, send)
            return
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
                raise self._too_large()
            return message

        await self._app(scope, receiving, send)

    def _too_large(self) -> BodyTooLargeError:
        return BodyTooLargeError(f"the body is larger than {self._max_body_bytes:,} bytes; send it in parts")
