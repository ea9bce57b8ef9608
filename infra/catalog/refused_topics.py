"""Refused topics: those that members deleted from what is held about them."""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, select
from sqlalchemy.orm import Session

from content_catalog.schema import LIST_SEPARATOR
from infra.db import bulk
from infra.db.policy_tables import REFUSED, member_choices


def by_member(session: Session, organisation_key: int) -> dict[str, str]:
    """Return the refused topics of each member that has any, as a list in a text."""
    query = select(member_choices.c.member_id, member_choices.c.value).where(_of(organisation_key))
    topics: dict[str, list[str]] = {}
    for member_id, topic in session.execute(query.order_by(member_choices.c.value)):
        topics.setdefault(member_id, []).append(topic)
    return {member_id: LIST_SEPARATOR.join(values) for member_id, values in topics.items()}


def of_member(session: Session, organisation_key: int, member_id: str) -> dict[str, datetime]:
    """Return the topics that a member refused, and when."""
    query = select(member_choices.c.value, member_choices.c.chosen_at)
    own = and_(_of(organisation_key), member_choices.c.member_id == member_id)
    rows = session.execute(query.where(own).order_by(member_choices.c.value)).all()
    return {row.value: row.chosen_at for row in rows}


def refuse(session: Session, organisation_key: int, member_id: str, topic: str, *, now: datetime) -> None:
    """Store that a member refuses a topic."""
    key = {"organisation_key": organisation_key, "member_id": member_id, "kind": REFUSED, "value": topic}
    insert = bulk.insert_into(session, member_choices).values(**key, chosen_at=now)
    session.execute(insert.on_conflict_do_nothing(index_elements=list(key)))


def restore(session: Session, organisation_key: int, member_id: str, topic: str) -> bool:
    """Delete a refusal; return whether there was one."""
    own = and_(_of(organisation_key), member_choices.c.member_id == member_id, member_choices.c.value == topic)
    return session.execute(delete(member_choices).where(own).returning(member_choices.c.value)).first() is not None


def _of(organisation_key: int) -> ColumnElement[bool]:
    return and_(member_choices.c.organisation_key == organisation_key, member_choices.c.kind == REFUSED)
