"""Lookup of the xAPI statements that a member takes part in, by whatever identifier."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from content_catalog.io.values import WHITE_SPACE
from features.xapi.index_terms import IDENTIFIERS, agent_term, terms_of_member
from features.xapi.validation.formats import mailbox
from infra.catalog.store import NUL
from infra.db.core_tables import events
from infra.db.lrs_tables import statement_terms, statements

BATCH: Final = 1_000


def moments_of_member(
    session: Session, organisation_key: int, member_id: str, *, home_page: str | None
) -> list[datetime]:
    """Return when the statements that name a member were stored, which identifies them within the organisation.

    Statements are found by index terms, by the member's events (their ids are those of the statements, whatever
    ``xapi_home_page`` was then), and by a scan for identifiers that equal the id apart from white space.
    """
    if NUL in member_id:  # no stored id has one, and PostgreSQL refuses to compare with it
        return []
    moments: set[datetime] = set()
    for query in (_by_terms(organisation_key, member_id, home_page), _by_events(organisation_key, member_id)):
        moments |= set(session.scalars(query))
    return sorted(moments | set(_by_scan(session, organisation_key, member_id, home_page)))


def member_ids_of_statements(session: Session, organisation_key: int, *, home_page: str | None) -> Iterator[str]:
    """Yield the member ids that the statements of an organisation name."""
    query = select(statements.c.statement).where(statements.c.organisation_key == organisation_key)
    for text in session.scalars(query.execution_options(yield_per=BATCH)):
        yield from _member_ids(orjson.loads(text), home_page)


def _by_terms(organisation_key: int, member_id: str, home_page: str | None) -> Select[Any]:
    terms = [*terms_of_member(member_id, home_page=home_page)]
    hashed = agent_term({"mbox_sha1sum": hashlib.sha1(f"mailto:{member_id}".encode()).hexdigest()})  # noqa: S324 - xAPI identifies people so
    return select(statement_terms.c.stored_at).where(
        statement_terms.c.organisation_key == organisation_key, statement_terms.c.term.in_([*terms, str(hashed)])
    )


def _by_events(organisation_key: int, member_id: str) -> Select[Any]:
    of_member = select(events.c.event_id).where(
        events.c.organisation_key == organisation_key, events.c.member_id == member_id
    )
    return select(statements.c.stored_at).where(
        statements.c.organisation_key == organisation_key, statements.c.statement_id.in_(of_member)
    )


def _by_scan(session: Session, organisation_key: int, member_id: str, home_page: str | None) -> Iterator[datetime]:
    # As it stands in the text of a statement; of "page|name" either part will do to find candidates.
    name, at, _ = max(member_id.split("|"), key=len).partition("@")  # the domain may be there in other letters
    needle = orjson.dumps(name + at).decode()[1:-1]
    query = select(statements.c.stored_at, statements.c.statement).where(
        statements.c.organisation_key == organisation_key, statements.c.statement.contains(needle, autoescape=True)
    )
    for row in session.execute(query.execution_options(yield_per=BATCH)):
        if member_id in set(_member_ids(orjson.loads(row.statement), home_page)):
            yield row.stored_at


def _member_ids(value: Any, home_page: str | None) -> Iterator[str]:
    """Yield the member ids of all agents inside a statement, without white space around them."""
    if isinstance(value, list):
        for part in value:
            yield from _member_ids(part, home_page)
    elif isinstance(value, dict):
        if any(name in value for name in IDENTIFIERS):
            yield from _ids_of_agent(value, home_page)
        for name, part in value.items():
            if name != "extensions":
                yield from _member_ids(part, home_page)


def _ids_of_agent(agent: Mapping[str, Any], home_page: str | None) -> Iterator[str]:
    match agent:
        case {"account": {"homePage": str(page), "name": str(name)}}:
            yield f"{page}|{name.strip(WHITE_SPACE)}"
            if page == home_page:
                yield name.strip(WHITE_SPACE)
        case {"mbox": str(address)}:
            member_id = address.removeprefix("mailto:").strip(WHITE_SPACE)
            yield from {member_id, mailbox(member_id)}
        case {"openid": str(identifier)} | {"mbox_sha1sum": str(identifier)}:
            yield identifier.strip(WHITE_SPACE)
