"""Devices that members have used, in a query for lists and of all members.

A member has used the device of a format once any event of an item of the format came, other than that it was shown.
"""

from typing import Any, Final

import orjson
from sqlalchemy import BindParameter, ColumnElement, Text, and_, case, cast, or_, select
from sqlalchemy.orm import Session

from content_catalog.schema import DEVICE_FORMATS, split_list
from features.schema import SHOWN
from infra.db import bulk
from infra.db.core_tables import events, items, members
from infra.events.store import counting

NEEDS_DEVICE: Final = items.c.format.in_(DEVICE_FORMATS)


def column(organisation_key: BindParameter[int], dialect: str) -> ColumnElement[str | None]:
    """Return the formats whose devices the member of a row has used as JSON, for a query over ``members``.

    Null where no item needs a device, which costs one look at an index.
    """
    _, group = bulk.json_functions(dialect)
    used = select(cast(group(items.c.format.distinct()), Text)).select_from(events.join(items, _same(organisation_key)))
    mine = used.where(_uses(organisation_key), events.c.member_id == members.c.member_id).correlate(members)
    return case((select(items.c.item_id).where(NEEDS_DEVICE).exists(), mine.scalar_subquery()))


def of_member(registered: str | None, used: str | None) -> frozenset[str]:
    """Return the formats whose devices a member registered or has used (:func:`column`).

    >>> sorted(of_member("ar", '["vr"]')), of_member(None, None)
    (['ar', 'vr'], frozenset())
    """
    return frozenset(split_list(registered)).union(orjson.loads(used) if used else ())


def used_by_member(session: Session, organisation_key: int) -> dict[str, frozenset[str]]:
    """Return the formats whose devices each member has used; reads no event where no item needs a device."""
    needing = select(items.c.item_id).where(NEEDS_DEVICE)
    columns = events.c.member_id, items.c.format
    query = select(*columns).select_from(events.join(items, _same(organisation_key))).where(_uses(organisation_key))
    query = query.where(events.c.item_id.in_(needing))
    used: dict[str, frozenset[str]] = {}
    for member_id, name in session.execute(query.distinct()):
        used[member_id] = used.get(member_id, frozenset()) | {name}
    return used


def _uses(organisation_key: int | BindParameter[int]) -> ColumnElement[bool]:
    return and_(counting(organisation_key), events.c.verb != SHOWN, NEEDS_DEVICE)


def _same(organisation_key: int | BindParameter[int]) -> Any:
    """Return the condition that an item is that of an event: the organisation's own or a shared one."""
    readable = or_(items.c.organisation_key == organisation_key, items.c.shared.is_(True))
    return and_(items.c.item_id == events.c.item_id, readable)
