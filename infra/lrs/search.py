"""Queries of stored xAPI statements: by id, or by filters (Communication, 2.1.3 and 2.1.4)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import CTE, ColumnElement, Select, and_, exists, literal, or_, select, union
from sqlalchemy.orm import Session, aliased

from infra.db.lrs_tables import statement_terms, statements
from infra.errors import NotFoundError

Statement = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StatementFilter:
    """Filter, order and position of a query for statements.

    Attributes
    ----------
    terms : tuple of (str, bool)
        Index terms (``features.xapi.index_terms``) that all must match, each with whether related ones count.
    since, until : datetime or None
        Stored after the one moment, and not after the other.
    ascending : bool
        Oldest first rather than newest first.
    after : datetime or None
        Time of storing of the last statement of the previous page.
    """

    terms: tuple[tuple[str, bool], ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    ascending: bool = False
    after: datetime | None = None


def get(session: Session, organisation_key: int, statement_id: str, *, voided: bool) -> tuple[datetime, Statement]:
    """Return a statement and its time of storing; a voided one only as ``voided``.

    Raises
    ------
    NotFoundError
    """
    query = select(statements.c.stored_at, statements.c.statement).where(
        statements.c.organisation_key == organisation_key,
        statements.c.statement_id == statement_id.lower(),
        _voided(organisation_key) if voided else ~_voided(organisation_key),
    )
    row = session.execute(query).one_or_none()
    if row is None:
        kind = "voided statement" if voided else "statement"
        raise NotFoundError(f"no {kind} {statement_id}; check the id, and whether it was voided")
    return row.stored_at, orjson.loads(row.statement)


def find(
    session: Session, organisation_key: int, statement_filter: StatementFilter, *, limit: int
) -> tuple[list[Statement], datetime | None]:
    """Return a page of statements, and the time of storing of its last one where there are more.

    Voided ones are left out. With terms, statements about a matching statement, voided or not, match too, and
    statements about those (Communication, 2.1.4).
    """
    order = statements.c.stored_at.asc() if statement_filter.ascending else statements.c.stored_at.desc()
    visible = and_(*_period(statement_filter), ~_voided(organisation_key))
    matching = _having(organisation_key, statement_filter.terms).where(visible).order_by(order).limit(limit + 1)
    if statement_filter.terms:
        about = _about(organisation_key, statement_filter.terms)
        same = (statements.c.organisation_key == organisation_key) & (statements.c.stored_at == about.c.stored_at)
        referring = select(statements.c.stored_at).join(about, same).where(visible).order_by(order).limit(limit + 1)
        parts = (matching.subquery(), referring.subquery())
        keys = union(*(select(part.c.stored_at) for part in parts)).subquery()
    else:
        keys = matching.subquery()
    query = (
        select(statements.c.stored_at, statements.c.statement)
        .join(keys, keys.c.stored_at == statements.c.stored_at)
        .where(statements.c.organisation_key == organisation_key)
        .order_by(order)
        .limit(limit + 1)
    )
    rows = session.execute(query).all()
    page = [orjson.loads(row.statement) for row in rows[:limit]]
    return page, rows[limit - 1].stored_at if len(rows) > limit else None


def _voided(organisation_key: int) -> ColumnElement[bool]:
    """Return the condition for statements that another one voids; voiding ones cannot be voided (Data 2.3.2)."""
    other = aliased(statements)
    by = exists().where(
        other.c.organisation_key == organisation_key, other.c.target_id == statements.c.statement_id, other.c.voiding
    )
    return and_(~statements.c.voiding, by)


def _period(statement_filter: StatementFilter) -> list[ColumnElement[bool]]:
    stored_at = statements.c.stored_at
    bounds = [stored_at > statement_filter.since] if statement_filter.since else []
    bounds += [stored_at <= statement_filter.until] if statement_filter.until else []
    if statement_filter.after:
        bounds.append(
            stored_at > statement_filter.after if statement_filter.ascending else stored_at < statement_filter.after
        )
    return bounds


def _having(organisation_key: int, wanted: tuple[tuple[str, bool], ...]) -> Select[Any]:
    """Return the query for the times of storing of statements that have all of some terms."""
    query = select(statements.c.stored_at).where(statements.c.organisation_key == organisation_key)
    for term, related in wanted:
        has = aliased(statement_terms)
        same = and_(
            has.c.organisation_key == organisation_key,
            has.c.stored_at == statements.c.stored_at,
            has.c.term == term,
            or_(has.c.direct, literal(related)),
        )
        query = query.join(has, same)
    return query


def _about(organisation_key: int, wanted: tuple[tuple[str, bool], ...]) -> CTE:
    """Return statements about a statement that has some terms, and those about them, and so on."""
    first, other = aliased(statements), aliased(statements)
    having = _having(organisation_key, wanted).with_only_columns(statements.c.statement_id).subquery()
    about = (
        select(first.c.statement_id, first.c.stored_at)
        .where(first.c.organisation_key == organisation_key, first.c.target_id == having.c.statement_id)
        .cte("about", recursive=True)
    )
    return about.union(
        select(other.c.statement_id, other.c.stored_at).where(
            other.c.organisation_key == organisation_key, other.c.target_id == about.c.statement_id
        )
    )
