"""Login by the OpenID provider: the authorization code flow of OpenID Connect Core 1.0 with PKCE (RFC 7636).

State, nonce and code verifier are digests of one secret in a cookie of the browser that began the login. So nothing is
stored until the login succeeds, and an answer of the provider holds in that browser alone.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx2
import structlog

from api.auth.oidc import check_claims, type_of
from api.auth.provider import FETCH_FAULTS, TOKEN_FAULTS, Provider, is_name, read_json, scopes_in
from api.errors import NotAuthenticatedError, ProviderError
from infra.access import api_keys
from infra.access.console_sessions import ProviderLogin

SECRET_BYTES: Final = 32
ID_TOKEN_TYPES: Final = frozenset({"", "jwt"})
"""Accepted types in the header: ID tokens have no type of their own, other tokens do (RFC 8725, section 3.11)."""
HINT: Final = "log in again"

log = structlog.get_logger("xuelu.oidc")


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """Login that a browser has begun; everything is derived from its secret."""

    secret: str

    @property
    def state(self) -> str:
        """Value that ties the provider's answer to this browser."""
        return self._derived("state")

    @property
    def nonce(self) -> str:
        """Value that ties the ID token to this login."""
        return self._derived("nonce")

    @property
    def code_verifier(self) -> str:
        """Value that proves to the provider that the code is redeemed by who asked for it."""
        return self._derived("code verifier")

    @property
    def code_challenge(self) -> str:
        """Digest of the code verifier (``S256``)."""
        return _base64url(hashlib.sha256(self.code_verifier.encode()).digest())

    def _derived(self, name: str) -> str:
        return _base64url(hmac.digest(self.secret.encode("utf-8", "surrogateescape"), name.encode(), "sha256"))


def begin() -> LoginAttempt:
    """Return a new attempt."""
    return LoginAttempt(secrets.token_urlsafe(SECRET_BYTES))


class OpenIdLogin:
    """Logins and logouts at a provider."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._settings = provider.settings

    @property
    def enabled(self) -> bool:
        """Whether the provider logs in to the console."""
        return bool(self._settings.client_id)

    async def authorization_address(self, attempt: LoginAttempt) -> str:
        """Return the address at the provider where the login goes on.

        Raises
        ------
        ProviderError
        """
        parameters = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._settings.redirect_uri,
            "scope": self._settings.login_scope,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.code_challenge,
            "code_challenge_method": "S256",
        }
        return with_query(await self._endpoint("authorization_endpoint"), parameters)

    async def end_session_endpoint(self) -> str | None:
        """Return the address at which the provider ends its sessions; None where there is none.

        A provider that does not answer has none: a session here ends all the same.
        """
        if not self.enabled:
            return None
        try:
            return await self._endpoint("end_session_endpoint")
        except ProviderError:
            return None

    def logout_address(self, endpoint: str, id_token: str) -> str:
        """Return the address that ends the session at the provider (OpenID Connect RP-Initiated Logout 1.0)."""
        parameters = {
            "id_token_hint": id_token,
            "client_id": self._settings.client_id,
            "post_logout_redirect_uri": self._settings.login_address,
        }
        return with_query(endpoint, parameters)

    async def redeem(self, attempt: LoginAttempt, code: str, issuer: str | None, *, now: datetime) -> ProviderLogin:
        """Return the login that an authorization code stands for.

        Parameters
        ----------
        issuer : str, optional
            Parameter ``iss`` of the provider's answer (RFC 9207).

        Raises
        ------
        NotAuthenticatedError
            The code or the ID token is not valid, or not of this attempt.
        ProviderError
            The provider does not answer, or refuses this service as its client.
        """
        metadata = await self._provider.metadata()
        if issuer is None and metadata.get("authorization_response_iss_parameter_supported") is True:
            raise NotAuthenticatedError(f"the answer does not name the provider that it is of; {HINT}")
        if issuer is not None and issuer != self._settings.issuer:
            raise NotAuthenticatedError(f"the answer is of another provider; {HINT}")
        id_token = await self._exchange(attempt, code, metadata.get("token_endpoint_auth_methods_supported"))
        try:
            claims = await self._claims(id_token, attempt, now=now)
        except TOKEN_FAULTS as error:
            log.warning("ID token refused", reason=str(error)[:200])
            raise NotAuthenticatedError(
                f"the ID token is not valid: wrong signature, audience, nonce or time; {HINT}"
            ) from error
        names = claims.get(self._settings.organisation_claim)
        listed = names if isinstance(names, list) else [names]
        return ProviderLogin(
            subject=claims["sub"],
            organisations=tuple(dict.fromkeys(name for name in listed if is_name(name))),
            scopes=scopes_in(claims.get(self._settings.scope_claim)) & frozenset(api_keys.SCOPES),
            id_token=id_token,
        )

    async def _exchange(self, attempt: LoginAttempt, code: str, methods: Any) -> str:
        """Return the ID token that the provider gives for a code."""
        endpoint = await self._endpoint("token_endpoint")
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.redirect_uri,
            "code_verifier": attempt.code_verifier,
        }
        auth, credentials = self._client_authentication(methods)
        try:
            async with self._provider.client.stream("POST", endpoint, data=fields | credentials, auth=auth) as response:
                answer = await read_json(response)
                status = response.status_code
            if not isinstance(answer, dict):
                raise TypeError(f"it answers {status} with {type(answer).__name__}, no JSON object")
        except FETCH_FAULTS as error:
            log.warning("the provider's token endpoint failed", endpoint=endpoint, reason=str(error)[:200])
            raise ProviderError(
                "the token endpoint of the OpenID provider does not answer as it should; log in again"
            ) from error
        if status != HTTPStatus.OK:
            reason = str(answer.get("error"))[:100]
            log.warning("the provider gives no token", status=status, error=reason)
            if reason == "invalid_grant":
                raise NotAuthenticatedError(f"the code was used before, or has expired; {HINT}")
            raise ProviderError("the OpenID provider gives no token; the log of the service says why")
        id_token = answer.get("id_token")
        if not isinstance(id_token, str):
            raise NotAuthenticatedError("the provider gives no ID token; `oidc.login_scope` must hold openid")
        return id_token

    def _client_authentication(self, methods: Any) -> tuple[httpx2.BasicAuth | None, dict[str, str]]:
        """Return an Authorization header, or fields of a form, that name the client by a method of the provider."""
        client_id, secret = self._settings.client_id, self._settings.client_secret
        # Basic is the default of OpenID Connect; a client without a secret names itself in the form.
        if secret and (not isinstance(methods, list) or "client_secret_basic" in methods):
            # RFC 6749, section 2.3.1: both are form-encoded before they are joined.
            return httpx2.BasicAuth(quote_plus(client_id), quote_plus(secret)), {}
        return None, {"client_id": client_id} | ({"client_secret": secret} if secret else {})

    async def _claims(self, id_token: str, attempt: LoginAttempt, *, now: datetime) -> dict[str, Any]:
        """Return the claims of an ID token, verified by OpenID Connect Core 1.0, section 3.1.3.7."""
        token = await self._provider.decode(id_token)
        if (kind := type_of(token)) not in ID_TOKEN_TYPES:
            raise ValueError(f"the type in the header is {kind[:100]!r}")
        claims, client_id = dict(token.claims), self._settings.client_id
        check_claims(claims, issuer=self._settings.issuer, audience=client_id, now=now)
        if "iat" not in claims:
            raise ValueError("it does not say when it was issued")
        if claims.get("azp", client_id) != client_id:
            raise ValueError(f"it was issued to {str(claims['azp'])[:100]!r}")
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims:
            raise ValueError("it has several audiences and does not say to which it was issued")
        if not hmac.compare_digest(str(claims.get("nonce")).encode("utf-8", "replace"), attempt.nonce.encode()):
            raise ValueError("the nonce is not of this login")
        if not is_name(claims["sub"]):
            raise ValueError("the subject is no printable text")
        return claims

    async def _endpoint(self, name: str) -> str:
        """Return the address of an endpoint of the provider.

        Raises
        ------
        ProviderError
            The provider does not answer, or has no such endpoint.
        """
        address = (await self._provider.metadata()).get(name)
        if not isinstance(address, str) or urlsplit(address).scheme not in {"http", "https"}:
            raise ProviderError(f"the OpenID provider publishes no {name}; the console takes keys")
        return address


def with_query(address: str, parameters: dict[str, str]) -> str:
    """Return an address with parameters after those that it has.

    >>> with_query("https://id.example/login?realm=a", {"scope": "openid profile"})
    'https://id.example/login?realm=a&scope=openid+profile'
    """
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(parameters)}"


def _base64url(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
