"""Errors below ``/console`` as pages, in the language of the browser; who has no session is sent to the login.

A form of a session that has ended goes along, to be sent after it.
"""

from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.console.access import COOKIE
from api.console.frame import redirected, render
from api.console.sessions.login import UnsentForm, ask, ask_to_send
from api.console.words import texts
from api.dependencies import READING
from api.errors import ForbiddenError, NotAuthenticatedError, ProblemResponse, route_path

PREFIX: Final = "/console"
CARRIED: Final = ("allow", "retry-after")
"""Headers of a problem that its page has too."""


def present(request: Request, error: Exception, problem: ProblemResponse) -> Response:
    """Return the page of a problem of the console, of any other path the problem itself."""
    path = route_path(request.scope)
    if path != PREFIX and not path.startswith(f"{PREFIX}/"):
        return problem
    status = HTTPStatus(problem.status_code)
    if isinstance(error, NotAuthenticatedError | ForbiddenError) and error.fields:
        unsent = UnsentForm(path=path, fields=error.fields).model_dump_json()
        if isinstance(error, NotAuthenticatedError):
            return ask(request, unsent=unsent, status=status)
        return ask_to_send(request, request.cookies[COOKIE], unsent, status=status)
    if isinstance(error, NotAuthenticatedError):
        return redirected(request, login_address(request, path))
    key = f"error_{int(status)}"
    answer = render(
        request,
        None,
        "error.html",
        status=status,
        key=key if key in texts() else "error_other",
        code=int(status),
        message=None if isinstance(error, HTTPException) else _message(error, problem),
    )
    answer.headers.update({name: value for name, value in problem.headers.items() if name in CARRIED})
    return answer


def login_address(request: Request, path: str) -> str:
    """Return the address of the login, with the page that was asked for, which follows it."""
    if request.method not in READING or path == PREFIX:
        return "/console/login"
    query = request.url.query
    return "/console/login?" + urlencode({"next": f"{path}?{query}" if query else path})


def _message(error: Exception, problem: ProblemResponse) -> str:
    """Return the sentence of an error; the page has no use for what the library says of a parameter."""
    if isinstance(error, RequestValidationError):
        return "the address has a value that the page does not take"
    return problem.detail
