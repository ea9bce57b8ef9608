"""Reading and verification of the audit log."""

from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from infra.access.audit import GENESIS_HASH, hash_of, stored_subject
from infra.db.access_tables import audit_entries, audit_heads
from infra.db.core_tables import organisations
from infra.errors import SettingsError

FETCH_ROWS = 10_000
HASH_DIGITS = 64


class Head(NamedTuple):
    """Number and hash of the last entry of a chain, written ``17:9f86d0…``: an anchor to keep outside the database."""

    sequence: int
    hash: str

    def __str__(self) -> str:
        """Return the written form."""
        return f"{self.sequence}:{self.hash}"


def parse_head(text: str) -> Head:
    """Return the head of its written form.

    >>> parse_head("2:" + "ab" * 32).sequence
    2

    Raises
    ------
    SettingsError
        The text is no head.
    """
    number, _, digest = text.strip().partition(":")
    is_hash = len(digest) == HASH_DIGITS and set(digest) <= set("0123456789abcdef")
    if not (number.isascii() and number.isdigit() and len(number) < HASH_DIGITS and is_hash):
        raise SettingsError(f"{text[:100]!r} is no head of an audit log; give what `xuelu audit head` printed")
    return Head(int(number), digest)


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """Filter of audit entries; None matches all.

    Attributes
    ----------
    action : str or None
        An action such as ``lists.read``, or its beginning up to a dot: ``lists``.
    subject : str or None
        Id of a member.
    since, until : datetime or None
        First moment that matches, and first that does not match any more.
    """

    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def page(
    session: Session, organisation_key: int, where: EntryFilter, *, before: int | None = None, limit: int
) -> list[dict[str, Any]]:
    """Return matching entries, newest first, those of a lower sequence than ``before`` only."""
    of = audit_entries.c
    query = select(audit_entries).where(of.organisation_key == organisation_key)
    if before is not None:
        query = query.where(of.sequence < before)
    if where.actor is not None:
        query = query.where(of.actor == where.actor)
    if where.action is not None:
        query = query.where(or_(of.action == where.action, of.action.startswith(f"{where.action}.", autoescape=True)))
    if where.subject is not None:
        hashed = stored_subject(session, organisation_key, where.subject)
        if hashed is None:
            return []
        # Buffered reads name several members in one entry, as keys of its detail.
        query = query.where(or_(of.subject == hashed, of.detail.contains(hashed)))
    if where.since is not None:
        query = query.where(of.at >= where.since)
    if where.until is not None:
        query = query.where(of.at < where.until)
    columns = [column for column in query.selected_columns if column.name != "organisation_key"]
    rows = session.execute(query.with_only_columns(*columns).order_by(of.sequence.desc()).limit(limit))
    return [dict(row) for row in rows.mappings()]


def head(session: Session, organisation_key: int) -> Head:
    """Return the head of an organisation's chain; sequence 0 where it has no entry."""
    of = audit_heads.c
    row = session.execute(select(of.sequence, of.hash).where(of.organisation_key == organisation_key)).one_or_none()
    return Head(0, GENESIS_HASH) if row is None else Head(row.sequence, row.hash)


def verify(session: Session, organisation_key: int, *, known_head: Head | None = None) -> tuple[int, str | None]:
    """Return how many entries hold, and the fault of the next one: None where the whole chain holds.

    One query reads the head and all entries, so both are of one moment whatever is written meanwhile.

    Parameters
    ----------
    known_head : Head, optional
        A head of this chain from outside the database. Without one, a chain whose end was cut off together with its
        head looks like a shorter chain that is whole.
    """
    last, stored_head = Head(0, GENESIS_HASH), Head(0, GENESIS_HASH)
    with closing(_head_and_entries(session, organisation_key)) as rows:
        for stored_head, entry in rows:  # noqa: B007 - every row has the same head
            fault = _fault_after(last, entry)
            if fault is not None:
                return last.sequence, fault
            if entry["sequence"] is not None:
                last = Head(entry["sequence"], entry["hash"])
            if known_head is not None and last.sequence == known_head.sequence and last.hash != known_head.hash:
                return last.sequence - 1, f"entry {last.sequence} is not that of the given head: it was replaced"
    return last.sequence, _fault_of_end(last, stored_head, known_head)


def _fault_after(last: Head, entry: Mapping[str, Any]) -> str | None:
    """Return the fault of an entry as the next of a chain; None values stand for no entry."""
    if entry["sequence"] is None:
        return None
    if entry["sequence"] != last.sequence + 1:
        return f"entry {last.sequence + 1} is missing"
    if entry["hash"] != hash_of(last.hash, entry):
        return f"entry {last.sequence + 1} was changed, or one before it was exchanged"
    return None


def _fault_of_end(last: Head, stored_head: Head, known_head: Head | None) -> str | None:
    if stored_head.sequence != last.sequence:
        return f"entry {last.sequence + 1} is missing: entries were cut off at the end"
    if stored_head.hash != last.hash:
        return "the last entry is not the one that was written last"
    if known_head is not None and known_head.sequence > last.sequence:
        return f"entry {last.sequence + 1} is missing: the given head is entry {known_head.sequence}"
    return None


def _head_and_entries(session: Session, organisation_key: int) -> Generator[tuple[Head, dict[str, Any]]]:
    """Yield the head with each entry in order; with an entry of None values where there is none."""
    of_organisation = organisations.c.organisation_key
    query = (
        select(audit_heads.c.sequence.label("head_sequence"), audit_heads.c.hash.label("head_hash"), audit_entries)
        .select_from(organisations)
        .outerjoin(audit_heads, audit_heads.c.organisation_key == of_organisation)
        .outerjoin(audit_entries, audit_entries.c.organisation_key == of_organisation)
        .where(of_organisation == organisation_key)
        .order_by(audit_entries.c.sequence)
        .execution_options(yield_per=FETCH_ROWS)
    )
    with session.execute(query) as result:
        for row in result.mappings():
            yield Head(row["head_sequence"] or 0, row["head_hash"] or GENESIS_HASH), dict(row)
