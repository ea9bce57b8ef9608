"""Login to the console with an API key, logout, and the style sheet."""

import re
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Query, Request
from starlette.responses import FileResponse, Response

from api.auth.auth import caller_of
from api.console.access import (
    COOKIE,
    FormDep,
    Viewer,
    checked_key,
    cookie_path,
    count_request,
    opens,
    set_cookie,
)
from api.console.frame import console_router, redirected, render
from api.console.words import FOLDER
from api.dependencies import NowDep, SessionDep
from api.errors import NotAuthenticatedError
from infra.access import audit, console_sessions

PAGE: Final = re.compile(r"/console/[!-\[\]-~]{1,2000}")
"""Address of a page in ASCII, without a backslash, which browsers read as a slash."""

router = console_router()


@router.get("/console.css")
async def style_sheet() -> Response:
    """Return the style sheet of all pages."""
    path = FOLDER / "static" / "console.css"
    return FileResponse(path, media_type="text/css", headers={"Cache-Control": "public, max-age=3600"})


@router.get("/login")
def login_page(request: Request, next_: Annotated[str, Query(alias="next")] = "") -> Response:
    """Return the form that asks for a key."""
    return render(request, None, "login.html", failed=False, following=next_)


@router.post("/login")
def log_in(request: Request, session: SessionDep, now: NowDep, form: FormDep) -> Response:
    """Open a session with the key of the form, under a new token whatever cookie came; end the session of that one."""
    try:
        key = checked_key(request, session, form.get("key", "").strip(), now=now)
    except NotAuthenticatedError:
        return render(
            request, None, "login.html", status=HTTPStatus.UNAUTHORIZED, failed=True, following=form.get("next", "")
        )
    count_request(request, caller_of(key))
    console_sessions.close_session(session, request.cookies.get(COOKIE, ""))
    token = console_sessions.open_session(session, key, now=now)
    audit.append(session, key.organisation_key, actor=key.key_id, action="console.log_in", subject=None, now=now)
    # An analyst begins with figures, who may read lists only with a member.
    start = "/console" if "analytics:read" in caller_of(key).scopes else "/console/member"
    answer = redirected(request, form["next"] if is_page(form.get("next", "")) else start)
    set_cookie(request, answer, token)
    return answer


def is_page(address: str) -> bool:
    """Return whether an address is a page of the console, and leads to no other site.

    >>> is_page("/console/items?q=a"), is_page("//evil.example/console/"), is_page("/console/../v1"), is_page("")
    (True, False, False, False)
    """
    return bool(PAGE.fullmatch(address)) and ".." not in address


@router.post("/logout")
def log_out(request: Request, session: SessionDep, _viewer: Annotated[Viewer, opens()]) -> Response:
    """End the session."""
    console_sessions.close_session(session, request.cookies[COOKIE])
    answer = redirected(request, "/console/login")
    answer.delete_cookie(COOKIE, path=cookie_path(request), httponly=True, samesite="lax")
    return answer
