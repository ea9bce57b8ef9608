"""Screen of a member: the served list with its reasons, what changed since a day, and what the member studied."""

from datetime import date
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import Query
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.console.access import ListViewer
from api.console.frame import console_router, locale_of, page
from api.routers.push_lists import changes, explained
from infra.db.engine import transaction
from infra.errors import ModelsGoneError, UnknownMemberError, UnknownRunError
from infra.events.member_history import latest_study
from infra.serving.list_json import ListRequest

LENGTH: Final = 20
HISTORY: Final = 50
"""Events of the study history, the newest."""

router = console_router()


@router.get("/member")
async def member_page(
    viewer: ListViewer,
    member_id: Annotated[str | None, Query(max_length=1_000)] = None,
    since: Annotated[date | Literal[""], Query()] = "",
) -> Response:
    """Return the list of the member with an id; without one the form that asks for it."""
    asked: dict[str, Any] = {"member_id": member_id or "", "since": since or None}
    nothing: dict[str, Any] = {"shown": None, "compared": None, "history": None, "fault": None}
    if not member_id:
        return page(viewer, "member.html", **asked, **nothing)
    state, key = viewer.request.app.state, viewer.organisation_key
    wanted = ListRequest(LENGTH, state.clock(), locale_of(viewer.request), rules=state.list_rules)
    try:
        body = await state.online.compute(partial(explained, state.engine, key, member_id, wanted, None))
    except ModelsGoneError:  # the list is served without them, only its breakdown is not to be had
        body = await state.lists.push_list(key, member_id, wanted)
    except UnknownMemberError:
        missing = nothing | {"fault": "no_such_member"}
        return page(viewer, "member.html", status=HTTPStatus.NOT_FOUND, **asked, **missing)
    shown = nothing | {"shown": {"filtered": [], **orjson.loads(body)}}
    try:
        if since:
            answer = await state.online.compute(partial(changes, state.engine, key, member_id, wanted, since))
            shown["compared"] = orjson.loads(answer)
    except (UnknownRunError, ModelsGoneError):
        shown["fault"] = "no_list_then"
    viewer.record_read("lists.read", member_id)
    if viewer.may("members:write"):
        shown["history"] = await run_in_threadpool(_history, state.engine, key, member_id)
        viewer.record_read("members.read", member_id)
    return page(viewer, "member.html", **asked, **shown)


def _history(engine: Engine, organisation_key: int, member_id: str) -> list[dict[str, Any]]:
    with transaction(engine) as session:
        return latest_study(session, organisation_key, member_id, limit=HISTORY)
