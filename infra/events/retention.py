"""Retention: old events are deleted, or become monthly totals of groups."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import BigInteger, ColumnElement, and_, delete, func, literal, or_, select, type_coerce, update
from sqlalchemy.orm import Session

from content_catalog.schema import MAX_KEY_BYTES
from features.schema import VOIDED
from infra.catalog import requirements
from infra.db import bulk
from infra.db.core_tables import events, organisations, study_totals
from infra.db.lrs_tables import statement_attachments, statement_terms, statements
from infra.db.policy_tables import completions
from infra.events.store import FINISHING, counting


def keep_days(session: Session, organisation_key: int) -> int | None:
    """Return for how many days the organisation keeps events; None: for ever."""
    mine = organisations.c.organisation_key == organisation_key
    return session.scalar(select(organisations.c.keep_events_days).where(mine))


def set_keep_days(session: Session, organisation_key: int, days: int | None) -> None:
    """Set for how many days the organisation keeps events; None: for ever."""
    mine = organisations.c.organisation_key == organisation_key
    session.execute(update(organisations).where(mine).values(keep_events_days=days))


def retain(
    session: Session, organisation_key: int, *, days: int, now: datetime, min_group_size: int, apply: bool
) -> dict[str, Any]:
    """Delete events and xAPI statements older than some days; return a report of what is deleted.

    Events that count become totals by month, item and verb if at least ``min_group_size`` members had them. Of all
    others only the day stays on which a member last finished a required item. Nothing is written unless ``apply``.

    Returns
    -------
    dict
        ``before`` (the first midnight, UTC, whose events stay), ``events, statements`` (how many go), ``totals`` (how
        many they become), ``events_in_totals``.
    """
    before = (now - timedelta(days=days)).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    old = _deletable(organisation_key, before)
    old_statements = and_(statements.c.organisation_key == organisation_key, statements.c.stored_at < before)
    totals = _totals(session, organisation_key, before, min_group_size)
    report = {
        "before": before,
        "events": session.scalar(select(func.count()).select_from(events).where(old)) or 0,
        "statements": session.scalar(select(func.count()).select_from(statements).where(old_statements)) or 0,
        "totals": len(totals),
        "events_in_totals": int(totals["events"].sum()),
    }
    if apply:
        _keep_completions(session, organisation_key, before)
        _add_totals(session, organisation_key, totals)
        session.execute(delete(events).where(old))
        for table in (statement_terms, statement_attachments):
            session.execute(
                delete(table).where(table.c.organisation_key == organisation_key, table.c.stored_at < before)
            )
        session.execute(delete(statements).where(old_statements))
    return report


def _keep_completions(session: Session, organisation_key: int, before: datetime) -> None:
    """Store when members last finished required items, whose events are deleted; of other items nothing."""
    required = {
        item_id
        for requirement in requirements.of_organisation(session, organisation_key)
        for item_id in requirement.items
    }
    own = completions.c.organisation_key == organisation_key
    query = select(events.c.member_id, events.c.item_id, func.max(events.c.occurred_at).label("finished_at")).where(
        counting(organisation_key),
        FINISHING,
        events.c.occurred_at < before,
        bulk.any_of(events.c.item_id, sorted(required)),
    )
    earlier = select(completions.c.member_id, completions.c.item_id, completions.c.finished_at).where(own)
    rows = [*session.execute(earlier), *session.execute(query.group_by(events.c.member_id, events.c.item_id))]
    last: dict[tuple[str, str], datetime] = {}
    for member_id, item_id, finished_at in rows:
        if item_id in required:
            last[member_id, item_id] = max(finished_at, last.get((member_id, item_id), finished_at))
    session.execute(delete(completions).where(own))
    columns = ("member_id", "item_id", "finished_at")
    frame = pd.DataFrame([(*key, moment) for key, moment in last.items()], columns=columns)
    if len(frame):
        bulk.insert_new(session, completions, frame.assign(organisation_key=organisation_key))


def totals(session: Session, organisation_key: int) -> list[dict[str, Any]]:
    """Return the totals of deleted events: ``month, item_id, verb, events, members``."""
    columns = [column for column in study_totals.c if column.name != "organisation_key"]
    query = select(*columns).where(study_totals.c.organisation_key == organisation_key).order_by(*columns[:3])
    return [dict(row) for row in session.execute(query).mappings()]


def _totals(session: Session, organisation_key: int, before: datetime, min_group_size: int) -> pd.DataFrame:
    query = select(
        events.c.item_id, events.c.member_id, events.c.verb, type_coerce(events.c.occurred_at, BigInteger).label("at")
    ).where(counting(organisation_key), events.c.occurred_at < before, events.c.item_id.is_not(None))
    parts = []
    for part in bulk.read_frames(session, query):
        month = pd.to_datetime(part["at"], unit="us").dt.strftime("%Y-%m")
        parts.append(part.assign(month=month).groupby(["month", "item_id", "verb", "member_id"]).size())
    if not parts:
        return pd.DataFrame(columns=["month", "item_id", "verb", "events", "members"]).astype({"events": "int64"})
    each = pd.concat(parts).groupby(level=[0, 1, 2, 3]).sum()
    grouped = each.groupby(level=[0, 1, 2]).agg(events="sum", members="size").reset_index()
    return grouped[grouped["members"] >= min_group_size]


def _add_totals(session: Session, organisation_key: int, new: pd.DataFrame) -> None:
    """Add totals to those of earlier retentions: events of a month may arrive late."""
    earlier = pd.DataFrame(totals(session, organisation_key), columns=[*new.columns])
    parts = [part for part in (earlier, new) if len(part)]
    if not parts:
        return
    # Members of an earlier retention may be the same as these: the larger number is a lower bound.
    summed = (
        pd.concat(parts).groupby(["month", "item_id", "verb"]).agg({"events": "sum", "members": "max"}).reset_index()
    )
    # Events of earlier versions may have ids that PostgreSQL's indexes cannot hold.
    summed = summed[summed["item_id"].map(lambda item_id: len(item_id.encode()) <= MAX_KEY_BYTES)]
    bulk.upsert(session, study_totals, summed.assign(organisation_key=organisation_key))


def _deletable(organisation_key: int, before: datetime) -> ColumnElement[bool]:
    """Return the condition for events to delete: old ones, except those that void an event which stays."""
    young = events.alias()
    stays = (
        select(literal(1))
        .where(
            young.c.organisation_key == organisation_key,
            young.c.event_id == events.c.voided_event_id,
            young.c.occurred_at >= before,
        )
        .correlate(events)
        .exists()
    )
    old = and_(events.c.organisation_key == organisation_key, events.c.occurred_at < before)
    return and_(old, or_(events.c.verb != VOIDED, ~stays))
