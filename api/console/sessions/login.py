"""Login to the console with an API key, logout, the session's cookie, and the style sheet."""

import re
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, Query, Request
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.responses import Response

from api.auth.auth import Caller, caller_of, effective_scopes
from api.auth.openid_login import OpenIdLogin
from api.console.access import (
    COOKIE,
    FormDep,
    Viewer,
    checked_key,
    cookie_path,
    count_request,
    csrf_token_of,
    identity_of,
    opens,
    set_cookie,
)
from api.console.frame import console_router, redirected, render
from api.console.words import FOLDER
from api.dependencies import NowDep, SessionDep
from api.errors import MalformedRequestError, NotAuthenticatedError
from api.protocol.conditions import tagged
from infra.access import console_sessions

STYLE_SHEET: Final = (FOLDER / "static" / "console.css").read_bytes()
PAGE: Final = re.compile(r"/console/[!-\[\]-~]{1,2000}")
"""Address of a page in ASCII, without a backslash, which browsers read as a slash."""

router = console_router()


class UnsentForm(BaseModel):
    """Form of a session that has ended: it goes through the login as JSON, and is sent when its sender says so."""

    path: str
    fields: Mapping[str, str]


def login_by_provider(request: Request) -> OpenIdLogin:
    """Return the login by the OpenID provider."""
    login: OpenIdLogin = request.app.state.openid_login
    return login


@router.get("/console.css")
async def style_sheet(request: Request) -> Response:
    """Return the style sheet of all pages."""
    return tagged(STYLE_SHEET, request, "text/css", {"Cache-Control": "public, max-age=3600"})


@router.get("/login")
def login_page(
    request: Request,
    session: SessionDep,
    now: NowDep,
    *,
    next_: Annotated[str, Query(alias="next")] = "",
    other: bool = False,
) -> Response:
    """Return the form that asks for a key, with a link to the OpenID provider where there is one.

    A browser with a session goes on to its page, unless it asks for another login (``other``).
    """
    identity = None if other else identity_of(request, session, now=now)
    if identity is not None:
        return redirected(request, first_page(effective_scopes(identity.scopes), following=next_))
    return ask(request, following=next_)


def ask(
    request: Request, *, following: str = "", failed: str = "", unsent: str = "", status: HTTPStatus = HTTPStatus.OK
) -> Response:
    """Return the page of the login.

    Parameters
    ----------
    following : str
        Address of the page that follows the login.
    failed : str
        Key of the text that says why a login failed.
    unsent : str
        JSON of the :class:`UnsentForm` that follows the login.
    """
    values = {"failed": failed, "following": following, "unsent": unsent}
    return render(request, None, "login.html", status=status, by_provider=login_by_provider(request).enabled, **values)


def ask_to_send(request: Request, session_token: str, unsent: str, *, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Return the page that shows an unsent form, and sends it with the token of a session.

    Raises
    ------
    MalformedRequestError
    """
    try:
        form = UnsentForm.model_validate_json(unsent)
    except ValueError as error:
        raise MalformedRequestError("what was to be sent after the login is no form of the console") from error
    if not is_page(form.path):
        raise MalformedRequestError(f"{form.path[:100]!r} is no page of the console")
    return render(request, None, "send_form.html", status=status, form=form, csrf_token=csrf_token_of(session_token))


@router.post("/login")
def log_in(request: Request, session: SessionDep, now: NowDep, form: FormDep) -> Response:
    """Open a session with the key of the form, under a new token whatever cookie came; end the session of that one."""
    following, unsent = form.get("next", ""), form.get("unsent", "")
    if "logged_in" in form and identity_of(request, session, now=now):
        return ask_to_send(request, request.cookies[COOKIE], unsent)
    try:
        key = checked_key(request, session, form.get("key", "").strip(), now=now)
    except NotAuthenticatedError:
        status = HTTPStatus.UNAUTHORIZED
        return ask(request, following=following, failed="login_failed", unsent=unsent, status=status)
    count_request(request, caller_of(key))
    token = console_sessions.open_session(session, key, now=now)
    return logged_in(request, session, caller_of(key), token, following=following, unsent=unsent, now=now)


def logged_in(
    request: Request, session: Session, caller: Caller, token: str, *, following: str, unsent: str = "", now: datetime
) -> Response:
    """Return the answer that gives the browser its new session; end the session that the browser had, if any."""
    console_sessions.close_session(session, request.cookies.get(COOKIE, ""))
    caller.record(session, "console.log_in", now=now)
    if unsent:
        answer = ask_to_send(request, token, unsent)
    else:
        answer = redirected(request, first_page(caller.scopes, following=following))
    set_cookie(request, answer, token)
    return answer


def first_page(scopes: frozenset[str], *, following: str) -> str:
    """Return the address that follows a login: the requested page, the overview, or the lists without its scope.

    >>> first_page(frozenset({"lists:read"}), following=""), first_page(frozenset(), following="/console/keys")
    ('/console/member', '/console/keys')
    """
    start = "/console" if "analytics:read" in scopes else "/console/member"
    # The login itself would lead back here without end.
    return following if is_page(following) and not following.startswith("/console/login") else start


def is_page(address: str) -> bool:
    """Return whether an address is a page of the console, and leads to no other site.

    >>> is_page("/console/items?q=a"), is_page("//evil.example/console/"), is_page("/console/../v1"), is_page("")
    (True, False, False, False)
    """
    return bool(PAGE.fullmatch(address)) and ".." not in address


async def end_session_endpoint(request: Request) -> str | None:
    """Return the address at which the OpenID provider ends its sessions; asked for before the transaction begins."""
    return await login_by_provider(request).end_session_endpoint()


@router.post("/logout")
def log_out(
    request: Request,
    endpoint: Annotated[str | None, Depends(end_session_endpoint)],
    session: SessionDep,
    _viewer: Annotated[Viewer, opens()],
) -> Response:
    """End the session; where the OpenID provider opened it, lead the browser there to end its own.

    No redirect leads there: browsers hold one that answers a form to ``form-action`` of our policy.
    """
    id_token = console_sessions.close_session(session, request.cookies[COOKIE])
    if id_token and endpoint:
        address = login_by_provider(request).logout_address(endpoint, id_token)
        answer: Response = render(request, None, "logged_out.html", address=address)
        answer.headers["Refresh"] = f"0; url={address}"
    else:
        answer = redirected(request, "/console/login")
    answer.delete_cookie(COOKIE, path=cookie_path(request), httponly=True, samesite="lax")
    return answer
