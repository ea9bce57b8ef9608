"""HTTP protocol of the server with bounds on request heads and connections, which uvicorn does not have.

Without them a head of any size and number of headers is collected, connections that send nothing or half a head stay
open for ever, and as many of them as there are file descriptors shut everyone out. So do clients that read no answers.
Trailers after a body have no bound either, and count as headers. And what follows a request that asks for another
protocol is lost, or read as a further request, although none is spoken here (Kludex/uvicorn issue 2722).
"""

import asyncio
import re
import resource
from collections import OrderedDict
from http import HTTPStatus
from itertools import chain
from typing import TYPE_CHECKING, ClassVar, Final

import orjson
from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from array import array

MAX_HEAD_BYTES: Final = 65_536
"""Request line and headers."""
MAX_HEADERS: Final = 100
HEAD_SECONDS: Final = 10.0
"""Time for a head to arrive, from the opening of the connection or its first byte."""
WRITE_SECONDS: Final = 20.0
MIN_WRITTEN_BYTES: Final = 20_000
"""Bytes of an answer that a client reads in :data:`WRITE_SECONDS` at least."""
LAST_SECONDS: Final = 1.0
"""Time that an idle connection of a server that stops waits for one more request."""
LINGER_SECONDS: Final = 0.5
"""Time that a refused connection stays open for the client to read the answer."""
SLICE_BYTES: Final = 16_384
"""Bytes that are parsed at once before a head is whole, so that no larger one is collected first."""
RESERVED_DESCRIPTORS: Final = 128
"""File descriptors that connections leave to the database, files and logs."""
MIN_CONNECTIONS: Final = 16
UPGRADE: Final = re.compile(rb"upgrade", re.IGNORECASE)


def max_connections(descriptors: int) -> int:
    """Return how many connections a process holds at most, by its limit of file descriptors.

    >>> max_connections(1_024), max_connections(64)
    (896, 16)
    """
    return max(MIN_CONNECTIONS, descriptors - RESERVED_DESCRIPTORS)


class _Parser(HttpRequestParser):
    """Parser that stops after a head that asks for another protocol, and leaves the rest to its protocol."""

    def __init__(self, protocol: "BoundedHttp") -> None:
        super().__init__(protocol)
        self._protocol = protocol

    def feed_data(self, data: "bytes | bytearray | memoryview[int] | array[int]") -> None:
        """Parse data."""
        try:
            super().feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._protocol.unread = bytes(data)[upgrade.args[0] :]


class BoundedHttp(HttpToolsProtocol):
    """HTTP/1.1 of uvicorn that refuses large and slow heads, and closes the longest waiting connection for a new one.

    Connections wait before and between requests, while their client reads no answer and, closed after these, while it
    sends no more of a body; those whose whole request is being answered are never closed otherwise.
    """

    head_seconds: ClassVar[float] = HEAD_SECONDS
    write_seconds: ClassVar[float] = WRITE_SECONDS
    last_seconds: ClassVar[float] = LAST_SECONDS
    waiting: ClassVar[OrderedDict["BoundedHttp", None]] = OrderedDict()
    """Connections that wait for a head, or for their client to read an answer; the longest waiting first."""
    sending: ClassVar[OrderedDict["BoundedHttp", None]] = OrderedDict()
    """Connections whose head has come and whose body has not; that whose last part is the oldest first."""
    limit: ClassVar[int] = max_connections(resource.getrlimit(resource.RLIMIT_NOFILE)[0])

    unread = b""
    _plain_head = b""
    """A head without its wish for another protocol, until it is parsed again."""
    _in_head = True
    _head_bytes = 0
    _bytes_since_body = 0
    _refused = False
    _stopping = False
    _timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _answering: RequestResponseCycle | None = None
    """The request that is being answered: of pipelined ones not the newest, which is ``cycle``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's types differ
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.parser = _Parser(self)
        self._wait()
        self._start_timer()
        if len(self.connections) > self.limit:
            longest = next((other for other in chain(self.waiting, self.sending) if other is not self), self)
            longest.transport.abort()  # to close it would wait until the client has read what was written
            longest._forget()  # noqa: SLF001 - a connection like this

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, and tell its requests that the client has gone."""
        self._forget()
        self._stop_timer()
        self._stop_write_timer()
        # uvicorn marks the newest request alone, and a pipelined one before it would go on to answer no one.
        for cycle in (self._answering, *(waiting for waiting, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse data, slice by slice where a head is not whole yet."""
        while data and not self._refused:
            if self._in_head and self._head_bytes >= MAX_HEAD_BYTES:
                self._refuse(f"the head of the request is larger than {MAX_HEAD_BYTES:,} bytes")
                return
            size = SLICE_BYTES if self._in_head else len(data)
            part, data = data[:size], data[size:]
            super().data_received(part)
            while self._plain_head and not self._refused:
                super().data_received(self._plain_again())
            if self.transport.is_closing() or self.parser is None:
                return
            if self._in_head:
                self._head_bytes += len(part)
            else:
                self._bytes_since_body += len(part)
                if self._bytes_since_body > len(part) + MAX_HEAD_BYTES:
                    self.transport.close()  # endless trailers or chunk extensions
                    return

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._head_bytes = 0
        self._start_timer()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers after a body are none, and are dropped (RFC 9110, 6.5.1)."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start to answer a request whose head is whole; one that asks for another protocol is read again without."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._plain_head = self._head_without_upgrade()
            return
        self._in_head = False
        self._bytes_since_body = 0
        self._stop_timer()
        self.waiting.pop(self, None)
        if len(self.headers) > MAX_HEADERS:
            self._refuse(f"the request has more than {MAX_HEADERS} headers")
            return
        super().on_headers_complete()
        if not self.pipeline:
            self.sending[self] = None
        if self._stopping and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """End a request; the next head may come in the same data."""
        if self._plain_head:
            return
        self._in_head = True
        self._head_bytes = 0
        self.sending.pop(self, None)
        if not self._refused:
            super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body."""
        self._bytes_since_body = 0
        if self in self.sending:
            self.sending.move_to_end(self)
        if not self._refused:
            super().on_body(body)

    def on_response_complete(self) -> None:
        """Wait for the next request, unless it is there already."""
        super().on_response_complete()
        if not self.pipeline:
            self._wait()
            if self._stopping:
                self.loop.call_later(self.last_seconds, self._close_idle)

    def shutdown(self) -> None:
        """Answer the current request, or the next one, with `Connection: close`.

        uvicorn closes idle connections at once, and the request that a client sends at that moment is lost.
        """
        self._stopping = True
        if self._is_idle():
            self.loop.call_later(self.last_seconds, self._close_idle)
        elif self.cycle is not None and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def pause_writing(self) -> None:
        """Start to measure how fast a slow client reads its answer."""
        super().pause_writing()
        self._wait()
        self._start_write_timer()

    def resume_writing(self) -> None:
        """Go on answering."""
        super().resume_writing()
        self._stop_write_timer()
        if not self._is_idle():
            self.waiting.pop(self, None)

    def _head_without_upgrade(self) -> bytes:
        """Return the head of the request as it would be without the wish for another protocol."""
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            lines.append(b"%s: %s" % (name, UPGRADE.sub(b"-", value) if name == b"connection" else value))
        return b"\r\n".join([*lines, b"", b""])

    def _plain_again(self) -> bytes:
        """Return the head without its wish and what was sent after it, for a parser of their own."""
        data = self._plain_head + self.unread
        self._plain_head, self.unread, self.parser = b"", b"", _Parser(self)
        return data

    def _start_write_timer(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self._write_timer = self.loop.call_later(self.write_seconds, self._check_written, unread)

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()

    def _check_written(self, before: int) -> None:
        """Abort a connection whose client has read next to nothing."""
        if before - self.transport.get_write_buffer_size() < MIN_WRITTEN_BYTES:
            self.transport.abort()
        else:
            self._start_write_timer()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _close_idle(self) -> None:
        if self._is_idle():
            self.transport.close()

    def _wait(self) -> None:
        self.waiting[self] = None
        self.waiting.move_to_end(self)

    def _forget(self) -> None:
        self.waiting.pop(self, None)
        self.sending.pop(self, None)

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_seconds, self._late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        """Close a connection whose head has not arrived in time, unless a request before it is being answered."""
        self._timer = None
        if not self._is_idle():
            self._start_timer()
        elif not self._head_bytes:
            self.transport.close()
        else:
            self._refuse(f"the head has not arrived within {self.head_seconds:g} s", HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, detail: str, status: HTTPStatus = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE) -> None:
        """Answer a problem and close the connection; for a moment more is read, as unread data resets the answer."""
        body = orjson.dumps({"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail})
        head = (
            f"HTTP/1.1 {int(status)} {status.phrase}\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self._refused = True
        self.transport.write(head.encode() + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._stop_timer()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)
