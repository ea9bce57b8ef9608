"""Outbox of deliveries: one row per member, endpoint and local date, from the plan to its result."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import numpy as np
import pandas as pd
import structlog
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, and_, delete, func, literal_column, or_, select, update
from sqlalchemy.orm import Session

from features.profiles import count_by_hour
from features.scheduling.hours import learn_study_hours, open_minutes
from features.scheduling.push_windows import WEEK_DAYS, PushRules, plan_pushes
from features.schema import NON_STUDY_VERBS
from infra.access import audit
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.db import bulk
from infra.db.core_tables import events, lists, runs
from infra.db.delivery_tables import deliveries
from infra.delivery import endpoints
from infra.errors import RunStateError
from infra.events.store import counting
from infra.runs import store
from infra.runs.isolation import isolated
from infra.runs.store import ANYONE
from infra.settings.settings import Settings

PENDING, DELIVERED, DEAD, DROPPED = "pending", "delivered", "dead", "dropped"
STATUSES: Final = (PENDING, DELIVERED, DEAD, DROPPED)
HABIT_DAYS: Final = 28
HABIT_HOURS: Final = 2
HABIT_EVENTS: Final = 5
NO_HABIT: Final = (*NON_STUDY_VERBS, "dismissed", "disliked")
DAY: Final = timedelta(days=1)
LATENESS: Final = timedelta(hours=2)
"""A run that follows yesterday's by a day less this is the one that was expected a day after it."""
FEW_MEMBERS: Final = 1_000
"""Events of so few members are looked up by member."""

log = structlog.get_logger("xuelu.delivery")
# As text and no parameters, so that SQLite sees that the indexes of these will do.
IS_PENDING: Final = deliveries.c.status == literal_column("'pending'")
IS_DEAD: Final = deliveries.c.status == literal_column("'dead'")


def unleased(now: datetime) -> ColumnElement[bool]:
    """Return the condition for deliveries that no worker has leased."""
    leased = deliveries.c.leased_until
    return or_(leased.is_(None), leased <= now, leased > now + endpoints.MAX_PAUSE)


def publish_run(
    session: Session, organisation_key: int, run_id: str, settings: Settings, *, actor: str, reason: str, now: datetime
) -> dict[str, Any]:
    """Serve a finished run from now on, for a reason if it was held; plan its pushes, write the audit log, return it.

    Raises
    ------
    UnknownRunError
    RunStateError
        It is not finished, has no lists, or was held and there is no reason.
    """
    store.lock(session, organisation_key)
    run = store.find(session, organisation_key, run_id)
    failed = [check["name"] for check in run["checks"] if check["passed"] is False]
    if failed and run["counts"].get("lists") and not reason.strip():
        raise RunStateError(
            f"run {run['run_id']} was held: {'; '.join(failed)}; give a reason to serve it all the same"
        )
    store.publish(session, run, now=now)
    detail = {"run_id": run["run_id"], "reason": reason or None, "failed_checks": failed}
    _serve(session, run, settings, now, actor=actor, action="runs.publish", detail=detail)
    return store.get(session, run["run_key"])


def roll_back(
    session: Session,
    organisation_key: int,
    settings: Settings,
    *,
    actor: str,
    reason: str = "",
    run_id: str | None = None,
    now: datetime,
) -> dict[str, Any]:
    """Hold the served run, serve the one published before it, and write the audit log; return the run served now.

    With a ``run_id`` that run alone is rolled back: a form that is sent twice does not go back two runs.

    Raises
    ------
    RunStateError
        No run is served, another one is than ``run_id``, or none was published before it.
    """
    store.lock(session, organisation_key)
    if run_id and run_id not in {run["run_id"] for run in store.newest_published(session, organisation_key, 1)}:
        raise RunStateError(f"run {run_id} is not served any more; load the page again")
    held, before = store.roll_back(session, organisation_key)
    detail = {"held": held["run_id"], "served": before["run_id"]} | ({"reason": reason} if reason else {})
    _serve(session, before, settings, now, actor=actor, action="runs.roll_back", detail=detail)
    return before


def _serve(session: Session, run: dict[str, Any], settings: Settings, now: datetime, **entry: Any) -> None:
    """Plan the pushes of a run that is served now, and append an entry to the audit log."""
    key = run["organisation_key"]
    enqueue(session, key, run["run_key"], settings, now=now)
    audit.append(session, key, now=now, **entry)


def enqueue(
    session: Session, organisation_key: int, run_key: int, settings: Settings, *, now: datetime
) -> dict[str, int]:
    """Plan the pushes of a run's lists, one row per member, endpoint and date, and return how many there are by kind.

    Call it in the transaction that publishes the run, also where an older run is published again. Plans that were not
    tried yet are replaced; pushes that are due already keep their place and bring the new lists.

    Returns
    -------
    dict
        ``planned``, of these ``outside_study_hours``, and by reason the members without: ``switched_off``, ``capped``,
        ``no_open_hours``, ``failed`` (their data stops planning). Empty where the organisation has no endpoint.
    """
    enabled = [
        endpoint
        for endpoint in endpoints.list_endpoints(session, organisation_key)
        if endpoint["status"] != endpoints.DISABLED
    ]
    if not enabled:
        return {}
    untried = and_(deliveries.c.organisation_key == organisation_key, IS_PENDING, deliveries.c.attempts == 0)
    session.execute(delete(deliveries).where(untried, deliveries.c.due_at > now))
    session.execute(update(deliveries).where(untried).values(run_key=run_key))
    rules = push_rules(session, organisation_key, settings)
    listed = _listed(session, organisation_key, run_key)
    failed: dict[str, str] = {}
    members = push_preferences(session, organisation_key, listed, rules, now=now, failed=failed)
    next_run_at = _next_run_at(session, organisation_key, run_key, now)
    counts = dict.fromkeys(("planned", "outside_study_hours", "switched_off", "capped", "no_open_hours"), 0)
    for endpoint in enabled:
        plan = plan_isolated(members, counted_pushes(session, organisation_key, now), failed, now=now, rules=rules)
        pushes = plan[plan["no_push"] == ""]
        counts["planned"] += _insert(session, endpoint, run_key, pushes, now, next_run_at)
        counts["outside_study_hours"] += int(pushes["outside_study_hours"].sum())
        for reason, count in plan["no_push"].value_counts().items():
            if reason:
                counts[str(reason)] += int(count)
    for member_id, error in failed.items():
        log.warning("no push", member_id=member_id, error=error)
    return counts | {"failed": len(failed)}


def plan_isolated(
    members: pd.DataFrame, pushes: pd.DataFrame, failed: dict[str, str], *, now: datetime, rules: PushRules
) -> pd.DataFrame:
    """Return the plan of members' pushes; members that planning fails for are left out and added to ``failed``."""
    parts = isolated(
        members.index,
        lambda block: plan_pushes(members.loc[block], pushes, now=now, rules=rules),
        failed,
        block_members=max(1, len(members)),
    )
    return pd.concat([plan_pushes(members.iloc[:0], pushes, now=now, rules=rules), *parts])


def push_rules(session: Session, organisation_key: int, settings: Settings) -> PushRules:
    """Return the rules of an organisation's pushes, with its own time zone where it has one."""
    delivery = settings.delivery
    return PushRules(
        study_hours=delivery.study_hours,
        quiet_hours=delivery.quiet_hours,
        per_day=delivery.max_per_day,
        per_week=delivery.max_per_week,
        timezone=organisations.local_settings(session, organisation_key, settings).timezone,
    )


def _next_run_at(session: Session, organisation_key: int, run_key: int, now: datetime) -> datetime:
    """Return when the next run is expected: a day after one of today's, or as long from now as the last is past."""
    at = runs.c.published_at  # a clock that ran ahead says nothing
    own = and_(runs.c.organisation_key == organisation_key, runs.c.status == "published", at <= now)
    query = select(func.max(at), func.min(at).filter(at > now - DAY + LATENESS)).where(own, runs.c.run_key != run_key)
    last, first_of_day = session.execute(query).one()
    return min([now + DAY, *([now + (now - last)] if last else []), *([first_of_day + DAY] if first_of_day else [])])


def _listed(session: Session, organisation_key: int, run_key: int) -> pd.Index:
    query = select(lists.c.member_id).where(
        lists.c.organisation_key == organisation_key, lists.c.run_key == run_key, lists.c.member_id != ANYONE
    )
    return pd.Index(session.scalars(query).all(), dtype="str", name="member_id")


def push_preferences(
    session: Session,
    organisation_key: int,
    member_ids: Iterable[str],
    rules: PushRules,
    *,
    now: datetime,
    failed: dict[str, str],
) -> pd.DataFrame:
    """Return members' own settings for pushes, and as ``habit`` the hours in which they usually study.

    Members whose hours cannot be read are left out and added to ``failed``, with the error.
    """
    stored = catalog.read(session, organisation_key, "members")
    members = stored.reindex(pd.Index(member_ids, dtype="str", name="member_id"))
    recent = _recent_events(session, organisation_key, members.index, now)
    by_hour, _ = count_by_hour(recent, members["timezone"], default=rules.timezone)
    quiet = members["quiet_hours"].fillna(rules.quiet_hours)

    def habits_of(block: pd.Index) -> pd.Series:
        return _habits(by_hour[members.index.get_indexer(block)], quiet[block])

    parts = isolated(members.index, habits_of, failed, block_members=max(1, len(members)))
    habits = pd.concat([pd.Series(dtype="str"), *parts])
    own = members.loc[habits.index, ["timezone", "pushes", "study_hours", "quiet_hours"]]
    return own.assign(habit=habits)


def _habits(by_hour: NDArray[np.int64], quiet: pd.Series) -> pd.Series:
    """Return the hours in which members usually study, empty where these are not known, by events and quiet hours."""
    habits = pd.Series("", index=quiet.index, dtype=object)
    for hours, rows in quiet.groupby(quiet).indices.items():
        habits.iloc[rows] = learn_study_hours(
            by_hour[rows], quiet=open_minutes(str(hours)), length_hours=HABIT_HOURS, least_events=HABIT_EVENTS
        )
    return habits.astype("str")


def _recent_events(session: Session, organisation_key: int, members: pd.Index, now: datetime) -> pd.DataFrame:
    """Return members' recent study: ``member`` (row number), ``occurred_at`` in microseconds, ``date_only``.

    Impressions and refusals do not count: each push would strengthen the hour it was sent at.
    """
    query = select(*bulk.raw_columns(events, ("member_id", "occurred_at", "date_only"))).where(
        counting(organisation_key),
        events.c.occurred_at >= now - timedelta(days=HABIT_DAYS),
        events.c.occurred_at < now,
        events.c.verb.not_in(NO_HABIT),
    )
    if len(members) <= FEW_MEMBERS:
        query = query.where(events.c.member_id.in_(members.to_list()))
    parts = [
        part.assign(member=members.get_indexer(part["member_id"]), date_only=part["date_only"].astype(bool))
        for part in bulk.read_frames(session, query)
    ]
    empty = pd.DataFrame({"member": [], "occurred_at": [], "date_only": []}, dtype=int)
    recent = pd.concat(parts, ignore_index=True) if parts else empty
    return recent[recent["member"] >= 0]


def counts_under_caps(organisation_key: int, now: datetime) -> ColumnElement[bool]:
    """Return the condition for the pushes of the last week and to come that count under the caps."""
    first = (now - timedelta(days=WEEK_DAYS + 1)).date().isoformat()
    counts = or_(deliveries.c.status.in_((PENDING, DELIVERED)), deliveries.c.attempts > 0)
    return and_(deliveries.c.organisation_key == organisation_key, deliveries.c.period >= first, counts)


def counted_pushes(session: Session, organisation_key: int, now: datetime) -> pd.DataFrame:
    """Return the pushes that count under the caps: ``member_id, period, pushes``."""
    own = deliveries.c.member_id, deliveries.c.period
    query = select(*own, func.count().label("pushes")).where(counts_under_caps(organisation_key, now)).group_by(*own)
    return pd.DataFrame(session.execute(query).all(), columns=["member_id", "period", "pushes"])


def _insert(
    session: Session,
    endpoint: dict[str, Any],
    run_key: int,
    plan: pd.DataFrame,
    now: datetime,
    next_run_at: datetime,
) -> int:
    """Insert planned pushes; a member that has a row of the date for the endpoint already keeps that row."""
    rows = plan.reset_index()[["member_id", "period", "push_at", "expires_at"]]
    due_at = rows["push_at"]
    if endpoint["kind"] != "webhook":
        # A file is written before the push, and says when to push. Where another run comes first it is written later:
        # its list would be outdated.
        due_at = due_at.mask(due_at <= pd.Timestamp(next_run_at), pd.Timestamp(now).as_unit("us"))
    rows = rows.assign(
        due_at=due_at,
        organisation_key=endpoint["organisation_key"],
        endpoint_key=endpoint["endpoint_key"],
        delivery_id=[f"dl_{uuid4().hex}" for _ in range(len(rows))],
        run_key=run_key,
        status=PENDING,
        attempts=0,
        failures=0,
    )
    return bulk.insert_new(session, deliveries, rows)
