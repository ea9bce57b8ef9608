"""Bearer tokens of an OpenID provider: JSON Web Tokens, verified with the keys that it publishes.

RFC 7519 (JWT) by the rules of RFC 8725 and RFC 9068: only the algorithms of the settings, all of them with public keys;
issuer, audience and expiry are required. The keys come from ``jwks_uri`` of OpenID Connect Discovery 1.0, and are asked
for again where a token names one that is not known, but not more often than every :data:`PAUSE_SECONDS`.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx2
import structlog
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from api.errors import NotAuthenticatedError, ProviderError
from infra.settings.sections import OidcSettings

DISCOVERY: Final = "/.well-known/openid-configuration"
PAUSE_SECONDS: Final = 30.0
TIMEOUT_SECONDS: Final = 5.0
LEEWAY_SECONDS: Final = 30
"""By how much the clocks of the provider and this service may differ."""
MOST_BYTES: Final = 1_000_000
LONGEST_SUBJECT: Final = 255
"""OpenID Connect Core 1.0, section 2."""

log = structlog.get_logger("xuelu.oidc")


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whom a token stands for."""

    subject: str
    organisation: str
    scopes: frozenset[str]


class Tokens:
    """Verifies the tokens of one provider."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._keys: KeySet | None = None
        self._asked = -PAUSE_SECONDS
        self._asking = asyncio.Lock()

    @property
    def wanted(self) -> bool:
        """Whether there is a provider."""
        return bool(self._settings.issuer)

    async def bearer(self, token: str, *, now: datetime) -> Bearer:
        """Return whom a token stands for.

        Raises
        ------
        NotAuthenticatedError
            It is not the provider's, not for this service, or expired; the message does not say which of these.
        ProviderError
            The provider's keys cannot be had.
        """
        try:
            claims = await self._verified(token, now=now)
        except (JoseError, ValueError) as error:
            log.info("token refused", reason=type(error).__name__)
            raise NotAuthenticatedError("the token is not good here: wrong signature, audience or time") from error
        if len(claims["sub"]) > LONGEST_SUBJECT:
            raise NotAuthenticatedError("the subject of the token is too long")
        scopes = claims.get(self._settings.scope_claim, "")
        told = scopes.split() if isinstance(scopes, str) else scopes if isinstance(scopes, list) else ()
        return Bearer(
            subject=claims["sub"],
            organisation=str(claims.get(self._settings.organisation_claim, "")),
            scopes=frozenset(scope for scope in told if isinstance(scope, str)),
        )

    async def _verified(self, token: str, *, now: datetime) -> dict[str, Any]:
        keys = self._keys or await self._fetch()
        try:
            read = jwt.decode(token, keys, algorithms=self._settings.algorithms)
        except InvalidKeyIdError:
            read = jwt.decode(token, await self._fetch(), algorithms=self._settings.algorithms)
        jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": self._settings.audience},
            exp={"essential": True},
            sub={"essential": True},
        ).validate(read.claims)
        return dict(read.claims)

    async def _fetch(self) -> KeySet:
        """Return the provider's keys of now, or those known where it was asked a moment ago."""
        async with self._asking:
            if time.monotonic() - self._asked >= PAUSE_SECONDS:
                self._asked = time.monotonic()
                try:
                    self._keys = await _published(self._settings.issuer)
                except (httpx2.HTTPError, JoseError, ValueError, KeyError, TypeError) as error:
                    log.warning("keys of the provider cannot be had", issuer=self._settings.issuer, reason=str(error))
            if self._keys is None:
                raise ProviderError("the provider of tokens does not answer; ask again, or send a key of the service")
            return self._keys


async def _published(issuer: str) -> KeySet:
    """Return the keys that a provider publishes."""
    async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
        told = await _json(client, issuer.rstrip("/") + DISCOVERY)
        if told["issuer"] != issuer:
            raise ValueError(f"it calls itself {told['issuer']!r}")
        return KeySet.import_key_set(await _json(client, told["jwks_uri"]))


async def _json(client: httpx2.AsyncClient, url: str) -> Any:
    async with client.stream("GET", url) as answer:
        answer.raise_for_status()
        content = b""
        async for part in answer.aiter_bytes():
            content += part
            if len(content) > MOST_BYTES:
                raise ValueError(f"{url} answers more than {MOST_BYTES:,} bytes")
    return httpx2.Response(200, content=content).json()
