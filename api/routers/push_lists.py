"""Push lists of members: one Starlette route, as the parsing and checks of FastAPI would cost more than the list.

Routing, middleware, errors, traces and metrics are those of all routes. An operation of FastAPI that is never reached
describes the route in the OpenAPI document, from the same model that its query is checked with.
"""

from collections import defaultdict
from datetime import date
from functools import partial
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import parse_qsl

import orjson
from fastapi import APIRouter, Depends, Path, Query
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as PlainRoute
from starlette.types import Receive, Scope, Send

from api.auth.auth import Caller, ListReader, authenticate
from api.dependencies import AuditBufferDep, check_names, is_list, known_parameters_only
from api.problems import problems
from api.protocol.conditions import tagged
from api.protocol.route_class import EncodedSlashes, Route
from api.routers.lists import NOT_MODIFIED, IfNoneMatch
from api.schemas.lists import PushList, PushListChanges
from api.schemas.queries import DEFAULT_LENGTH, Day, Length, PushListQuery
from infra.db.engine import snapshot, transaction
from infra.explanations import explained_lists, list_changes
from infra.serving import push_lists
from infra.serving.list_json import ListRequest
from infra.serving.online_model import ModelSource

PATH: Final = "/v1/members/{member_id:path}/push-list"
LISTS: Final = frozenset(name for name, field in PushListQuery.model_fields.items() if is_list(field.annotation))
DEFAULT_QUERY: Final = PushListQuery()

router = APIRouter(route_class=Route, tags=["lists"])


@router.get(
    PATH, name="read push list", response_model=PushList, responses=NOT_MODIFIED | problems(400, 401, 403, 404, 503)
)
async def push_list_operation(
    member_id: Annotated[str, Path(description="Id of the member.", examples=["m1"])],
    caller: ListReader,
    query: Annotated[PushListQuery, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return a member's push list from the published run, best first, with a reason for every item."""
    del member_id, caller, query, if_none_match
    return Response(status_code=HTTPStatus.NOT_IMPLEMENTED)


@router.get(
    f"{PATH}/changes",
    name="read changes of push list",
    response_model=PushListChanges,
    dependencies=[Depends(known_parameters_only)],
    responses=problems(400, 401, 403, 404, 503),
)
async def push_list_changes(
    request: Request,
    member_id: Annotated[str, Path(description="Id of the member.", examples=["m1"])],
    caller: ListReader,
    audit_buffer: AuditBufferDep,
    since: Annotated[
        Day,
        Query(
            description="Day in UTC: the list of its night is compared with the one served now.",
            examples=["2026-03-02"],
        ),
    ],
    n: Length = DEFAULT_LENGTH,
) -> Response:
    """Return the items that came onto a member's list, left it or moved more than two places, each with its cause."""
    state = request.app.state
    wanted = ListRequest(n, state.clock())
    work = partial(changes, state.engine, caller.organisation_key, member_id, wanted, since)
    body = await state.online.compute(work)
    audit_buffer.record_read(caller.organisation_key, caller.actor, "lists.read", member_id)
    return Response(body, media_type="application/json")


class PushListEndpoint:
    """ASGI application of the route."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises
        ------
        XueluError, RequestValidationError
        """
        scope["route"] = ROUTE  # as FastAPI does, for metrics and traces
        request = Request(scope, receive)
        state, member_id = scope["app"].state, scope["path_params"]["member_id"]
        caller = await authenticate(scope, request.headers.get("authorization"), "lists:read")
        query = parsed_query(scope["query_string"])
        reasons = query.explain != "false"
        excluded, rules = frozenset(query.exclude), state.list_rules
        wanted = ListRequest(
            query.n, state.clock(), query.language, excluded, reasons, selection=query.selection, rules=rules
        )
        if query.explain == "full":
            work = partial(explained, state.engine, caller.organisation_key, member_id, wanted, query.as_of)
            body = await state.online.compute(work)
        elif query.as_of is None:
            body = await state.lists.push_list(caller.organisation_key, member_id, wanted)
        else:
            body = await run_in_threadpool(archived, state.engine, caller, member_id, query, query.as_of)
        state.audit_buffer.record_read(caller.organisation_key, caller.actor, "lists.read", member_id)
        await tagged(body, request)(scope, receive, send)


class PushListRoute(EncodedSlashes, PlainRoute):
    """The route of push lists."""


ROUTE: Final = PushListRoute(PATH, PushListEndpoint(), methods=["GET"], name="push list", include_in_schema=False)


def archived(engine: Engine, caller: Caller, member_id: str, query: PushListQuery, day: date) -> bytes:
    """Return a member's list of a past run as JSON."""
    with transaction(engine) as session:
        shown = push_lists.archived(
            session, caller.organisation_key, member_id, n=query.n, day=day, language=query.language
        )
    return orjson.dumps(shown, option=orjson.OPT_UTC_Z)


def explained(
    engine: Engine, organisation_key: int, member_id: str, wanted: ListRequest, day: date | None, models: ModelSource
) -> bytes:
    """Return a member's list, of now or of a past run, with the breakdown of every score, as JSON."""
    with snapshot(engine) as session:
        listed = explained_lists.listed(session, models, organisation_key, member_id, wanted, day)
        answer = explained_lists.explained(session, organisation_key, listed, wanted)
    return orjson.dumps(answer, option=orjson.OPT_UTC_Z)


def changes(
    engine: Engine, organisation_key: int, member_id: str, wanted: ListRequest, since: date, models: ModelSource
) -> bytes:
    """Return what changed on a member's list since a day, as JSON."""
    with snapshot(engine) as session:
        answer = list_changes.changes_since(session, models, organisation_key, member_id, wanted, since)
    return orjson.dumps(answer, option=orjson.OPT_UTC_Z)


def parsed_query(query_string: bytes) -> PushListQuery:
    """Return the query parameters.

    >>> query = parsed_query(b"n=5&exclude=a&exclude=b")
    >>> query.n, query.exclude
    (5, ['a', 'b'])

    Raises
    ------
    MalformedRequestError, RequestValidationError
    """
    if not query_string:
        return DEFAULT_QUERY
    values: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in parse_qsl(query_string.decode("latin-1"), keep_blank_values=True):
        values[name].append(value)
    check_names(values, names=PushListQuery.model_fields.keys(), repeatable=LISTS)
    try:
        return PushListQuery.model_validate(
            {name: texts if name in LISTS else texts[0] for name, texts in values.items()}
        )
    except ValidationError as error:
        faults = [{**fault, "loc": ("query", *fault["loc"])} for fault in error.errors(include_url=False)]
        raise RequestValidationError(faults) from error
