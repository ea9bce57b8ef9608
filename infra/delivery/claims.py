"""How workers use the ledger: they claim what is due, and tell what became of each attempt.

A claim is a lease, and the attempt is written down before anything is sent. So a worker that died leaves an attempt
without an outcome, and its delivery is claimed again, under the same id, when the lease is over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, insert, literal, select, update
from sqlalchemy.orm import Session

from infra.db.core_tables import Instant, organisations
from infra.db.delivery_tables import deliveries, delivery_attempts
from infra.db.delivery_tables import endpoints as table
from infra.delivery import endpoints
from infra.delivery.outbox import DEAD, DELIVERED, DROPPED, IS_PENDING, PENDING, unleased

CLAIMED = (
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
EXPIRED_AT_ONCE = 1_000
# Rows to claim are chosen in a nested CTE: PostgreSQL runs it once however it joins, and the statement still begins
# with UPDATE, without which Python's sqlite3 would open no transaction.

Claimed = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an attempt.

    Attributes
    ----------
    delivery_key, number : int
        The delivery and which attempt of it.
    finished_at : datetime
    outcome : str
        In words, such as ``status 204`` or ``no answer within 15 s``.
    status : str
        What the delivery is now; ``pending`` where it is to be tried again.
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


def open_endpoints(session: Session, *, now: datetime) -> list[endpoints.Endpoint]:
    """Return the endpoints of all organisations that something is due for, with the ``organisation`` of each."""
    due = select(deliveries.c.delivery_key).where(deliveries.c.endpoint_key == table.c.endpoint_key, *_due(now))
    query = (
        select(table, organisations.c.name.label("organisation"))
        .join(organisations, organisations.c.organisation_key == table.c.organisation_key)
        .where(endpoints.open_now(now), due.exists())
        .order_by(table.c.endpoint_key)
    )
    return [dict(row) for row in session.execute(query).mappings()]


def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (IS_PENDING, deliveries.c.due_at <= now, deliveries.c.expires_at > now, unleased(now))


def claim(session: Session, endpoint_key: int, *, limit: int, lease: timedelta, now: datetime) -> list[Claimed]:
    """Return deliveries of an endpoint that are due, held for this worker until the lease is over, longest due first.

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
    held = (
        update(deliveries)
        .where(deliveries.c.delivery_key.in_(select(due.c.delivery_key)))
        .values(leased_until=now + lease, attempts=deliveries.c.attempts + 1)
        .returning(deliveries.c.organisation_key, *(deliveries.c[name] for name in CLAIMED))
    )
    claimed = [dict(row) for row in session.execute(held).mappings()]
    if claimed:
        attempts = [
            {
                "organisation_key": one["organisation_key"],
                "delivery_key": one["delivery_key"],
                "number": one["attempts"],
                "started_at": now,
            }
            for one in claimed
        ]
        session.execute(insert(delivery_attempts), attempts)
    return claimed


def settle(session: Session, results: Sequence[Settled]) -> None:
    """Write down what became of attempts.

    A delivery that succeeded is delivered, whoever holds it by now. A failure counts only where no other worker has
    taken the delivery since.
    """
    if not results:
        return
    _finish_attempts(session, results)
    delivered = [one.delivery_key for one in results if one.status == DELIVERED]
    if delivered:
        done = {"status": DELIVERED, "reason": None, "leased_until": None, "settled_at": results[0].finished_at}
        session.execute(update(deliveries).where(deliveries.c.delivery_key.in_(delivered)).values(**done))
    ours = and_(deliveries.c.delivery_key == bindparam("key"), deliveries.c.attempts == bindparam("number"), IS_PENDING)
    change = {
        "status": bindparam("becomes"),
        "reason": bindparam("outcome"),
        "failures": deliveries.c.failures + bindparam("failed"),
        "due_at": func.coalesce(bindparam("again_at", type_=Instant), deliveries.c.due_at),
        "settled_at": bindparam("over_at"),
        "leased_until": None,
    }
    rows = [
        {
            "key": one.delivery_key,
            "number": one.number,
            "becomes": one.status,
            "outcome": one.outcome,
            "failed": int(one.failed),
            "again_at": one.due_at,
            "over_at": None if one.status == PENDING else one.finished_at,
        }
        for one in results
        if one.status != DELIVERED
    ]
    if rows:
        session.connection().execute(update(deliveries).where(ours).values(**change), rows)


def _finish_attempts(session: Session, results: Sequence[Settled]) -> None:
    attempt = delivery_attempts.c
    finish = (
        update(delivery_attempts)
        .where(attempt.delivery_key == bindparam("key"), attempt.number == bindparam("attempt"))
        .values(finished_at=bindparam("at"), outcome=bindparam("told"))
    )
    rows = [
        {"key": one.delivery_key, "attempt": one.number, "at": one.finished_at, "told": one.outcome} for one in results
    ]
    session.connection().execute(finish, rows)


def bury_expired(session: Session, *, now: datetime) -> int:
    """Make deliveries dead whose time is over, at most a thousand at once; return how many."""
    over = (
        select(deliveries.c.delivery_key)
        .where(IS_PENDING, deliveries.c.expires_at <= now, unleased(now))
        .limit(EXPIRED_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("over", nesting=True)
    )
    last = func.coalesce(deliveries.c.reason, "none")
    dead = (
        update(deliveries)
        .where(deliveries.c.delivery_key.in_(select(over.c.delivery_key)))
        .values(
            status=DEAD, reason=literal("its time was over; last attempt: ") + last, leased_until=None, settled_at=now
        )
        .returning(deliveries.c.delivery_key)
    )
    return len(session.execute(dead).all())


def drop_pending(session: Session, endpoint_key: int, *, now: datetime) -> int:
    """Drop what an endpoint would still get; return how many."""
    theirs = and_(deliveries.c.endpoint_key == endpoint_key, IS_PENDING)
    values = {"status": DROPPED, "reason": "the endpoint was removed", "settled_at": now}
    dropped = update(deliveries).where(theirs).values(**values).returning(deliveries.c.delivery_key)
    return len(session.execute(dropped).all())
