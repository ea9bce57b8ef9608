"""Study history of one member, for a person to read."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from features.schema import SHOWN
from infra.db.core_tables import events, items
from infra.events.store import counting


def latest_study(session: Session, organisation_key: int, member_id: str, *, limit: int) -> list[dict[str, Any]]:
    """Return a member's latest study events that count, newest first, with the titles of their items.

    Each has ``item_id, title, verb, occurred_at, date_only, duration_seconds, progress, score``; ``title`` is None
    where the item is not in the organisation's own catalogue.
    """
    of, catalogue = events.c, items.c
    same_item = (catalogue.organisation_key == of.organisation_key) & (catalogue.item_id == of.item_id)
    query = (
        select(
            of.item_id,
            catalogue.title,
            of.verb,
            of.occurred_at,
            of.date_only,
            of.duration_seconds,
            of.progress,
            of.score,
        )
        .join(items, same_item, isouter=True)
        .where(counting(organisation_key), of.member_id == member_id, of.verb != SHOWN)
        .order_by(of.occurred_at.desc(), of.event_id.desc())
        .limit(limit)
    )
    return [dict(row) for row in session.execute(query).mappings()]
