"""Screens of runs: the list of them, one with its steps and checks, publishing, rolling back."""

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from api.console.access import FormDep, Viewer, opens
from api.console.frame import console_router, page, redirected
from api.dependencies import NowDep, SessionDep, SettingsDep
from infra.delivery import outbox
from infra.errors import NoPublishedRunError
from infra.reports import analytics
from infra.runs import store

PAGE_LENGTH = 30

router = console_router()
Analyst = Annotated[Viewer, opens("analytics:read")]
Operator = Annotated[Viewer, opens("runs:write")]


@router.get("/runs")
def runs_page(
    request: Request,
    session: SessionDep,
    viewer: Analyst,
    before: Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$", description="Id of a run.")] = None,
) -> Response:
    """Return the newest runs, or those begun before one."""
    key = viewer.caller.organisation_key
    newest = store.find(session, key, before)["run_key"] if before else None
    rows = analytics.run_page(session, key, before=newest, limit=PAGE_LENGTH + 1)
    older = rows[PAGE_LENGTH - 1]["run_id"] if len(rows) > PAGE_LENGTH else None
    return page(request, viewer, "runs.html", runs=rows[:PAGE_LENGTH], older=older, served=_served(session, viewer))


@router.get("/runs/{run_id}")
def run_page(request: Request, session: SessionDep, viewer: Analyst, run_id: str) -> Response:
    """Return a run with its steps and checks."""
    run = analytics.run_detail(session, viewer.caller.organisation_key, run_id)
    return page(
        request,
        viewer,
        "run.html",
        run=run,
        served=_served(session, viewer) == run["run_id"],
        failed=[check["name"] for check in run["checks"] if check["passed"] is False],
        operates="runs:write" in viewer.caller.scopes,
    )


@router.post("/runs/{run_id}/publish")
def publish(
    session: SessionDep,
    viewer: Operator,
    now: NowDep,
    settings: SettingsDep,
    request: Request,
    form: FormDep,
    run_id: str,
) -> Response:
    """Serve a run from now on."""
    key, reason = viewer.caller.organisation_key, form.get("reason", "")
    run = outbox.publish_run(session, key, run_id, settings, actor=viewer.caller.actor, reason=reason, now=now)
    return redirected(request, f"/console/runs/{run['run_id']}")


@router.post("/runs/roll-back")
def roll_back(
    session: SessionDep, viewer: Operator, now: NowDep, settings: SettingsDep, request: Request, form: FormDep
) -> Response:
    """Serve the run that was published before the served one."""
    key, reason = viewer.caller.organisation_key, form.get("reason", "").strip()
    run = outbox.roll_back(session, key, settings, actor=viewer.caller.actor, reason=reason, now=now)
    return redirected(request, f"/console/runs/{run['run_id']}")


def _served(session: SessionDep, viewer: Viewer) -> str | None:
    """Return the id of the served run."""
    try:
        return str(store.latest(session, viewer.caller.organisation_key)["run_id"])
    except NoPublishedRunError:
        return None
