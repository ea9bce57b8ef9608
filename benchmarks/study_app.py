"""A study app that takes pushes on 127.0.0.1, as its test wants: at once, late, never, with any status."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

MAX_HEAD = 65_536


@dataclass(frozen=True)
class Push:
    """A push as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def delivery_id(self) -> str:
        """Id that repeated pushes share."""
        return self.headers["webhook-id"]


@dataclass(frozen=True)
class Reply:
    """Answer of the app after ``delay_seconds``; without a status it hangs up."""

    status: int | None = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay_seconds: float = 0.0


class StudyApp:
    """A study app in a thread of its own; use it as a context.

    Parameters
    ----------
    answer : callable
        Called with each push, returns the reply. It runs in the app's thread.
    tls : SSLContext, optional
        Speak HTTPS.
    """

    def __init__(
        self, answer: Callable[[Push], Reply] = lambda _push: Reply(), tls: ssl.SSLContext | None = None
    ) -> None:
        self._answer, self._tls = answer, tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = threading.Event()
        self.port = 0
        self.seen: list[Push] = []
        self.connections = 0

    @property
    def url(self) -> str:
        """Address that pushes go to."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/pushes"

    @property
    def ids(self) -> list[str]:
        """The ids of all pushes that came in, repeated ones included."""
        return [push.delivery_id for push in self.seen]

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait(600)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls, limit=MAX_HEAD, backlog=512)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {
                    name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                push = Push(head[0].split()[1], headers, body)
                self.seen.append(push)
                reply = self._answer(push)
                if reply.delay_seconds:
                    await asyncio.sleep(reply.delay_seconds)
                if reply.status is None:
                    break
                headers = {"content-length": str(len(reply.body))} | reply.headers
                lines = [f"HTTP/1.1 {reply.status} Replied", *(f"{name}: {value}" for name, value in headers.items())]
                writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + reply.body)
                await writer.drain()
        writer.close()
