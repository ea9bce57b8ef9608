"""Connections whose answers leave whole: head and body in one packet, and for one call of the system.

Uvicorn writes the head of an answer and its body one after the other, and each write goes out at once.
"""

from asyncio import AbstractEventLoop, Transport
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_BYTES = 1 << 16
"""What is kept at most: as much as a transport holds back before it asks for a pause."""


class Whole:
    """A transport that keeps what is written until the loop goes on, and writes it at once then."""

    def __init__(self, transport: Transport, loop: AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._kept: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Keep data for a moment."""
        if not self._kept:
            self._loop.call_soon(self._write)
        self._kept.append(data)
        self._size += len(data)
        if self._size > MOST_BYTES:
            self._write()

    def close(self) -> None:
        """Write what is kept, and end."""
        self._write()
        self._transport.close()

    def _write(self) -> None:
        kept, self._kept, self._size = self._kept, [], 0
        if kept:
            self._transport.writelines(kept)

    def __getattr__(self, name: str) -> Any:
        """Return whatever else the transport has."""
        return getattr(self._transport, name)


class Connection(HttpToolsProtocol):
    """Uvicorn's HTTP over such a transport; ``xuelu serve`` tells uvicorn to use it."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # uvicorn's own types differ
        """Begin."""
        super().connection_made(cast("Transport", Whole(transport, self.loop)))
