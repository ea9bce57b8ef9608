"""Authentication and authorisation: API keys and OpenID tokens, checked against the scope of a route.

A key comes as ``Authorization: Bearer KEY``, or as the password of ``Basic``, for clients that can send only this.
Where there is an OpenID provider, its access tokens come as bearer tokens too. A route declares its scope,
``caller: Annotated[Caller, requires("lists:read")]``; a caller sees one organisation.
"""

import asyncio
import time
from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from api.auth.oidc import TokenVerifier
from api.auth.rate_limit import FailureLimit
from api.errors import ForbiddenError, NotAuthenticatedError
from infra.access import api_keys, audit
from infra.access.audit_buffer import AuditBuffer
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.errors import UnknownOrganisationError

KEY_CACHE_SECONDS: Final = 0.2
"""Lifetime of a cached key, so the longest time that a revoked one still works."""
MAX_CACHED_KEYS: Final = 10_000
JWT_DOTS: Final = 2
"""Dots in a JSON Web Token; our keys have none."""
HINT = "send `Authorization: Bearer KEY`; `xuelu keys create` makes keys"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated key or token: its organisation, its name in the audit log, its scopes."""

    organisation_key: int
    organisation: str
    actor: str
    scopes: frozenset[str]

    def record(self, session: Session, action: str, *, now: datetime, member: str | None = None, **detail: Any) -> None:
        """Append what the caller did to the audit log; with facts as detail, which name no member."""
        audit.append(
            session,
            self.organisation_key,
            actor=self.actor,
            action=action,
            subject=member,
            now=now,
            detail=detail or None,
        )


@dataclass(slots=True)
class CachedKey:
    """Result of a key lookup with the time of it, and the lookup that is under way."""

    looked_up_at: float
    result: tuple[api_keys.ApiKey, Caller] | None
    pending: asyncio.Task[tuple[api_keys.ApiKey, Caller] | None] | None = None


class Authenticator:
    """Authenticates callers by API keys, cached for :data:`KEY_CACHE_SECONDS`, or by OpenID access tokens.

    A key that is in use is looked up again before its entry expires, so that hardly any request waits for the database.
    """

    def __init__(
        self, engine: Engine, audit_buffer: AuditBuffer, tokens: TokenVerifier, failure_limit: FailureLimit
    ) -> None:
        self._failure_limit = failure_limit
        self._engine = engine
        self._audit_buffer = audit_buffer
        self._tokens = tokens
        self._organisations: dict[str, int] = {}
        self._keys: dict[str, CachedKey] = {}

    async def caller(self, authorization: str | None, *, address: str, now: datetime) -> Caller:
        """Return the caller that an ``Authorization`` header, sent from an address, authenticates.

        Raises
        ------
        NotAuthenticatedError
            There is no key, or it is unknown, expired or revoked; the message does not say which of these.
        TooManyRequestsError
            The key is refused, as too many from this address were before it.
        """
        token = token_from_header(authorization)
        if self._tokens.enabled and token.count(".") == JWT_DOTS:
            return await self._by_token(token, now=now)
        key_id = api_keys.key_id_of(token)
        cached = self._keys.get(key_id or "")
        if cached is not None and time.monotonic() - cached.looked_up_at < KEY_CACHE_SECONDS / 2:
            result = cached.result
        else:
            result = await self._lookup(key_id) if key_id else None
        if result is None or not result[0].accepts(token, now=now):
            self._failure_limit.record(address, now=now)
            raise NotAuthenticatedError(f"the key is unknown, expired or revoked; {HINT}")
        self._audit_buffer.record_key_use(result[0].key_id, now)
        return result[1]

    async def _by_token(self, token: str, *, now: datetime) -> Caller:
        verified = await self._tokens.verify(token, now=now)
        name = verified.organisation
        if name not in self._organisations:
            # An organisation's key never changes, so it is looked up once.
            self._organisations |= await run_in_threadpool(self._find_organisation, name)
        if name not in self._organisations:
            raise NotAuthenticatedError("the token names no organisation of this service; check its organisation claim")
        actor = f"{audit.OIDC_ACTOR}{verified.subject}"
        return Caller(self._organisations[name], name, actor, effective_scopes(verified.scopes))

    def _find_organisation(self, name: str) -> dict[str, int]:
        with transaction(self._engine) as session:
            try:
                return {name: organisations.key_of(session, name)}
            except UnknownOrganisationError:
                return {}

    async def close(self) -> None:
        """Wait for the lookups that are under way."""
        pending = [cached.pending for cached in self._keys.values() if cached.pending is not None]
        await asyncio.gather(*pending, return_exceptions=True)

    async def _lookup(self, key_id: str) -> tuple[api_keys.ApiKey, Caller] | None:
        cached = self._keys.get(key_id)
        if cached is None:
            if len(self._keys) >= MAX_CACHED_KEYS:
                self._keys.clear()
            cached = self._keys[key_id] = CachedKey(-KEY_CACHE_SECONDS, None)
        age = time.monotonic() - cached.looked_up_at
        if cached.pending is None:
            cached.pending = asyncio.create_task(self._refresh(key_id, cached))
            cached.pending.add_done_callback(_retrieve_exception)
        return cached.result if age < KEY_CACHE_SECONDS else await asyncio.shield(cached.pending)

    async def _refresh(self, key_id: str, cached: CachedKey) -> tuple[api_keys.ApiKey, Caller] | None:
        started_at = time.monotonic()
        try:
            # In a thread of its own pool: not queued behind the requests that wait for it.
            key = await asyncio.to_thread(self._read, key_id)
        finally:
            cached.pending = None
        cached.looked_up_at, cached.result = started_at, None if key is None else (key, caller_of(key))
        return cached.result

    def _read(self, key_id: str) -> api_keys.ApiKey | None:
        with transaction(self._engine) as session:
            return api_keys.find(session, key_id)


def _retrieve_exception(lookup: asyncio.Task[Any]) -> None:
    """Mark the exception of a background lookup as seen; the next request meets the same fault itself."""
    if not lookup.cancelled():
        lookup.exception()


def caller_of(key: api_keys.ApiKey) -> Caller:
    """Return the caller that a key authenticates."""
    return Caller(key.organisation_key, key.organisation, key.key_id, effective_scopes(key.scopes))


def effective_scopes(scopes: frozenset[str]) -> frozenset[str]:
    """Return the scopes that a key or token grants: its known ones, all of them where it has ``admin``.

    >>> sorted(effective_scopes(frozenset({"lists:read", "openid"}))), len(effective_scopes(frozenset({"admin"})))
    (['lists:read'], 7)
    """
    return frozenset(api_keys.SCOPES) if api_keys.ADMIN in scopes else scopes & frozenset(api_keys.SCOPES)


def token_from_header(authorization: str | None) -> str:
    """Return the token of an ``Authorization`` header.

    >>> token_from_header("Bearer xuelu_0a1b2c3d4e5f_secret")
    'xuelu_0a1b2c3d4e5f_secret'
    >>> token_from_header("Basic YW55Ym9keTp4dWVsdV8wYTFiMmMzZDRlNWZfc2VjcmV0")
    'xuelu_0a1b2c3d4e5f_secret'

    Raises
    ------
    NotAuthenticatedError
        There is none.
    """
    scheme, _, credentials = (authorization or "").partition(" ")
    match scheme.lower():
        case "bearer" if credentials.strip():
            return credentials.strip()
        case "basic":
            try:
                return b64decode(credentials, validate=True).decode().partition(":")[2]
            except ValueError as error:
                raise NotAuthenticatedError(f"the credentials of Basic are not in base64; {HINT}") from error
    raise NotAuthenticatedError(f"there is no key; {HINT}")


class Requires(SecurityBase):
    """Dependency that demands a scope; a bearer token in the OpenAPI document."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        self.model = HTTPBearer(description="A key of the API, as `xuelu keys create` prints it.")
        self.scheme_name = "key"

    async def __call__(self, request: Request) -> Caller:
        """Return the caller.

        Raises
        ------
        NotAuthenticatedError, ForbiddenError, TooManyRequestsError
        """
        return await authenticate(request.scope, request.headers.get("authorization"), self.scope)


async def authenticate(scope: Scope, authorization: str | None, required_scope: str) -> Caller:
    """Return the caller of a request, counted against its rate limit, if it has the required scope.

    Raises
    ------
    NotAuthenticatedError, ForbiddenError, TooManyRequestsError
    """
    state = scope["app"].state
    caller: Caller = await state.authenticator.caller(authorization, address=address_of(scope), now=state.clock())
    quota = state.rate_limit.count((caller.organisation_key, caller.actor))
    scope["xuelu.headers"] = quota.headers
    if quota.error is not None:
        raise quota.error
    if required_scope not in caller.scopes:
        raise ForbiddenError(
            f"this key is not for {required_scope}; make one with `xuelu keys create NAME --scope {required_scope}`"
        )
    return caller


def address_of(scope: Scope) -> str:
    """Return the address of a request's client, or of the proxy in between."""
    client: tuple[str, int] | None = scope.get("client")
    return client[0] if client else ""


SECURITY: Final = {scope: Requires(scope) for scope in api_keys.SCOPES}


def requires(scope: str) -> Any:
    """Return the dependency that admits callers with a scope and passes them on; OpenAPI names the scope."""
    return Security(SECURITY[scope], scopes=[scope])


Administrator = Annotated[Caller, requires("admin")]
AnalyticsReader = Annotated[Caller, requires("analytics:read")]
CatalogueWriter = Annotated[Caller, requires("catalogue:write")]
EventWriter = Annotated[Caller, requires("events:write")]
ListReader = Annotated[Caller, requires("lists:read")]
MembersWriter = Annotated[Caller, requires("members:write")]
RunsWriter = Annotated[Caller, requires("runs:write")]
