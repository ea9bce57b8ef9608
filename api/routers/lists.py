"""Push lists and similar items."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from api.auth import ListReader
from api.deps import NowDep, ReadingsDep, SessionDep, known_parameters_only
from api.errors import PROBLEM_JSON
from api.schemas import Problem, PushList, SimilarItems
from infra import push_lists

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


@router.get("/members/{member_id:path}/push-list")
def read_push_list(
    member_id: Annotated[str, Path(description="Id of the member.", examples=["m1"])],
    session: SessionDep,
    caller: ListReader,
    readings: ReadingsDep,
    now: NowDep,
    n: Length = 10,
    language: Annotated[
        str | None, Query(max_length=35, description="Language of the reasons; by default the member's.")
    ] = None,
    as_of: Annotated[
        date | None, Query(description="Day in UTC: the list of its night, as it was shown then; by default today's.")
    ] = None,
) -> PushList:
    """Return a member's push list from the published run, best first, with a reason for every item."""
    key = caller.organisation_key
    if as_of is None:
        made = push_lists.shown(session, key, member_id, n=n, now=now, language=language)
    else:
        made = push_lists.archived(session, key, member_id, n=n, day=as_of, language=language)
    readings.note(key, caller.actor, "lists.read", member_id)
    return PushList(**made)


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
