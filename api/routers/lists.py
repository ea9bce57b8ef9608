"""Push lists and similar items."""

import hashlib
from datetime import date
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import State

from api.auth.auth import Caller, ListReader
from api.dependencies import NowDep, SessionDep, known_parameters_only
from api.errors import PROBLEM_JSON
from api.protocol.route_class import Route
from api.schemas.lists import Problem, PushList, SimilarItems
from infra.db.engine import transaction
from infra.serving import push_lists
from infra.serving.list_json import LONGEST, Asked

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": description, "content": {PROBLEM_JSON: {"schema": Problem.model_json_schema()}}}
    for status, description in (
        (400, "A parameter is unknown or out of range"),
        (401, "There is no key, or one that opens nothing"),
        (403, "The key is not for this"),
        (404, "There is no such member or item"),
        (503, "No run has been published yet, or the database is away"),
        ("default", "Any other fault"),  # without it FastAPI announces a 422 that never comes
    )
}

router = APIRouter(route_class=Route, prefix="/v1", dependencies=[Depends(known_parameters_only)], responses=PROBLEMS)

Length = Annotated[int, Query(ge=1, le=LONGEST, description="Most items to return.")]
Language = Annotated[str | None, Query(max_length=35, description="Language of the reasons; by default the member's.")]
Exclude = Annotated[
    list[str] | None,
    Query(max_length=100, description="Ids of items that should not be on the list; may be given several times."),
]
Explain = Annotated[bool, Query(description="Whether every item comes with its reason.")]
IfNoneMatch = Annotated[
    str | None, Header(description="The `ETag` of the list that the app has: an unchanged one is answered with 304.")
]
AsOf = Annotated[
    date | None, Query(description="Day in UTC: the list of its night, as it was shown then; by default today's.")
]
DEFAULT_LENGTH = 10
CACHING = "private, no-cache"
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "The list is the one that the app has"}}


async def read(state: State, caller: Caller, member_id: str, asked: Asked) -> bytes:
    """Return a member's list, and note that it was read."""
    body: bytes = await state.lists.shown(caller.organisation_key, member_id, asked)
    state.audit_buffer.record_read(caller.organisation_key, caller.actor, "lists.read", member_id)
    return body


def archived(request: Request, caller: Caller, member_id: str, *, n: int, day: date, language: str | None) -> Response:
    """Return a member's list of a past night, and note that it was read."""
    with transaction(request.app.state.engine) as session:
        made = push_lists.archived(session, caller.organisation_key, member_id, n=n, day=day, language=language)
    request.app.state.audit_buffer.record_read(caller.organisation_key, caller.actor, "lists.read", member_id)
    return tagged(orjson.dumps(made, option=orjson.OPT_UTC_Z), request.headers.get("if-none-match"))


@router.get("/members/{member_id:path}/push-list", response_model=PushList, responses=NOT_MODIFIED)
async def read_push_list(  # noqa: PLR0913, PLR0917 - parameters of the query
    request: Request,
    member_id: Annotated[str, Path(description="Id of the member.", examples=["m1"])],
    caller: ListReader,
    n: Length = DEFAULT_LENGTH,
    exclude: Exclude = None,
    language: Language = None,
    explain: Explain = True,  # noqa: FBT002 - a query parameter
    if_none_match: IfNoneMatch = None,
    as_of: AsOf = None,
) -> Response:
    """Return a member's push list from the published run, best first, with a reason for every item."""
    if as_of is not None:
        return await run_in_threadpool(archived, request, caller, member_id, n=n, day=as_of, language=language)
    asked = Asked(n, request.app.state.clock(), language, frozenset(exclude or ()), explain)
    return tagged(await read(request.app.state, caller, member_id, asked), if_none_match)


@router.get("/items/{item_id:path}/similar", response_model=SimilarItems, responses=NOT_MODIFIED)
def read_similar(
    item_id: Annotated[str, Path(description="Id of the item.", examples=["knots"])],
    session: SessionDep,
    caller: ListReader,
    now: NowDep,
    n: Length = DEFAULT_LENGTH,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the items most like this one: studied by the same members, else about the same."""
    found = push_lists.similar(session, caller.organisation_key, item_id, n=n, now=now)
    return tagged(orjson.dumps(found, option=orjson.OPT_UTC_Z), if_none_match)


def tagged(body: bytes, if_none_match: str | None) -> Response:
    """Return JSON with its strong ETag (RFC 9110, 8.8.3), or 304 where the client has it."""
    tag = tag_of(body)
    headers = {"ETag": tag, "Cache-Control": CACHING}
    if if_none_match and (if_none_match.strip() == "*" or tag in _tags(if_none_match)):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def tag_of(body: bytes) -> str:
    """Return the strong entity tag of a body."""
    # No secret hangs on it, and it takes half the time of SHA-256.
    return f'"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"'


def _tags(if_none_match: str) -> list[str]:
    # If-None-Match compares weakly: W/ plays no part.
    return [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
