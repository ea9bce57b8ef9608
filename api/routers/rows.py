"""Push lists as titled rows, in one request."""

from typing import Annotated

from fastapi import Path, Query, Request, Response

from api.auth.auth import ListReader
from api.dependencies import NowDep
from api.protocol.conditions import tagged
from api.routers.lists import NOT_MODIFIED, Exclude, IfNoneMatch, Language
from api.routers.resource import resource_router
from api.schemas.lists import Rows
from api.schemas.queries import DEFAULT_LENGTH, TIME_TO_STUDY, Length, Minutes
from infra.serving.list_json import MAX_LIST_LENGTH, ListRequest, rows_json
from recommender.policy.selection import Selection

router = resource_router("", "lists", 400, 401, 403, 404, 503)


@router.get("/members/{member_id:path}/rows", name="read rows", response_model=Rows, responses=NOT_MODIFIED)
async def read_rows(
    member_id: Annotated[str, Path(description="Id of the member.", examples=["m1"])],
    request: Request,
    caller: ListReader,
    now: NowDep,
    n: Length = DEFAULT_LENGTH,
    exclude: Exclude = None,
    language: Language = None,
    minutes: Annotated[Minutes | None, Query(description=TIME_TO_STUDY)] = None,
    _if_none_match: IfNoneMatch = None,
) -> Response:
    """Return a member's push list as titled rows of at most `n` items each: due, begun, new, and all others.

    With `minutes` the items of all rows take no longer together.
    """
    excluded, rules = frozenset(exclude or ()), request.app.state.list_rules
    wanted = ListRequest(MAX_LIST_LENGTH, now, language, excluded, selection=Selection(minutes), rules=rules)
    body = await request.app.state.lists.push_list(caller.organisation_key, member_id, wanted)
    request.app.state.audit_buffer.record_read(caller.organisation_key, caller.actor, "lists.read", member_id)
    return tagged(rows_json(body, n), request)
