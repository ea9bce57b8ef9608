"""The ledger of deliveries: one row per member, endpoint and local date, from the plan to what became of it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pandas as pd
from sqlalchemy import ColumnElement, and_, delete, func, literal_column, or_, select, update
from sqlalchemy.orm import Session

from features.profiles import count_by_hour
from features.scheduling.hours import learn_study_hours, open_minutes
from features.scheduling.push_windows import WEEK_DAYS, PushRules, plan_pushes
from features.schema import VOIDED
from infra.catalog import store as catalog
from infra.db import bulk
from infra.db.core_tables import events, lists
from infra.db.delivery_tables import deliveries
from infra.delivery import endpoints
from infra.runs.store import ANYONE
from infra.settings.sections import DeliverySettings

PENDING, DELIVERED, DEAD, DROPPED = "pending", "delivered", "dead", "dropped"
STATUSES: Final = (PENDING, DELIVERED, DEAD, DROPPED)
HABIT_DAYS: Final = 28
HABIT_HOURS: Final = 2
HABIT_EVENTS: Final = 5

# As text and no parameters, so that SQLite sees that the indexes of these will do.
IS_PENDING: Final = deliveries.c.status == literal_column("'pending'")
IS_DEAD: Final = deliveries.c.status == literal_column("'dead'")


def unleased(now: datetime) -> ColumnElement[bool]:
    """Return the condition for deliveries that no worker holds."""
    return or_(deliveries.c.leased_until.is_(None), deliveries.c.leased_until <= now)


def enqueue(
    session: Session, organisation_key: int, run_key: int, settings: DeliverySettings, *, now: datetime
) -> dict[str, int]:
    """Plan the pushes of a run's lists, one row per member, endpoint and date, and return how many became of each kind.

    Call it in the transaction that publishes the run, also where an older run is published again. Plans that nobody has
    acted on are made anew; pushes that are due already keep their place and bring the new lists.

    Returns
    -------
    dict
        ``planned``, and by reason the members without: ``switched_off``, ``capped``, ``no_open_hours``. Empty where the
        organisation has no endpoint.
    """
    open_endpoints = [
        one for one in endpoints.listing(session, organisation_key) if one["status"] != endpoints.DISABLED
    ]
    if not open_endpoints:
        return {}
    theirs = and_(deliveries.c.organisation_key == organisation_key, IS_PENDING)
    untried = and_(theirs, deliveries.c.attempts == 0)
    session.execute(delete(deliveries).where(untried, deliveries.c.due_at > now))
    session.execute(update(deliveries).where(untried).values(run_key=run_key))
    rules = rules_of(settings)
    members = wishes(session, organisation_key, _listed(session, organisation_key, run_key), rules, now=now)
    counts = dict.fromkeys(("planned", "switched_off", "capped", "no_open_hours"), 0)
    for endpoint in open_endpoints:
        plan = plan_pushes(members, planned_pushes(session, organisation_key, now), now=now, rules=rules)
        made = plan[plan["withheld"] == ""]
        counts["planned"] += _write(session, endpoint, run_key, made, now)
        for reason, count in plan["withheld"].value_counts().items():
            if reason:
                counts[str(reason)] += int(count)
    return counts


def rules_of(settings: DeliverySettings) -> PushRules:
    """Return the rules of pushes that the settings give."""
    return PushRules(
        study_hours=settings.study_hours,
        quiet_hours=settings.quiet_hours,
        per_day=settings.max_per_day,
        per_week=settings.max_per_week,
    )


def _listed(session: Session, organisation_key: int, run_key: int) -> pd.Index:
    query = select(lists.c.member_id).where(
        lists.c.organisation_key == organisation_key, lists.c.run_key == run_key, lists.c.member_id != ANYONE
    )
    return pd.Index(session.scalars(query).all(), dtype="str", name="member_id")


def wishes(
    session: Session, organisation_key: int, member_ids: Iterable[str], rules: PushRules, *, now: datetime
) -> pd.DataFrame:
    """Return what members have set about pushes, and the hours in which they use to study."""
    known = catalog.read(session, organisation_key, "members").reindex(pd.Index(member_ids, name="member_id"))
    studied = _recent(session, organisation_key, known.index, now)
    by_hour, _ = count_by_hour(studied, known["timezone"])
    quiet = known["quiet_hours"].fillna(rules.quiet_hours)
    habits = pd.Series("", index=known.index, dtype=object)
    for hours, rows in quiet.groupby(quiet).indices.items():
        habits.iloc[rows] = learn_study_hours(
            by_hour[rows], quiet=open_minutes(str(hours)), length_hours=HABIT_HOURS, least_events=HABIT_EVENTS
        )
    return known[["timezone", "pushes", "study_hours", "quiet_hours"]].assign(habit=habits.astype("str"))


def _recent(session: Session, organisation_key: int, members: pd.Index, now: datetime) -> pd.DataFrame:
    """Return when members studied lately: ``member`` (row number) and ``occurred_at`` in microseconds."""
    query = select(*bulk.raw_columns(events, ("member_id", "occurred_at"))).where(
        events.c.organisation_key == organisation_key,
        events.c.occurred_at >= now - timedelta(days=HABIT_DAYS),
        events.c.occurred_at < now,
        events.c.verb != VOIDED,
    )
    parts = [
        pd.DataFrame({"member": members.get_indexer(part["member_id"]), "occurred_at": part["occurred_at"]})
        for part in bulk.read_frames(session, query)
    ]
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"member": [], "occurred_at": []}, dtype=int)
    return found[found["member"] >= 0]


def planned_pushes(
    session: Session, organisation_key: int, now: datetime, *, member_id: str | None = None, but: int | None = None
) -> pd.DataFrame:
    """Return the pushes of the last week and to come that count under the caps: ``member_id, period, pushes``.

    Parameters
    ----------
    member_id : str, optional
        Only this member's.
    but : int, optional
        Key of a delivery that does not count.
    """
    first = (now - timedelta(days=WEEK_DAYS + 1)).date().isoformat()
    counts = [or_(deliveries.c.status.in_((PENDING, DELIVERED)), deliveries.c.attempts > 0)]
    counts += [deliveries.c.member_id == member_id] if member_id is not None else []
    counts += [deliveries.c.delivery_key != but] if but is not None else []
    query = (
        select(deliveries.c.member_id, deliveries.c.period, func.count().label("pushes"))
        .where(deliveries.c.organisation_key == organisation_key, deliveries.c.period >= first, *counts)
        .group_by(deliveries.c.member_id, deliveries.c.period)
    )
    return pd.DataFrame(session.execute(query).all(), columns=["member_id", "period", "pushes"])


def _write(session: Session, endpoint: dict[str, Any], run_key: int, plan: pd.DataFrame, now: datetime) -> int:
    """Write planned pushes; a member that has a row of the date for the endpoint already keeps that one."""
    rows = plan.reset_index()[["member_id", "period", "push_at", "expires_at"]]
    moment = pd.Timestamp(now)
    rows = rows.assign(
        # A file is written at once, and tells the app when to push.
        due_at=rows["push_at"] if endpoint["kind"] == "webhook" else pd.Series(moment, index=rows.index),
        organisation_key=endpoint["organisation_key"],
        endpoint_key=endpoint["endpoint_key"],
        delivery_id=[f"dl_{uuid4().hex}" for _ in range(len(rows))],
        run_key=run_key,
        status=PENDING,
        attempts=0,
        failures=0,
    )
    return bulk.insert_new(session, deliveries, rows)
