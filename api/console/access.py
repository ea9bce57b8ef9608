"""Access to the console: sessions in cookies, scopes, rate limits, and the check that a form is ours."""

import hashlib
import hmac
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import parse_qsl

from cachetools import TLRUCache
from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from api.auth.auth import Caller, address_of, effective_scopes
from api.dependencies import READING, NowDep, SessionDep
from api.errors import ForbiddenError, MalformedRequestError, NotAuthenticatedError, UnsupportedBodyError
from api.protocol.media_types import FORM, media_type
from infra.access import api_keys, console_sessions
from infra.access.api_keys import ApiKey
from infra.access.console_sessions import Identity
from infra.catalog import organisations
from infra.db import catalog_version
from infra.settings.settings import Settings

COOKIE: Final = "xuelu_session"
CSRF_FIELD: Final = "csrf_token"
MAX_FIELDS: Final = 200
OWN_SITE: Final = ("same-origin", "none")
"""Values of ``Sec-Fetch-Site`` of requests that no other site made."""
MINUTE_SECONDS: Final = 60
COST_FACTOR: Final = 20

Value = TypeVar("Value")
Refusal = TypeVar("Refusal", NotAuthenticatedError, ForbiddenError)


class FigureCache:
    """Thread-safe cache of figures over all members, which are computed by one thread while others wait for it.

    They stay for a minute, or for :data:`COST_FACTOR` times as long as they took to compute: so no figure takes more
    than a twentieth of a processor, however large the organisation.
    """

    def __init__(self, maxsize: int, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._values = TLRUCache[Hashable, tuple[Any, float]](maxsize, ttu=_fresh_until, timer=timer)
        self._lock = Lock()
        self._computing: dict[Hashable, Lock] = {}

    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """Return the cached figures of a key; compute them where they are missing or too old."""
        with self._lock:
            computing = self._computing.setdefault(key, Lock())
        try:
            with computing:
                return self._fresh(key, compute)
        finally:
            with self._lock:
                self._computing.pop(key, None)

    def _fresh(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        with self._lock:
            cached: tuple[Value, float] | None = self._values.get(key)
        if cached is None:
            start = self._timer()
            figures = compute()
            cached = figures, self._timer() - start
            with self._lock:
                self._values[key] = cached
        return cached[0]


def _fresh_until(_key: Hashable, cached: tuple[Any, float], now: float) -> float:
    return now + max(MINUTE_SECONDS, COST_FACTOR * cached[1])


@dataclass(frozen=True, slots=True)
class Figures:
    """Cached figures of an organisation, computed again as soon as its catalogue, a requirement or waiver changes."""

    cache: FigureCache
    session: Session
    organisation_key: int

    def of(self, name: str, compute: Callable[[], Value]) -> Value:
        """Return the figures of a name."""
        return self.cache.get((self.organisation_key, name, catalog_version.current(self.session)), compute)


@dataclass(frozen=True, slots=True)
class Viewer:
    """A request from a session of the console: its caller, its transaction and time, its form.

    Attributes
    ----------
    form : mapping
        Fields of the submitted form, none for a request that reads.
    csrf_token : str
        Token that the forms of the session carry.
    organisations : tuple of str
        Names of all organisations that the session may be for.
    """

    request: Request
    session: Session
    caller: Caller
    now: datetime
    form: Mapping[str, str]
    csrf_token: str
    organisations: tuple[str, ...]

    @property
    def organisation_key(self) -> int:
        """Key of the viewer's organisation."""
        return self.caller.organisation_key

    @property
    def settings(self) -> Settings:
        """Settings of the service."""
        settings: Settings = self.request.app.state.settings
        return settings

    @property
    def local_settings(self) -> Settings:
        """Settings as they hold for the viewer's organisation."""
        return organisations.local_settings(self.session, self.organisation_key, self.settings)

    @property
    def figures(self) -> Figures:
        """Cached figures of the viewer's organisation."""
        return Figures(self.request.app.state.console_figures, self.session, self.organisation_key)

    def may(self, scope: str) -> bool:
        """Return whether the viewer's key has a scope."""
        return scope in self.caller.scopes

    def record(self, action: str, *, member: str | None = None, **detail: Any) -> None:
        """Append what the viewer did to the audit log."""
        self.caller.record(self.session, action, now=self.now, member=member, **detail)

    def record_read(self, action: str, member_id: str) -> None:
        """Record for the audit log that the viewer read data of a member."""
        audit_buffer = self.request.app.state.audit_buffer
        audit_buffer.record_read(self.organisation_key, self.caller.actor, action, member_id)


async def form(request: Request) -> dict[str, str]:
    """Return the fields of a submitted form, none for a request that reads.

    Raises
    ------
    UnsupportedBodyError, MalformedRequestError, ForbiddenError
        The body is no form, holds more than :data:`MAX_FIELDS` fields, or another site sent it.
    """
    if request.method in READING:
        return {}
    if request.headers.get("sec-fetch-site", OWN_SITE[0]) not in OWN_SITE:
        raise ForbiddenError("the form was sent by another site; open the console itself")
    kind = media_type(request.headers.get("content-type", ""))
    if kind != FORM:
        raise UnsupportedBodyError(f"Content-Type {kind[:100]!r} is no form; send {FORM}")
    try:
        text = (await request.body()).decode()
        fields = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"))
    except ValueError as error:
        raise MalformedRequestError(f"the form is not UTF-8 or has more than {MAX_FIELDS} fields") from error
    if any("\0" in value for value in fields.values()):
        raise MalformedRequestError("the form has a field with a NUL character, which no text may have")
    return fields


FormDep = Annotated[dict[str, str], Depends(form)]


def csrf_token_of(token: str) -> str:
    """Return the token that forms of a session carry: it cannot be made without the session's own."""
    return hashlib.sha256(f"csrf {token}".encode()).hexdigest()


def is_of_session(request: Request, fields: Mapping[str, str]) -> bool:
    """Return whether a form carries the token of its request's session, even if that session has ended."""
    token, sent = request.cookies.get(COOKIE, ""), fields.get(CSRF_FIELD, "")
    return bool(token) and hmac.compare_digest(sent.encode(), csrf_token_of(token).encode())


def identity_of(request: Request, session: Session, *, now: datetime) -> Identity | None:
    """Return the identity behind a request's session; None where there is no session, or it has ended."""
    token = request.cookies.get(COOKIE, "")
    identity = console_sessions.identity_of(session, token, now=now) if token else None
    # Sessions of a provider end when the settings have it no more.
    ended = identity is None or (identity.by_provider and not request.app.state.openid_login.enabled)
    return None if ended else identity


class Opens:
    """Dependency that demands a session with some scopes and, of forms, the token of the session."""

    def __init__(self, scopes: tuple[str, ...]) -> None:
        self._scopes = scopes

    def __call__(self, request: Request, session: SessionDep, now: NowDep, fields: FormDep) -> Viewer:
        """Return the viewer.

        Raises
        ------
        NotAuthenticatedError, ForbiddenError, TooManyRequestsError
        """
        identity = identity_of(request, session, now=now)
        if identity is None:
            ended = NotAuthenticatedError("there is no session, or it has ended; log in")
            raise _with_fields(ended, fields) if is_of_session(request, fields) else ended
        scopes = effective_scopes(identity.scopes)
        caller = Caller(identity.organisation_key, identity.organisation, identity.actor, scopes)
        csrf_token = csrf_token_of(request.cookies[COOKIE])
        viewer = Viewer(request, session, caller, now, fields, csrf_token, identity.organisations)
        count_request(request, viewer.caller)
        if request.method not in READING and not is_of_session(request, fields):
            foreign = ForbiddenError("the form is not of this session; load the page again and send it once more")
            raise _with_fields(foreign, fields) if request.headers.get("sec-fetch-site") == OWN_SITE[0] else foreign
        missing = [scope for scope in self._scopes if not viewer.may(scope)]
        if missing:
            raise ForbiddenError(f"this session is not for {missing[0]}; log in with a key or account that is")
        return viewer


def _with_fields(error: Refusal, fields: Mapping[str, str]) -> Refusal:
    """Return an error with the fields of a form that this browser filled in here, so that they are not lost."""
    error.fields = {name: value for name, value in fields.items() if name != CSRF_FIELD}
    return error


def opens(*scopes: str) -> Any:
    """Return the dependency that admits viewers with all of these scopes; without scopes, every session."""
    return Depends(Opens(scopes))


Administrator = Annotated[Viewer, opens("admin")]
Analyst = Annotated[Viewer, opens("analytics:read")]
Editor = Annotated[Viewer, opens("analytics:read", "catalogue:write")]
ListViewer = Annotated[Viewer, opens("lists:read")]
Operator = Annotated[Viewer, opens("runs:write")]


def count_request(request: Request, caller: Caller) -> None:
    """Count a request against its caller's rate limit, the one of the API.

    Raises
    ------
    TooManyRequestsError
    """
    quota = request.app.state.rate_limit.count((caller.organisation_key, caller.actor))
    if quota.error is not None:
        raise quota.error


def checked_key(request: Request, session: Session, token: str, *, now: datetime) -> ApiKey:
    """Return the key that a token is of.

    Raises
    ------
    NotAuthenticatedError
        It is unknown, expired or revoked.
    TooManyRequestsError
        The key is refused, as too many from this address were before it, here or at the API.
    """
    key_id = api_keys.key_id_of(token)
    key = api_keys.find(session, key_id) if key_id else None
    if key is None or not key.accepts(token, now=now):
        request.app.state.failure_limit.record(address_of(request.scope), now=now)
        raise NotAuthenticatedError("the key is unknown, expired or revoked; `xuelu keys create` makes keys")
    return key


def set_cookie(request: Request, answer: Response, token: str) -> None:
    """Set the cookie with the token of a session; over HTTPS it is marked as secure."""
    path, secure = cookie_path(request), request.url.scheme == "https"
    answer.set_cookie(COOKIE, token, path=path, httponly=True, samesite="lax", secure=secure)


def cookie_path(request: Request) -> str:
    """Return the path of the console, with the prefix under which a proxy serves us."""
    return f"{request.scope.get('root_path', '')}/console"
