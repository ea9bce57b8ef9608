"""Signed pushes a second from one worker to a receiver on this machine.

``python -m benchmarks.delivery --json FILE`` writes ``pushes_per_second`` (median of the rounds), ``bare_per_second``:
the same bodies posted by the same HTTP client with as many at a time, unsigned and without any ledger, to the same
receiver, in turn; and ``vs_bare``, the median of the rounds' ratios. The receiver is a process of its own. With
``--database-url`` the ledger is on that (empty) PostgreSQL or SQLite database, else on a new SQLite file.
"""

import argparse
import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from uuid import uuid4

import httpx2
from prometheus_client import CollectorRegistry

from benchmarks.push_organisation import NIGHT, NOON, plan_pushes, publish_lists
from benchmarks.study_app import StudyApp
from infra.catalog import organisations
from infra.db.engine import make_engine, transaction
from infra.delivery import endpoints
from infra.delivery.metrics import DeliveryMetrics
from infra.settings.sections import DeliverySettings
from infra.settings.settings import Settings
from jobs.delivery.worker import WorkerContext, deliver

GIVEN = DeliverySettings(
    secret_key="a key for this measurement only: nothing else",  # noqa: S106 - of a database that is thrown away
    allow_private_addresses=True,
    max_per_day=1_000,
    max_per_week=1_000,
)


def _receive(pipe: Connection) -> None:
    with StudyApp() as app:
        pipe.send(app.url)
        while pipe.recv() == "count":
            pipe.send((len(app.seen), len(set(app.ids)), sum(len(push.body) for push in app.seen[:100]) // 100))
            app.seen.clear()


@contextmanager
def receiver() -> Iterator[tuple[str, Connection]]:
    """Run a study app in a process of its own; yield its address and a pipe to ask it for counts."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_receive, args=(theirs,), daemon=True)
    process.start()
    yield ours.recv(), ours
    ours.send("stop")
    process.join(30)


def counted(pipe: Connection) -> tuple[int, int, int]:
    """Return pushes, distinct ids and bytes of a body since the last time."""
    pipe.send("count")
    counts: tuple[int, int, int] = pipe.recv()
    return counts


async def bare(url: str, count: int, body: bytes) -> None:
    """Post a body many times, as many at a time as the worker does."""
    limits = httpx2.Limits(max_connections=GIVEN.concurrency, max_keepalive_connections=GIVEN.concurrency)
    left = iter(range(count))
    async with httpx2.AsyncClient(trust_env=False, limits=limits) as client:

        async def post() -> None:
            for _ in left:
                await client.post(url, content=body, headers={"webhook-id": uuid4().hex})

        await asyncio.gather(*(post() for _ in range(GIVEN.concurrency)))


def one_round(settings: Settings, run_key: int, url: str, pipe: Connection, members: int) -> tuple[float, float]:
    """Return pushes a second of the worker and of the bare client."""
    engine = make_engine(settings.database_url)
    endpoint_url = f"{url}/{uuid4().hex}"
    assert plan_pushes(engine, run_key, endpoint_url, settings.delivery, now=NIGHT) == members
    start = time.perf_counter()

    def clock() -> datetime:
        return NOON + timedelta(seconds=time.perf_counter() - start)

    done = asyncio.run(
        deliver(WorkerContext(engine, settings, clock, DeliveryMetrics(CollectorRegistry())), watch=False)
    )
    ours = members / (time.perf_counter() - start)
    seen, distinct, size = counted(pipe)
    assert done["delivered"] == seen == distinct == members, (done, seen, distinct)
    with transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        [endpoint] = endpoints.list_endpoints(session, key)
        endpoints.set_status(session, endpoint["endpoint_key"], endpoints.REMOVED)
    start = time.perf_counter()
    asyncio.run(bare(url, members, b"x" * size))
    bare_rate = members / (time.perf_counter() - start)
    assert counted(pipe)[0] == members
    engine.dispose()
    return ours, bare_rate


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--database-url")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, receiver() as (url, pipe):
        database_url = arguments.database_url or f"sqlite:///{folder}/delivery.db"
        settings = Settings(database_url=database_url, delivery=GIVEN)
        engine = make_engine(database_url)
        run_key = publish_lists(engine, arguments.members)
        engine.dispose()
        rounds = [one_round(settings, run_key, url, pipe, arguments.members) for _ in range(arguments.rounds)]
    figures = {
        "database": database_url.partition(":")[0],
        "pushes": arguments.members,
        "pushes_per_second": round(statistics.median(ours for ours, _ in rounds)),
        "bare_per_second": round(statistics.median(other for _, other in rounds)),
        "vs_bare": round(statistics.median(ours / other for ours, other in rounds), 3),
    }
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
