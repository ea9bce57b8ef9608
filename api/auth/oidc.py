"""Access tokens of an OpenID provider: JSON Web Tokens by RFC 9068.

Issuer, audience and expiry are required, and the header's type must be that of access tokens.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from joserfc import jwt

from api.auth.provider import MAX_SUBJECT_LENGTH, TOKEN_FAULTS, Provider, is_name, scopes_in
from api.errors import NotAuthenticatedError

LEEWAY_SECONDS: Final = 30
"""Largest accepted difference between the clocks of the provider and this service."""
ID_TOKEN_CLAIMS: Final = frozenset({"nonce", "at_hash", "c_hash"})
"""Claims that only ID tokens have (OpenID Connect Core 1.0, sections 2 and 3.3.2.11)."""

log = structlog.get_logger("xuelu.oidc")


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """Claims of a verified access token."""

    subject: str
    organisation: str
    scopes: frozenset[str]


class TokenVerifier:
    """Verifies the access tokens of a provider."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._settings = provider.settings

    @property
    def enabled(self) -> bool:
        """Whether there is a provider."""
        return self._provider.enabled

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
        except TOKEN_FAULTS as error:
            log.info("token refused", reason=type(error).__name__)
            raise NotAuthenticatedError(
                "the token is no valid access token: wrong signature, type, audience or time"
            ) from error
        subject, organisation = claims["sub"], claims.get(self._settings.organisation_claim)
        if not is_name(subject):
            raise NotAuthenticatedError(
                f"the subject of the token is no text of 1 to {MAX_SUBJECT_LENGTH} printable characters"
            )
        return VerifiedToken(
            subject=subject,
            organisation=organisation if is_name(organisation) else "",
            scopes=scopes_in(claims.get(self._settings.scope_claim)),
        )

    async def _claims(self, token: str, *, now: datetime) -> dict[str, Any]:
        decoded = await self._provider.decode(token)
        self._check_is_access_token(decoded)
        check_claims(decoded.claims, issuer=self._settings.issuer, audience=self._settings.audience, now=now)
        return dict(decoded.claims)

    def _check_is_access_token(self, token: jwt.Token) -> None:
        """Refuse ID tokens and other JSON Web Tokens of the provider (RFC 9068, section 4).

        Raises
        ------
        ValueError
        """
        kind = type_of(token)
        if kind not in {name.lower() for name in self._settings.token_types}:
            raise ValueError(f"the type in the header is {kind[:100]!r}")
        if ID_TOKEN_CLAIMS & token.claims.keys():
            raise ValueError("it has claims of an ID token")


def type_of(token: jwt.Token) -> str:
    """Return the type in a token's header, in lower case and without ``application/``; empty where there is none."""
    return str(token.header.get("typ", "")).lower().removeprefix("application/")


def check_claims(claims: dict[str, Any], *, issuer: str, audience: str, now: datetime) -> None:
    """Check issuer, audience, times and subject.

    Raises
    ------
    JoseError
    """
    jwt.JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
        sub={"essential": True},
    ).validate(claims)
