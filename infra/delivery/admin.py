"""Operator actions on deliveries: list, retry, redeliver, drop, and the state of the queue."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import and_, bindparam, case, func, or_, select, update
from sqlalchemy.orm import Session

from infra.catalog.store import NUL
from infra.db import bulk
from infra.db.core_tables import Instant, organisations, runs
from infra.db.delivery_tables import deliveries, delivery_attempts, endpoints
from infra.delivery.endpoints import REMOVED
from infra.delivery.outbox import (
    DEAD,
    DELIVERED,
    DROPPED,
    IS_DEAD,
    IS_PENDING,
    PENDING,
    counted_pushes,
    counts_under_caps,
    plan_isolated,
    push_preferences,
    push_rules,
)
from infra.errors import DeliveryError, NotFoundError
from infra.policy.fatigue import IS_SHOWING
from infra.settings.policy import PolicySettings
from infra.settings.settings import Settings

SHOWN = ("delivery_id", "member_id", "period", "status", "reason", "push_at", "due_at", "expires_at", "attempts")
_PARENTS = deliveries.join(endpoints, endpoints.c.endpoint_key == deliveries.c.endpoint_key).join(
    runs, runs.c.run_key == deliveries.c.run_key
)

Delivery = dict[str, Any]
Position = tuple[str, str]
"""Period and id of a delivery: its place among those of an organisation."""


def list_deliveries(
    session: Session,
    organisation_key: int,
    *,
    status: str | None = None,
    endpoint_id: str | None = None,
    after: Position | None = None,
    limit: int,
) -> list[Delivery]:
    """Return deliveries after a position, the latest dates first, with the ids of their endpoint and run."""
    query = _with_parents(organisation_key).order_by(deliveries.c.period.desc(), deliveries.c.delivery_id).limit(limit)
    if status:
        query = query.where(deliveries.c.status == status)
    if endpoint_id:
        query = query.where(endpoints.c.endpoint_id == endpoint_id)
    if after:
        period, delivery_id = after
        same_date = and_(deliveries.c.period == period, deliveries.c.delivery_id > delivery_id)
        query = query.where(or_(deliveries.c.period < period, same_date))
    return [dict(row) for row in session.execute(query).mappings()]


def get_delivery(session: Session, organisation_key: int, delivery_id: str) -> Delivery:
    """Return a delivery with its attempts under ``tries``: ``number, started_at, finished_at, outcome``.

    Raises
    ------
    NotFoundError
        The organisation has none of this id.
    """
    query = _with_parents(organisation_key).where(deliveries.c.delivery_id == delivery_id)
    row = None if NUL in delivery_id else session.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"no delivery {delivery_id!r}; `xuelu deliveries list` shows those there are")
    attempt = delivery_attempts.c
    attempts = (
        select(attempt.number, attempt.started_at, attempt.finished_at, attempt.outcome)
        .where(attempt.delivery_key == row["delivery_key"])
        .order_by(attempt.number)
    )
    return {**row, "tries": [dict(attempt) for attempt in session.execute(attempts).mappings()]}


def redeliver(
    session: Session, organisation_key: int, chosen: Sequence[Delivery], settings: Settings, *, now: datetime
) -> dict[str, datetime | DeliveryError]:
    """Make deliveries pending again, each under its old id; return when each is sent, or why it is not, by its id.

    A delivery is sent at its member's next open time. A push that did not arrive needs room under the caps, as it
    becomes a push of the new date; one that did arrive keeps its date, as a receiver that drops repeated ids shows it
    only once. Deliveries of one member are planned in the given order.
    """
    rules = push_rules(session, organisation_key, settings)
    members = list(dict.fromkeys(delivery["member_id"] for delivery in chosen))
    failed: dict[str, str] = {}
    preferences = push_preferences(session, organisation_key, members, rules, now=now, failed=failed)
    results: dict[str, datetime | DeliveryError] = {}
    for batch in _one_per_member(chosen):
        counted = _without(counted_pushes(session, organisation_key, now), batch)
        people = preferences.loc[preferences.index.isin(list(batch))]
        plans = plan_isolated(people, counted, failed, now=now, rules=rules)
        # A push that arrived is not counted twice: caps are not asked for it.
        uncapped = plan_isolated(people, counted.iloc[:0], failed, now=now, rules=rules)
        occupied = _occupied(session, organisation_key, {*plans["period"].dropna(), *uncapped["period"].dropna()})
        changes = []
        for member_id, delivery in batch.items():
            delivery_id = delivery["delivery_id"]
            if member_id in failed:
                fault = f": the hours of member {member_id!r} cannot be planned with ({failed[member_id]}); mend them"
            else:
                plan = (uncapped if delivery["status"] == DELIVERED else plans).loc[member_id]
                fault = _fault(delivery, plan, occupied)
            if fault:
                results[delivery_id] = DeliveryError(f"{delivery_id}{fault}")
            else:
                changes.append(_rescheduled(delivery, plan))
                results[delivery_id] = changes[-1]["at"]
        _make_pending(session, changes)
    return results


def redeliver_one(
    session: Session, organisation_key: int, delivery: Delivery, settings: Settings, *, now: datetime
) -> datetime:
    """Make one delivery pending again, as :func:`redeliver` does, and return when it is sent.

    Raises
    ------
    DeliveryError
        It cannot be sent again now; the message says why.
    """
    [result] = redeliver(session, organisation_key, [delivery], settings, now=now).values()
    if isinstance(result, DeliveryError):
        raise result
    return result


def _one_per_member(chosen: Sequence[Delivery]) -> list[dict[str, Delivery]]:
    """Return deliveries in batches, by member: later ones of a member must see that earlier ones count."""
    batches: list[dict[str, Delivery]] = []
    earlier: Counter[str] = Counter()
    for delivery in chosen:
        member_id = delivery["member_id"]
        if earlier[member_id] == len(batches):
            batches.append({})
        batches[earlier[member_id]][member_id] = delivery
        earlier[member_id] += 1
    return batches


def _without(counted: pd.DataFrame, batch: dict[str, Delivery]) -> pd.DataFrame:
    """Return the pushes that count under the caps, without those of a batch."""
    own = {
        (member_id, delivery["period"])
        for member_id, delivery in batch.items()
        if delivery["attempts"] > 0 or delivery["status"] in {PENDING, DELIVERED}
    }
    less = [int(key in own) for key in zip(counted["member_id"], counted["period"], strict=True)]
    return counted.assign(pushes=counted["pushes"] - less)


def counted_runs(session: Session, organisation_key: int, policy: PolicySettings, *, now: datetime) -> list[int]:
    """Return the keys of the runs whose pushes still count: a run that is removed takes its pushes along.

    They count under the caps, and for fatigue as showings.
    """
    counts = counts_under_caps(organisation_key, now)
    if policy.fatigue_shown:
        recent = deliveries.c.finished_at > now - timedelta(days=policy.fatigue_days)
        counts = or_(counts, and_(deliveries.c.organisation_key == organisation_key, IS_SHOWING, recent))
    return list(session.scalars(select(deliveries.c.run_key).where(counts).distinct()))


def _occupied(session: Session, organisation_key: int, periods: set[str]) -> set[tuple[int, str, str]]:
    """Return endpoint, member and date of the deliveries of some dates: there can be one of each."""
    columns = (deliveries.c.endpoint_key, deliveries.c.member_id, deliveries.c.period)
    query = select(*columns).where(
        deliveries.c.organisation_key == organisation_key, deliveries.c.period.in_(sorted(periods))
    )
    return {(row.endpoint_key, row.member_id, row.period) for row in session.execute(query)}


def _fault(delivery: Delivery, plan: Any, occupied: set[tuple[int, str, str]]) -> str:
    """Return why a delivery cannot be sent again; empty where it can."""
    member_id, period = delivery["member_id"], plan["period"]
    if delivery["endpoint_status"] == REMOVED:
        return ": its endpoint was removed; drop it"
    if delivery["status"] == PENDING:
        return f" is pending and will be sent at {delivery['due_at']:%Y-%m-%d %H:%M} UTC; wait"
    if plan["no_push"]:
        return f": {member_id} gets no push, {plan['no_push']}; drop it, or wait for the next night"
    moved = delivery["status"] != DELIVERED and period != delivery["period"]
    if moved and (delivery["endpoint_key"], member_id, period) in occupied:
        return f": {member_id} has a push of this endpoint on {period} already; drop this one"
    return ""


def _rescheduled(delivery: Delivery, plan: Any) -> dict[str, Any]:
    """Return the new dates of a delivery, as :func:`_make_pending` takes them."""
    push_at, expires_at = (pd.Timestamp(plan[name]).to_pydatetime() for name in ("push_at", "expires_at"))
    period = delivery["period"] if delivery["status"] == DELIVERED else plan["period"]
    return {"key": delivery["delivery_key"], "date": period, "at": push_at, "until": expires_at}


def _make_pending(session: Session, changes: list[dict[str, Any]]) -> None:
    values = {
        "status": PENDING,
        "failures": 0,
        "period": bindparam("date"),
        "push_at": bindparam("at", type_=Instant),
        "due_at": bindparam("at", type_=Instant),
        "expires_at": bindparam("until", type_=Instant),
        "finished_at": None,
    }
    change = update(deliveries).where(deliveries.c.delivery_key == bindparam("key")).values(**values)
    bulk.execute_many(session, change, changes)


def drop(session: Session, delivery: Delivery, *, now: datetime) -> None:
    """Drop a pending or dead delivery: it is not tried again.

    Raises
    ------
    DeliveryError
        It is delivered or dropped already.
    """
    if delivery["status"] not in {PENDING, DEAD}:
        raise DeliveryError(
            f"{delivery['delivery_id']} is {delivery['status']} already; only pending and dead ones drop"
        )
    same = deliveries.c.delivery_key == delivery["delivery_key"]
    session.execute(update(deliveries).where(same).values(status=DROPPED, leased_until=None, finished_at=now))


def queue_state(session: Session, *, now: datetime, organisation_key: int | None = None) -> list[dict[str, Any]]:
    """Return the state of each endpoint's queue, of one organisation or of all.

    Returns
    -------
    list of dict
        ``organisation, endpoint_id, kind``; ``pending``; ``due``, those of them that are due;
        ``oldest_due_seconds``, for how long the longest of these has waited; ``dead``.
    """
    key = deliveries.c.endpoint_key
    waiting = case((deliveries.c.due_at <= now, deliveries.c.due_at))
    pending = select(
        key, func.count().label("pending"), func.count(waiting).label("due"), func.min(waiting).label("oldest")
    ).where(IS_PENDING)
    dead = select(key, func.count().label("dead")).where(IS_DEAD)
    parts = [query.group_by(key).subquery() for query in (pending, dead)]
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
    if organisation_key is not None:
        query = query.where(endpoints.c.organisation_key == organisation_key)
    rows = [dict(row) for row in session.execute(query).mappings()]
    for row in rows:
        oldest = row.pop("oldest")
        row["oldest_due_seconds"] = (now - oldest).total_seconds() if oldest else 0.0
    return rows


def _with_parents(organisation_key: int) -> Any:
    columns = (deliveries.c[name] for name in ("delivery_key", "organisation_key", "endpoint_key", *SHOWN))
    return (
        select(*columns, endpoints.c.endpoint_id, endpoints.c.status.label("endpoint_status"), runs.c.run_id)
        .select_from(_PARENTS)
        .where(deliveries.c.organisation_key == organisation_key)
    )
