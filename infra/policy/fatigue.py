"""Fatigue: items that were shown to a member several times without a reaction, in a query for lists and of all members.

A showing is an event ``shown``, or a place on a push that was delivered and of which no such event came. A reaction is
any other event of the member and item; showings until it do not count.
"""

from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import (
    JSON,
    BigInteger,
    BindParameter,
    ColumnElement,
    Select,
    Subquery,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    true,
    type_coerce,
    union_all,
)
from sqlalchemy.orm import Session

from features.schema import SHOWN
from infra.db import bulk
from infra.db.core_tables import EPOCH, MICROSECOND, events, lists, members
from infra.db.delivery_tables import deliveries
from infra.events.store import counting

Key = int | BindParameter[int]
# Not a parameter: SQLite compares it with the conditions of partial indexes, and would prepare the whole query
# again for each value, as long as reading the lists of thirty members takes.
IS_SHOWING: Final = and_(
    deliveries.c.status == literal("delivered", literal_execute=True), deliveries.c.item_ids.is_not(None)
)


def column(organisation_key: BindParameter[int], times: BindParameter[int], dialect: str) -> ColumnElement[str | None]:
    """Return the showings of the member of a row as JSON, for a query over ``members``: items and last moments.

    Parameters
    ----------
    times : BindParameter
        Fewest showings without a reaction since; 0: none are looked for, and the column is null.
    """
    array, group = bulk.json_functions(dialect)
    tired = _ignored(organisation_key, times, dialect, of_row=True)
    showings = select(cast(group(array(tired.c.item_id, tired.c.last_at)), Text)).correlate(members)
    return case((times > 0, showings.scalar_subquery()))


def resting_items(text: str | None, now: datetime, days: float) -> frozenset[str]:
    """Return the items among showings (:func:`column`) that rest: those last shown within so many days.

    >>> resting_items('[["a", 0], ["b", 86400000000]]', EPOCH + timedelta(days=14), 14.0)
    frozenset({'b'})
    """
    since = _rest_began(now, days)
    return frozenset(item_id for item_id, last_at in orjson.loads(text or "[]") if last_at > since)


def _rest_began(now: datetime, days: float) -> int:
    """Return the microseconds since 1970 of a moment so many days ago: what was last shown before rests no more."""
    return (now - timedelta(days=days) - EPOCH) // MICROSECOND


def resting_of(
    session: Session, organisation_key: int, member_id: str, *, times: int, days: float, now: datetime
) -> list[dict[str, Any]]:
    """Return the items that rest for a member, the first to return first: ``item_id, shown_at, rests_until``."""
    own: BindParameter[int] = bindparam("organisation_key", organisation_key)
    fewest: BindParameter[int] = bindparam("times", times)
    showings = select(column(own, fewest, session.get_bind().dialect.name)).where(
        members.c.organisation_key == organisation_key, members.c.member_id == member_id
    )
    text = session.scalar(showings)
    resting = resting_items(text, now, days)
    rows = sorted((at, item_id) for item_id, at in orjson.loads(text or "[]") if item_id in resting)
    moments = ((item_id, EPOCH + at * MICROSECOND) for at, item_id in rows)
    return [{"item_id": item_id, "shown_at": at, "rests_until": at + timedelta(days=days)} for item_id, at in moments]


def of_run(session: Session, organisation_key: int, *, times: int, days: float, now: datetime) -> dict[str, str]:
    """Return the items that rest for each member, as JSON, so that past lists show as they were."""
    if not times:
        return {}
    tired = _ignored(organisation_key, times, session.get_bind().dialect.name)
    query = select(tired.c.member_id, tired.c.item_id).where(tired.c.last_at > _rest_began(now, days))
    by_member = bulk.values_by_key(session, query.order_by(tired.c.member_id, tired.c.item_id))
    return {member_id: orjson.dumps(item_ids).decode() for member_id, item_ids in by_member.items()}


def _ignored(organisation_key: Key, times: Key, dialect: str, *, of_row: bool = False) -> Subquery:
    """Return ``member_id, item_id, last_at`` of items with at least so many showings since the member's last reaction.

    With ``of_row`` of the member alone whose row of ``members`` an outer query is at.
    """
    event_of_member, push_of_member = (
        table.c.member_id == members.c.member_id if of_row else true() for table in (events, deliveries)
    )
    at, own = type_coerce(events.c.occurred_at, BigInteger), and_(counting(organisation_key), event_of_member)
    columns = events.c.member_id, events.c.item_id
    shown = select(*columns, at.label("at")).where(own, events.c.verb == SHOWN).correlate(members)
    pushed = _pushed(organisation_key, dialect).where(push_of_member).correlate(members)
    showings = union_all(shown, pushed).subquery("showings")
    reacted = select(*columns, func.max(at).label("at")).where(own, events.c.verb != SHOWN).correlate(members)
    reactions = reacted.group_by(*columns).subquery("reactions")
    same = and_(reactions.c.member_id == showings.c.member_id, reactions.c.item_id == showings.c.item_id)
    query = (
        select(showings.c.member_id, showings.c.item_id, func.max(showings.c.at).label("last_at"))
        .select_from(showings.outerjoin(reactions, same))
        .where(or_(reactions.c.at.is_(None), showings.c.at > reactions.c.at))
        .group_by(showings.c.member_id, showings.c.item_id)
        .having(func.count() >= times)
    )
    return query.correlate(members).subquery("tired")


def _pushed(organisation_key: Key, dialect: str) -> Select[Any]:
    """Return ``member_id, item_id, at`` of the places on delivered pushes that no event reports as shown."""
    if dialect == "postgresql":
        item_ids = func.json_array_elements_text(cast(deliveries.c.item_ids, JSON))
        each = item_ids.table_valued("value", joins_implicitly=True).render_derived("pushed_items")
    else:
        each = func.json_each(deliveries.c.item_ids).table_valued("value", joins_implicitly=True)
    of_list = and_(
        lists.c.organisation_key == organisation_key,
        lists.c.run_key == deliveries.c.run_key,
        lists.c.member_id == deliveries.c.member_id,
    )
    reported = select(events.c.event_id).where(
        counting(organisation_key),
        events.c.verb == SHOWN,
        events.c.push_list_id == select(lists.c.list_id).where(of_list).correlate(deliveries).scalar_subquery(),
        events.c.item_id == each.c.value,
    )
    pushed_at = type_coerce(deliveries.c.finished_at, BigInteger).label("at")
    return select(deliveries.c.member_id, each.c.value.label("item_id"), pushed_at).where(
        deliveries.c.organisation_key == organisation_key,
        IS_SHOWING,
        ~reported.correlate(deliveries, each).exists(),
    )
