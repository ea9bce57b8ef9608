"""Shared items: owned by one organisation, readable and recommendable in all others."""

from typing import Any

from sqlalchemy import ColumnElement, and_, literal, or_, select
from sqlalchemy.orm import aliased

from content_catalog.schema import AUDIENCES
from infra.db.core_tables import items

_OPEN, _RESTRICTED = AUDIENCES


def readable(organisation_key: int, table: Any = items) -> ColumnElement[bool]:
    """Return the SQL condition of the items that an organisation may read: its own, and those that others share.

    The targets of a restricted audience are the owner's units and codes, so such an item is never shared.
    """
    shared = and_(table.c.shared.is_(True), or_(table.c.audience.is_(None), table.c.audience != _RESTRICTED))
    return or_(table.c.organisation_key == organisation_key, shared)


def visible(organisation_key: int) -> ColumnElement[bool]:
    """Return the SQL condition of readable items, one per id: the own item, else that of the oldest organisation."""
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
