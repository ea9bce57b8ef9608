"""Sessions of the console: opened with an API key, valid as long as the key is, stored by the hash of their token."""

import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.orm import Session

from infra.access import api_keys
from infra.access.api_keys import ApiKey, digest_of
from infra.db.access_tables import console_sessions

IDLE: Final = timedelta(minutes=30)
"""A session that was not used for so long has ended."""
LONGEST: Final = timedelta(hours=12)
"""A session ends so long after its login, however much it is used."""
USE_RESOLUTION: Final = timedelta(minutes=1)
"""Uses within so short a time are stored once, so that not every page writes."""
TOKEN_BYTES: Final = 32


def open_session(session: Session, key: ApiKey, *, now: datetime) -> str:
    """Open a session for a key and delete all that have ended; return its token, which is not stored."""
    of = console_sessions.c
    session.execute(delete(console_sessions).where(or_(of.created_at <= now - LONGEST, of.last_seen_at <= now - IDLE)))
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row = {"token_digest": digest_of(token), "organisation_key": key.organisation_key, "key_id": key.key_id}
    session.execute(insert(console_sessions).values(**row, created_at=now, last_seen_at=now))
    return token


def key_of(session: Session, token: str, *, now: datetime) -> ApiKey | None:
    """Return the key of a session, and note its use; None where the session has ended or its key is not valid."""
    of = console_sessions.c
    mine = of.token_digest == digest_of(token)
    row = session.execute(select(of.key_id, of.created_at, of.last_seen_at).where(mine)).one_or_none()
    if row is None or now >= row.created_at + LONGEST or now >= row.last_seen_at + IDLE:
        return None
    key = api_keys.find(session, row.key_id)
    if key is None or not key.valid_at(now):
        return None
    if now >= row.last_seen_at + USE_RESOLUTION:
        session.execute(update(console_sessions).where(mine).values(last_seen_at=now))
    return key


def close_session(session: Session, token: str) -> None:
    """End a session; one that is not there stays so."""
    session.execute(delete(console_sessions).where(console_sessions.c.token_digest == digest_of(token)))
