"""Screen of several organisations side by side, for accounts that may see more than one; switching between them."""

from dataclasses import replace
from typing import Annotated, Any, Final

from starlette.responses import Response

from api.console.access import COOKIE, Analyst, Viewer, opens
from api.console.frame import console_router, page, redirected
from api.console.overview import served_run
from api.errors import ForbiddenError
from infra.access import console_sessions
from infra.catalog import organisations
from infra.delivery import admin

QUALITY: Final = ("members", "events", "unresolved_share", "reject_share")
"""Figures of the data that a run keeps."""

router = console_router()


@router.get("/organisations")
def organisations_page(viewer: Analyst) -> Response:
    """Return the state of each organisation of the session: its served run, its queue, its data at that run."""
    keys = organisations.keys_of(viewer.session, viewer.organisations)
    return page(viewer, "organisations.html", rows=[_state(viewer, *pair) for pair in keys.items()], quality=QUALITY)


@router.post("/organisations")
def switch(viewer: Annotated[Viewer, opens()]) -> Response:
    """Let the session be for the organisation of the form, with an entry in the audit log of that one."""
    name = viewer.form.get("organisation", "")
    keys = organisations.keys_of(viewer.session, [each for each in viewer.organisations if each == name])
    if not keys:
        raise ForbiddenError("this session is not for such an organisation; choose one of the page")
    token = viewer.request.cookies[COOKIE]
    console_sessions.switch(viewer.session, token, keys[name])
    caller = replace(viewer.caller, organisation_key=keys[name], organisation=name)
    caller.record(viewer.session, "console.switch", now=viewer.now)
    return redirected(viewer.request, "/console")


def _state(viewer: Viewer, name: str, organisation_key: int) -> dict[str, Any]:
    queues = admin.queue_state(viewer.session, now=viewer.now, organisation_key=organisation_key)
    served = served_run(viewer.session, organisation_key, now=viewer.now)
    figures = (served["run"] or {}).get("data_quality") or {}
    return {
        "name": name,
        "lists": served["run"]["counts"].get("lists") if served["run"] else None,
        **{state: sum(queue[state] for queue in queues) for state in ("due", "dead")},
        **{figure: figures.get(figure) for figure in QUALITY},
        **served,
    }
