"""Faults injected into the delivery, and what they cost: workers killed, connections cut, receivers that misbehave.

``python -m benchmarks.delivery_faults --database-url URL --json FILE`` needs an empty PostgreSQL database. It plans one
push for every member, then lets workers loose on them, each a process. Most of them are killed by ``SIGKILL`` at one of
the steps of a batch and replaced; now and then all connections of the database are cut. The receiver answers late,
with errors, asks to wait, hangs up after it has taken the push, or never answers; and it drops repeated ids, as
receivers must. When the faults are over, the workers that live deliver what is left.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count as count_up
from pathlib import Path
from typing import Any, NoReturn, Self

import psycopg
from prometheus_client import CollectorRegistry
from sqlalchemy import make_url, select

from benchmarks.push_organisation import NOON, plan_pushes, publish_lists
from benchmarks.study_app import Push, Reply, StudyApp
from infra.db.delivery_tables import deliveries, delivery_attempts
from infra.db.engine import make_engine, opened, transaction
from infra.delivery.metrics import DeliveryMetrics
from infra.settings.sections import DeliverySettings
from infra.settings.settings import Settings
from jobs.delivery.worker import WorkerContext, deliver

STEPS = ("claim", "claimed", "send", "sent", "record", "recorded")
GIVEN = DeliverySettings(
    secret_key="a key for this measurement only: nothing else",  # noqa: S106 - of a database that is thrown away
    allow_private_addresses=True,
    timeout_seconds=1.0,
    lease_seconds=5.0,
    concurrency=8,
    retry_seconds=(0.3,) * 60,
)
LATE_SECONDS, NEVER_SECONDS = 1.5, 3_600.0
MAX_SECONDS = 900.0
CUT_EVERY_SECONDS = 1.0


def clock_from(start: float) -> Callable[[], datetime]:
    """Return a clock that shows noon at a moment of the monotonic clock, and goes on from there."""
    return lambda: NOON + timedelta(seconds=time.monotonic() - start)


class Moody:
    """Receiver that misbehaves while ``misbehaves`` is set, and processes each id once.

    Of a push it either takes the id and answers well, late, or not at all; or it refuses it.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.misbehaves = True
        self.moods: Counter[str] = Counter()
        self.processed: Counter[str] = Counter()
        self.members: dict[str, str] = {}
        self.repeated = 0

    def __call__(self, push: Push) -> Reply:
        """Answer a push."""
        moods = ("well", "late", "never", "hangs up", "error", "busy", "redirect") if self.misbehaves else ("well",)
        mood = self._rng.choice(moods)
        self.moods[mood] += 1
        if mood in {"error", "busy", "redirect"}:
            busy = Reply(429, {"retry-after": "1"})
            return {"error": Reply(500), "busy": busy, "redirect": Reply(307, {"location": "/other"})}[mood]
        if push.delivery_id in self.processed:
            self.repeated += 1
        else:
            self.processed[push.delivery_id] += 1
            self.members[push.delivery_id] = json.loads(push.body)["data"]["member_id"]
        delay = {"late": LATE_SECONDS, "never": NEVER_SECONDS}.get(mood, 0.0)
        return Reply(None if mood == "hangs up" else 204, delay_seconds=delay)


def serve_workers() -> None:
    """Fork a worker for each line on standard input, which says how it works and when it dies; an empty one asks.

    The answer to each line is the numbers of the workers that died since the last one. At the end of input all get a
    signal to stop. This process has imported everything and has no threads, so that a fork costs little and loses
    nothing; and as no other process waits for its children, no process id is used again.
    """
    alive: dict[int, int] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        if asked:
            child = os.fork()
            if not child:
                work_until_killed(asked)
            alive[child] = asked["worker"]
        dead = []
        while alive and (ended := os.waitpid(-1, os.WNOHANG)[0]):
            dead.append(alive.pop(ended))
        print(json.dumps(dead), flush=True)
    for child in alive:
        os.kill(child, signal.SIGTERM)
    for child in alive:
        os.waitpid(child, 0)


def work_until_killed(asked: dict[str, Any]) -> NoReturn:
    """Work as ``xuelu deliver --watch`` does; die at the step that was asked for."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    settings = Settings(**asked["settings"])
    left = Counter({asked["step"]: asked["count"]} if asked["step"] else {})

    def step(name: str) -> None:
        left[name] -= 1
        if left[name] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    async def run() -> None:
        metrics = DeliveryMetrics(CollectorRegistry())
        work = WorkerContext(
            make_engine(settings.database_url), settings, clock_from(asked["start"]), metrics, step=step
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.stop.set)
        await deliver(work, watch=True)

    try:
        asyncio.run(run())
    finally:
        os._exit(0)


class Workers:
    """Worker processes: as many at a time as wanted, most of them doomed; use it as a context."""

    def __init__(self, settings: Settings, count: int, *, rng: random.Random) -> None:
        self._settings, self._count, self._rng, self._start = settings, count, rng, time.monotonic()
        command = [sys.executable, "-m", "benchmarks.delivery_faults", "--serve"]
        self._nursery = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        self._alive: dict[int, str] = {}
        self._numbers = count_up()
        self.killed: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._nursery.communicate(timeout=600)

    def fill_up(self, *, doomed: bool) -> None:
        """Count the dead, and replace them."""
        self._ask({})
        while len(self._alive) < self._count:
            step = self._rng.choice(STEPS) if doomed else ""
            most = 3 * GIVEN.concurrency if step in {"send", "sent"} else 4
            worker = next(self._numbers)
            self._alive[worker] = step
            asked = {"worker": worker, "step": step, "count": self._rng.randint(1, most), "start": self._start}
            self._ask({**asked, "settings": self._settings.model_dump(mode="json")})

    def _ask(self, asked: dict[str, Any]) -> None:
        assert self._nursery.stdin
        assert self._nursery.stdout
        self._nursery.stdin.write(json.dumps(asked) + "\n")
        self._nursery.stdin.flush()
        for worker in json.loads(self._nursery.stdout.readline()):
            self.killed[self._alive.pop(worker)] += 1


def maltreat(database_url: str, *, members: int, workers: int, kills: int, seed: int = 0) -> dict[str, Any]:
    """Return what became of pushes under faults: ``faults`` by kind, ``pushes``, ``lost``, ``doubled`` and the rest."""
    settings = Settings(database_url=database_url, delivery=GIVEN)
    rng = random.Random(seed)  # noqa: S311 - it is the faults that are to be the same again
    moody, cuts, start = Moody(rng), 0, time.monotonic()
    with StudyApp(moody) as app:
        with opened(database_url) as engine:
            planned = plan_pushes(engine, publish_lists(engine, members), app.url, GIVEN)
        with (
            psycopg.connect(plain(database_url), autocommit=True) as watcher,
            Workers(settings, workers, rng=rng) as fleet,
        ):
            cut_at = start + CUT_EVERY_SECONDS
            while watcher.execute(LEFT).fetchall() != [(0,)]:
                moody.misbehaves = fleet.killed.total() < kills
                fleet.fill_up(doomed=moody.misbehaves)
                if moody.misbehaves and time.monotonic() > cut_at:
                    cuts += len(watcher.execute(CUT).fetchall())
                    cut_at = time.monotonic() + CUT_EVERY_SECONDS
                assert time.monotonic() < start + MAX_SECONDS, "the pushes do not come to an end"
                time.sleep(0.05)
    return figures_of(database_url, moody, planned, {**fleet.killed, "connections cut": cuts})


LEFT = "SELECT count(*) FROM deliveries WHERE status = 'pending'"
CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


def plain(database_url: str) -> str:
    """Return an address as the driver itself takes it."""
    return make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)


def figures_of(database_url: str, moody: Moody, planned: int, faults: dict[str, int]) -> dict[str, Any]:
    """Compare what was planned with what the receiver has processed and what the ledger says."""
    with opened(database_url) as engine, transaction(engine) as session:
        ledger = session.execute(select(deliveries.c.delivery_id, deliveries.c.status)).all()
        attempts = session.execute(select(delivery_attempts.c.outcome)).scalars().all()
    by_member = Counter(moody.members.values())
    kinds = {f"killed at {step}" if step in STEPS else step: count for step, count in faults.items()}
    kinds |= {f"receiver {mood}": count for mood, count in moody.moods.items() if mood != "well"}
    return {
        "pushes": planned,
        "faults": dict(sorted(kinds.items())),
        "faults_injected": sum(kinds.values()),
        "lost": sum(delivery_id not in moody.processed for delivery_id, _ in ledger) + planned - len(ledger),
        "doubled": sum(count > 1 for count in (*moody.processed.values(), *by_member.values())),
        "repeats_dropped": moody.repeated,
        "statuses": dict(Counter(status for _, status in ledger)),
        "attempts": len(attempts),
        "attempts_without_outcome": sum(outcome is None for outcome in attempts),
    }


def main() -> None:
    """Inject and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url")
    parser.add_argument("--members", type=int, default=3_000)
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve_workers()
        return
    figures = maltreat(
        arguments.database_url,
        members=arguments.members,
        workers=arguments.workers,
        kills=arguments.kills,
        seed=arguments.seed,
    )
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
