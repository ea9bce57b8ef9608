"""Subject-access export: all data of one member; tables are discovered by their member columns."""

from base64 import b64encode
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, Table, literal, or_, select
from sqlalchemy.orm import Session

from infra.access import audit
from infra.catalog.records import iso_utc
from infra.catalog.store import NUL
from infra.db import bulk, core_tables, delivery_tables
from infra.db.access_tables import audit_entries, audit_subjects
from infra.db.core_tables import SAME_ENTRIES, events, list_entries, lists
from infra.db.lrs_tables import statement_attachments, statements
from infra.errors import UnknownMemberError
from infra.privacy.statements import moments_of_member
from infra.runs.store import ANYONE

# One for all: tables are known to it once their modules are imported.
METADATA: Final = {core_tables.metadata, delivery_tables.deliveries.metadata, audit_subjects.metadata}.pop()
INTERNAL: Final = {"organisation_key", "run_key"}


def personal_tables() -> list[Table]:
    """Return every table whose rows name a member, those that others refer to last."""
    return [
        table for table in reversed(METADATA.sorted_tables) if {"organisation_key", "member_id"} <= {*table.c.keys()}
    ]


def of_member(table: Table, organisation_key: int, member_id: str) -> ColumnElement[bool]:
    """Return the condition for a member's rows."""
    return (table.c.organisation_key == organisation_key) & (table.c.member_id == member_id)


def voids_of(organisation_key: int, member_id: str) -> ColumnElement[bool]:
    """Return the condition for events that void an event of a member: they name the event, not the member."""
    theirs = select(events.c.event_id).where(of_member(events, organisation_key, member_id))
    return (events.c.organisation_key == organisation_key) & events.c.voided_event_id.in_(theirs)


def is_known(session: Session, organisation_key: int, member_id: str) -> bool:
    """Return whether a table has data of a member; the list for anyone is of none."""
    return (
        member_id != ANYONE
        and NUL not in member_id
        and any(
            session.scalar(select(literal(1)).where(of_member(table, organisation_key, member_id)).limit(1))
            for table in personal_tables()
        )
    )


def export(session: Session, organisation_key: int, member_id: str, *, home_page: str | None) -> dict[str, Any]:
    """Return all data of a member: ``tables`` (rows by table), ``push_lists, statements, attachments, audit``.

    Raises
    ------
    UnknownMemberError
        There is no data of a member of this id.
    """
    moments = moments_of_member(session, organisation_key, member_id, home_page=home_page)
    if not moments and not is_known(session, organisation_key, member_id):
        raise UnknownMemberError(f"no member {member_id!r}; check the id")
    rows = {
        table.name: _rows(session, table, of_member(table, organisation_key, member_id))
        for table in sorted(personal_tables(), key=lambda table: table.name)
        if table is not audit_subjects
    }
    rows["events"] += _rows(session, events, voids_of(organisation_key, member_id))
    return {
        "tables": rows,
        "push_lists": _push_lists(session, organisation_key, member_id),
        "statements": _statements(session, organisation_key, moments),
        "attachments": _attachments(session, organisation_key, moments),
        "audit": _audit(session, organisation_key, member_id),
    }


def _rows(session: Session, table: Table, condition: ColumnElement[bool]) -> list[dict[str, Any]]:
    columns = [column for column in table.c if column.name not in INTERNAL]
    return [_plain(dict(row)) for row in session.execute(select(*columns).where(condition)).mappings()]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: iso_utc(value) if isinstance(value, datetime) else value for name, value in row.items()}


def _push_lists(session: Session, organisation_key: int, member_id: str) -> list[dict[str, Any]]:
    query = (
        select(lists.c.list_id, lists.c.strategy, list_entries.c.entries)
        .join(list_entries, SAME_ENTRIES)
        .where(of_member(lists, organisation_key, member_id))
        .order_by(lists.c.run_key)
    )
    return [{**row, "entries": orjson.loads(row["entries"])} for row in session.execute(query).mappings()]


def _statements(session: Session, organisation_key: int, moments: list[datetime]) -> list[Any]:
    query = (
        select(statements.c.statement)
        .where(statements.c.organisation_key == organisation_key, bulk.any_of(statements.c.stored_at, moments))
        .order_by(statements.c.stored_at)
    )
    return [orjson.loads(statement) for statement in session.scalars(query)]


def _attachments(session: Session, organisation_key: int, moments: list[datetime]) -> list[dict[str, str]]:
    """Return the contents of attachments of these statements, in base64."""
    of = statement_attachments.c
    same = (statements.c.organisation_key == of.organisation_key) & (statements.c.stored_at == of.stored_at)
    query = (
        select(statements.c.statement_id, of.sha2, of.content)
        .join(statements, same)
        .where(of.organisation_key == organisation_key, bulk.any_of(of.stored_at, moments))
        .order_by(of.stored_at, of.sha2)
    )
    return [
        {"statement_id": row.statement_id, "sha2": row.sha2, "content": b64encode(row.content).decode()}
        for row in session.execute(query)
    ]


def _audit(session: Session, organisation_key: int, member_id: str) -> list[dict[str, Any]]:
    """Return the audit entries about a member; other members that an entry counts are left out."""
    name = audit.stored_subject(session, organisation_key, member_id)
    if name is None:
        return []
    of = audit_entries.c
    query = (
        select(of.sequence, of.at, of.actor, of.action)
        .where(of.organisation_key == organisation_key, or_(of.subject == name, of.detail.contains(name)))
        .order_by(of.sequence)
    )
    return [_plain(dict(row)) for row in session.execute(query).mappings()]
