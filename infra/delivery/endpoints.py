"""Delivery endpoints of study apps, and the secrets that sign their pushes."""

import base64
import secrets
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, and_, delete, insert, or_, select, update
from sqlalchemy.orm import Session

from infra.access.secret_encryption import SecretCipher
from infra.catalog import organisations
from infra.db.delivery_tables import endpoint_secrets, endpoints
from infra.delivery.targets import Kind
from infra.errors import EndpointError, NotFoundError, SettingsError

ACTIVE, DISABLED, REMOVED = "active", "disabled", "removed"
SECRET_BYTES = 32
SHOWN = ("endpoint_id", "kind", "target", "status", "reason", "throttled_until", "created_at")
MAX_PAUSE = timedelta(days=2)
"""Pauses and leases are shorter: a later moment is of a clock that once ran ahead, and does not count."""

Endpoint = dict[str, Any]


def add_endpoint(session: Session, organisation_key: int, kind: Kind, target: str, *, now: datetime) -> Endpoint:
    """Register an endpoint, active at once, and return its row. A webhook needs a secret next (:func:`rotate_secret`).

    Raises
    ------
    EndpointError
        There is one of this target already.
    """
    organisations.lock(session, organisation_key)
    of_organisation = and_(endpoints.c.organisation_key == organisation_key, endpoints.c.status != REMOVED)
    existing = session.scalar(select(endpoints.c.endpoint_id).where(of_organisation, endpoints.c.target == target))
    if existing is not None:
        raise EndpointError(f"{target} is endpoint {existing} already; remove that one first, or give another address")
    row = insert(endpoints).values(
        organisation_key=organisation_key,
        endpoint_id=f"ep_{uuid4().hex}",
        kind=kind,
        target=target,
        status=ACTIVE,
        created_at=now,
    )
    return dict(session.execute(row.returning(endpoints)).mappings().one())


def list_endpoints(session: Session, organisation_key: int) -> list[Endpoint]:
    """Return the endpoints of an organisation that were not removed, the oldest first."""
    query = (
        select(endpoints)
        .where(endpoints.c.organisation_key == organisation_key, endpoints.c.status != REMOVED)
        .order_by(endpoints.c.endpoint_key)
    )
    return [dict(row) for row in session.execute(query).mappings()]


def get_endpoint(session: Session, organisation_key: int, endpoint_id: str) -> Endpoint:
    """Return an endpoint.

    Raises
    ------
    NotFoundError
        The organisation has none of this id.
    """
    for endpoint in list_endpoints(session, organisation_key):
        if endpoint["endpoint_id"] == endpoint_id:
            return endpoint
    raise NotFoundError(f"no endpoint {endpoint_id!r}; `xuelu endpoints list` shows those there are")


def rotate_secret(
    session: Session, endpoint: Endpoint, cipher: SecretCipher, *, overlap: timedelta, now: datetime
) -> str:
    """Give a webhook a new secret and return it, which nothing does again; older ones sign along for the overlap.

    Raises
    ------
    EndpointError
        The endpoint is no webhook, or the secrets of the database were encrypted with another key: no key would fit
        all. Without an overlap those of an endpoint are replaced whatever their key is.
    """
    if endpoint["kind"] != "webhook":
        raise EndpointError(f"{endpoint['endpoint_id']} delivers files, which are not signed; rotate webhooks only")
    of_endpoint = endpoint_secrets.c.endpoint_key == endpoint["endpoint_key"]
    newest = select(endpoint_secrets.c.encrypted_secret).order_by(endpoint_secrets.c.secret_key.desc()).limit(1)
    stored = session.scalar(newest)
    own = session.scalar(newest.where(of_endpoint))
    if stored is not None and (own is None or overlap):
        try:
            cipher.decrypt(own or stored)
        except SettingsError as error:
            raise EndpointError(f"there is no new secret: {error}") from error
    current = and_(
        of_endpoint, or_(endpoint_secrets.c.expires_at.is_(None), endpoint_secrets.c.expires_at > now + overlap)
    )
    session.execute(update(endpoint_secrets).where(current).values(expires_at=now + overlap))
    session.execute(delete(endpoint_secrets).where(of_endpoint, endpoint_secrets.c.expires_at <= now))
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    row = {"organisation_key": endpoint["organisation_key"], "endpoint_key": endpoint["endpoint_key"]}
    session.execute(insert(endpoint_secrets).values(**row, encrypted_secret=cipher.encrypt(secret)))
    return secret


def signing_secrets(session: Session, endpoint_key: int, cipher: SecretCipher, *, now: datetime) -> list[str]:
    """Return the secrets that sign now, the newest first."""
    valid = or_(endpoint_secrets.c.expires_at.is_(None), endpoint_secrets.c.expires_at > now)
    query = (
        select(endpoint_secrets.c.encrypted_secret)
        .where(endpoint_secrets.c.endpoint_key == endpoint_key, valid)
        .order_by(endpoint_secrets.c.secret_key.desc())
    )
    return [cipher.decrypt(encrypted) for encrypted in session.scalars(query)]


def reencrypt_secrets(session: Session, old: SecretCipher, new: SecretCipher) -> int:
    """Encrypt the secrets of all organisations with a new key; return how many there are.

    Run it again where it failed in between: secrets that the new key opens already stay as they are.

    Raises
    ------
    SettingsError
        A secret was encrypted with neither key; nothing was changed.
    """
    rows = session.execute(select(endpoint_secrets.c.secret_key, endpoint_secrets.c.encrypted_secret)).all()
    for secret_key, encrypted in rows:
        try:
            new.decrypt(encrypted)
        except SettingsError:
            values = {"encrypted_secret": new.encrypt(old.decrypt(encrypted))}
            session.execute(update(endpoint_secrets).where(endpoint_secrets.c.secret_key == secret_key).values(values))
    return len(rows)


def set_status(session: Session, endpoint_key: int, status: str, *, reason: str | None = None) -> None:
    """Make an endpoint active, disabled or removed; the reason is shown to operators."""
    values = {"status": status, "reason": reason, "throttled_until": None}
    session.execute(update(endpoints).where(endpoints.c.endpoint_key == endpoint_key).values(**values))
    if status == REMOVED:
        session.execute(delete(endpoint_secrets).where(endpoint_secrets.c.endpoint_key == endpoint_key))


def throttle(session: Session, endpoint_key: int, *, until: datetime) -> None:
    """Pause an endpoint until a moment; a longer pause stays."""
    shorter = or_(endpoints.c.throttled_until.is_(None), endpoints.c.throttled_until < until)
    session.execute(
        update(endpoints).where(endpoints.c.endpoint_key == endpoint_key, shorter).values(throttled_until=until)
    )


def is_deliverable(now: datetime) -> ColumnElement[bool]:
    """Return the condition for endpoints that may be delivered to."""
    throttled = endpoints.c.throttled_until
    unthrottled = or_(throttled.is_(None), throttled <= now, throttled > now + MAX_PAUSE)
    return and_(endpoints.c.status == ACTIVE, unthrottled)
