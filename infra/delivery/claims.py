"""Claims of due deliveries by workers, and the results of their attempts.

A claim is a lease, and the attempt is stored before anything is sent. So a worker that died leaves an attempt without
an outcome, and its delivery is claimed again, under the same id, when the lease is over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, insert, literal, select, update
from sqlalchemy.orm import Session

from infra.db import bulk
from infra.db.core_tables import Instant, organisations
from infra.db.delivery_tables import deliveries, delivery_attempts
from infra.db.delivery_tables import endpoints as table
from infra.delivery import endpoints
from infra.delivery.outbox import DEAD, DELIVERED, DROPPED, IS_PENDING, PENDING, unleased
from infra.runs import store as runs

CLAIM_COLUMNS = (
    "organisation_key",
    "delivery_key",
    "delivery_id",
    "member_id",
    "run_key",
    "attempts",
    "failures",
    "push_at",
    "due_at",
    "expires_at",
)
MAX_EXPIRED = 1_000
# Rows to claim are chosen in a nested CTE: PostgreSQL runs it once however it joins, and the statement still begins
# with UPDATE, without which Python's sqlite3 would open no transaction.

Claim = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """Result of an attempt, and the delivery's status after it.

    Attributes
    ----------
    delivery_key, number : int
        The delivery and which attempt of it.
    outcome : str
        For people, such as ``status 204`` or ``no answer within 15 s``.
    status : str
        Status of the delivery; ``pending`` where it is to be tried again.
    due_at : datetime or None
        When to try again.
    failed : bool
        Whether the retry counts as one after a failure; not so where the receiver only asked to wait.
    """

    delivery_key: int
    number: int
    finished_at: datetime
    outcome: str
    status: str
    due_at: datetime | None = None
    failed: bool = True


def result_of_failure(
    claim: Claim, outcome: str, waits_seconds: Sequence[float], *, now: datetime, jitter: float = 1.0
) -> AttemptResult:
    """Return the result of a failed attempt: it is tried again after the next wait, and is dead after the last one."""
    key, number, failures = claim["delivery_key"], claim["attempts"], claim["failures"]
    if failures >= len(waits_seconds):
        return AttemptResult(key, number, now, outcome, DEAD)
    due_at = now + timedelta(seconds=waits_seconds[failures] * jitter)
    return AttemptResult(key, number, now, outcome, PENDING, due_at)


def endpoints_with_due(session: Session, *, now: datetime) -> list[endpoints.Endpoint]:
    """Return the endpoints of all organisations that something is due for, with the ``organisation`` of each."""
    due = select(deliveries.c.delivery_key).where(deliveries.c.endpoint_key == table.c.endpoint_key, *_due(now))
    query = (
        select(table, organisations.c.name.label("organisation"))
        .join(organisations, organisations.c.organisation_key == table.c.organisation_key)
        .where(endpoints.is_deliverable(now), due.exists())
        .order_by(table.c.endpoint_key)
    )
    return [dict(row) for row in session.execute(query).mappings()]


def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (IS_PENDING, deliveries.c.due_at <= now, deliveries.c.expires_at > now, unleased(now))


def claim(session: Session, endpoint_key: int, *, limit: int, lease: timedelta, now: datetime) -> list[Claim]:
    """Lease due deliveries of an endpoint to this worker, longest due first; they bring the lists of the served run.

    On PostgreSQL any number of workers claim at a time without waiting for each other; on SQLite one after the other.
    """
    due = (
        select(deliveries.c.delivery_key)
        .where(deliveries.c.endpoint_key == endpoint_key, *_due(now))
        .order_by(deliveries.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due", nesting=True)
    )
    organisation_key = select(table.c.organisation_key).where(table.c.endpoint_key == endpoint_key).scalar_subquery()
    served = func.coalesce(runs.latest_key(organisation_key), deliveries.c.run_key)
    lease_due = (
        update(deliveries)
        .where(deliveries.c.delivery_key.in_(select(due.c.delivery_key)))
        .values(leased_until=now + lease, attempts=deliveries.c.attempts + 1, run_key=served)
        .returning(*(deliveries.c[name] for name in CLAIM_COLUMNS))
    )
    claims = [dict(row) for row in session.execute(lease_due).mappings()]
    if claims:
        attempts = [
            {
                "organisation_key": claim["organisation_key"],
                "delivery_key": claim["delivery_key"],
                "number": claim["attempts"],
                "started_at": now,
            }
            for claim in claims
        ]
        session.execute(insert(delivery_attempts), attempts)
    return claims


def missing(session: Session, batch: Sequence[Claim]) -> list[Claim]:
    """Return the claims whose deliveries do not exist any more: their members were erased."""
    keys = [claim["delivery_key"] for claim in batch]
    existing = set(
        session.scalars(select(deliveries.c.delivery_key).where(bulk.any_of(deliveries.c.delivery_key, keys)))
    )
    return [claim for claim in batch if claim["delivery_key"] not in existing]


def record_results(session: Session, results: Sequence[AttemptResult]) -> None:
    """Store the results of attempts.

    A delivery that succeeded is delivered, even if another worker holds it by now. A failure counts only where no other
    worker has claimed the delivery since.
    """
    _finish_attempts(session, results)
    delivered = [result.delivery_key for result in results if result.status == DELIVERED]
    if delivered:
        values = {"status": DELIVERED, "reason": None, "leased_until": None, "finished_at": results[0].finished_at}
        session.execute(update(deliveries).where(bulk.any_of(deliveries.c.delivery_key, delivered)).values(**values))
    same = deliveries.c.delivery_key == bindparam("key")
    unclaimed_since = and_(same, deliveries.c.attempts == bindparam("number"), IS_PENDING)
    change = {
        "status": bindparam("new_status"),
        "reason": bindparam("outcome"),
        "failures": deliveries.c.failures + bindparam("failed"),
        "due_at": func.coalesce(bindparam("retry_at", type_=Instant), deliveries.c.due_at),
        "finished_at": bindparam("finished"),
        "leased_until": None,
    }
    bulk.execute_many(
        session,
        update(deliveries).where(unclaimed_since).values(**change),
        [
            {
                "key": result.delivery_key,
                "number": result.number,
                "new_status": result.status,
                "outcome": result.outcome,
                "failed": int(result.failed),
                "retry_at": result.due_at,
                "finished": None if result.status == PENDING else result.finished_at,
            }
            for result in results
            if result.status != DELIVERED
        ],
    )


def _finish_attempts(session: Session, results: Sequence[AttemptResult]) -> None:
    attempt = delivery_attempts.c
    finish = (
        update(delivery_attempts)
        .where(attempt.delivery_key == bindparam("key"), attempt.number == bindparam("attempt"))
        .values(finished_at=bindparam("finished"), outcome=bindparam("result"))
    )
    rows = [
        {
            "key": result.delivery_key,
            "attempt": result.number,
            "finished": result.finished_at,
            "result": result.outcome,
        }
        for result in results
    ]
    bulk.execute_many(session, finish, rows)


def expire_overdue(session: Session, *, now: datetime) -> int:
    """Dead-letter deliveries past their expiry, at most a thousand at once; return how many."""
    overdue = (
        select(deliveries.c.delivery_key)
        .where(IS_PENDING, deliveries.c.expires_at <= now, unleased(now))
        .limit(MAX_EXPIRED)
        .with_for_update(skip_locked=True)
        .cte("overdue", nesting=True)
    )
    last = func.coalesce(deliveries.c.reason, "none")
    expire = (
        update(deliveries)
        .where(deliveries.c.delivery_key.in_(select(overdue.c.delivery_key)))
        .values(status=DEAD, reason=literal("expired; last attempt: ") + last, leased_until=None, finished_at=now)
        .returning(deliveries.c.delivery_key)
    )
    return len(session.execute(expire).all())


def drop_pending(session: Session, endpoint_key: int, *, now: datetime) -> int:
    """Drop the pending deliveries of an endpoint; return how many."""
    of_endpoint = and_(deliveries.c.endpoint_key == endpoint_key, IS_PENDING)
    values = {"status": DROPPED, "reason": "the endpoint was removed", "finished_at": now}
    drop = update(deliveries).where(of_endpoint).values(**values).returning(deliveries.c.delivery_key)
    return len(session.execute(drop).all())
