"""The delivery: whatever is due goes to the endpoints of study apps, until nothing is left or until stopped.

Each endpoint has a lane of its own, so that one which answers late or never holds up no other. A lane takes a batch
from the ledger, sends it, and writes down what came of it; two batches take turns, so that sending and writing overlap.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Engine

from content_catalog.errors import XueluError
from infra.db.engine import transaction
from infra.delivery import claims, endpoints
from infra.delivery.claims import Claimed, Settled
from infra.delivery.endpoints import Endpoint
from infra.delivery.metrics import Meters
from infra.delivery.outbox import DEAD, DELIVERED, DROPPED, PENDING
from infra.delivery.payloads import body_of, lists_to_push
from infra.delivery.sealed_secrets import Sealer
from infra.delivery.webhooks import Answer, Receiver
from infra.errors import DatabaseError, EndpointError
from infra.settings.settings import Settings
from jobs.delivery import batch_files

POLL_SECONDS = 1.0
JITTER = 0.2
TURNS = 2
SETTLE_WAITS_SECONDS = (0.5, 1.0, 2.0, 4.0)

log = structlog.get_logger()


def _no_step(_name: str) -> None:
    pass


@dataclass(frozen=True)
class Work:
    """What a worker works with.

    Attributes
    ----------
    clock : callable
        Returns the present moment, aware.
    rng : Random
        Chooses the jitter of retries and among the addresses of a host.
    step : callable
        Told the name of each step as it begins: ``claim, claimed, send, sent, settle, settled``.
    """

    engine: Engine
    settings: Settings
    clock: Callable[[], datetime]
    meters: Meters
    rng: random.Random = field(default_factory=random.SystemRandom)
    step: Callable[[str], None] = _no_step
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    done: Counter[str] = field(default_factory=Counter)


async def deliver(work: Work, *, watch: bool) -> Counter[str]:
    """Deliver what is due, or with ``watch`` whatever becomes due until stopped; return how many of each status.

    Raises
    ------
    XueluError
        Without ``watch``, where the database is away. With it the worker says so and tries again.
    """
    lanes: dict[int, asyncio.Task[None]] = {}
    while True:
        try:
            for endpoint in await asyncio.to_thread(_look_around, work):
                key = endpoint["endpoint_key"]
                if key in lanes and lanes[key].done():
                    _check(lanes.pop(key))
                if key not in lanes:
                    lanes[key] = asyncio.create_task(_lane(work, endpoint))
        except DatabaseError as error:
            if not watch:
                raise
            log.warning("delivery waits", reason=str(error))
        if not watch:
            await _finish(lanes)
            return work.done
        with suppress(TimeoutError):
            await asyncio.wait_for(work.stop.wait(), POLL_SECONDS)
        if work.stop.is_set():
            await _finish(lanes)
            return work.done
        for key in [key for key, lane in lanes.items() if lane.done()]:
            _check(lanes.pop(key))


async def _finish(lanes: dict[int, asyncio.Task[None]]) -> None:
    """Wait for all lanes, then raise the first fault of any."""
    for fault in await asyncio.gather(*lanes.values(), return_exceptions=True):
        if fault:
            raise fault


def _check(lane: asyncio.Task[None]) -> None:
    """Tell the fault that ended a lane: the next poll begins it anew."""
    try:
        lane.result()
    except (XueluError, OSError) as fault:
        log.warning("delivery to an endpoint waits", reason=str(fault))


def _look_around(work: Work) -> list[Endpoint]:
    now = work.clock()
    with transaction(work.engine) as session:
        buried = claims.bury_expired(session, now=now)
        found = claims.open_endpoints(session, now=now)
    work.done[DEAD] += buried
    work.meters.count(DEAD, buried)
    return found


async def _lane(work: Work, endpoint: Endpoint) -> None:
    """Deliver to one endpoint until nothing is due."""
    if endpoint["kind"] != "webhook":
        made = await asyncio.to_thread(
            batch_files.write_batch, work.engine, work.settings.delivery, endpoint, clock=work.clock, step=work.step
        )
        _count(work, made)
        return
    given = work.settings.delivery
    receiver = Receiver(
        endpoint["target"],
        timeout_seconds=given.timeout_seconds,
        connections=given.concurrency,
        private=given.allow_private_addresses,
        rng=work.rng,
    )
    async with receiver:
        lane = _Lane(work, endpoint, receiver)
        # Both end before the receiver is closed: a fault of one leaves the other's pushes alone.
        ended = await asyncio.gather(*(lane.take_turns() for _ in range(TURNS)), return_exceptions=True)
    for fault in ended:
        if fault:
            raise fault


class _Lane:
    """Batches to one receiver."""

    def __init__(self, work: Work, endpoint: Endpoint, receiver: Receiver) -> None:
        self._work, self._endpoint, self._receiver = work, endpoint, receiver
        self._sealer = Sealer(work.settings.delivery.secret_key)
        self._paused_until: datetime | None = None
        self._gone = False

    async def take_turns(self) -> None:
        while not (self._work.stop.is_set() or self._paused_until or self._gone):
            claimed, secrets, bodies = await asyncio.to_thread(self._claim)
            if not claimed:
                return
            self._work.step("claimed")
            try:
                await self._receiver.look_up()
            except EndpointError as error:
                results = [self._verdict(one, Answer(str(error))) for one in claimed]
            else:
                results = await asyncio.gather(
                    *(self._send(one, bodies[one["delivery_key"]], secrets) for one in claimed)
                )
            await self._settle(results)

    def _claim(self) -> tuple[list[Claimed], list[str], dict[int, bytes | str]]:
        given, now = self._work.settings.delivery, self._work.clock()
        with transaction(self._work.engine) as session:
            self._work.step("claim")
            claimed = claims.claim(
                session,
                self._endpoint["endpoint_key"],
                limit=max(given.concurrency // TURNS, 1),
                lease=timedelta(seconds=given.lease_seconds),
                now=now,
            )
            secrets = endpoints.open_secrets(session, self._endpoint["endpoint_key"], self._sealer, now=now)
            shown = lists_to_push(session, claimed, n=given.list_length, now=now)
        return (
            claimed,
            secrets,
            {key: one if isinstance(one, str) else body_of(one, given) for key, one in shown.items()},
        )

    async def _send(self, one: Claimed, body: bytes | str, secrets: list[str]) -> Settled:
        now = self._work.clock()
        number = {"delivery_key": one["delivery_key"], "number": one["attempts"]}
        if isinstance(body, str):
            return Settled(**number, finished_at=now, outcome=body, status=DROPPED, failed=False)
        if self._paused_until or self._gone:
            due_at = self._paused_until or now
            return Settled(**number, finished_at=now, outcome="not sent", status=PENDING, due_at=due_at, failed=False)
        self._work.step("send")
        with self._work.meters.timed():
            answer = await self._receiver.push(one["delivery_id"], body, secrets, now=now)
        self._work.step("sent")
        return self._verdict(one, answer)

    def _verdict(self, one: Claimed, answer: Answer) -> Settled:
        """Return what an answer means for a delivery, and remember what it means for the endpoint."""
        now, given = self._work.clock(), self._work.settings.delivery
        told = {
            "delivery_key": one["delivery_key"],
            "number": one["attempts"],
            "finished_at": now,
            "outcome": answer.told,
        }
        if answer.accepted:
            return Settled(**told, status=DELIVERED)
        if answer.gone:
            self._gone = True
            return Settled(**told, status=DEAD)
        if answer.wait_seconds is not None:
            until = now + timedelta(seconds=answer.wait_seconds)
            self._paused_until = max(self._paused_until or until, until)
            return Settled(**told, status=PENDING, due_at=until, failed=False)
        if one["failures"] >= len(given.retry_seconds):
            return Settled(**told, status=DEAD)
        wait = given.retry_seconds[one["failures"]] * self._work.rng.uniform(1 - JITTER, 1 + JITTER)
        return Settled(**told, status=PENDING, due_at=now + timedelta(seconds=wait))

    async def _settle(self, results: list[Settled]) -> None:
        """Write down what became of a batch; where the database is away, try again for as long as that makes sense."""
        for wait in (*SETTLE_WAITS_SECONDS, None):
            try:
                await asyncio.to_thread(self._write, results)
            except DatabaseError as error:
                if wait is None:
                    raise
                log.warning("results wait", reason=str(error), pushes=len(results))
                await asyncio.sleep(wait)
            else:
                break
        self._work.step("settled")
        _count(self._work, Counter(one.status for one in results))

    def _write(self, results: list[Settled]) -> None:
        key = self._endpoint["endpoint_key"]
        with transaction(self._work.engine) as session:
            claims.settle(session, results)
            if self._paused_until:
                endpoints.throttle(session, key, until=self._paused_until)
            if self._gone:
                endpoints.set_status(session, key, endpoints.DISABLED, reason="it answered 410 Gone")
            self._work.step("settle")


def _count(work: Work, made: Counter[str]) -> None:
    work.done.update(made)
    for status, count in made.items():
        work.meters.count(status, count)
