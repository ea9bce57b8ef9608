"""OpenID provider: its metadata and signing keys, fetched and cached, and JSON Web Tokens verified with them.

RFC 7519 (JWT) by the rules of RFC 8725: only the algorithms of the settings, all of them with public keys. Metadata is
that of OpenID Connect Discovery 1.0, the keys come from its ``jwks_uri``. Both are fetched again when they are older
than ``oidc.jwks_max_age_seconds``, so that a withdrawn key stops working, and when a token names an unknown key or no
known one signed it, but at most every :data:`REFETCH_SECONDS`.
"""

import asyncio
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final, TypeGuard

import httpx2
import structlog
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet

from api.errors import ProviderError
from infra.settings.sections import OidcSettings

DISCOVERY: Final = "/.well-known/openid-configuration"
REFETCH_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 5.0
"""Pause after a fetch that failed."""
MAX_STALE_SECONDS: Final = 3_600.0
"""Age up to which keys are used while the provider does not answer."""
TIMEOUT_SECONDS: Final = 5.0
MAX_BYTES: Final = 1_000_000
KEY_TYPES: Final = frozenset({"RSA", "EC", "OKP"})
"""Types of keys with a public half."""
MAX_SUBJECT_LENGTH: Final = 255
"""OpenID Connect Core 1.0, section 2."""
FETCH_FAULTS: Final = (
    httpx2.HTTPError, httpx2.InvalidURL, JoseError, ValueError, KeyError, TypeError, RecursionError,
)  # fmt: skip
"""Errors of a provider that does not answer, or not as it should."""
TOKEN_FAULTS: Final = (JoseError, ValueError, TypeError, RecursionError)
"""Errors of a text that is no token of the provider."""

log = structlog.get_logger("xuelu.oidc")


class Provider:
    """Metadata and signing keys of the provider of the settings."""

    def __init__(self, settings: OidcSettings) -> None:
        self.settings = settings
        self._metadata: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._fetched_at = -float("inf")
        self._next_fetch_at = -float("inf")
        self._fetching = asyncio.Lock()

    @property
    def enabled(self) -> bool:
        """Whether there is a provider."""
        return bool(self.settings.issuer)

    @cached_property
    def client(self) -> httpx2.AsyncClient:
        """Client for requests to the provider; one for all, as loading the root certificates takes long."""
        return httpx2.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        if "client" in self.__dict__:
            await self.client.aclose()

    async def metadata(self) -> Mapping[str, Any]:
        """Return the metadata of the provider.

        Raises
        ------
        ProviderError
        """
        await self._current_keys()
        return self._metadata

    async def decode(self, token: str) -> jwt.Token:
        """Return a token whose signature is by one of the provider's keys; its claims are not checked.

        Raises
        ------
        TOKEN_FAULTS
            It is no token, or signed by another key or algorithm.
        ProviderError
            The keys cannot be fetched.
        """
        keys = await self._current_keys()
        try:
            return self._decode(token, keys)
        except (
            InvalidKeyIdError,
            BadSignatureError,
        ):  # the provider may have a new key, without an id or with the old one's
            return self._decode(token, await self._fetch(REFETCH_SECONDS))

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
                    return jwt.decode(token, key, algorithms=self.settings.algorithms)
                except (JoseError, ValueError) as fault:
                    error = error if key_id is None else fault
        raise error

    async def _current_keys(self) -> KeySet:
        age = time.monotonic() - self._fetched_at
        if self._keys is not None and age < self.settings.jwks_max_age_seconds:
            return self._keys
        return await self._fetch(self.settings.jwks_max_age_seconds)

    async def _fetch(self, min_age_seconds: float) -> KeySet:
        """Return the provider's keys, fetched now where those at hand have this age.

        Keys that cannot be renewed are used up to :data:`MAX_STALE_SECONDS`: an outage of the provider must not be one
        of this service.
        """
        async with self._fetching:
            now = time.monotonic()
            if now - self._fetched_at >= min_age_seconds and now >= self._next_fetch_at:
                try:
                    self._metadata, self._keys = await self._fetch_metadata_and_keys()
                    self._fetched_at = now
                except FETCH_FAULTS as error:
                    self._next_fetch_at = time.monotonic() + RETRY_SECONDS
                    log.warning("cannot fetch the provider's keys", issuer=self.settings.issuer, reason=str(error))
            if self._keys is None or time.monotonic() - self._fetched_at > MAX_STALE_SECONDS:
                raise ProviderError("the OpenID provider does not answer; ask again, or use a key of the service")
            return self._keys

    async def _fetch_metadata_and_keys(self) -> tuple[dict[str, Any], KeySet]:
        """Return the metadata and the keys that the provider publishes."""
        metadata = await self._get_json(self.settings.issuer.rstrip("/") + DISCOVERY)
        if metadata["issuer"] != self.settings.issuer:
            raise ValueError(f"it calls itself {metadata['issuer']!r}")
        published = await self._get_json(metadata["jwks_uri"])
        return metadata, KeySet([key for data in published["keys"] if (key := _signing_key(data)) is not None])

    async def _get_json(self, url: str) -> Any:
        async with self.client.stream("GET", url) as response:
            response.raise_for_status()
            return await read_json(response)


def is_name(value: object) -> TypeGuard[str]:
    """Tell whether a claim can be stored and logged as a name: no control characters, no half surrogate pairs."""
    return isinstance(value, str) and 0 < len(value) <= MAX_SUBJECT_LENGTH and value.isprintable()


def scopes_in(claim: object) -> frozenset[str]:
    """Return the scopes of a claim: words of one text, or a list of texts.

    >>> sorted(scopes_in("lists:read openid")), scopes_in(["lists:read", 3]), scopes_in(None)
    (['lists:read', 'openid'], frozenset({'lists:read'}), frozenset())
    """
    words = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else ()
    return frozenset(scope for scope in words if isinstance(scope, str))


async def read_json(response: httpx2.Response) -> Any:
    """Return the JSON of an answer that is being received.

    Raises
    ------
    ValueError
        It is not JSON, or larger than :data:`MAX_BYTES`.
    """
    content = b""
    async for part in response.aiter_bytes():
        content += part
        if len(content) > MAX_BYTES:
            raise ValueError(f"{response.url} answers more than {MAX_BYTES:,} bytes")
    return httpx2.Response(200, content=content).json()


def _signing_key(data: Any) -> Key | None:
    """Return a public signing key; None for any other, which must not keep the good ones away (RFC 7517, section 5)."""
    if not isinstance(data, dict) or str(data.get("kty")) not in KEY_TYPES or data.get("use", "sig") != "sig":
        return None
    try:
        return JWKRegistry.import_key(data)
    except (JoseError, ValueError, KeyError, TypeError) as error:
        log.warning("a key of the provider is ignored", kid=str(data.get("kid"))[:100], reason=str(error))
        return None
