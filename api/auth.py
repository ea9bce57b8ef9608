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

from api.errors import ForbiddenError, NotAuthenticatedError
from api.tokens import Tokens
from infra import keys, organisations
from infra.db import transaction
from infra.errors import UnknownOrganisationError
from infra.readings import Readings

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


class Doorkeeper:
    """Tells callers by their keys, each looked up at most every :data:`KEY_SECONDS`."""

    def __init__(self, engine: Engine, readings: Readings, tokens: Tokens) -> None:
        self._engine = engine
        self._readings = readings
        self._tokens = tokens
        self._organisations: dict[str, int] = {}
        self._known: dict[str, tuple[float, asyncio.Future[keys.Key | None]]] = {}

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
        key_id = keys.id_in(token)
        key = await self._key(key_id) if key_id else None
        if key is None or not key.opens(token, now=now):
            raise NotAuthenticatedError(f"the key is unknown, expired or revoked; {HOW}")
        self._readings.note_use(key.key_id, now)
        return Caller(key.organisation_key, key.organisation, key.key_id, allowed(key.scopes))

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

    async def _key(self, key_id: str) -> keys.Key | None:
        moment = time.monotonic()
        known = self._known.get(key_id)
        if known is None or moment - known[0] > KEY_SECONDS:
            if len(self._known) >= MOST_KEYS:
                self._known.clear()
            known = self._known[key_id] = (moment, asyncio.ensure_future(run_in_threadpool(self._find, key_id)))
        return await asyncio.shield(known[1])

    def _find(self, key_id: str) -> keys.Key | None:
        with transaction(self._engine) as session:
            return keys.find(session, key_id)


def allowed(scopes: frozenset[str]) -> frozenset[str]:
    """Return what scopes amount to: ``admin`` is all of them, and those that nobody knows are none.

    >>> sorted(allowed(frozenset({"lists:read", "openid"}))), len(allowed(frozenset({"admin"})))
    (['lists:read'], 7)
    """
    return frozenset(keys.SCOPES) if keys.ADMIN in scopes else scopes & frozenset(keys.SCOPES)


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
        doorkeeper: Doorkeeper = request.app.state.doorkeeper
        caller = await doorkeeper.caller(request.headers.get("authorization"), now=request.app.state.clock())
        request.scope["xuelu.headers"] = request.app.state.rate_limit.count(caller.actor)
        if self.scope not in caller.scopes:
            raise ForbiddenError(f"this key is not for {self.scope}; make one with `xuelu keys create --scope`")
        return caller


REQUIRED: Final = {scope: Requires(scope) for scope in keys.SCOPES}


def requires(scope: str) -> Any:
    """Return the dependency that lets callers with a scope in, and tells who they are; OpenAPI names the scope."""
    return Security(REQUIRED[scope], scopes=[scope])


ListReader = Annotated[Caller, requires("lists:read")]
