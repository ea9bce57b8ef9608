"""Who asks: keys of the API, and what each of them may do.

A key comes as ``Authorization: Bearer KEY``, or as the password of ``Basic`` for clients that know nothing else; where
there is an OpenID provider, its tokens come in the same way. A
route says what it is for, ``caller: Annotated[Caller, requires("lists:read")]``, and a caller sees one organisation.
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
from starlette.concurrency import run_in_threadpool
from starlette.types import Scope

from api.auth.oidc import Tokens
from api.errors import ForbiddenError, NotAuthenticatedError
from infra.access import api_keys
from infra.access.audit_buffer import Readings
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.errors import UnknownOrganisationError

KEY_SECONDS: Final = 0.2
"""A key is looked up again after this time, so a revoked one is refused that much later at most."""
MOST_KEYS: Final = 10_000
POINTS: Final = 2
"""In a JSON Web Token; in none of our keys."""
HOW = "send `Authorization: Bearer KEY`; `xuelu keys create` makes keys"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: an organisation's key or token, with what it may do."""

    organisation_key: int
    organisation: str
    actor: str
    scopes: frozenset[str]


@dataclass(slots=True)
class Known:
    """A key as it was found at a moment, with the caller that it stands for; and the look-up that is under way."""

    moment: float
    found: tuple[api_keys.Key, Caller] | None
    finding: asyncio.Task[tuple[api_keys.Key, Caller] | None] | None = None


class Doorkeeper:
    """Tells callers by their keys, as they were at most :data:`KEY_SECONDS` ago.

    A key that is in use is looked up again before that, so that hardly any request waits for it.
    """

    def __init__(self, engine: Engine, readings: Readings, tokens: Tokens) -> None:
        self._engine = engine
        self._readings = readings
        self._tokens = tokens
        self._organisations: dict[str, int] = {}
        self._known: dict[str, Known] = {}

    async def caller(self, authorization: str | None, *, now: datetime) -> Caller:
        """Return who sends this header.

        Raises
        ------
        NotAuthenticatedError
            There is no key, or it is unknown, expired or revoked; the message does not say which of these.
        """
        token = token_in(authorization)
        if self._tokens.wanted and token.count(".") == POINTS:
            return await self._by_token(token, now=now)
        key_id = api_keys.id_in(token)
        known = self._known.get(key_id or "")
        if known is not None and time.monotonic() - known.moment < KEY_SECONDS / 2:
            found = known.found
        else:
            found = await self._key(key_id) if key_id else None
        if found is None or not found[0].opens(token, now=now):
            raise NotAuthenticatedError(f"the key is unknown, expired or revoked; {HOW}")
        self._readings.note_use(found[0].key_id, now)
        return found[1]

    async def _by_token(self, token: str, *, now: datetime) -> Caller:
        bearer = await self._tokens.bearer(token, now=now)
        name = bearer.organisation
        if name not in self._organisations:
            # An organisation never gets another key, so it is asked for once.
            self._organisations |= await run_in_threadpool(self._find_organisation, name)
        if name not in self._organisations:
            raise NotAuthenticatedError("the token is for no organisation that is known here")
        return Caller(self._organisations[name], name, f"oidc:{bearer.subject}", allowed(bearer.scopes))

    def _find_organisation(self, name: str) -> dict[str, int]:
        with transaction(self._engine) as session:
            try:
                return {name: organisations.key_of(session, name)}
            except UnknownOrganisationError:
                return {}

    async def close(self) -> None:
        """Wait for the look-ups that are under way."""
        under_way = [known.finding for known in self._known.values() if known.finding is not None]
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _key(self, key_id: str) -> tuple[api_keys.Key, Caller] | None:
        known = self._known.get(key_id)
        if known is None:
            if len(self._known) >= MOST_KEYS:
                self._known.clear()
            known = self._known[key_id] = Known(-KEY_SECONDS, None)
        age = time.monotonic() - known.moment
        if known.finding is None:
            known.finding = asyncio.create_task(self._find(key_id, known))
            known.finding.add_done_callback(_seen)
        return known.found if age < KEY_SECONDS else await asyncio.shield(known.finding)

    async def _find(self, key_id: str, known: Known) -> tuple[api_keys.Key, Caller] | None:
        moment = time.monotonic()
        try:
            key = await asyncio.to_thread(self._read, key_id)  # not behind the requests that wait for it
        finally:
            known.finding = None
        known.moment, known.found = moment, None if key is None else (key, caller_of(key))
        return known.found

    def _read(self, key_id: str) -> api_keys.Key | None:
        with transaction(self._engine) as session:
            return api_keys.find(session, key_id)


def _seen(finding: asyncio.Task[Any]) -> None:
    """Look at how a look-up ended: where nobody waited for it, its fault is told to whoever asks next."""
    if not finding.cancelled():
        finding.exception()


def caller_of(key: api_keys.Key) -> Caller:
    """Return whom a key stands for."""
    return Caller(key.organisation_key, key.organisation, key.key_id, allowed(key.scopes))


def allowed(scopes: frozenset[str]) -> frozenset[str]:
    """Return what scopes amount to: ``admin`` is all of them, and those that nobody knows are none.

    >>> sorted(allowed(frozenset({"lists:read", "openid"}))), len(allowed(frozenset({"admin"})))
    (['lists:read'], 7)
    """
    return frozenset(api_keys.SCOPES) if api_keys.ADMIN in scopes else scopes & frozenset(api_keys.SCOPES)


def token_in(authorization: str | None) -> str:
    """Return the token of an ``Authorization`` header.

    >>> token_in("Bearer xuelu_0a1b2c3d4e5f_secret")
    'xuelu_0a1b2c3d4e5f_secret'
    >>> token_in("Basic YW55Ym9keTp4dWVsdV8wYTFiMmMzZDRlNWZfc2VjcmV0")
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
                raise NotAuthenticatedError(f"the credentials of Basic are not in base64; {HOW}") from error
    raise NotAuthenticatedError(f"there is no key; {HOW}")


class Requires(SecurityBase):
    """What a route asks of its caller: a scope. Stands in the OpenAPI document as a bearer token."""

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
        return await admitted(request.scope, request.headers.get("authorization"), self.scope)


async def admitted(scope: Scope, authorization: str | None, wanted: str) -> Caller:
    """Return who sends a request with this header, after counting it, where the caller has the wanted scope.

    Raises
    ------
    NotAuthenticatedError, ForbiddenError, TooManyRequestsError
    """
    state = scope["app"].state
    caller: Caller = await state.doorkeeper.caller(authorization, now=state.clock())
    scope["xuelu.headers"] = state.rate_limit.count((caller.organisation_key, caller.actor))
    if wanted not in caller.scopes:
        raise ForbiddenError(f"this key is not for {wanted}; make one with `xuelu keys create --scope`")
    return caller


REQUIRED: Final = {scope: Requires(scope) for scope in api_keys.SCOPES}


def requires(scope: str) -> Any:
    """Return the dependency that lets callers with a scope in, and tells who they are; OpenAPI names the scope."""
    return Security(REQUIRED[scope], scopes=[scope])


ListReader = Annotated[Caller, requires("lists:read")]
