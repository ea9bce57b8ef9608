"""Serving beside a bare route: stored lists of 100,000 members, keys checked, against FastAPI answering the same bytes.

``python -m benchmarks.serving --json FILE`` writes for ``sqlite`` and ``postgresql``: ``vs_bare``, our requests per
second as a share of those of a bare async route in the same server, ``p99_vs_bare``, our 99th percentile of the latency
as a multiple of its, and ``processor_vs_bare``, our processor time of a request likewise. Each side is one process of
one worker; one process asks, over :data:`CONNECTIONS` connections. The sides take turns, and each figure is the median
of the rounds' ratios. ``events_vs_copy`` is that of :mod:`benchmarks.serving_events`.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson
import pandas as pd
from sqlalchemy import Engine

from benchmarks import serving_events
from benchmarks.servers import Served, postgresql, served, service
from infra.access import api_keys
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.db import bulk
from infra.db.core_tables import events
from infra.db.engine import make_engine, transaction
from infra.db.migrate import migrate
from infra.runs import store as runs
from infra.runs.list_contents import hash_of_entries

MEMBERS, ITEMS, LENGTH, EVENTS_EACH = 100_000, 5_000, 20, 10
CONNECTIONS = 32


def fill(engine: Engine, *, members: int, now: datetime, days: int = 1) -> str:
    """Write items, members, events of some days and a published run with a list of each member's own; return a key."""
    migrate(engine)
    rng = np.random.default_rng(0)
    item_ids = np.array([f"i{number:05d}" for number in range(ITEMS)])
    member_ids = np.array([f"m{number:06d}" for number in range(members)])
    items = pd.DataFrame({"item_id": item_ids, "title": [f"Lesson {number} on safety" for number in range(ITEMS)]})
    items = items.assign(format="video", duration_seconds=300.0, language="en")
    items["url"] = "https://study.example/items/" + items["item_id"]
    hundredths = np.argsort(rng.random((members, 100)), axis=1)[:, :LENGTH]
    picked = hundredths * (ITEMS // 100) + rng.integers(0, ITEMS // 100, (members, 1))
    reason = [{"code": "because_finished", "arguments": {"item_id": item_id}} for item_id in item_ids]
    entries = [
        orjson.dumps([{"item_id": item_ids[item], "reason": reason[item - 1]} for item in row]).decode()
        for row in picked.tolist()
    ]
    n = members * EVENTS_EACH
    study = pd.DataFrame(
        {
            "event_id": [f"e{number:08d}" for number in range(n)],
            "member_id": np.repeat(member_ids, EVENTS_EACH),
            "item_id": item_ids[rng.integers(0, ITEMS, n)],
            "verb": rng.choice(["viewed", "progressed", "completed"], n),
            "occurred_at": pd.Timestamp(now).as_unit("us") - pd.to_timedelta(rng.integers(1, days + 1, n), unit="D"),
            "progress": rng.random(n).round(2),
        }
    )
    with transaction(engine) as session:
        own = organisations.ensure(session, "default", now=now)
        catalog.store(session, own, "items", items, now=now)
        people = pd.DataFrame({"member_id": member_ids, "language": "en"})
        catalog.store(session, own, "members", people, now=now)
        bulk.insert_new(session, events, study.assign(organisation_key=own))
        record = {"settings_digest": "", "code_version": "", "seeds": {}}
        run = runs.start(session, own, as_of=now, now=now, record=record)
        contents = [hash_of_entries(text) for text in entries]
        lists = pd.DataFrame({"member_id": member_ids, "strategy": "history", "entries_hash": contents})
        runs.store_lists(session, own, run, lists, pd.DataFrame({"entries_hash": contents, "entries": entries}))
        runs.finish(
            session, run, status="published", now=now, checks=[], counts={"lists": members, "listed_items": ITEMS}
        )
        return api_keys.create(session, own, name="benchmark", scopes=["lists:read"], now=now)[1]


BARE = """
from fastapi import FastAPI, Response
from pathlib import Path
app, body = FastAPI(), Path({path!r}).read_bytes()
@app.get("/{{path:path}}")
async def bare() -> Response:
    return Response(body, media_type="application/json")
"""
BARE_COMMAND = ("uvicorn", "bare:app", "--log-level", "warning", "--no-access-log")


class Client(asyncio.Protocol):
    """One connection that asks one thing after the other, and notes how long each took; leaner than any HTTP client."""

    def __init__(self, asked: Iterator[bytes], end: float, times: list[float]) -> None:
        self._asked, self._end, self._times = asked, end, times
        self._got, self._wanted, self._sent = b"", 0, 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask the first thing."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        now = time.perf_counter()
        if now > self._end:
            self._transport.close()
            self.done.set_result(None)
            return
        self._got, self._wanted, self._sent = b"", 0, now
        self._transport.write(next(self._asked))

    def data_received(self, data: bytes) -> None:
        """Note the answer once it is whole, and ask on."""
        self._got += data
        if not self._wanted:
            head, end, _ = self._got.partition(b"\r\n\r\n")
            if not end:
                return
            assert head.startswith(b"HTTP/1.1 200"), self._got
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self._wanted = len(head) + 4 + int(length)
        if len(self._got) >= self._wanted:
            self._times.append(time.perf_counter() - self._sent)
            self.body = self._got.partition(b"\r\n\r\n")[2]
            self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        """End; a connection that the server closed early is a fault."""
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed the connection"))


def questions(key: str, members: int, seed: int) -> Iterator[bytes]:
    """Yield requests for lists of random members without end."""
    rng = np.random.default_rng(seed)
    while True:
        for member in rng.integers(0, members, 1_000).tolist():
            head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {key}"
            yield f"GET /v1/members/m{member:06d}/push-list HTTP/1.1\r\n{head}\r\n\r\n".encode()


class Side(NamedTuple):
    """Figures of one side in one round."""

    per_second: float
    p99_seconds: float
    processor_seconds: float
    """Of a request."""
    body: bytes
    """The last one."""


async def load(server: Served, key: str, *, members: int, seconds: float, seed: int) -> Side:
    """Ask for lists of random members for a while."""
    loop, times, asked = asyncio.get_running_loop(), list[float](), questions(key, members, seed)
    begin, spent = time.perf_counter(), server.processor_seconds()
    clients = [
        (await loop.create_connection(lambda: Client(asked, begin + seconds, times), "127.0.0.1", server.port))[1]
        for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(client.done for client in clients))
    took, n = time.perf_counter() - begin, len(times)
    spent = server.processor_seconds() - spent
    return Side(n / took, float(np.quantile(times, 0.99)), spent / n, clients[0].body)


def measure(engine: Engine, url: str, folder: Path, *, members: int, rounds: int, seconds: float) -> dict[str, float]:
    """Return the figures of one database."""
    key = fill(engine, members=members, now=datetime.now(UTC))
    engine.dispose()
    os.sync()  # so that nothing of the filling is still on its way to the disk
    body, ratios = folder / "body.json", []
    # One key asks for all: its requests are counted, and more than a study app's are let through.
    with served(url, XUELU_RATE_LIMIT_PER_MINUTE="1000000000") as ours:
        warm = asyncio.run(load(ours, key, members=members, seconds=seconds, seed=0))
        body.write_bytes(warm.body)
        (folder / "bare.py").write_text(BARE.format(path=str(body)), encoding="utf-8")
        with service(folder, [sys.executable, "-m", *BARE_COMMAND]) as bare:
            asyncio.run(load(bare, key, members=members, seconds=min(seconds, 2), seed=0))
            for number in range(1, rounds + 1):
                first, second = (
                    asyncio.run(load(server, key, members=members, seconds=seconds, seed=number))
                    for server in (ours, bare)
                )
                ratios.append((first, second))
    return {
        "vs_bare": round(statistics.median(ours.per_second / bare.per_second for ours, bare in ratios), 3),
        "p99_vs_bare": round(statistics.median(ours.p99_seconds / bare.p99_seconds for ours, bare in ratios), 3),
        "processor_vs_bare": round(
            statistics.median(ours.processor_seconds / bare.processor_seconds for ours, bare in ratios), 3
        ),
        "requests_per_second": round(statistics.median(ours.per_second for ours, _ in ratios), 1),
        "bare_requests_per_second": round(statistics.median(bare.per_second for _, bare in ratios), 1),
        "p99_ms": round(1_000 * statistics.median(ours.p99_seconds for ours, _ in ratios), 3),
        "body_bytes": len(body.read_bytes()),
    }


def databases(kind: str, folder: Path, stack: ExitStack) -> list[str]:
    """Return the addresses of two empty databases, one for lists and one for events."""
    names = ("xuelu_lists", "xuelu_events")
    if kind == "sqlite":
        return [f"sqlite:///{folder / name}.db" for name in names]
    server = stack.enter_context(postgresql())
    for name in names:
        server.run(f"CREATE DATABASE {name}")
    return [server.url(name) for name in names]


def main() -> None:
    """Measure both databases, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=MEMBERS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each side in each round")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    sizes = {"members": options.members, "rounds": options.rounds, "seconds": options.seconds}
    figures: dict[str, dict[str, float]] = {}
    for database in options.database or ["sqlite", "postgresql"]:
        with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
            lists, events_only = databases(database, Path(name), stack)
            figures[database] = measure(make_engine(lists), lists, Path(name), **sizes)
            key = serving_events.prepare(events_only)
            os.sync()
            with served(events_only) as server:
                figures[database] |= serving_events.measure(events_only, server.address, key)
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
