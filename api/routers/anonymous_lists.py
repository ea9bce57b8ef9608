"""Anonymous lists: of a session, and of a role and industry."""

from typing import Annotated

from fastapi import Query, Request, Response

from api.auth.auth import ListReader
from api.dependencies import NowDep, SessionDep
from api.protocol.conditions import tagged
from api.routers.lists import NOT_MODIFIED, Exclude, Explain, IfNoneMatch, Language
from api.routers.resource import resource_router
from api.schemas.queries import DEFAULT_LENGTH, NO_NUL, Length
from api.schemas.sessions import AnonymousList, SessionBody
from infra.serving import anonymous_lists
from infra.serving.anonymous_lists import Profile, SessionStep
from infra.serving.list_json import ListRequest

router = resource_router("", "lists", 400)
Code = Annotated[str | None, Query(min_length=1, max_length=100, pattern=NO_NUL)]
Role = Annotated[Code, Query(description="Code of the role.", examples=["83"])]
Industry = Annotated[Code, Query(description="Code of the industry.", examples=["54"])]


@router.get("/preview-list", name="preview list", response_model=AnonymousList, responses=NOT_MODIFIED)
def read_preview_list(  # noqa: PLR0913, PLR0917 - parameters of the query
    request: Request,
    session: SessionDep,
    caller: ListReader,
    now: NowDep,
    role: Role = None,
    industry: Industry = None,
    n: Length = DEFAULT_LENGTH,
    exclude: Exclude = None,
    language: Language = None,
    explain: Explain = True,  # noqa: FBT002 - a query parameter
    _if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the list that a member of this role and industry would find who has not studied anything yet."""
    wanted = ListRequest(n, now, language, frozenset(exclude or ()), explain)
    body = anonymous_lists.anonymous_list(session, caller.organisation_key, Profile(role, industry), wanted)
    return tagged(body, request)


@router.post("/session-list", name="make session list", response_model=AnonymousList)
def make_session_list(session: SessionDep, caller: ListReader, now: NowDep, body: SessionBody) -> Response:
    """Return a list after the events of a session whose member is not known; nothing of it is stored."""
    wanted = ListRequest(body.n, now, body.language, frozenset(body.exclude), body.explain)
    steps = [SessionStep(event.item_id, event.verb, event.progress) for event in body.events]
    profile = Profile(body.role, body.industry)
    answer = anonymous_lists.anonymous_list(session, caller.organisation_key, profile, wanted, steps)
    return Response(answer, headers={"Cache-Control": "no-store"}, media_type="application/json")
