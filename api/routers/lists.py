"""Push lists and similar items."""

import hashlib
import re
from collections.abc import Callable, Coroutine
from datetime import date
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from api.auth import REQUIRED, Caller, ListReader
from api.deps import NowDep, SessionDep, known_parameters_only
from api.errors import PROBLEM_JSON
from api.schemas import Problem, PushList, SimilarItems
from infra import push_lists
from infra.db import transaction
from infra.rendering import Asked

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

router = APIRouter(prefix="/v1", dependencies=[Depends(known_parameters_only)], responses=PROBLEMS)

Length = Annotated[int, Query(ge=1, le=100, description="Most items to return.")]
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
PLAIN_LENGTH, PLAIN_LANGUAGE = re.compile("[1-9][0-9]?|100"), re.compile("[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}")
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "The list is the one that the app has"}}


class StraightRoute(APIRoute):
    """A route that answers plain requests past FastAPI's general parsing, which costs more than finding the list.

    Whatever is not plain, or not right, goes the general way, so every fault is told there.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler."""
        general = super().get_route_handler()

        async def handle(request: Request) -> Response:
            plain = plain_query(request.scope["query_string"])
            if plain is None:
                return await general(request)
            caller = await REQUIRED["lists:read"](request)
            asked = Asked(**plain, now=request.app.state.clock())
            return await answer(request, caller, request.path_params["member_id"], asked)

        return handle


def plain_query(query: bytes) -> dict[str, Any] | None:
    """Return what a query asks for where it is plain: no escapes, nothing twice, nothing unknown or out of range.

    >>> plain_query(b"n=5&language=en"), plain_query(b"n=500"), plain_query(b"exclude=i%2F1")
    ({'n': 5, 'language': 'en'}, None, None)
    """
    found: dict[str, Any] = {"n": DEFAULT_LENGTH}
    for part in query.decode("latin-1").split("&") if query else ():
        name, _, value = part.partition("=")
        if name == "n" and PLAIN_LENGTH.fullmatch(value) and "n=" not in found:
            found["n"], found["n="] = int(value), True
        elif name == "language" and PLAIN_LANGUAGE.fullmatch(value) and "language" not in found:
            found["language"] = value
        else:
            return None
    found.pop("n=", None)
    return found


async def answer(request: Request, caller: Caller, member_id: str, asked: Asked) -> Response:
    """Return a member's list, and note that it was read."""
    state = request.app.state
    body = await state.lists.shown(caller.organisation_key, member_id, asked)
    state.readings.note(caller.organisation_key, caller.actor, "lists.read", member_id)
    return tagged(body, request.headers.get("if-none-match"))


def archived(request: Request, caller: Caller, member_id: str, *, n: int, day: date, language: str | None) -> Response:
    """Return a member's list of a past night, and note that it was read."""
    with transaction(request.app.state.engine) as session:
        made = push_lists.archived(session, caller.organisation_key, member_id, n=n, day=day, language=language)
    request.app.state.readings.note(caller.organisation_key, caller.actor, "lists.read", member_id)
    return tagged(orjson.dumps(made, option=orjson.OPT_UTC_Z), request.headers.get("if-none-match"))


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
    del if_none_match  # named for the description; read where the answer is made
    if as_of is not None:
        return await run_in_threadpool(archived, request, caller, member_id, n=n, day=as_of, language=language)
    asked = Asked(n, request.app.state.clock(), language, frozenset(exclude or ()), explain)
    return await answer(request, caller, member_id, asked)


router.add_api_route(
    "/members/{member_id:path}/push-list",
    read_push_list,
    methods=["GET"],
    response_model=PushList,
    responses=NOT_MODIFIED,
    route_class_override=StraightRoute,
)


@router.get("/items/{item_id:path}/similar")
def read_similar(
    item_id: Annotated[str, Path(description="Id of the item.", examples=["knots"])],
    session: SessionDep,
    caller: ListReader,
    now: NowDep,
    n: Length = 10,
) -> SimilarItems:
    """Return the items most like this one: studied by the same members, else about the same."""
    return SimilarItems(**push_lists.similar(session, caller.organisation_key, item_id, n=n, now=now))


def tagged(body: bytes, if_none_match: str | None) -> Response:
    """Return JSON with its strong ETag (RFC 9110, 8.8.3), or 304 where the client has it."""
    tag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if if_none_match and (if_none_match.strip() == "*" or tag in _tags(if_none_match)):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


def _tags(if_none_match: str) -> list[str]:
    # If-None-Match compares weakly: W/ plays no part.
    return [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
