"""Store of xAPI statements with their index terms and study events.

The time of storing is the key: within an organisation it is unique and only grows, and a reader that sees a statement
sees all that were stored before it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import orjson
from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from features.events import check_events
from features.xapi.batches import study_rows
from features.xapi.index_terms import is_voiding, target_id, terms
from features.xapi.shapes import DEFAULT_VERSION, as_stored, same_content
from infra.catalog import organisations
from infra.db import bulk
from infra.db.core_tables import MICROSECOND
from infra.db.lrs_tables import statement_attachments, statement_terms, statements
from infra.errors import BatchTooSlowError, StatementConflictError
from infra.events import store as events
from infra.lrs import attachments

Statement = dict[str, Any]

VISIBILITY_DELAY: Final = timedelta(seconds=60)
"""Upper bound of the time between a statement's ``stored`` and its commit, for Consistent-Through."""
MAX_WRITE_TIME: Final = timedelta(seconds=45)
"""A batch that takes longer is rolled back, so that the bound holds."""


@dataclass(frozen=True, slots=True)
class StoreResult:
    """Result of storing a batch: the ids in order, and the numbers of new statements and of their study events."""

    ids: list[str]
    new: int
    events: int


def store(
    session: Session,
    organisation_key: int,
    batch: Sequence[Statement],
    *,
    authority: Statement,
    home_page: str | None,
    clock: Callable[[], datetime],
    contents: Mapping[str, bytes] | None = None,
    version: str = DEFAULT_VERSION,
) -> StoreResult:
    """Store the statements of a batch that are not stored yet, and their study events.

    A study event out of bounds (longer than a week, say) is left out; its statement is stored.

    Parameters
    ----------
    batch : sequence of dict
        Statements without a fault (``features.xapi.batches.batch_fault``).
    authority : dict
        The agent that vouches for them.
    home_page : str or None
        As in :func:`features.xapi.study_events.study_event`.
    clock : callable
        Returns the present moment in UTC.
    contents : Mapping of str to bytes, optional
        Contents of their attachments, by their SHA-2 in lower case.
    version : str
        Version of statements that say none.

    Raises
    ------
    BatchTooSlowError
        It took longer than :data:`MAX_WRITE_TIME`.
    StatementConflictError
        One has the id of a different stored statement or study event.
    """
    # One writer an organisation, so that statements become visible in the order of storing.
    organisations.lock(session, organisation_key)
    existing = _by_id(session, organisation_key, [item["id"].lower() for item in batch if "id" in item])
    newest = newest_stored(session, organisation_key)
    # The time of now, under the lock: a request may have waited for it long.
    began_at = clock()
    moment = began_at if newest is None else max(began_at, newest + MICROSECOND)
    ids, new, event_count = [], [], 0
    for statement in batch:
        statement_id = statement.get("id") or str(uuid4())
        ids.append(statement_id)
        earlier = existing.get(statement_id.lower())
        if earlier is not None:
            _check_same(statement_id, statement, earlier)
            continue
        stored = as_stored(
            statement, statement_id=statement_id, stored=format_timestamp(moment), authority=authority, version=version
        )
        new.append((moment, stored))
        moment += MICROSECOND
    if new:
        _insert(session, organisation_key, new)
        attachments.store(session, organisation_key, new, contents or {})
        event_count = _store_events(session, organisation_key, [statement for _, statement in new], home_page)
        if clock() - began_at > MAX_WRITE_TIME:
            raise BatchTooSlowError(
                f"{len(new):,} statements took longer than {MAX_WRITE_TIME.total_seconds():.0f} s to store; "
                "nothing was stored; send smaller batches"
            )
    return StoreResult(ids, len(new), event_count)


def _check_same(statement_id: str, statement: Statement, earlier: Statement) -> None:
    if not same_content(statement, earlier):
        raise StatementConflictError(
            f"statement {statement_id} is stored already and says something else; statements never change: "
            "void it, and send the right one under an id of its own"
        )


def _insert(session: Session, organisation_key: int, new: list[tuple[datetime, Statement]]) -> None:
    rows = [
        {
            "organisation_key": organisation_key,
            "stored_at": moment,
            "statement_id": statement["id"].lower(),
            "voiding": is_voiding(statement),
            "target_id": target_id(statement),
            "statement": orjson.dumps(statement).decode(),
        }
        for moment, statement in new
    ]
    session.execute(insert(statements), rows)
    term_rows = [
        {"organisation_key": organisation_key, "stored_at": moment, "term": term, "direct": direct}
        for moment, statement in new
        for term, direct in terms(statement).items()
    ]
    session.execute(insert(statement_terms), term_rows)


def _store_events(session: Session, organisation_key: int, new: list[Statement], home_page: str | None) -> int:
    """Store the study events of new statements; return how many they are."""
    sound, _ = check_events(study_rows(new, home_page=home_page))
    if sound.empty:
        return 0
    clashes = events.store(session, organisation_key, sound).rejects
    if len(clashes):
        raise StatementConflictError(
            f"statement {clashes['value'].iloc[0]}: an event of this id is stored already and says something else; "
            "give the statement an id of its own"
        )
    return len(sound)


def newest_stored(session: Session, organisation_key: int) -> datetime | None:
    """Return the time of storing of the newest statement, None where there is none."""
    query = select(func.max(statements.c.stored_at)).where(statements.c.organisation_key == organisation_key)
    return session.scalar(query)


def consistent_through(session: Session, organisation_key: int, *, now: datetime) -> datetime:
    """Return the time up to which all stored statements are visible (Communication, 2.1.3)."""
    settled = now - VISIBILITY_DELAY
    newest = newest_stored(session, organisation_key)
    return settled if newest is None else max(newest, settled)


def erase(session: Session, organisation_key: int, moments: Sequence[datetime]) -> int:
    """Remove the statements stored at some moments; return their number. Study events are not touched."""
    for table in (statement_terms, statement_attachments, statements):
        own = table.c.organisation_key == organisation_key
        session.execute(delete(table).where(own, bulk.any_of(table.c.stored_at, moments)))
    return len(moments)


def format_timestamp(moment: datetime) -> str:
    """Return a moment in the format of ``stored``: ISO 8601 in UTC, to the microsecond."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def stored_at_of(statement: Statement) -> datetime:
    """Return the time of storing of a stored statement."""
    return datetime.fromisoformat(statement["stored"])


def _by_id(session: Session, organisation_key: int, ids: list[str]) -> dict[str, Statement]:
    query = select(statements.c.statement_id, statements.c.statement).where(
        statements.c.organisation_key == organisation_key, bulk.any_of(statements.c.statement_id, ids)
    )
    return {row.statement_id: orjson.loads(row.statement) for row in session.execute(query)}
