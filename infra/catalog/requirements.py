"""Stored requirements and waivers."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from content_catalog.requirements import Requirement, requirement_of
from infra.catalog import records
from infra.catalog import store as catalog
from infra.db import bulk
from infra.db.policy_tables import requirements, waivers
from infra.errors import NotFoundError

KIND: Final = "requirements"


def of_organisation(session: Session, organisation_key: int) -> tuple[Requirement, ...]:
    """Return the requirements of an organisation, in order of their ids."""
    own = requirements.c.organisation_key == organisation_key
    rows = session.execute(select(requirements).where(own).order_by(requirements.c.requirement_id)).mappings()
    return tuple(requirement_of(row) for row in rows)


def remove(session: Session, organisation_key: int, requirement_id: str) -> None:
    """Delete a requirement and its waivers.

    Raises
    ------
    NotFoundError
    """
    records.read(session, organisation_key, KIND, requirement_id)
    for table in (waivers, requirements):
        own = (table.c.organisation_key == organisation_key) & (table.c.requirement_id == requirement_id)
        session.execute(delete(table).where(own))


def waive(
    session: Session, organisation_key: int, member_id: str, requirement_id: str, *, now: datetime, reason: str | None
) -> dict[str, Any]:
    """Free a member from a requirement; return the waiver: ``requirement_id, waived_at, reason``.

    Raises
    ------
    UnknownMemberError, NotFoundError
    """
    catalog.member(session, organisation_key, member_id)
    records.read(session, organisation_key, KIND, requirement_id)
    values = {"waived_at": now, "reason": reason}
    key = {"organisation_key": organisation_key, "member_id": member_id, "requirement_id": requirement_id}
    bulk.put(session, waivers, key, values)
    return {"requirement_id": requirement_id, **values}


def waivers_of(session: Session, organisation_key: int, member_id: str) -> list[dict[str, Any]]:
    """Return the waivers of a member: ``requirement_id, waived_at, reason``.

    Raises
    ------
    UnknownMemberError
    """
    catalog.member(session, organisation_key, member_id)
    own = (waivers.c.organisation_key == organisation_key) & (waivers.c.member_id == member_id)
    columns = waivers.c.requirement_id, waivers.c.waived_at, waivers.c.reason
    return [dict(row) for row in session.execute(select(*columns).where(own).order_by(columns[0])).mappings()]


def end_waiver(session: Session, organisation_key: int, member_id: str, requirement_id: str) -> None:
    """Delete a waiver: the requirement holds for the member again.

    Raises
    ------
    NotFoundError
        It is not waived for the member.
    """
    own = (
        (waivers.c.organisation_key == organisation_key)
        & (waivers.c.member_id == member_id)
        & (waivers.c.requirement_id == requirement_id)
    )
    deleted = delete(waivers).where(own).returning(waivers.c.requirement_id)
    if catalog.NUL in member_id + requirement_id or session.execute(deleted).first() is None:
        raise NotFoundError(f"requirement {requirement_id!r} is not waived for member {member_id!r}")
