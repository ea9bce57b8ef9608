"""API keys: bound to one organisation, shown once, stored as SHA-256, expiring, revocable."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.orm import Session

from infra.db import bulk
from infra.db.access_tables import api_keys
from infra.db.core_tables import organisations
from infra.errors import NotFoundError, SettingsError
from infra.settings.settings import MAX_NAME_LENGTH

ADMIN: Final = "admin"
SCOPES: Final = (
    "events:write",
    "lists:read",
    "catalogue:write",
    "members:write",
    "analytics:read",
    "runs:write",
    ADMIN,
)
"""Scopes of keys; ``admin`` implies all of them."""

PREFIX: Final = "xuelu"
ID_BYTES, SECRET_BYTES = 6, 32


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored key: its organisation, scopes and validity."""

    key_id: str
    organisation_key: int
    organisation: str
    digest: str
    scopes: frozenset[str]
    expires_at: datetime | None
    revoked_at: datetime | None

    def accepts(self, token: str, *, now: datetime) -> bool:
        """Return whether a token is this key's and still valid, in constant time."""
        return hmac.compare_digest(self.digest, digest_of(token)) and self.valid_at(now)

    def valid_at(self, now: datetime) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def digest_of(token: str) -> str:
    """Return the SHA-256 of a token in hexadecimal; it has 256 random bits, so no slow password hash is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def key_id_of(token: str) -> str | None:
    """Return the key id within a token, None where it has not the form of a key.

    >>> key_id_of("xuelu_0a1b2c3d4e5f_secret")
    '0a1b2c3d4e5f'
    """
    prefix, _, rest = token.partition("_")
    key_id, _, secret = rest.partition("_")
    return key_id if prefix == PREFIX and len(key_id) == 2 * ID_BYTES and secret and key_id.isalnum() else None


def new_id() -> str:
    """Return the id of a key that is to be made."""
    return secrets.token_hex(ID_BYTES)


def create(
    session: Session,
    organisation_key: int,
    *,
    name: str,
    scopes: Iterable[str],
    now: datetime,
    expires_at: datetime | None = None,
    key_id: str | None = None,
) -> tuple[str, str]:
    """Create a key; return its id and its token, which is not stored.

    Parameters
    ----------
    key_id : str, optional
        As :func:`new_id` makes it, so that a request that comes twice makes one key.

    Raises
    ------
    SettingsError
        There is a key of this id, the name is empty or long, there is no scope or an unknown one, or the key would be
        expired already.
    """
    wanted = sorted(set(scopes))
    if not 0 < len(name) <= MAX_NAME_LENGTH:
        raise SettingsError(f"key {name!r}: give a name of 1 to {MAX_NAME_LENGTH} characters")
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise SettingsError(f"scope {unknown[0] if unknown else 'none'!r}: known scopes are {', '.join(SCOPES)}")
    if expires_at is not None and expires_at <= now:
        raise SettingsError(f"a key that expires at {expires_at:%Y-%m-%dT%H:%M:%SZ} is of no use; take a later time")
    key_id = key_id or new_id()
    token = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    row = {
        "key_id": key_id,
        "organisation_key": organisation_key,
        "name": name,
        "digest": digest_of(token),
        "scopes": wanted,
        "created_at": now,
        "expires_at": expires_at,
    }
    insert = bulk.insert_into(session, api_keys).values(row).on_conflict_do_nothing()
    if session.scalar(insert.returning(api_keys.c.key_id)) is None:
        raise SettingsError(f"key {key_id} was made already; if its token is lost, revoke it and make another one")
    return key_id, token


def find(session: Session, key_id: str) -> ApiKey | None:
    """Return a key of any organisation by its id, valid or not."""
    names = [api_keys.c[name] for name in ApiKey.__slots__ if name != "organisation"]
    query = (
        select(*names, organisations.c.name.label("organisation"))
        .join(organisations, organisations.c.organisation_key == api_keys.c.organisation_key)
        .where(api_keys.c.key_id == key_id)
    )
    row = session.execute(query).mappings().one_or_none()
    return None if row is None else ApiKey(**{**row, "scopes": frozenset(row["scopes"])})


def list_keys(session: Session, organisation_key: int) -> list[dict[str, Any]]:
    """Return an organisation's keys, oldest first, without their digests."""
    shown = [column for column in api_keys.c if column.name not in {"organisation_key", "digest"}]
    query = select(*shown).where(api_keys.c.organisation_key == organisation_key)
    return [dict(row) for row in session.execute(query.order_by(api_keys.c.created_at, api_keys.c.key_id)).mappings()]


def revoke(session: Session, organisation_key: int, key_id: str, *, now: datetime) -> None:
    """Revoke a key; one that was revoked before keeps its time.

    Raises
    ------
    NotFoundError
        The organisation has no such key.
    """
    mine = (api_keys.c.organisation_key == organisation_key) & (api_keys.c.key_id == key_id)
    if session.scalar(select(api_keys.c.key_id).where(mine)) is None:
        raise NotFoundError(f"no key {key_id!r}; `xuelu keys list` shows the ids")
    session.execute(update(api_keys).where(mine, api_keys.c.revoked_at.is_(None)).values(revoked_at=now))


def note_uses(session: Session, uses: Mapping[str, datetime]) -> None:
    """Store when keys were last used, by id; a time before the stored one changes nothing."""
    later = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < bindparam("at"))
    statement = update(api_keys).where(api_keys.c.key_id == bindparam("id"), later).values(last_used_at=bindparam("at"))
    rows = [{"id": key_id, "at": at} for key_id, at in sorted(uses.items())]
    bulk.execute_many(session, statement, rows)
