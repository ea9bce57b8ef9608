"""Sessions of the console: opened with an API key or by the OpenID provider, stored by the hash of their token.

One that a key opened is valid as long as the key is. One that the provider opened has the scopes and organisations of
its ID token, and is for one of these organisations at a time. The ID token itself, which the logout at the provider
needs, is encrypted with a key from the session's token: only the browser that is logged in has that.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.orm import Session

from infra.access import api_keys
from infra.access.api_keys import ApiKey, digest_of
from infra.access.audit import OIDC_ACTOR
from infra.access.secret_encryption import SecretCipher
from infra.db.access_tables import console_sessions
from infra.db.core_tables import organisations

MAX_IDLE: Final = timedelta(minutes=30)
"""A session that was not used for so long has ended."""
MAX_AGE: Final = timedelta(hours=12)
"""A session ends so long after its login, however much it is used."""
USE_RESOLUTION: Final = timedelta(minutes=1)
"""Uses within so short a time are stored once, so that not every page writes."""
TOKEN_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ProviderLogin:
    """Login by the OpenID provider: verified claims of an ID token, and the token itself for the logout there."""

    subject: str
    organisations: tuple[str, ...]
    scopes: frozenset[str]
    id_token: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Identity behind a session: its organisation, its name in the audit log, its scopes.

    Attributes
    ----------
    organisations : tuple of str
        Names of all organisations that the session may be for.
    by_provider : bool
        Whether the OpenID provider opened the session, and not a key.
    """

    organisation_key: int
    organisation: str
    actor: str
    scopes: frozenset[str]
    organisations: tuple[str, ...]
    by_provider: bool


def open_session(session: Session, key: ApiKey, *, now: datetime) -> str:
    """Open a session for a key and delete all that have ended; return its token, which is not stored."""
    return _open(session, {"organisation_key": key.organisation_key, "key_id": key.key_id}, now=now)


def open_by_provider(
    session: Session, login: ProviderLogin, organisation_keys: Mapping[str, int], *, now: datetime
) -> str:
    """Open a session for a login by the provider, and delete all that have ended; return its token.

    Parameters
    ----------
    organisation_keys : mapping
        Keys of the organisations that the session may be for, by name; it is for the first of them.
    """
    row = {
        "organisation_key": next(iter(organisation_keys.values())),
        "subject": login.subject,
        "scopes": sorted(login.scopes),
        "organisations": list(organisation_keys),
    }
    return _open(session, row, now=now, id_token=login.id_token)


def _open(session: Session, row: dict[str, Any], *, now: datetime, id_token: str | None = None) -> str:
    of = console_sessions.c
    session.execute(
        delete(console_sessions).where(or_(of.created_at <= now - MAX_AGE, of.last_seen_at <= now - MAX_IDLE))
    )
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row = {**row, "token_digest": digest_of(token), "created_at": now, "last_seen_at": now}
    if id_token is not None:
        row["encrypted_id_token"] = _cipher_of(token).encrypt(id_token)
    session.execute(insert(console_sessions).values(row))
    return token


def identity_of(session: Session, token: str, *, now: datetime) -> Identity | None:
    """Return the identity behind a session, and note its use; None where it has ended or its key is not valid."""
    of = console_sessions.c
    mine = of.token_digest == digest_of(token)
    joined = console_sessions.join(organisations, organisations.c.organisation_key == of.organisation_key)
    row = session.execute(select(console_sessions, organisations.c.name).select_from(joined).where(mine)).one_or_none()
    if row is None or now >= row.created_at + MAX_AGE or now >= row.last_seen_at + MAX_IDLE:
        return None
    identity = _of_provider(row) if row.key_id is None else _of_key(session, row.key_id, now=now)
    if identity is not None and now >= row.last_seen_at + USE_RESOLUTION:
        session.execute(update(console_sessions).where(mine).values(last_seen_at=now))
    return identity


def _of_provider(row: Row[Any]) -> Identity:
    actor, scopes = f"{OIDC_ACTOR}{row.subject}", frozenset(row.scopes)
    return Identity(row.organisation_key, row.name, actor, scopes, tuple(row.organisations), by_provider=True)


def _of_key(session: Session, key_id: str, *, now: datetime) -> Identity | None:
    key = api_keys.find(session, key_id)
    if key is None or not key.valid_at(now):
        return None
    names = (key.organisation,)
    return Identity(key.organisation_key, key.organisation, key.key_id, key.scopes, names, by_provider=False)


def switch(session: Session, token: str, organisation_key: int) -> None:
    """Let a session be for another one of its organisations from now on."""
    mine = console_sessions.c.token_digest == digest_of(token)
    session.execute(update(console_sessions).where(mine).values(organisation_key=organisation_key))


def close_session(session: Session, token: str) -> str | None:
    """End a session, if it is there; return the ID token of the login that opened it, if the provider did."""
    ended = delete(console_sessions).where(console_sessions.c.token_digest == digest_of(token))
    encrypted = session.scalar(ended.returning(console_sessions.c.encrypted_id_token))
    return None if encrypted is None else _cipher_of(token).decrypt(encrypted)


def close_all(session: Session) -> None:
    """End the sessions of all organisations."""
    session.execute(delete(console_sessions))


def _cipher_of(token: str) -> SecretCipher:
    """Return the cipher of a session's ID token; its key differs from the digest of the token, which is stored."""
    return SecretCipher(f"id token {token}")


def close_of_subject(session: Session, organisation_key: int, subject: str) -> int:
    """End an organisation's sessions of a subject of the provider; return their number."""
    of = console_sessions.c
    ended = delete(console_sessions).where(of.organisation_key == organisation_key, of.subject == subject)
    return len(session.execute(ended.returning(of.token_digest)).all())
