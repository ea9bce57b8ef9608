"""Delivery worker: sends what is due to the endpoints of study apps, until nothing is left or until stopped.

Each endpoint has a lane of its own, so that a slow, silent or faulty endpoint affects no other. A lane claims a batch,
sends it, and records the results; two batches overlap, so that the network and the database work at the same time.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import Engine

from content_catalog.errors import XueluError
from infra.access.secret_encryption import SecretCipher
from infra.db.engine import transaction
from infra.delivery import claims, endpoints
from infra.delivery.claims import AttemptResult, Claim
from infra.delivery.endpoints import Endpoint
from infra.delivery.metrics import DeliveryMetrics
from infra.delivery.outbox import DEAD, DELIVERED, DROPPED, PENDING, push_rules
from infra.delivery.payloads import in_quiet_hours, lists_to_push, push_body
from infra.delivery.webhooks import WebhookClient, WebhookResponse
from infra.errors import DatabaseError, EndpointError
from infra.policy.required_entries import list_rules
from infra.settings.settings import Settings
from jobs.delivery import batch_files

POLL_SECONDS = 1.0
JITTER = 0.2
BATCHES_IN_FLIGHT = 2
RECORD_WAITS_SECONDS = (0.5, 1.0, 2.0, 4.0)

log = structlog.get_logger()


@dataclass(frozen=True)
class WorkerContext:
    """Everything that a worker uses.

    Attributes
    ----------
    clock : callable
        Returns the present moment, aware.
    rng : Random
        Chooses the jitter of retries and among the addresses of a host.
    step : callable
        Called with the name of each step as it begins: ``claim, claimed, send, sent, record, recorded``.
    """

    engine: Engine
    settings: Settings
    clock: Callable[[], datetime]
    metrics: DeliveryMetrics
    rng: random.Random = field(default_factory=random.SystemRandom)
    step: Callable[[str], None] = lambda _name: None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    attempts: Counter[str] = field(default_factory=Counter)


async def deliver(context: WorkerContext, *, watch: bool) -> Counter[str]:
    """Deliver what is due, or with ``watch`` whatever becomes due until stopped; return attempts by status.

    Raises
    ------
    XueluError
        Without ``watch``, where the database is away. With it the worker logs that and tries again.
    """
    lanes: dict[int, asyncio.Task[None]] = {}
    while True:
        due: list[Endpoint] = []
        try:
            due = await asyncio.to_thread(_poll, context)
        except DatabaseError as error:
            if not watch:
                raise
            log.warning("delivery waits", reason=str(error))
        for key in [key for key, lane in lanes.items() if lane.done()]:
            _log_fault(lanes.pop(key))
        for endpoint in due:
            if (key := endpoint["endpoint_key"]) not in lanes:
                lanes[key] = asyncio.create_task(_run_lane(context, endpoint), name=endpoint["endpoint_id"])
        if watch:
            with suppress(TimeoutError):
                await asyncio.wait_for(context.stop.wait(), POLL_SECONDS)
        if not watch or context.stop.is_set():
            await _finish(lanes)
            return context.attempts


async def _finish(lanes: dict[int, asyncio.Task[None]]) -> None:
    """Wait for all lanes, then raise the first fault of any."""
    for fault in await asyncio.gather(*lanes.values(), return_exceptions=True):
        if fault:
            raise fault


def _log_fault(lane: asyncio.Task[None]) -> None:
    """Log the fault that ended a lane: the next poll starts another one."""
    try:
        lane.result()
    except (XueluError, OSError) as fault:
        log.warning("delivery to an endpoint waits", endpoint=lane.get_name(), reason=str(fault))
    except Exception:
        log.exception("delivery to an endpoint failed", endpoint=lane.get_name())


def _poll(context: WorkerContext) -> list[Endpoint]:
    now = context.clock()
    with transaction(context.engine) as session:
        expired = claims.expire_overdue(session, now=now)
        due = claims.endpoints_with_due(session, now=now)
    _count(context, Counter({DEAD: expired}))
    return due


async def _run_lane(context: WorkerContext, endpoint: Endpoint) -> None:
    """Deliver to one endpoint until nothing is due."""
    if endpoint["kind"] != "webhook":
        statuses = await asyncio.to_thread(
            batch_files.write_batch,
            context.engine,
            context.settings,
            endpoint,
            clock=context.clock,
            step=context.step,
        )
        _count(context, statuses)
        return
    lane = _WebhookLane(context, endpoint)
    # Both end before the client is closed: a fault of one leaves the other's pushes alone.
    ended = await asyncio.gather(*(lane.run() for _ in range(BATCHES_IN_FLIGHT)), return_exceptions=True)
    await lane.close()
    for fault in ended:
        if fault:
            raise fault


class _WebhookLane:
    """Batches to one webhook."""

    def __init__(self, context: WorkerContext, endpoint: Endpoint) -> None:
        self._context, self._endpoint = context, endpoint
        self._client: WebhookClient | None = None
        self._cipher = SecretCipher(context.settings.delivery.secret_key)
        self._paused_until: datetime | None = None
        self._gone = False

    async def run(self) -> None:
        while not (self._context.stop.is_set() or self._paused_until or self._gone):
            batch, secrets, bodies = await asyncio.to_thread(self._claim)
            if not batch:
                return
            self._context.step("claimed")
            try:
                client = await self._resolved_client()
            except EndpointError as error:
                results = [self._result(claim, WebhookResponse(str(error))) for claim in batch]
            else:
                sends = (self._send(client, claim, bodies[claim["delivery_key"]], secrets) for claim in batch)
                results = await asyncio.gather(*sends)
            await self._record(results)

    async def close(self) -> None:
        if self._client:
            await self._client.close()

    async def _resolved_client(self) -> WebhookClient:
        settings = self._context.settings.delivery
        if self._client is None:
            self._client = WebhookClient(
                self._endpoint["target"],
                timeout_seconds=settings.timeout_seconds,
                connections=settings.concurrency,
                allow_private=settings.allow_private_addresses,
                rng=self._context.rng,
            )
        await self._client.resolve()
        return self._client

    def _claim(self) -> tuple[list[Claim], list[str], dict[int, bytes | str | datetime]]:
        settings, now = self._context.settings.delivery, self._context.clock()
        rules = list_rules(self._context.settings)
        with transaction(self._context.engine) as session:
            self._context.step("claim")
            batch = claims.claim(
                session,
                self._endpoint["endpoint_key"],
                limit=max(settings.concurrency // BATCHES_IN_FLIGHT, 1),
                lease=settings.lease,
                now=now,
            )
            secrets = endpoints.signing_secrets(session, self._endpoint["endpoint_key"], self._cipher, now=now)
            organisation_key = self._endpoint["organisation_key"]
            hours = push_rules(session, organisation_key, self._context.settings)
            waits = in_quiet_hours(session, organisation_key, batch, hours, now=now)
            awake = [claim for claim in batch if claim["delivery_key"] not in waits]
            lists = lists_to_push(session, awake, n=settings.list_length, now=now, rules=rules)
        bodies = {
            key: payload if isinstance(payload, str) else push_body(payload, settings) for key, payload in lists.items()
        }
        return batch, secrets, bodies | waits

    async def _send(
        self, client: WebhookClient, claim: Claim, body: bytes | str | datetime, secrets: list[str]
    ) -> AttemptResult:
        now = self._context.clock()
        result = partial(AttemptResult, claim["delivery_key"], claim["attempts"], now)
        if isinstance(body, str):
            return result(body, DROPPED, failed=False)
        if isinstance(body, datetime):
            return result("waits for the end of the member's quiet hours", PENDING, body, failed=False)
        if self._paused_until or self._gone:
            return result("not sent", PENDING, self._paused_until or now, failed=False)
        self._context.step("send")
        with self._context.metrics.timed():
            response = await client.push(claim["delivery_id"], body, secrets, now=now)
        self._context.step("sent")
        return self._result(claim, response)

    def _result(self, claim: Claim, response: WebhookResponse) -> AttemptResult:
        """Return the result of an attempt, and remember what the response means for the endpoint."""
        now, settings = self._context.clock(), self._context.settings.delivery
        result = partial(AttemptResult, claim["delivery_key"], claim["attempts"], now, response.outcome)
        if response.accepted:
            return result(DELIVERED)
        if response.gone:
            self._gone = True
            return result(DEAD)
        if response.wait_seconds is not None:
            until = now + timedelta(seconds=response.wait_seconds)
            self._paused_until = max(self._paused_until or until, until)
            return result(PENDING, until, failed=False)
        jitter = self._context.rng.uniform(1 - JITTER, 1 + JITTER)
        return claims.result_of_failure(claim, response.outcome, settings.retry_seconds, now=now, jitter=jitter)

    async def _record(self, results: list[AttemptResult]) -> None:
        """Record the results of a batch; where the database is away, retry for a while."""
        for wait in (*RECORD_WAITS_SECONDS, None):
            try:
                await asyncio.to_thread(self._write, results)
            except DatabaseError as error:
                if wait is None:
                    raise
                log.warning("results wait", reason=str(error), pushes=len(results))
                await asyncio.sleep(wait)
            else:
                break
        self._context.step("recorded")
        _count(self._context, Counter(result.status for result in results))

    def _write(self, results: list[AttemptResult]) -> None:
        key = self._endpoint["endpoint_key"]
        with transaction(self._context.engine) as session:
            claims.record_results(session, results)
            if self._paused_until:
                endpoints.throttle(session, key, until=self._paused_until)
            if self._gone:
                endpoints.set_status(session, key, endpoints.DISABLED, reason="it answered 410 Gone")
            self._context.step("record")


def _count(context: WorkerContext, statuses: Counter[str]) -> None:
    context.attempts.update(statuses)
    for status, count in statuses.items():
        context.metrics.count(status, count)
