"""Similar items, and the parameters that routes of lists share."""

from typing import Annotated, Any, Final

import orjson
from fastapi import Header, Path, Query, Request, Response

from api.auth.auth import ListReader
from api.dependencies import AuditBufferDep, NowDep, SessionDep
from api.protocol.conditions import tagged
from api.routers.resource import resource_router
from api.schemas.lists import SimilarItems
from api.schemas.queries import DEFAULT_LENGTH, MAX_LANGUAGE, Flag, Length, NonEmpty
from infra.serving import push_lists

router = resource_router("", "lists", 400, 401, 403, 404, 412, 503)

Language = Annotated[
    str | None,
    Query(min_length=1, max_length=MAX_LANGUAGE, description="Language of the reasons; by default the member's."),
]
Exclude = Annotated[
    list[NonEmpty] | None,
    Query(max_length=100, description="Ids of items that should not be on the list; may be given several times."),
]
Explain = Annotated[Flag, Query(description="Whether every item comes with its reason.")]
IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="if-none-match",
        description="The `ETag` of the list that the app has: an unchanged one is answered with 304.",
    ),
]
NOT_MODIFIED: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "The list is the one that the app has"}}


@router.get("/items/{item_id:path}/similar", name="read similar", response_model=SimilarItems, responses=NOT_MODIFIED)
def read_similar(
    item_id: Annotated[str, Path(description="Id of the item.", examples=["knots"])],
    request: Request,
    session: SessionDep,
    caller: ListReader,
    now: NowDep,
    audit_buffer: AuditBufferDep,
    n: Length = DEFAULT_LENGTH,
    member_id: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=1_000,
            description="Member to show them to; by default a member without role, units and history.",
        ),
    ] = None,
    _if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the items most like this one: studied by the same members, else about the same."""
    key = caller.organisation_key
    similar = push_lists.similar(session, key, item_id, n=n, now=now, member_id=member_id)
    if member_id is not None:
        audit_buffer.record_read(key, caller.actor, "lists.read", member_id)
    return tagged(orjson.dumps(similar, option=orjson.OPT_UTC_Z), request)
