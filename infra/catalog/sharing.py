"""Shared items: owned by one organisation, readable and recommendable in the others that accept them."""

from typing import Any

from sqlalchemy import ColumnElement, and_, literal, or_, select, update
from sqlalchemy.orm import Session, aliased

from content_catalog.audience import RESTRICTED
from infra.db import catalog_version
from infra.db.core_tables import items, organisations


def readable(organisation_key: int, table: Any = items) -> ColumnElement[bool]:
    """Return the SQL condition of the items an organisation may read: its own, and, if it accepts them, shared ones.

    The targets of a restricted audience are the owner's units and codes, so such an item is never shared.
    """
    return or_(table.c.organisation_key == organisation_key, _shared_with(organisation_key, table))


def _shared_with(organisation_key: int, table: Any) -> ColumnElement[bool]:
    accepts = (
        select(literal(1))
        .where(organisations.c.organisation_key == organisation_key, organisations.c.accepts_shared.is_(True))
        .exists()
    )
    return and_(table.c.shared.is_(True), or_(table.c.audience.is_(None), table.c.audience != RESTRICTED), accepts)


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
    # Either side names the columns of an index: with `readable` on the right, SQLite reads all items for each event.
    return or_(own, and_(_shared_with(organisation_key, items), ~select(literal(1)).where(before).exists()))


def accepts_shared(session: Session, organisation_key: int) -> bool:
    """Return whether an organisation accepts items that others share."""
    query = select(organisations.c.accepts_shared).where(organisations.c.organisation_key == organisation_key)
    return bool(session.scalar(query))


def set_accepts_shared(session: Session, organisation_key: int, *, accepts: bool) -> None:
    """Switch shared items of others on or off for an organisation, from the next request on."""
    own = organisations.c.organisation_key == organisation_key
    session.execute(update(organisations).where(own).values(accepts_shared=accepts))
    # Its readable items change, though no item does: caches must notice.
    catalog_version.increase(session, organisation_key)
