"""Unresolved events, whose member or item does not exist yet: count them, and create these members and items."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import pandas as pd
from sqlalchemy import Table, and_, func, literal, select
from sqlalchemy.orm import Session

from content_catalog.schema import MAX_KEY_BYTES
from features.schema import VOIDED
from infra.catalog.sharing import readable
from infra.db import bulk
from infra.db.core_tables import events, items, members

NAMED: Final = {"member_id": members, "item_id": items}
"""Tables of what events name, by the name of the column."""


def unknown_ids(session: Session, organisation_key: int) -> dict[str, set[str]]:
    """Return the ids of members and items that only events name, by the name of their column."""
    return {name: _unknown(session, organisation_key, table, name) for name, table in NAMED.items()}


def _unknown(session: Session, organisation_key: int, table: Table, name: str) -> set[str]:
    same_id = readable(organisation_key) if table is items else table.c.organisation_key == organisation_key
    existing = select(literal(1)).where(same_id, table.c[name] == events.c[name])
    of_events = (events.c.organisation_key == organisation_key, events.c.verb != VOIDED)
    unknown = select(events.c[name]).where(*of_events, events.c[name].is_not(None), ~existing.exists()).distinct()
    if session.get_bind().dialect.name == "postgresql":
        # Events of earlier versions may have ids that its indexes cannot hold.
        unknown = unknown.where(func.octet_length(events.c[name]) <= MAX_KEY_BYTES)
    return set(session.scalars(unknown))


def create(
    session: Session, organisation_key: int, ids: Mapping[str, Iterable[str]], *, now: datetime
) -> tuple[int, int]:
    """Create an undescribed member or item for each of :func:`unknown_ids`; return how many of each are new."""
    n_created = []
    for name, table in NAMED.items():
        rows = pd.DataFrame({name: sorted(ids.get(name, ()))})
        rows = rows.assign(organisation_key=organisation_key, updated_at=pd.Timestamp(now))
        n_created.append(bulk.insert_new(session, table, rows))
    return n_created[0], n_created[1]


def count(session: Session, organisation_key: int) -> int:
    """Return the number of unresolved events: their member or item is unknown so far."""
    mine = members.c.organisation_key == organisation_key
    member = select(literal(1)).where(mine, members.c.member_id == events.c.member_id)
    item = select(literal(1)).where(readable(organisation_key), items.c.item_id == events.c.item_id)
    condition = and_(events.c.organisation_key == organisation_key, events.c.verb != VOIDED)
    total = select(func.count()).select_from(events).where(condition)
    resolved = total.where(member.exists(), item.exists())
    return (session.scalar(total) or 0) - (session.scalar(resolved) or 0)
