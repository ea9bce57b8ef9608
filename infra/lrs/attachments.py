"""Store of attachment contents, per statement and SHA-2.

A content that two statements have is stored twice, so it is deleted with its statement, without reference counts.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any, Final

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from features.xapi.attachments import attachments_of
from infra.db.lrs_tables import statement_attachments

MAX_BYTES: Final = 67_108_864
"""Most bytes of attachments on a page; a single statement with more is a page by itself."""

table = statement_attachments


def store(
    session: Session,
    organisation_key: int,
    new: Sequence[tuple[datetime, Mapping[str, Any]]],
    contents: Mapping[str, bytes],
) -> None:
    """Store the contents that new statements, each with its time of storing, name by their SHA-2."""
    rows = [
        {"organisation_key": organisation_key, "stored_at": moment, "sha2": sha2, "content": contents[sha2]}
        for moment, statement in new
        for sha2 in {attachment["sha2"].lower() for _, attachment in attachments_of(statement)}
        if sha2 in contents
    ]
    if rows:
        session.execute(insert(table), rows)


def count_fitting(session: Session, organisation_key: int, moments: Sequence[datetime]) -> int:
    """Return how many statements, given by their times of storing, fit on a page with their attachments."""
    query = (
        select(table.c.stored_at, func.sum(func.length(table.c.content)))
        .where(table.c.organisation_key == organisation_key, table.c.stored_at.in_(moments))
        .group_by(table.c.stored_at)
    )
    sizes = {moment: int(size) for moment, size in session.execute(query)}
    sums = accumulate(sizes.get(moment, 0) for moment in moments)
    return max(1, sum(size <= MAX_BYTES for size in sums))


def contents(session: Session, organisation_key: int, moments: Sequence[datetime]) -> dict[str, bytes]:
    """Return the contents of the attachments of statements, given by their times of storing, by their SHA-2."""
    query = (
        select(table.c.sha2, table.c.content)
        .where(table.c.organisation_key == organisation_key, table.c.stored_at.in_(moments))
        .order_by(table.c.stored_at)
    )
    return {row.sha2: row.content for row in session.execute(query)}
