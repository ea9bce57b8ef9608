"""Profiles of members: the columns that models and policies use, and the topics that a member deleted from them."""

from datetime import datetime
from typing import Any, Final

import pandas as pd
from sqlalchemy import ColumnElement, and_, delete, select
from sqlalchemy.orm import Session

from content_catalog.schema import LIST_SEPARATOR
from infra.catalog import store as catalog
from infra.db import bulk
from infra.db.policy_tables import DELETED_TOPIC, member_choices

PROFILE: Final = ("units", "role", "industry", "language", "timezone", "less_topics", "follows", "devices")
"""Columns of a member that models and policies use."""
PROFILE_COLUMNS: Final = (*PROFILE, *catalog.MOVED, "personalised", "deleted_topics")


def current_profile(session: Session, organisation_key: int, member_id: str, *, now: datetime) -> pd.DataFrame:
    """Return a member's present profile: :data:`PROFILE_COLUMNS` in one row.

    Raises
    ------
    UnknownMemberError
        The organisation has no such member any more.
    """
    member = catalog.member(session, organisation_key, member_id)
    profile: dict[str, Any] = {name: member[name] for name in PROFILE}
    profile["personalised"] = member["personalised"] is not False
    deleted = deleted_topics_of(session, organisation_key, member_id)
    profile["deleted_topics"] = LIST_SEPARATOR.join(deleted) or None
    moved = catalog.moves(session, organisation_key, as_of=now, member_id=member_id)
    profile |= dict.fromkeys(catalog.MOVED) if moved.empty else moved.astype(object).iloc[0].to_dict()
    index = pd.Index([member_id], dtype=object, name="member_id")
    return pd.DataFrame({name: [value] for name, value in profile.items()}, index=index, dtype=object)


def profiles_of(members: pd.DataFrame) -> pd.DataFrame:
    """Return the profiles of members as :func:`current_profile` does."""
    profiles = members[list(PROFILE)].astype(object)
    profiles = profiles.where(profiles.notna(), None)
    off = members["personalised"].eq(other=False).fillna(value=False).astype(bool)
    deleted = members.get("deleted_topics", pd.Series(None, index=members.index, dtype=object)).astype(object)
    moved = members.reindex(columns=[*catalog.MOVED]).astype(object)
    profiles[[*catalog.MOVED]] = moved.where(moved.notna(), None)
    return profiles.assign(personalised=~off, deleted_topics=deleted.where(deleted.notna(), None))


def deleted_topics_by_member(session: Session, organisation_key: int) -> dict[str, str]:
    """Return the deleted topics of each member that has any, as a list in a text."""
    query = select(member_choices.c.member_id, member_choices.c.value).where(_deleted(organisation_key))
    topics = bulk.values_by_key(session, query.order_by(member_choices.c.value))
    return {member_id: LIST_SEPARATOR.join(values) for member_id, values in topics.items()}


def deleted_topics_of(session: Session, organisation_key: int, member_id: str) -> dict[str, datetime]:
    """Return the topics that a member deleted, and when."""
    query = select(member_choices.c.value, member_choices.c.chosen_at)
    own = and_(_deleted(organisation_key), member_choices.c.member_id == member_id)
    rows = session.execute(query.where(own).order_by(member_choices.c.value)).all()
    return {row.value: row.chosen_at for row in rows}


def delete_topic(session: Session, organisation_key: int, member_id: str, topic: str, *, now: datetime) -> None:
    """Store that a member deletes a topic; one that it deleted before stays as it is."""
    key = {"organisation_key": organisation_key, "member_id": member_id, "kind": DELETED_TOPIC, "value": topic}
    insert = bulk.insert_into(session, member_choices).values(**key, chosen_at=now)
    session.execute(insert.on_conflict_do_nothing(index_elements=list(key)))


def restore_topic(session: Session, organisation_key: int, member_id: str, topic: str) -> bool:
    """Let a deleted topic count again; return whether it was deleted."""
    own = and_(_deleted(organisation_key), member_choices.c.member_id == member_id, member_choices.c.value == topic)
    return session.execute(delete(member_choices).where(own).returning(member_choices.c.value)).first() is not None


def _deleted(organisation_key: int) -> ColumnElement[bool]:
    return and_(member_choices.c.organisation_key == organisation_key, member_choices.c.kind == DELETED_TOPIC)
