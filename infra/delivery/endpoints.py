"""Endpoints of study apps: where push lists are delivered to, and the secrets that sign them."""

import base64
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import uuid4

from sqlalchemy import ColumnElement, and_, delete, insert, or_, select, update
from sqlalchemy.orm import Session

from infra.db.delivery_tables import endpoint_secrets, endpoints
from infra.delivery.sealed_secrets import Sealer
from infra.errors import EndpointError, UnknownEndpointError

Kind = Literal["webhook", "jsonl", "parquet"]
KINDS: tuple[Kind, ...] = ("webhook", "jsonl", "parquet")
"""Signed pushes over HTTP, or batch files of one of two formats."""

ACTIVE, DISABLED, REMOVED = "active", "disabled", "removed"
SECRET_BYTES = 32
LONGEST_URL = 2_000
SHOWN = ("endpoint_id", "kind", "target", "status", "reason", "throttled_until", "created_at")

Endpoint = dict[str, Any]


def add(session: Session, organisation_key: int, kind: Kind, target: str, *, now: datetime) -> Endpoint:
    """Register an endpoint, active at once, and return its row. A webhook needs a secret next (:func:`rotate`).

    Raises
    ------
    EndpointError
        There is one of this target already.
    """
    theirs = and_(endpoints.c.organisation_key == organisation_key, endpoints.c.status != REMOVED)
    taken = session.scalar(select(endpoints.c.endpoint_id).where(theirs, endpoints.c.target == target))
    if taken is not None:
        raise EndpointError(f"{target} is endpoint {taken} already; remove that one first, or give another address")
    row = insert(endpoints).values(
        organisation_key=organisation_key,
        endpoint_id=f"ep_{uuid4().hex}",
        kind=kind,
        target=target,
        status=ACTIVE,
        created_at=now,
    )
    return dict(session.execute(row.returning(endpoints)).mappings().one())


def checked_target(kind: Kind, target: str, *, plain_http: bool) -> str:
    """Return where an endpoint of a kind is, as it is stored.

    Parameters
    ----------
    plain_http : bool
        Whether a webhook need not be HTTPS.

    Raises
    ------
    EndpointError
        It is no address to push to, or no folder for files.
    """
    if kind != "webhook":
        folder = Path(target).resolve()
        if not folder.is_dir():
            raise EndpointError(f"{folder} is no folder; make it first, writable for `xuelu deliver`")
        return str(folder)
    try:
        parts = urlsplit(target)
        known = parts.hostname and parts.port != 0 and not parts.username and not parts.fragment
    except ValueError:
        known = False
    schemes = ("https", "http") if plain_http else ("https",)
    if not known or parts.scheme not in schemes or len(target) > LONGEST_URL or not target.isascii():
        shown = target[:100].partition("?")[0]
        raise EndpointError(
            f"{shown!r} is no address to push to; write https://host/path, without user, password and fragment"
        )
    return target


def listing(session: Session, organisation_key: int) -> list[Endpoint]:
    """Return the endpoints of an organisation that were not removed, the oldest first."""
    query = (
        select(endpoints)
        .where(endpoints.c.organisation_key == organisation_key, endpoints.c.status != REMOVED)
        .order_by(endpoints.c.endpoint_key)
    )
    return [dict(row) for row in session.execute(query).mappings()]


def find(session: Session, organisation_key: int, endpoint_id: str) -> Endpoint:
    """Return an endpoint.

    Raises
    ------
    UnknownEndpointError
        The organisation has none of this id.
    """
    found = [one for one in listing(session, organisation_key) if one["endpoint_id"] == endpoint_id]
    if not found:
        raise UnknownEndpointError(f"no endpoint {endpoint_id!r}; `xuelu endpoints list` shows those there are")
    return found[0]


def rotate(session: Session, endpoint: Endpoint, sealer: Sealer, *, overlap: timedelta, now: datetime) -> str:
    """Give a webhook a new secret and return it, which nothing does again; older ones sign along for the overlap.

    Raises
    ------
    EndpointError
        The endpoint is no webhook.
    """
    if endpoint["kind"] != "webhook":
        raise EndpointError(f"{endpoint['endpoint_id']} delivers files, which nobody signs; rotate webhooks only")
    theirs = endpoint_secrets.c.endpoint_key == endpoint["endpoint_key"]
    session.execute(delete(endpoint_secrets).where(theirs, endpoint_secrets.c.expires_at <= now))
    current = and_(theirs, or_(endpoint_secrets.c.expires_at.is_(None), endpoint_secrets.c.expires_at > now + overlap))
    session.execute(update(endpoint_secrets).where(current).values(expires_at=now + overlap))
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    row = {"organisation_key": endpoint["organisation_key"], "endpoint_key": endpoint["endpoint_key"]}
    session.execute(insert(endpoint_secrets).values(**row, sealed=sealer.seal(secret)))
    return secret


def open_secrets(session: Session, endpoint_key: int, sealer: Sealer, *, now: datetime) -> list[str]:
    """Return the secrets that sign now, the newest first."""
    valid = or_(endpoint_secrets.c.expires_at.is_(None), endpoint_secrets.c.expires_at > now)
    query = (
        select(endpoint_secrets.c.sealed)
        .where(endpoint_secrets.c.endpoint_key == endpoint_key, valid)
        .order_by(endpoint_secrets.c.secret_key.desc())
    )
    return [sealer.open(sealed) for sealed in session.scalars(query)]


def set_status(session: Session, endpoint_key: int, status: str, *, reason: str | None = None) -> None:
    """Make an endpoint active, disabled or removed, and tell why."""
    values = {"status": status, "reason": reason, "throttled_until": None}
    session.execute(update(endpoints).where(endpoints.c.endpoint_key == endpoint_key).values(**values))
    if status == REMOVED:
        session.execute(delete(endpoint_secrets).where(endpoint_secrets.c.endpoint_key == endpoint_key))


def throttle(session: Session, endpoint_key: int, *, until: datetime) -> None:
    """Leave an endpoint alone until a moment, where it is not left alone for longer already."""
    sooner = or_(endpoints.c.throttled_until.is_(None), endpoints.c.throttled_until < until)
    here = endpoints.c.endpoint_key == endpoint_key
    session.execute(update(endpoints).where(here, sooner).values(throttled_until=until))


def open_now(now: datetime) -> ColumnElement[bool]:
    """Return the condition for endpoints that may be delivered to."""
    unthrottled = or_(endpoints.c.throttled_until.is_(None), endpoints.c.throttled_until <= now)
    return and_(endpoints.c.status == ACTIVE, unthrottled)
