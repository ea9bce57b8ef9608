"""The audit log: who did what, in an append-only chain of hashes, one chain for each organisation.

Every entry's hash covers the hash before it, so that a changed, missing or inserted entry shows (:func:`verify`).
Members stand in it as HMAC-SHA256 under a secret of their own: once that is destroyed (:func:`forget`), nobody can tell
who it was, and the chain still holds.
"""

import hashlib
import hmac
import secrets
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from datetime import datetime
from functools import cache
from typing import Any

import orjson
from sqlalchemy import ARRAY, Integer, Select, Text, bindparam, cast, delete, func, insert, select, update
from sqlalchemy.orm import Session

from infra.db import bulk
from infra.db.access_tables import audit_entries, audit_heads, audit_subjects
from infra.db.core_tables import EPOCH, MICROSECOND, members

BEGINNING = "0" * 64
"""Stands for the hash before the first entry."""
FETCH_ROWS = 10_000
SECRET_BYTES = 32


def append(
    session: Session,
    organisation_key: int,
    *,
    actor: str,
    action: str,
    subject: str | None,
    now: datetime,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write an entry at the end of an organisation's chain.

    Call it last in a transaction: until that ends, other writers of the organisation's log wait.

    Parameters
    ----------
    actor : str
        Id of a key, subject of a token, or ``command line``.
    action : str
        What was done, such as ``lists.read``.
    subject : str, optional
        Id of the member it was done to; only its keyed hash is stored.
    detail : mapping, optional
        What else there is to say, as JSON; it must name no member.
    """
    known = subjects(session, organisation_key, [subject]) if subject is not None else {}
    mine = audit_heads.c.organisation_key == organisation_key
    # A write first: it takes the lock under which the head is read, on both databases.
    first = bulk.insert_into(session, audit_heads).values(organisation_key=organisation_key, sequence=1, hash=BEGINNING)
    moved = first.on_conflict_do_update(
        index_elements=[audit_heads.c.organisation_key], set_={"sequence": audit_heads.c.sequence + 1}
    )
    sequence, before = session.execute(moved.returning(audit_heads.c.sequence, audit_heads.c.hash)).one()
    entry = {
        "sequence": sequence,
        "at": now,
        "actor": actor,
        "action": action,
        "subject": known[subject] if subject is not None else None,
        "detail": None if detail is None else orjson.dumps(dict(detail), option=orjson.OPT_SORT_KEYS).decode(),
    }
    entry["hash"] = hash_of(before, entry)
    session.execute(insert(audit_entries).values(organisation_key=organisation_key, **entry))
    session.execute(update(audit_heads).where(mine).values(hash=entry["hash"]))


def hash_of(before: str, entry: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an entry and of the hash before it, in hexadecimal."""
    at = (entry["at"] - EPOCH) // MICROSECOND
    told = [before, entry["sequence"], at, *(entry[name] for name in ("actor", "action", "subject", "detail"))]
    return hashlib.sha256(orjson.dumps(told)).hexdigest()


def entries(session: Session, organisation_key: int) -> Generator[dict[str, Any]]:
    """Yield an organisation's entries from the first on."""
    query = select(audit_entries).where(audit_entries.c.organisation_key == organisation_key)
    ordered = query.order_by(audit_entries.c.sequence).execution_options(yield_per=FETCH_ROWS)
    with session.execute(ordered) as result:
        yield from (dict(row) for row in result.mappings())


def verify(session: Session, organisation_key: int) -> tuple[int, str | None]:
    """Return how many entries hold, and what is wrong with the next one: None where the whole chain holds."""
    head = session.execute(select(audit_heads).where(audit_heads.c.organisation_key == organisation_key)).one_or_none()
    count, before = 0, BEGINNING
    with closing(entries(session, organisation_key)) as chain:
        for entry in chain:
            if entry["sequence"] != count + 1:
                return count, f"entry {count + 1} is missing"
            if entry["hash"] != hash_of(before, entry):
                return count, f"entry {count + 1} was changed, or one before it was exchanged"
            count, before = count + 1, entry["hash"]
    if (head.sequence if head else 0) != count:
        return count, f"entry {count + 1} is missing: entries were cut off at the end"
    if head and head.hash != before:
        return count, "the last entry is not the one that was written last"
    return count, None


def subjects(session: Session, organisation_key: int, member_ids: Iterable[str]) -> dict[str, str]:
    """Return the keyed hashes that stand for members, by id.

    A member who has no secret yet gets one; for an id that is no member's, or no more, a secret is thrown away at once.
    """
    wanted = sorted(set(member_ids))
    told = _lookup(session, organisation_key, wanted)
    found = {member_id: secret for member_id, (secret, _) in told.items() if secret is not None}
    if missing := [member_id for member_id in wanted if member_id not in found]:
        drawn = secrets.token_bytes(SECRET_BYTES * len(missing)).hex()
        digits = 2 * SECRET_BYTES
        fresh = {member_id: drawn[digits * n : digits * (n + 1)] for n, member_id in enumerate(missing)}
        there = [member_id for member_id in missing if told[member_id][1] is not None]
        new: dict[str, list[Any]] = {
            "organisation_key": [organisation_key] * len(there),
            "member_id": there,
            "secret": [fresh[member_id] for member_id in there],
        }
        written = bulk.insert_few(session, audit_subjects, new, key="member_id")
        # Another writer may have been first.
        others = _lookup(session, organisation_key, [member_id for member_id in there if member_id not in written])
        found |= fresh | {member_id: secret for member_id, (secret, _) in others.items() if secret is not None}
    return {
        member_id: hmac.digest(bytes.fromhex(secret), member_id.encode(), "sha256").hex()
        for member_id, secret in found.items()
    }


def forget(session: Session, organisation_key: int, member_id: str) -> None:
    """Destroy a member's secret: from now on no entry can be told to be the member's."""
    mine = (audit_subjects.c.organisation_key == organisation_key) & (audit_subjects.c.member_id == member_id)
    session.execute(delete(audit_subjects).where(mine))


def _lookup(session: Session, organisation_key: int, member_ids: list[str]) -> dict[str, list[str | None]]:
    """Return of each id its secret, and the id itself where it is a member's; None where there is none."""
    if not member_ids:
        return {}
    # One value that holds all ids: a query with a place for each is written, and read by the database, anew every time.
    asked: dict[str, Any] = {"organisation_key": organisation_key}
    dialect = session.get_bind().dialect.name
    asked["ids"] = orjson.dumps(member_ids).decode() if dialect == "sqlite" else member_ids
    told: dict[str, list[str | None]] = orjson.loads(session.execute(_told(dialect), asked).scalar_one())
    return told


@cache
def _told(dialect: str) -> Select[Any]:
    """Return the query of :func:`_lookup`: one value, since SQLite's driver lets go of the interpreter for each row."""
    if dialect == "sqlite":
        ids = func.json_each(bindparam("ids", type_=Text)).table_valued("value")
        by_id, both = func.json_group_object, func.json_array
    else:
        ids = func.unnest(bindparam("ids", type_=ARRAY(Text))).table_valued("value").render_derived()
        by_id, both = func.json_object_agg, func.json_build_array
    organisation_key = bindparam("organisation_key", type_=Integer)
    secret = (audit_subjects.c.organisation_key == organisation_key) & (audit_subjects.c.member_id == ids.c.value)
    member = (members.c.organisation_key == organisation_key) & (members.c.member_id == ids.c.value)
    joined = ids.outerjoin(audit_subjects, secret).outerjoin(members, member)
    told = by_id(ids.c.value, both(audit_subjects.c.secret, members.c.member_id))
    return select(cast(told, Text)).select_from(joined)
