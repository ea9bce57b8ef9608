"""The service on a port of the loopback, in a thread of the tests: a process of its own imports everything anew."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from api.app import create_app
from infra.settings.settings import Settings
from tests.limits import HANG_SECONDS


@contextmanager
def listening(settings: Settings, bound: socket.socket | None = None) -> Iterator[str]:
    """Serve in a thread, at a port that is bound already or any, and yield the origin of the service."""
    config = uvicorn.Config(create_app(settings), port=0, log_level="error", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([bound] if bound else None,), daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.05)
        assert thread.is_alive(), "the service did not start"
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(HANG_SECONDS)
