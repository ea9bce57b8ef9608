"""What people do about deliveries: look at them, try them again, drop them, measure the queue."""

from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from features.scheduling.push_windows import plan_pushes
from infra.db.core_tables import organisations, runs
from infra.db.delivery_tables import deliveries, delivery_attempts, endpoints
from infra.delivery.endpoints import REMOVED
from infra.delivery.outbox import (
    DEAD,
    DELIVERED,
    DROPPED,
    IS_DEAD,
    IS_PENDING,
    PENDING,
    planned_pushes,
    rules_of,
    wishes,
)
from infra.errors import DeliveryError, UnknownDeliveryError
from infra.settings.sections import DeliverySettings

SHOWN = ("delivery_id", "member_id", "period", "status", "reason", "push_at", "due_at", "expires_at", "attempts")
_PARENTS = deliveries.join(endpoints, endpoints.c.endpoint_key == deliveries.c.endpoint_key).join(
    runs, runs.c.run_key == deliveries.c.run_key
)

Delivery = dict[str, Any]


def listing(
    session: Session, organisation_key: int, *, status: str | None = None, endpoint_id: str | None = None, limit: int
) -> list[Delivery]:
    """Return deliveries, the latest dates first, with the ids of their endpoint and run."""
    query = _with_parents(organisation_key).order_by(deliveries.c.period.desc(), deliveries.c.delivery_key).limit(limit)
    if status:
        query = query.where(deliveries.c.status == status)
    if endpoint_id:
        query = query.where(endpoints.c.endpoint_id == endpoint_id)
    return [dict(row) for row in session.execute(query).mappings()]


def find(session: Session, organisation_key: int, delivery_id: str) -> Delivery:
    """Return a delivery with its attempts: ``number, started_at, finished_at, outcome``.

    Raises
    ------
    UnknownDeliveryError
        The organisation has none of this id.
    """
    found = session.execute(_with_parents(organisation_key).where(deliveries.c.delivery_id == delivery_id))
    row = found.mappings().one_or_none()
    if row is None:
        raise UnknownDeliveryError(f"no delivery {delivery_id!r}; `xuelu deliveries list` shows those there are")
    attempt = delivery_attempts.c
    query = (
        select(attempt.number, attempt.started_at, attempt.finished_at, attempt.outcome)
        .where(attempt.delivery_key == row["delivery_key"])
        .order_by(attempt.number)
    )
    return {**row, "tries": [dict(one) for one in session.execute(query).mappings()]}


def retry(session: Session, delivery: Delivery, settings: DeliverySettings, *, now: datetime) -> datetime:
    """Do as :func:`replay` with a delivery that did not arrive.

    Raises
    ------
    DeliveryError
        As there; or it was delivered.
    """
    if delivery["status"] == DELIVERED:
        raise DeliveryError(f"{delivery['delivery_id']} was delivered; `xuelu deliveries replay` sends it again")
    return replay(session, delivery, settings, now=now)


def replay(session: Session, delivery: Delivery, settings: DeliverySettings, *, now: datetime) -> datetime:
    """Make a delivery that is settled pending again, under its old id, and return when it will be sent.

    That is the member's next open time. A push that did not arrive needs room under the caps, as it becomes one of the
    new date; one that did arrive keeps its date, as a receiver that drops repeated ids shows it only once.

    Raises
    ------
    DeliveryError
        It is pending; or the member wants no push, had enough, or has another push from this endpoint on that date.
    """
    name, member_id = delivery["delivery_id"], delivery["member_id"]
    if delivery["status"] == PENDING:
        raise DeliveryError(f"{name} is pending and will be sent at {delivery['due_at']:%Y-%m-%d %H:%M} UTC; wait")
    organisation_key, rules = delivery["organisation_key"], rules_of(settings)
    arrived = delivery["status"] == DELIVERED
    others = planned_pushes(session, organisation_key, now, member_id=member_id, but=delivery["delivery_key"])
    members = wishes(session, organisation_key, [member_id], rules, now=now)
    [plan] = plan_pushes(members, others.iloc[:0] if arrived else others, now=now, rules=rules).to_dict("records")
    if plan["withheld"]:
        raise DeliveryError(
            f"{name}: {member_id} gets no push, {plan['withheld']}; drop it, or wait for the next night"
        )
    period = delivery["period"] if arrived else plan["period"]
    if period != delivery["period"] and _taken(session, delivery, period):
        raise DeliveryError(f"{name}: {member_id} has a push of this endpoint on {period} already; drop this one")
    push_at, expires_at = (pd.Timestamp(plan[part]).to_pydatetime() for part in ("push_at", "expires_at"))
    values = {"status": PENDING, "failures": 0, "period": period, "push_at": push_at, "due_at": push_at}
    here = deliveries.c.delivery_key == delivery["delivery_key"]
    session.execute(update(deliveries).where(here).values(**values, expires_at=expires_at, settled_at=None))
    return push_at


def drop(session: Session, delivery: Delivery, *, now: datetime) -> None:
    """Drop a delivery that is pending or dead: nobody tries it again.

    Raises
    ------
    DeliveryError
        It is delivered or dropped already.
    """
    if delivery["status"] not in {PENDING, DEAD}:
        raise DeliveryError(
            f"{delivery['delivery_id']} is {delivery['status']} already; only pending and dead ones drop"
        )
    here = deliveries.c.delivery_key == delivery["delivery_key"]
    session.execute(update(deliveries).where(here).values(status=DROPPED, leased_until=None, settled_at=now))


def queue(session: Session, *, now: datetime) -> list[dict[str, Any]]:
    """Return how each endpoint's queue is.

    Returns
    -------
    list of dict
        ``organisation, endpoint_id, kind``; ``pending``; ``due``, those of them whose time has come;
        ``oldest_due_seconds``, for how long the first of these has waited; ``dead``.
    """
    key = deliveries.c.endpoint_key
    waiting = case((deliveries.c.due_at <= now, deliveries.c.due_at))
    pending = select(
        key, func.count().label("pending"), func.count(waiting).label("due"), func.min(waiting).label("oldest")
    ).where(IS_PENDING)
    dead = select(key, func.count().label("dead")).where(IS_DEAD)
    parts = [one.group_by(key).subquery() for one in (pending, dead)]
    counts = (parts[0].c.pending, parts[0].c.due, parts[1].c.dead)
    query = (
        select(
            organisations.c.name.label("organisation"),
            endpoints.c.endpoint_id,
            endpoints.c.kind,
            *(func.coalesce(count, 0).label(count.name) for count in counts),
            parts[0].c.oldest,
        )
        .join(organisations, organisations.c.organisation_key == endpoints.c.organisation_key)
        .outerjoin(parts[0], parts[0].c.endpoint_key == endpoints.c.endpoint_key)
        .outerjoin(parts[1], parts[1].c.endpoint_key == endpoints.c.endpoint_key)
        .where(endpoints.c.status != REMOVED)
        .order_by(endpoints.c.endpoint_key)
    )
    rows = [dict(row) for row in session.execute(query).mappings()]
    for row in rows:
        oldest = row.pop("oldest")
        row["oldest_due_seconds"] = (now - oldest).total_seconds() if oldest else 0.0
    return rows


def _with_parents(organisation_key: int) -> Any:
    columns = (deliveries.c[name] for name in ("delivery_key", "organisation_key", "endpoint_key", *SHOWN))
    return (
        select(*columns, endpoints.c.endpoint_id, runs.c.run_id)
        .select_from(_PARENTS)
        .where(deliveries.c.organisation_key == organisation_key)
    )


def _taken(session: Session, delivery: Delivery, period: str) -> bool:
    query = select(deliveries.c.delivery_key).where(
        deliveries.c.organisation_key == delivery["organisation_key"],
        deliveries.c.endpoint_key == delivery["endpoint_key"],
        deliveries.c.member_id == delivery["member_id"],
        deliveries.c.period == period,
    )
    return session.scalar(query) is not None
