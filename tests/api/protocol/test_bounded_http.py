"""Bounds of the server on heads and connections, against real sockets."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import orjson
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.protocol.bounded_http import MAX_HEAD_BYTES, MAX_HEADERS, BoundedHttp
from tests.limits import HANG_SECONDS

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def length_of_body(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the path, the length of the body and the header `t`."""
    body = await Request(scope, receive).body()
    answer = (
        b"x" * 8_000_000
        if scope["path"] == "/large"
        else f"{scope['path']} {len(body)}{dict(scope['headers']).get(b't', b'').decode()}"
    )
    await Response(answer)(scope, receive, send)


class Hasty(BoundedHttp):
    """The protocol with little patience and few connections."""

    head_seconds = 0.3
    write_seconds = 0.3
    waiting: ClassVar[OrderedDict[BoundedHttp, None]] = OrderedDict()
    sending: ClassVar[OrderedDict[BoundedHttp, None]] = OrderedDict()
    limit = 3


class Stopping(BoundedHttp):
    """The protocol of a server that waits for a last request briefly."""

    last_seconds = 0.05
    waiting: ClassVar[OrderedDict[BoundedHttp, None]] = OrderedDict()


def against(work: Callable[[Connect], Awaitable[Any]], protocol: type[BoundedHttp] = BoundedHttp) -> Any:
    """Return what some work against a server returns."""

    async def run() -> Any:
        config = uvicorn.Config(length_of_body, port=0, http=protocol, ws="none", lifespan="off", log_level="error")
        server = uvicorn.Server(config)
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        port = server.servers[0].sockets[0].getsockname()[1]
        opened: list[asyncio.StreamWriter] = []

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            opened.append(writer)
            return reader, writer

        try:
            async with asyncio.timeout(HANG_SECONDS):
                return await work(connect)
        finally:
            for writer in opened:
                writer.close()
            await asyncio.gather(*(writer.wait_closed() for writer in opened), return_exceptions=True)
            await server.shutdown()

    return asyncio.run(run())


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Return status and body of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return int(head.split()[1]), await reader.readexactly(length)


def test_requests_one_after_the_other_and_pipelined_are_answered() -> None:
    async def work(connect: Connect) -> list[Any]:
        reader, writer = await connect()
        writer.write(GET)
        answers = [await answer(reader)]
        body = b"x" * 300_000
        head = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        writer.write(head + body + GET + GET)
        answers += [await answer(reader) for _ in range(3)]
        writer.close()
        return answers

    assert against(work) == [(200, b"/a 0"), (200, b"/b 300000"), (200, b"/a 0"), (200, b"/a 0")]


@pytest.mark.parametrize("connection", [b"Upgrade, HTTP2-Settings\r\nUpgrade: h2c", b"upgrade\r\nUpgrade: websocket"])
@pytest.mark.parametrize(
    ("framing", "body", "length"),
    [
        (b"Content-Length: %d" % len(GET), GET, len(GET)),
        (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n", 3),
    ],
)
def test_the_body_of_a_request_that_asks_for_another_protocol_is_no_further_request(
    connection: bytes, framing: bytes, body: bytes, length: int
) -> None:
    head = b"POST /b HTTP/1.1\r\nHost: x\r\nConnection: %s\r\n%s\r\n\r\n" % (connection, framing)

    async def work(connect: Connect) -> list[Any]:
        reader, writer = await connect()
        answers = []
        for parts in ([head + body + head + body + GET], [head, body + head[:60], head[60:-1], b"\n" + body, GET]):
            for part in parts:
                writer.write(part)
                await asyncio.sleep(0.01)
            answers += [await answer(reader) for _ in range(3)]
        return answers

    assert against(work) == [(200, b"/b %d" % length), (200, b"/b %d" % length), (200, b"/a 0")] * 2


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * (4 * MAX_HEAD_BYTES),
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * MAX_HEADERS + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"a:\r\n" * MAX_HEAD_BYTES,
    ],
    ids=["long address", "long header", "many headers", "very many headers"],
)
def test_a_head_that_is_too_large_is_refused_and_the_connection_closed(head: bytes) -> None:
    async def work(connect: Connect) -> tuple[int, bytes, bytes]:
        reader, writer = await connect()
        writer.write(head)
        status, body = await answer(reader)
        try:
            rest = await reader.read()
        except ConnectionResetError:  # what was sent and not read
            rest = b""
        return status, body, rest

    status, body, rest = against(work)
    assert (status, rest) == (431, b"")
    assert orjson.loads(body)["title"] == "Request Header Fields Too Large"


def test_the_largest_head_that_is_allowed_is_taken() -> None:
    async def work(connect: Connect) -> tuple[int, bytes]:
        reader, writer = await connect()
        writer.write(b"GET /a HTTP/1.1\r\nHost: x\r\n" + b"b: c\r\n" * (MAX_HEADERS - 2) + b"A: " + b"a" * 40_000)
        writer.write(b"\r\n\r\n")
        return await answer(reader)

    assert against(work) == (200, b"/a 0")


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", GET + b"GET / HT"])
def test_a_connection_that_sends_no_whole_head_in_time_is_closed(sent: bytes) -> None:
    async def work(connect: Connect) -> bytes:
        reader, writer = await connect()
        writer.write(sent)
        return await reader.read()

    received = against(work, Hasty)
    assert received.count(b"HTTP/1.1 ") == sent.count(b"GET")
    assert (b"HTTP/1.1 408 " in received) is bool(sent)


def test_a_slow_body_is_not_the_protocols_to_refuse() -> None:
    async def work(connect: Connect) -> tuple[int, bytes]:
        reader, writer = await connect()
        writer.write(b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
        await asyncio.sleep(2 * Hasty.head_seconds)
        writer.write(b"cd")
        return await answer(reader)

    assert against(work, Hasty) == (200, b"/b 4")


def test_the_longest_waiting_connection_makes_room_for_a_new_one() -> None:
    async def work(connect: Connect) -> list[Any]:
        busy, sending = await connect()
        sending.write(b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n")
        await asyncio.sleep(0.05)
        idle = [(await connect())[0] for _ in range(2)]
        await asyncio.sleep(0.05)
        reader, writer = await connect()
        writer.write(GET)
        outcomes: list[Any] = [await answer(reader), await idle[0].read()]
        sending.write(b"x")
        return [*outcomes, await answer(busy)]

    assert against(work, Hasty) == [(200, b"/a 0"), b"", (200, b"/b 1")]


def test_bodies_that_do_not_come_shut_nobody_out() -> None:
    async def work(connect: Connect) -> list[Any]:
        (first, sending), (silent, _), _ = connections = [await connect() for _ in range(Hasty.limit)]
        for number, (_, writer) in enumerate(connections):
            writer.write(b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
            for _ in iter(lambda number=number: len(Hasty.sending) > number, True):
                await asyncio.sleep(0.01)
        eldest = next(iter(Hasty.sending))
        sending.write(b"x")
        for _ in iter(lambda: next(iter(Hasty.sending)) is eldest, False):
            await asyncio.sleep(0.01)
        reader, writer = await connect()
        writer.write(GET)
        outcomes: list[Any] = [await answer(reader), await silent.read()]
        sending.write(b"x")
        return [*outcomes, await answer(first)]

    assert against(work, Hasty) == [(200, b"/a 0"), b"", (200, b"/b 2")]


@pytest.mark.parametrize(
    "sent", [b"0\r\nT: " + b"x" * 400_000, b"0\r\n" + b"T: x\r\n" * 70_000, b"2;" + b"x" * 400_000]
)
def test_trailers_and_chunk_extensions_without_end_close_the_connection(sent: bytes) -> None:
    async def work(connect: Connect) -> bytes:
        reader, writer = await connect()
        writer.write(b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n" + sent)
        try:
            return await reader.read()
        except ConnectionError:
            return b""

    assert against(work) == b""


def test_small_chunks_are_taken_and_a_trailer_is_no_header() -> None:
    async def work(connect: Connect) -> Any:
        reader, writer = await connect()
        chunked = b"POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(chunked + b"1\r\nx\r\n" * 100_000 + b"0\r\nT: x\r\n\r\n" + GET)
        return [await answer(reader), await answer(reader)]

    assert against(work) == [(200, b"/b 100000"), (200, b"/a 0")]


def test_a_client_that_reads_no_answer_makes_room_and_is_cut_off() -> None:
    async def work(connect: Connect) -> Any:
        for _ in range(Hasty.limit):
            _, writer = await connect()
            writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        for _ in iter(lambda: len(Hasty.waiting) < Hasty.limit, False):
            await asyncio.sleep(0.01)
        reader, writer = await connect()
        writer.write(GET)
        answered = await answer(reader)
        writer.close()
        for _ in iter(lambda: len(Hasty.waiting) > 0, False):
            await asyncio.sleep(0.01)
        return answered

    assert against(work, Hasty) == (200, b"/a 0")


def test_a_server_that_stops_answers_the_request_that_was_on_its_way_and_closes_idle_connections() -> None:
    async def work(connect: Connect) -> Any:
        sending, idle = await connect(), await connect()
        for _ in iter(lambda: len(Stopping.waiting) < 2, False):
            await asyncio.sleep(0.01)
        for connection in list(Stopping.waiting):
            connection.shutdown()
        sending[1].write(GET)
        return [await reader.read() for reader, _ in (sending, idle)]

    last, closed = against(work, Stopping)
    assert last.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in last
    assert closed == b""


def test_a_server_that_stops_ends_an_answer_that_it_has_begun_and_then_the_connection() -> None:
    async def work(connect: Connect) -> Any:
        reader, writer = await connect()
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        for connection in list(Stopping.waiting):
            connection.shutdown()
        return await reader.read()

    assert len(against(work, Stopping)) == 8_000_000
