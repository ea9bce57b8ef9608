"""Login to the console by the OpenID provider: the way there, and back with its answer."""

import hmac
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import quote, unquote

from fastapi import Depends, HTTPException, Query, Request
from starlette.responses import RedirectResponse, Response

from api.auth import openid_login
from api.auth.auth import Caller, address_of, effective_scopes
from api.auth.openid_login import LoginAttempt, OpenIdLogin
from api.console.access import cookie_path, count_request
from api.console.frame import console_router
from api.console.sessions.login import ask, logged_in, login_by_provider
from api.dependencies import NowDep, SessionDep
from api.errors import NotAuthenticatedError, ProviderError, RefusedFormError
from infra.access import console_sessions
from infra.access.audit import OIDC_ACTOR
from infra.access.console_sessions import ProviderLogin
from infra.catalog import organisations

ATTEMPT_SECONDS: Final = 600
"""Longest time from the beginning of a login to the provider's answer."""
MAX_FOLLOWING: Final = 500
"""Longest quoted address of the following page in the cookie of an attempt: proxies bound all cookies together."""

router = console_router()


async def enabled_login(request: Request) -> OpenIdLogin:
    """Return the login by the provider; there is no such page where the settings have no client."""
    login = login_by_provider(request)
    if not login.enabled:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return login


OpenIdLoginDep = Annotated[OpenIdLogin, Depends(enabled_login)]


@router.get("/login/openid")
async def begin(request: Request, login: OpenIdLoginDep, next_: Annotated[str, Query(alias="next")] = "") -> Response:
    """Send the browser to the provider, with the secret of its attempt in a cookie."""
    attempt = openid_login.begin()
    try:
        address = await login.authorization_address(attempt)
    except ProviderError:
        return ask(request, following=next_, failed="provider_away", status=HTTPStatus.SERVICE_UNAVAILABLE)
    following = quote(next_, safe="")
    answer = RedirectResponse(address, HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        _cookie_of(attempt.state),
        f"{attempt.secret}.{following if len(following) <= MAX_FOLLOWING else ''}",
        max_age=ATTEMPT_SECONDS,
        path=_login_path(request),
        httponly=True,
        samesite="lax",  # the provider's answer comes from another site
        secure=request.url.scheme == "https",
    )
    return answer


@dataclass(frozen=True, slots=True)
class ProviderAnswer:
    """Query of the provider's answer, with the attempt of this browser that it is of.

    Attributes
    ----------
    following : str
        Address of the page that follows the login.
    """

    request: Request
    attempt: LoginAttempt
    following: str
    code: str
    error: str
    issuer: str | None

    def refused(self, failed: str, status: HTTPStatus) -> RefusedFormError:
        """Return the error that shows the login with the reason; the attempt is over."""
        page = ask(self.request, following=self.following, failed=failed, status=status)
        return RefusedFormError(self.end(page))

    def end(self, answer: Response) -> Response:
        """Delete the attempt's cookie, so that the same answer of the provider cannot come twice."""
        path = _login_path(self.request)
        answer.delete_cookie(_cookie_of(self.attempt.state), path=path, httponly=True, samesite="lax")
        return answer


async def provider_answer(
    request: Request,
    _login: OpenIdLoginDep,
    *,
    state: str = "",
    code: str = "",
    error: str = "",
    iss: str | None = None,
) -> ProviderAnswer:
    """Return the provider's answer.

    Raises
    ------
    RefusedFormError
        It is of no attempt of this browser.
    """
    secret, _, following = request.cookies.get(_cookie_of(state), "").partition(".")
    attempt = LoginAttempt(secret)
    if not secret or not hmac.compare_digest(attempt.state.encode(), state.encode("utf-8", "replace")):
        raise RefusedFormError(ask(request, failed="login_not_begun", status=HTTPStatus.BAD_REQUEST))
    return ProviderAnswer(request, attempt, unquote(following), code, error, iss)


ProviderAnswerDep = Annotated[ProviderAnswer, Depends(provider_answer)]


async def redeemed(login: OpenIdLoginDep, answer: ProviderAnswerDep, now: NowDep) -> ProviderLogin:
    """Return the login that the provider's answer stands for.

    Raises
    ------
    RefusedFormError, TooManyRequestsError
    """
    if answer.error == "access_denied":
        raise answer.refused("login_denied", HTTPStatus.FORBIDDEN)
    if answer.error:
        openid_login.log.warning("the provider refuses a login", error=answer.error[:100])
        raise answer.refused("provider_refused", HTTPStatus.BAD_GATEWAY)
    try:
        return await login.redeem(answer.attempt, answer.code, answer.issuer, now=now)
    except NotAuthenticatedError as fault:
        answer.request.app.state.failure_limit.record(address_of(answer.request.scope), now=now)
        raise answer.refused("login_invalid", HTTPStatus.UNAUTHORIZED) from fault
    except ProviderError as fault:
        raise answer.refused("provider_away", HTTPStatus.SERVICE_UNAVAILABLE) from fault


@router.get("/login/openid/callback")
def finish(
    request: Request,
    answer: ProviderAnswerDep,
    login: Annotated[ProviderLogin, Depends(redeemed)],
    session: SessionDep,
    now: NowDep,
) -> Response:
    """Open a session for the login, for the first of its organisations that is one of this service."""
    keys = organisations.keys_of(session, login.organisations)
    if not keys:
        raise answer.refused("login_without_organisation", HTTPStatus.FORBIDDEN)
    scopes = effective_scopes(login.scopes)
    if not scopes:
        raise answer.refused("login_without_scope", HTTPStatus.FORBIDDEN)
    name, organisation_key = next(iter(keys.items()))
    caller = Caller(organisation_key, name, f"{OIDC_ACTOR}{login.subject}", scopes)
    count_request(request, caller)
    token = console_sessions.open_by_provider(session, login, keys, now=now)
    return answer.end(logged_in(request, session, caller, token, following=answer.following, now=now))


def _cookie_of(state: str) -> str:
    """Return the name of an attempt's cookie; each has its own, so that two tabs do not disturb each other."""
    return f"xuelu_login_{state[:12]}"


def _login_path(request: Request) -> str:
    return f"{cookie_path(request)}/login"
