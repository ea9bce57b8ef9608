"""Append-only audit log: one hash chain per organisation.

Every entry's hash covers the hash before it, so that ``infra.access.audit_log.verify`` finds a changed, missing or
inserted entry.
Members stand in it as HMAC-SHA256 under a secret of their own: once an erasure destroys that, no entry can be linked to
the member any more, and the chain still holds.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

import orjson
from sqlalchemy import ARRAY, Integer, Select, Text, bindparam, cast, func, insert, select, update
from sqlalchemy.orm import Session

from infra.db import bulk
from infra.db.access_tables import audit_entries, audit_heads, audit_subjects
from infra.db.core_tables import EPOCH, MICROSECOND, members

GENESIS_HASH = "0" * 64
"""Previous hash of the first entry."""
SECRET_BYTES = 32
OIDC_ACTOR = "oidc:"
"""Beginning of the actor of an entry; the subject of an OpenID token follows."""


def append(
    session: Session,
    organisation_key: int,
    *,
    actor: str,
    action: str,
    subject: str | None = None,
    now: datetime,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Append an entry to an organisation's chain.

    Call it last in a transaction: until that ends, other writers of the organisation's log wait.

    Parameters
    ----------
    actor : str
        Id of a key, ``oidc:`` and the subject of a token, or ``command line``.
    action : str
        Resource and operation, such as ``lists.read``.
    subject : str, optional
        Id of the member concerned; only its keyed hash is stored.
    detail : mapping, optional
        More facts, as JSON; it must name no member.
    """
    last, before = lock(session, organisation_key)
    hashed = subjects(session, organisation_key, [subject]) if subject is not None else {}
    entry = {
        "sequence": last + 1,
        "at": now,
        "actor": actor,
        "action": action,
        "subject": hashed[subject] if subject is not None else None,
        "detail": None if detail is None else orjson.dumps(dict(detail), option=orjson.OPT_SORT_KEYS).decode(),
    }
    entry["hash"] = hash_of(before, entry)
    session.execute(insert(audit_entries).values(organisation_key=organisation_key, **entry))
    head = {name: entry[name] for name in ("sequence", "hash")}
    session.execute(update(audit_heads).where(audit_heads.c.organisation_key == organisation_key).values(head))


def append_reads(
    session: Session, organisation_key: int, *, actor: str, action: str, reads: Mapping[str, int], now: datetime
) -> None:
    """Append an entry of reads of members' data: their number by member id."""
    lock(session, organisation_key)
    names = subjects(session, organisation_key, reads)
    detail = {"subjects": {names[member_id]: count for member_id, count in reads.items()}}
    append(session, organisation_key, actor=actor, action=action, now=now, detail=detail)


def lock(session: Session, organisation_key: int) -> tuple[int, str]:
    """Wait for other writers of an organisation's log, an erasure among them, and hold them off until the end.

    Return number and hash of the last entry. Call it before :func:`subjects`: a member that is being erased must not
    get a secret at the same time.
    """
    of = audit_heads.c
    # A write, which takes the lock under which the head is read, on both databases.
    head = bulk.insert_into(session, audit_heads).values(
        organisation_key=organisation_key, sequence=0, hash=GENESIS_HASH
    )
    locked = head.on_conflict_do_update(index_elements=[of.organisation_key], set_={"sequence": of.sequence})
    sequence, digest = session.execute(locked.returning(of.sequence, of.hash)).one()
    return sequence, digest


def hash_of(before: str, entry: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an entry and of the hash before it, in hexadecimal."""
    at = (entry["at"] - EPOCH) // MICROSECOND
    content = [before, entry["sequence"], at, *(entry[name] for name in ("actor", "action", "subject", "detail"))]
    return hashlib.sha256(orjson.dumps(content)).hexdigest()


def subjects(session: Session, organisation_key: int, member_ids: Iterable[str]) -> dict[str, str]:
    """Return the keyed hashes of members, by id.

    A member without a secret gets one; for an id that is no member's, the secret is random and not stored.
    """
    wanted = sorted(set(member_ids))
    stored = _lookup(session, organisation_key, wanted)
    secret_of = {member_id: secret for member_id, (secret, _) in stored.items() if secret is not None}
    if missing := [member_id for member_id in wanted if member_id not in secret_of]:
        drawn = secrets.token_bytes(SECRET_BYTES * len(missing)).hex()
        digits = 2 * SECRET_BYTES
        fresh = {member_id: drawn[digits * n : digits * (n + 1)] for n, member_id in enumerate(missing)}
        members_only = [member_id for member_id in missing if stored[member_id][1] is not None]
        new: dict[str, list[Any]] = {
            "organisation_key": [organisation_key] * len(members_only),
            "member_id": members_only,
            "secret": [fresh[member_id] for member_id in members_only],
        }
        written = bulk.insert_few(session, audit_subjects, new, key="member_id")
        # Another writer may have been first.
        earlier = _lookup(
            session, organisation_key, [member_id for member_id in members_only if member_id not in written]
        )
        secret_of |= fresh | {member_id: secret for member_id, (secret, _) in earlier.items() if secret is not None}
    return {member_id: _keyed_hash(secret, member_id) for member_id, secret in secret_of.items()}


def stored_subject(session: Session, organisation_key: int, member_id: str) -> str | None:
    """Return the keyed hash of a member for a search of entries; None where no entry can name the member.

    It draws no secret, as :func:`subjects` does: a search waits for no writer of the log, nor does one wait for it.
    """
    secret, _ = _lookup(session, organisation_key, [member_id])[member_id]
    return None if secret is None else _keyed_hash(secret, member_id)


def _keyed_hash(secret: str, member_id: str) -> str:
    return hmac.digest(bytes.fromhex(secret), member_id.encode("utf-8", "surrogatepass"), "sha256").hex()


def _lookup(session: Session, organisation_key: int, member_ids: list[str]) -> dict[str, list[str | None]]:
    """Return of each id its secret, and the id itself if it is a member's; None otherwise."""
    by_id: dict[str, list[str | None]] = {member_id: [None, None] for member_id in member_ids}
    storable = [member_id for member_id in member_ids if _is_storable(member_id)]
    if not storable:
        return by_id
    # All ids in one parameter: the query's text stays the same, so it is compiled once.
    parameters: dict[str, Any] = {"organisation_key": organisation_key}
    dialect = session.get_bind().dialect.name
    parameters["ids"] = orjson.dumps(storable).decode() if dialect == "sqlite" else storable
    return by_id | orjson.loads(session.execute(_lookup_query(dialect), parameters).scalar_one())


def _is_storable(text: str) -> bool:
    """Return whether a text can stand in a database: an id that cannot is no member's."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


@cache
def _lookup_query(dialect: str) -> Select[Any]:
    """Return the query of :func:`_lookup`: one JSON value, as SQLite's driver releases the GIL for each row."""
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
    result = by_id(ids.c.value, both(audit_subjects.c.secret, members.c.member_id))
    return select(cast(result, Text)).select_from(joined)
