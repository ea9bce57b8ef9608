"""Statement and about resources of xAPI (Communication, 2.1 and 2.8); the other resources of an LRS are not offered."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request, Response

from api.auth.auth import Caller, EventWriter
from api.dependencies import ClockDep, NowDep, SessionDep, SettingsDep, known_parameters_only
from api.errors import MalformedBodyError
from api.problems import problems
from api.protocol.media_types import JSON
from api.protocol.multipart import MIXED
from api.protocol.route_class import Route
from api.schemas.lists import About, StatementResult
from api.xapi.bodies import HASH_HEADER, StatementBody, StatementBodyDep, with_attachments
from api.xapi.middleware import (
    CONSISTENT_HEADER,
    PREFIX,
    STATEMENTS,
    VERSION_1,
    VERSION_2,
    VERSION_PARAMETER,
    XapiVersion,
    require_version,
)
from api.xapi.queries import MAX_PAGE, StatementQuery, languages
from features.xapi.batches import batch_fault
from features.xapi.shapes import DEFAULT_VERSION, canonical, ids_only
from features.xapi.validation.formats import UUID
from infra.errors import NotFoundError
from infra.lrs import attachments, search
from infra.lrs import store as lrs

KEYS: Final = "urn:xuelu:keys"
"""Home page of the accounts of authorities: API keys."""
NOT_OFFERED: Final = ("activities/state", "activities/profile", "agents/profile")
LOOKED_UP_ONLY: Final = ("activities", "agents")
"""Resources not offered either, for which xAPI has only GET."""
STATEMENT: Final[dict[str, Any]] = {
    "actor": {"account": {"homePage": "https://hr.example.org", "name": "m0001"}},
    "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"},
    "object": {"id": "https://lms.example.org/items/knots"},
    "timestamp": "2026-03-01T08:30:00Z",
}
NOTE: Final = "A note."
ATTACHMENT: Final[dict[str, Any]] = {
    "usageType": "https://lms.example.org/usages/note",
    "display": {"en": "Note"},
    "contentType": "text/plain",
    "length": len(NOTE),
    "sha2": sha256(NOTE.encode()).hexdigest(),
}
STATEMENT_BODY: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A statement of xAPI 1.0.3 or 2.0.0.",
    "examples": [STATEMENT],
}

router = APIRouter(route_class=Route, prefix=PREFIX, tags=["xAPI"])
version_required = [Depends(require_version)]
checked_request = [*version_required, Depends(known_parameters_only)]


def _body(schema: dict[str, Any], mixed: str) -> dict[str, Any]:
    """Return the OpenAPI description of a body: JSON, or multipart with an example."""
    text = {"type": "string", "format": "binary", "description": "The statements as JSON, then their attachments."}
    content = {JSON: {"schema": schema}, f"{MIXED}; boundary=edge": {"schema": text, "example": mixed}}
    return {"parameters": [VERSION_PARAMETER], "requestBody": {"required": True, "content": content}}


def _mixed(statement: dict[str, Any], *attached: str) -> str:
    parts = [f"Content-Type: {JSON}\r\n\r\n{orjson.dumps(statement).decode()}", *attached]
    return "".join(f"--edge\r\n{part}\r\n" for part in parts) + "--edge--\r\n"


_NOTE_PART: Final = "\r\n".join(
    ("Content-Type: text/plain", "Content-Transfer-Encoding: binary", f"{HASH_HEADER}: {ATTACHMENT['sha2']}", "", NOTE)
)


@router.post(
    "/statements",
    response_model=list[str],
    responses={**problems(400, 409, 413), 204: {"description": "All of them are stored already"}},
    openapi_extra=_body(
        {"oneOf": [STATEMENT_BODY, {"type": "array", "items": STATEMENT_BODY}], "examples": [[STATEMENT]]},
        _mixed(STATEMENT | {"attachments": [ATTACHMENT]}, _NOTE_PART),
    ),
    dependencies=checked_request,
)
def post_statements(
    sent: StatementBodyDep,
    session: SessionDep,
    settings: SettingsDep,
    caller: EventWriter,
    clock: ClockDep,
    version: XapiVersion,
) -> Response:
    """Store one statement or an array of them, all or none, and return their ids; 204 where all are stored already."""
    batch = sent.statements if isinstance(sent.statements, list) else [sent.statements]
    result = _store(StatementBody(batch, sent.contents), session, settings, caller, clock, version)
    if batch and not result.new:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    return Response(orjson.dumps(result.ids), media_type=JSON)


@router.put(
    "/statements",
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems(400, 409, 413),
    openapi_extra=_body(STATEMENT_BODY, _mixed(STATEMENT)),
    dependencies=checked_request,
)
def put_statement(
    sent: StatementBodyDep,
    session: SessionDep,
    settings: SettingsDep,
    caller: EventWriter,
    clock: ClockDep,
    version: XapiVersion,
    statement_id: Annotated[
        str,
        Query(
            alias="statementId",
            pattern=f"^{UUID.pattern}$",
            description="Id of the statement, a UUID.",
            examples=["6690e6c9-3ef0-4ed3-8b37-7f3964730bee"],
        ),
    ],
) -> None:
    """Store one statement under an id."""
    statement = sent.statements
    if isinstance(statement, dict):
        own_id = statement.setdefault("id", statement_id)
        if not isinstance(own_id, str) or own_id.lower() != statement_id.lower():
            raise MalformedBodyError(f"the id in the statement is not the statementId {statement_id}; send one of them")
    _store(StatementBody([statement], sent.contents), session, settings, caller, clock, version)


def _store(
    sent: StatementBody,
    session: SessionDep,
    settings: SettingsDep,
    caller: Caller,
    clock: Callable[[], datetime],
    version: str,
) -> lrs.StoreResult:
    fault = batch_fault(sent.statements, sent.contents, version_2=version == VERSION_2)
    if fault is not None:
        raise MalformedBodyError(f"statement {fault.field}: {fault.reason} (it is {fault.value!r}); nothing was taken")
    result = lrs.store(
        session,
        caller.organisation_key,
        sent.statements,
        authority={"objectType": "Agent", "account": {"homePage": KEYS, "name": caller.actor}},
        home_page=settings.xapi_home_page or None,
        clock=clock,
        contents=sent.contents,
        version=version if version == VERSION_2 else DEFAULT_VERSION,
    )
    duplicates = len(result.ids) - result.new
    caller.record(
        session, "statements.write", now=clock(), stored=result.new, duplicates=duplicates, events=result.events
    )
    return result


@router.head("/statements", include_in_schema=False, dependencies=checked_request)
@router.get(
    "/statements",
    response_model=StatementResult | dict[str, Any],
    responses={
        200: {"description": "A page of statements, or one of them", "content": {"multipart/mixed": {}}},
        **problems(400, 404),
    },
    openapi_extra={"parameters": [VERSION_PARAMETER]},
    dependencies=checked_request,
)
def get_statements(
    query: Annotated[StatementQuery, Query()],
    request: Request,
    session: SessionDep,
    caller: EventWriter,
    now: NowDep,
    accept_language: Annotated[str | None, Header(description="Languages for the format `canonical`.")] = None,
) -> Response:
    """Return one statement by its id, or those that match, newest first, in pages."""
    query, after = query.page()
    organisation_key = caller.organisation_key
    headers = {CONSISTENT_HEADER: lrs.format_timestamp(lrs.consistent_through(session, organisation_key, now=now))}
    multipart = query.attachments == "true"
    wanted = query.statement_id or query.voided_statement_id
    if wanted is not None:
        voided = query.statement_id is None
        stored_at, statement = search.get(session, organisation_key, wanted, voided=voided)
        headers["Last-Modified"] = format_datetime(stored_at.astimezone(UTC), usegmt=True)
        page, moments = [statement], [stored_at]
        answer: Any = _shaped(statement, query, accept_language)
    else:
        limit = min(query.limit or MAX_PAGE, MAX_PAGE)
        page, last = search.find(session, organisation_key, query.filter(after), limit=limit)
        moments = [lrs.stored_at_of(statement) for statement in page]
        # Others may have stored statements since: a reader of one sees all that were stored before it.
        headers[CONSISTENT_HEADER] = max(
            [headers[CONSISTENT_HEADER], *map(lrs.format_timestamp, moments[:1] + moments[-1:])]
        )
        if multipart and (room := attachments.count_fitting(session, organisation_key, moments)) < len(page):
            page, moments = page[:room], moments[:room]
            last = moments[-1]
        path = f"{request.scope.get('root_path', '')}{STATEMENTS}"
        more = "" if last is None else f"{path}?more={query.token(last)}"
        answer = {"statements": [_shaped(statement, query, accept_language) for statement in page], "more": more}
    caller.record(session, "statements.read", now=now, statements=len(page))
    content = orjson.dumps(answer)
    if not multipart:
        return Response(content, headers=headers, media_type=JSON)
    contents = attachments.contents(session, organisation_key, moments)
    return with_attachments(content, page, contents, headers)


def _shaped(statement: dict[str, Any], query: StatementQuery, accept_language: str | None) -> dict[str, Any]:
    """Return a statement in the format of a query."""
    match query.format:
        case "ids":
            return ids_only(statement)
        case "canonical":
            return canonical(statement, languages(accept_language))
    return statement


@router.head("/about", include_in_schema=False)
@router.get("/about", dependencies=[Depends(known_parameters_only)], responses=problems(400))
def about() -> About:
    """Return the supported versions of xAPI. Needs no key and no version header."""
    return About(version=["1.0.0", "1.0.1", "1.0.2", VERSION_1, VERSION_2])


def not_offered(request: Request) -> Response:
    """Refuse a resource of an LRS that is not offered.

    Raises
    ------
    NotFoundError
    """
    resource = request.url.path.removeprefix(f"{PREFIX}/")
    raise NotFoundError(
        f"xuelu stores and returns statements and is no full LRS: {resource} is not offered; "
        f"offered are {STATEMENTS} and {PREFIX}/about"
    )


for _resource in NOT_OFFERED:
    router.add_api_route(
        f"/{_resource}",
        not_offered,
        methods=["GET", "HEAD", "PUT", "POST", "DELETE"],
        include_in_schema=False,
        dependencies=version_required,
    )
for _resource in LOOKED_UP_ONLY:
    router.add_api_route(
        f"/{_resource}", not_offered, methods=["GET", "HEAD"], include_in_schema=False, dependencies=version_required
    )
