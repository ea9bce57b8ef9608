"""Choices of members in a query for lists, and the items that a member saved for later as records."""

from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Text,
    and_,
    cast,
    delete,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.orm import Session

from infra.catalog import store as catalog
from infra.db import bulk
from infra.db.core_tables import events, members
from infra.db.policy_tables import DELETED_TOPIC, SAVED, member_choices
from infra.errors import NotFoundError
from infra.events.store import FINISHING, NEGATIVE_VERBS, counting

NO_CHOICES: Final = (None, "[]")


def column(organisation_key: BindParameter[int], dialect: str) -> ColumnElement[str]:
    """Return the choices of the member of a row as JSON, for a query over ``members``: kinds, values, moments."""
    array, group = bulk.json_functions(dialect)
    of_row = and_(
        member_choices.c.organisation_key == organisation_key, member_choices.c.member_id == members.c.member_id
    )
    at = type_coerce(member_choices.c.chosen_at, BigInteger)
    choices = select(cast(group(array(member_choices.c.kind, member_choices.c.value, at)), Text))
    return choices.where(of_row, _holds(organisation_key)).correlate(members).scalar_subquery()


def _holds(organisation_key: int | BindParameter[int]) -> ColumnElement[bool]:
    """Return the condition that a choice holds: a saved item was not finished, nor dismissed since."""
    ended = select(events.c.event_id).where(
        counting(organisation_key),
        events.c.member_id == member_choices.c.member_id,
        events.c.item_id == member_choices.c.value,
        or_(FINISHING, and_(events.c.verb.in_(NEGATIVE_VERBS), events.c.occurred_at >= member_choices.c.chosen_at)),
    )
    return or_(member_choices.c.kind != SAVED, ~ended.correlate(member_choices).exists())


def saved_items(text: str | None) -> tuple[str, ...]:
    """Return the saved items among a member's choices (:func:`column`), the first saved first."""
    if text in NO_CHOICES:
        return ()
    choices = orjson.loads(text or "[]")
    return tuple(value for _, value in sorted((at, value) for kind, value, at in choices if kind == SAVED))


def deleted_topics(text: str | None) -> tuple[str, ...]:
    """Return the topics that a member deleted, among its choices (:func:`column`), in order."""
    if text in NO_CHOICES:
        return ()
    return tuple(sorted(value for kind, value, _ in orjson.loads(text or "[]") if kind == DELETED_TOPIC))


def of_run(session: Session, organisation_key: int) -> dict[str, str]:
    """Return the saved items that a run stores with each list, as JSON, so that past lists show as they were."""
    own = and_(member_choices.c.organisation_key == organisation_key, member_choices.c.kind == SAVED)
    order = member_choices.c.chosen_at, member_choices.c.value
    query = select(member_choices.c.member_id, member_choices.c.value).where(own, _holds(organisation_key))
    by_member = bulk.values_by_key(session, query.order_by(*order))
    return {member_id: orjson.dumps(item_ids).decode() for member_id, item_ids in by_member.items()}


def save(session: Session, organisation_key: int, member_id: str, item_id: str, *, now: datetime) -> dict[str, Any]:
    """Save an item for later for a member; return ``item_id, saved_at``. Saving it again makes it the newest.

    Raises
    ------
    UnknownMemberError, NotFoundError
    """
    catalog.member(session, organisation_key, member_id)
    catalog.check_item(session, organisation_key, item_id)
    key = {"organisation_key": organisation_key, "member_id": member_id, "kind": SAVED, "value": item_id}
    bulk.put(session, member_choices, key, {"chosen_at": now})
    return {"item_id": item_id, "saved_at": now}


def saved_of(session: Session, organisation_key: int, member_id: str) -> list[dict[str, Any]]:
    """Return the items that a member saved and neither finished nor dismissed since: ``item_id, saved_at``.

    Raises
    ------
    UnknownMemberError
    """
    catalog.member(session, organisation_key, member_id)
    query = select(member_choices.c.value.label("item_id"), member_choices.c.chosen_at.label("saved_at"))
    own = _own(organisation_key, member_id)
    order = member_choices.c.chosen_at, member_choices.c.value
    return [
        dict(row) for row in session.execute(query.where(own, _holds(organisation_key)).order_by(*order)).mappings()
    ]


def unsave(session: Session, organisation_key: int, member_id: str, item_id: str) -> None:
    """Take an item off those that a member saved.

    Raises
    ------
    UnknownMemberError
    NotFoundError
        The member did not save it.
    """
    catalog.member(session, organisation_key, member_id)
    own = and_(_own(organisation_key, member_id), member_choices.c.value == item_id)
    deleted = delete(member_choices).where(own).returning(member_choices.c.value)
    if catalog.NUL in item_id or session.execute(deleted).first() is None:
        raise NotFoundError(f"item {item_id!r} is not saved for member {member_id!r}")


def _own(organisation_key: int, member_id: str) -> ColumnElement[bool]:
    return and_(
        member_choices.c.organisation_key == organisation_key,
        member_choices.c.member_id == member_id,
        member_choices.c.kind == SAVED,
    )
