"""Shared items: an organisation's own that all others may read and be recommended, and none of them may change."""

from typing import Any

from sqlalchemy import ColumnElement, and_, literal, or_, select
from sqlalchemy.orm import aliased

from content_catalog.schema import AUDIENCES
from infra.db.core_tables import items

_OPEN, _RESTRICTED = AUDIENCES


def readable(organisation_key: int, table: Any = items) -> ColumnElement[bool]:
    """Return the condition for items that an organisation may read: its own, and those that others share.

    What is for a restricted audience is for the owner's units and codes, so it is never for other organisations.
    """
    given = and_(table.c.shared.is_(True), or_(table.c.audience.is_(None), table.c.audience != _RESTRICTED))
    return or_(table.c.organisation_key == organisation_key, given)


def visible(organisation_key: int) -> ColumnElement[bool]:
    """Return the condition for readable items, one for each id: the own one, else that of the oldest organisation."""
    nearer = aliased(items)
    before = and_(
        nearer.c.item_id == items.c.item_id,
        readable(organisation_key, nearer),
        or_(
            nearer.c.organisation_key == organisation_key,
            nearer.c.organisation_key < items.c.organisation_key,
        ),
    )
    own = items.c.organisation_key == organisation_key
    return or_(own, and_(readable(organisation_key), ~select(literal(1)).where(before).exists()))
