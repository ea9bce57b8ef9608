"""Errors as answers: the one table from error to status, as problem details (RFC 9457).

::

    XueluError (content_catalog/errors.py)
    └── OutsideError (infra/errors.py)
        ├── UnsupportedBodyError     the route does not read the Content-Type of a body
        ├── PreconditionFailedError  the record is not in the state that the request expects
        ├── NotAuthenticatedError    the request carries no key, or one that does not open anything
        ├── ProviderError            the keys that verify tokens cannot be fetched
        ├── ForbiddenError           the key is good, but not for this
        ├── BodyTooLargeError        the body is larger than `max_body_bytes`, or has too many values
        ├── BodyTooSlowError         the body takes longer to arrive than `request_timeout_seconds`
        ├── TooManyRequestsError     the key asks more often than `rate_limit_per_minute`
        ├── MalformedRequestError    the request line, a header, a parameter or a cursor is not what is allowed
        └── MalformedBodyError       the body is not what the route takes
    RefusedFormError                 a form of the console is refused; it carries the page that says why

An error below ``/console`` is answered with a page, which the console makes of its problem.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from content_catalog.errors import FileUnreadableError, PrerequisiteCycleError, XueluError
from infra.errors import (
    AddressError,
    BatchTooSlowError,
    DatabaseError,
    DeliveryError,
    EndpointError,
    EventConflictError,
    EventsRefusedError,
    ImportRefusedError,
    InUseError,
    InvalidRecordError,
    NoPublishedRunError,
    NotFoundError,
    OutsideError,
    RunStateError,
    StatementConflictError,
    UnknownOrganisationError,
)

log = structlog.get_logger("xuelu.service")
PROBLEM_JSON = "application/problem+json"
DISCONNECTED: Final = "the client closed the connection before the body was whole"
UNFORESEEN: Final = "an unforeseen error; the service's log has it"


class UnsupportedBodyError(OutsideError):
    """A route does not read the Content-Type of a body."""


class PreconditionFailedError(OutsideError):
    """The record is not in the state that the request expects."""


class NotAuthenticatedError(OutsideError):
    """The request carries no key, or one that does not open anything; ``fields``, of a form whose session ended."""

    fields: Mapping[str, str] | None = None


class ProviderError(OutsideError):
    """The keys of the OpenID provider, which verify tokens, cannot be fetched."""


class ForbiddenError(OutsideError):
    """The key is good, but not for this; ``fields``, of a form of another session."""

    fields: Mapping[str, str] | None = None


class BodyTooLargeError(OutsideError):
    """The body is larger than the service takes."""


class BodyTooSlowError(OutsideError):
    """The body takes longer to arrive than the service waits."""


class TooManyRequestsError(OutsideError):
    """The key asks more often than it may; ``seconds`` tells when it may ask again."""

    def __init__(self, message: str, *, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class MalformedRequestError(OutsideError):
    """The request line or a header is not what HTTP allows, or a parameter none that the route has."""


class MalformedBodyError(OutsideError):
    """The body is not what the route takes."""


class RefusedFormError(Exception):
    """A form is refused; its page is raised, and not returned, so that nothing of the request is committed."""

    def __init__(self, page: Response) -> None:
        super().__init__(f"the form was refused with {page.status_code}")
        self.page = page


STATUS: dict[type[Exception], HTTPStatus] = {
    UnsupportedBodyError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    PreconditionFailedError: HTTPStatus.PRECONDITION_FAILED,
    NotAuthenticatedError: HTTPStatus.UNAUTHORIZED,
    ProviderError: HTTPStatus.SERVICE_UNAVAILABLE,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    BodyTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    BatchTooSlowError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    BodyTooSlowError: HTTPStatus.REQUEST_TIMEOUT,
    TooManyRequestsError: HTTPStatus.TOO_MANY_REQUESTS,
    MalformedBodyError: HTTPStatus.BAD_REQUEST,
    MalformedRequestError: HTTPStatus.BAD_REQUEST,
    NoPublishedRunError: HTTPStatus.SERVICE_UNAVAILABLE,
    RunStateError: HTTPStatus.CONFLICT,
    UnknownOrganisationError: HTTPStatus.SERVICE_UNAVAILABLE,
    NotFoundError: HTTPStatus.NOT_FOUND,
    EventConflictError: HTTPStatus.CONFLICT,
    EventsRefusedError: HTTPStatus.BAD_REQUEST,
    StatementConflictError: HTTPStatus.CONFLICT,
    InUseError: HTTPStatus.CONFLICT,
    PrerequisiteCycleError: HTTPStatus.CONFLICT,
    FileUnreadableError: HTTPStatus.BAD_REQUEST,
    ImportRefusedError: HTTPStatus.BAD_REQUEST,
    InvalidRecordError: HTTPStatus.BAD_REQUEST,
    AddressError: HTTPStatus.BAD_REQUEST,
    EndpointError: HTTPStatus.CONFLICT,
    DeliveryError: HTTPStatus.CONFLICT,
    DatabaseError: HTTPStatus.SERVICE_UNAVAILABLE,
    XueluError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The first entry that an error is an instance of decides."""

WITH_FAULTS = (EventsRefusedError, InvalidRecordError, ImportRefusedError)
"""Errors that list their faults one by one."""


HEADERS: dict[HTTPStatus, dict[str, str]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": 'Bearer realm="xuelu"'},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "5"},
}
"""Response headers by status: the authentication scheme, seconds until a retry."""


class ProblemResponse(JSONResponse):
    """Problem details as an answer.

    Attributes
    ----------
    detail : str
        The sentence for a person.
    """

    media_type = PROBLEM_JSON

    def __init__(self, status: HTTPStatus, detail: str, **more: Any) -> None:
        content = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail, **more}
        super().__init__(content, status_code=int(status), headers=HEADERS.get(status))
        self.detail = detail


Presentation = Callable[[Request, Exception, ProblemResponse], Response]
"""Function that returns the answer to an error in the form that its client reads: the problem itself, or a page."""


def install(app: FastAPI, present: Presentation) -> None:
    """Answer every error of the app as problem details, in the form that a function gives them."""
    kinds: dict[type[Exception], Callable[[Request, Exception], ProblemResponse]] = {
        XueluError: lambda _request, error: answer_to(error),
        RequestValidationError: _of_request,
        HTTPException: _of_http,
        # Only metrics and the log see this answer: the client has gone.
        ClientDisconnect: lambda *_: ProblemResponse(HTTPStatus.BAD_REQUEST, DISCONNECTED),
        Exception: lambda *_: ProblemResponse(HTTPStatus.INTERNAL_SERVER_ERROR, UNFORESEEN),
    }
    app.add_exception_handler(RefusedFormError, _of_refused_form)
    for kind, problem_of in kinds.items():
        app.add_exception_handler(kind, _handler(problem_of, present))


def _handler(
    problem_of: Callable[[Request, Exception], ProblemResponse], present: Presentation
) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answering(request: Request, error: Exception) -> Response:
        return present(request, error, problem_of(request, error))

    return answering


def status_of(error: Exception) -> HTTPStatus:
    """Return the status of the answer to an error of xuelu."""
    return next(status for kind, status in STATUS.items() if isinstance(error, kind))


def answer_to(error: Exception) -> ProblemResponse:
    """Return the answer to an error of xuelu."""
    more = {"errors": list(error.errors)} if isinstance(error, WITH_FAULTS) and error.errors else {}
    detail = str(error)
    if isinstance(error, DatabaseError):
        log.warning("database", error=detail)
        detail = error.detail
    answer = ProblemResponse(status_of(error), detail, **more)
    if isinstance(error, TooManyRequestsError):
        answer.headers["Retry-After"] = str(error.seconds)
    return answer


async def _of_refused_form(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RefusedFormError):
        raise error
    return error.page


def _of_request(_request: Request, error: Exception) -> ProblemResponse:
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    parameters = [
        {"parameter": ".".join(map(str, fault["loc"][1:])), "reason": fault["msg"].removeprefix("Value error, ")}
        for fault in faults
    ]
    detail = "; ".join(f"{fault['parameter']}: {fault['reason']}".removeprefix(": ") for fault in parameters)
    return ProblemResponse(HTTPStatus.BAD_REQUEST, detail, errors=parameters)


def _of_http(request: Request, error: Exception) -> ProblemResponse:
    status = HTTPStatus(error.status_code) if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    # FastAPI itself raises 400 where it cannot parse a body as JSON: one that is nested too deeply, above all.
    unread = "the body cannot be read as JSON; check it, and that it is not nested too deeply"
    description = f"{request.scope.get('root_path', '')}/openapi.json"
    detail = unread if status == HTTPStatus.BAD_REQUEST else f"{status.phrase}; the routes are listed at {description}"
    answer = ProblemResponse(status, detail)
    answer.headers.update(getattr(error, "headers", None) or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = ", ".join(sorted(allowed_methods(request)))
    return answer


def route_path(scope: Scope) -> str:
    """Return the path of a request without the prefix under which a proxy serves us."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def allowed_methods(request: Request) -> set[str]:
    """Return the methods of all routes whose path is that of a request."""
    path = route_path(request.scope)
    if is_below_record(request):
        return {"GET", "HEAD"}
    routes = [route for route in request.app.state.routes if getattr(route, "methods", None)]
    methods = {method for route in routes if route.path_regex.match(path) for method in route.methods}
    return methods | {"HEAD"} if "GET" in methods else methods


BELOW: Final = re.compile(
    rb"/v1/(?:members|items)/.+/(?:push-list|push-list/changes|rows|similar|export|waivers|saved|interests)"
)
"""Paths below a member or an item; an id that ends so is written with its slash encoded, as %2F."""


def is_below_record(request: Request) -> bool:
    """Return whether the path of a request is one below a member or an item."""
    prefix = request.scope.get("root_path", "").encode()
    return bool(BELOW.fullmatch(request.scope["raw_path"].removeprefix(prefix)))
