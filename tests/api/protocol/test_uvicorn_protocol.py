import asyncio
import socket
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.protocol.uvicorn_protocol import MOST_BYTES, Whole

PARTS = st.lists(st.binary(max_size=50) | st.none(), max_size=12)
"""What is written; None: the loop goes on."""
SECONDS = 10


async def sent(parts: list[bytes | None]) -> tuple[bytes, int]:
    """Write parts and close; return what arrives, and how many writes of the system it took at most."""
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    watched = Mock(wraps=transport)
    whole = Whole(watched, loop)
    reader, writer = await asyncio.open_connection(sock=theirs)
    for part in parts:
        if part is None:
            await asyncio.sleep(0)
        else:
            whole.write(part)
    whole.close()
    assert whole.is_closing()
    async with asyncio.timeout(SECONDS):
        arrived = await reader.read()
    writer.close()
    return arrived, watched.writelines.call_count


@given(PARTS)
@settings(deadline=None)  # it opens sockets
def test_all_that_is_written_arrives_in_order_however_the_loop_goes_on(parts: list[bytes | None]) -> None:
    arrived, writes = asyncio.run(sent(parts))
    assert arrived == b"".join(part for part in parts if part is not None)
    turns = 1 + parts.count(None)
    assert writes <= turns


def test_head_and_body_of_an_answer_are_one_write() -> None:
    assert asyncio.run(sent([b"HTTP/1.1 200 OK\r\n\r\n", b"body"])) == (b"HTTP/1.1 200 OK\r\n\r\nbody", 1)


def test_no_more_is_kept_than_a_transport_holds_back() -> None:
    part = bytes(MOST_BYTES // 4)
    arrived, writes = asyncio.run(sent([part] * 9))
    assert (len(arrived), writes) == (9 * len(part), 2)


@pytest.mark.parametrize("name", ["get_extra_info", "pause_reading", "set_write_buffer_limits"])
def test_whatever_else_the_transport_has_is_there(name: str) -> None:
    transport = Mock(spec=asyncio.Transport)
    assert getattr(Whole(transport, Mock()), name) is getattr(transport, name)
