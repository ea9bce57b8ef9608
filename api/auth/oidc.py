"""Access tokens of an OpenID provider: JSON Web Tokens, verified with the keys that it publishes.

RFC 7519 (JWT) by the rules of RFC 8725 and RFC 9068: only the algorithms of the settings, all of them with public keys;
issuer, audience and expiry are required, and the header's type must be that of access tokens. The keys come from
``jwks_uri`` of OpenID Connect Discovery 1.0. They are fetched again when they are older than
``oidc.jwks_max_age_seconds``, so that a withdrawn key stops working, and when a token names an unknown key or no known
one signed it, but at most every :data:`REFETCH_SECONDS`.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeGuard

import httpx2
import structlog
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet

from api.errors import NotAuthenticatedError, ProviderError
from infra.settings.sections import OidcSettings

DISCOVERY: Final = "/.well-known/openid-configuration"
REFETCH_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 5.0
"""Pause after a fetch that failed."""
MAX_STALE_SECONDS: Final = 3_600.0
"""Age up to which keys are used while the provider does not answer."""
TIMEOUT_SECONDS: Final = 5.0
LEEWAY_SECONDS: Final = 30
"""Largest accepted difference between the clocks of the provider and this service."""
MAX_BYTES: Final = 1_000_000
KEY_TYPES: Final = frozenset({"RSA", "EC", "OKP"})
"""Types of keys with a public half."""
MAX_SUBJECT_LENGTH: Final = 255
"""OpenID Connect Core 1.0, section 2."""
ID_TOKEN_CLAIMS: Final = frozenset({"nonce", "at_hash", "c_hash"})
"""Claims that only ID tokens have (OpenID Connect Core 1.0, sections 2 and 3.3.2.11)."""
FETCH_FAULTS: Final = (
    httpx2.HTTPError, httpx2.InvalidURL, JoseError, ValueError, KeyError, TypeError, RecursionError,
)  # fmt: skip
"""Errors of a provider that does not answer, or not as it should."""

log = structlog.get_logger("xuelu.oidc")


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """Claims of a verified access token."""

    subject: str
    organisation: str
    scopes: frozenset[str]


class TokenVerifier:
    """Verifies the access tokens of one provider."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._keys: KeySet | None = None
        self._fetched_at = -float("inf")
        self._next_fetch_at = -float("inf")
        self._fetching = asyncio.Lock()

    @property
    def enabled(self) -> bool:
        """Whether there is a provider."""
        return bool(self._settings.issuer)

    async def verify(self, token: str, *, now: datetime) -> VerifiedToken:
        """Return the claims of an access token.

        Raises
        ------
        NotAuthenticatedError
            It is not the provider's, no access token, not for this service, or expired; the message does not say which.
        ProviderError
            The provider's keys cannot be fetched.
        """
        try:
            claims = await self._claims(token, now=now)
        except (JoseError, ValueError, RecursionError) as error:
            log.info("token refused", reason=type(error).__name__)
            raise NotAuthenticatedError(
                "the token is no valid access token: wrong signature, type, audience or time"
            ) from error
        subject, organisation = claims["sub"], claims.get(self._settings.organisation_claim)
        if not _is_name(subject):
            raise NotAuthenticatedError(
                f"the subject of the token is no text of 1 to {MAX_SUBJECT_LENGTH} printable characters"
            )
        scopes = claims.get(self._settings.scope_claim, "")
        words = scopes.split() if isinstance(scopes, str) else scopes if isinstance(scopes, list) else ()
        return VerifiedToken(
            subject=subject,
            organisation=organisation if _is_name(organisation) else "",
            scopes=frozenset(scope for scope in words if isinstance(scope, str)),
        )

    async def _claims(self, token: str, *, now: datetime) -> dict[str, Any]:
        keys = await self._current_keys()
        try:
            decoded = self._decode(token, keys)
        except (InvalidKeyIdError, BadSignatureError):  # a new key, which may have no id, or that of the one before it
            decoded = self._decode(token, await self._fetch(REFETCH_SECONDS))
        self._check_is_access_token(decoded)
        jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": self._settings.audience},
            exp={"essential": True},
            sub={"essential": True},
        ).validate(decoded.claims)
        return dict(decoded.claims)

    def _decode(self, token: str, keys: KeySet) -> jwt.Token:
        """Return a token verified by one of the keys with its key id, or by any key where it names none.

        Raises
        ------
        JoseError, ValueError
            ``InvalidKeyIdError`` where no key has its id, or it names none and no key fits.
        """
        key_id = jws.extract_compact(token.encode()).headers().get("kid")
        error: JoseError | ValueError = InvalidKeyIdError(f"no key has the id {str(key_id)[:100]!r}")
        for key in keys.keys:
            if key_id is None or key.kid == key_id:
                try:
                    return jwt.decode(token, key, algorithms=self._settings.algorithms)
                except (JoseError, ValueError) as fault:
                    error = error if key_id is None else fault
        raise error

    def _check_is_access_token(self, token: jwt.Token) -> None:
        """Refuse ID tokens and other JSON Web Tokens of the provider (RFC 9068, section 4).

        Raises
        ------
        ValueError
        """
        kind = str(token.header.get("typ", "")).lower().removeprefix("application/")
        if kind not in {name.lower() for name in self._settings.token_types}:
            raise ValueError(f"the type in the header is {kind[:100]!r}")
        if ID_TOKEN_CLAIMS & token.claims.keys():
            raise ValueError("it has claims of an ID token")

    async def _current_keys(self) -> KeySet:
        age = time.monotonic() - self._fetched_at
        if self._keys is not None and age < self._settings.jwks_max_age_seconds:
            return self._keys
        return await self._fetch(self._settings.jwks_max_age_seconds)

    async def _fetch(self, min_age_seconds: float) -> KeySet:
        """Return the provider's keys, fetched now where those at hand have this age.

        Keys that cannot be renewed are used up to :data:`MAX_STALE_SECONDS`: an outage of the provider must not be one
        of this service.
        """
        async with self._fetching:
            now = time.monotonic()
            if now - self._fetched_at >= min_age_seconds and now >= self._next_fetch_at:
                try:
                    self._keys = await _fetch_keys(self._settings.issuer)
                    self._fetched_at = now
                except FETCH_FAULTS as error:
                    self._next_fetch_at = time.monotonic() + RETRY_SECONDS
                    log.warning("cannot fetch the provider's keys", issuer=self._settings.issuer, reason=str(error))
            if self._keys is None or time.monotonic() - self._fetched_at > MAX_STALE_SECONDS:
                raise ProviderError("the provider of tokens does not answer; ask again, or send a key of the service")
            return self._keys


def _is_name(value: object) -> TypeGuard[str]:
    """Tell whether a claim can be stored and logged as a name: no control characters, no half surrogate pairs."""
    return isinstance(value, str) and 0 < len(value) <= MAX_SUBJECT_LENGTH and value.isprintable()


async def _fetch_keys(issuer: str) -> KeySet:
    """Return the keys that a provider publishes."""
    async with httpx2.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
        configuration = await _get_json(client, issuer.rstrip("/") + DISCOVERY)
        if configuration["issuer"] != issuer:
            raise ValueError(f"it calls itself {configuration['issuer']!r}")
        published = await _get_json(client, configuration["jwks_uri"])
    return KeySet([key for data in published["keys"] if (key := _signing_key(data)) is not None])


def _signing_key(data: Any) -> Key | None:
    """Return a public signing key; None for any other, which must not keep the good ones away (RFC 7517, section 5)."""
    if not isinstance(data, dict) or str(data.get("kty")) not in KEY_TYPES or data.get("use", "sig") != "sig":
        return None
    try:
        return JWKRegistry.import_key(data)
    except (JoseError, ValueError, KeyError, TypeError) as error:
        log.warning("a key of the provider is ignored", kid=str(data.get("kid"))[:100], reason=str(error))
        return None


async def _get_json(client: httpx2.AsyncClient, url: str) -> Any:
    async with client.stream("GET", url) as response:
        response.raise_for_status()
        content = b""
        async for part in response.aiter_bytes():
            content += part
            if len(content) > MAX_BYTES:
                raise ValueError(f"{url} answers more than {MAX_BYTES:,} bytes")
    return httpx2.Response(200, content=content).json()
