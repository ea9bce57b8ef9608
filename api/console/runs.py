"""Screens of runs: the list of them, one with its steps and checks, publishing, rolling back."""

from typing import Annotated, Any, Final

from fastapi import Query
from starlette.responses import Response

from api.console.access import Analyst, Operator, Viewer
from api.console.frame import console_router, csv_answer, language_of, page, redirected
from api.console.run_difference import group_names, rows_by_slice
from api.schemas.queries import NO_NUL
from infra.delivery import outbox
from infra.errors import NoPublishedRunError
from infra.explanations.codes import chinese_detail
from infra.reports import analytics
from infra.reports.runs.difference import SLICES
from infra.reports.runs.quality import ranking_by_group
from infra.runs import store

PAGE_LENGTH = 30
QUALITY_COLUMNS: Final = ("slice", "value", "name", "members", "lists", "ndcg", "low", "high")

router = console_router()


@router.get("/runs")
def runs_page(
    viewer: Analyst,
    before: Annotated[str | None, Query(max_length=100, pattern=NO_NUL, description="Id of a run.")] = None,
) -> Response:
    """Return the newest runs, or those begun before one."""
    session, key = viewer.session, viewer.organisation_key
    newest = store.find(session, key, before)["run_key"] if before else None
    rows = analytics.run_page(session, key, before=newest, limit=PAGE_LENGTH + 1)
    older = rows[PAGE_LENGTH - 1]["run_id"] if len(rows) > PAGE_LENGTH else None
    return page(viewer, "runs.html", runs=rows[:PAGE_LENGTH], older=older, served=_served(viewer))


@router.get("/runs/{run_id}")
def run_page(viewer: Analyst, run_id: str) -> Response:
    """Return a run with its steps and checks."""
    run = analytics.run_detail(viewer.session, viewer.organisation_key, run_id)
    chinese = language_of(viewer.request) == "zh"
    return page(
        viewer,
        "run.html",
        run=run,
        served=_served(viewer) == run["run_id"],
        failed=[check["name"] for check in run["checks"] if check["passed"] is False],
        operates=viewer.may("runs:write"),
        details=[chinese_detail(check) if chinese else None for check in run["checks"]],
        **_quality(viewer, run_id),
    )


@router.get("/runs/{run_id}/quality.csv")
def quality_csv(viewer: Analyst, run_id: str) -> Response:
    """Return the quality of a run's ranking by group as CSV."""
    shown = _quality(viewer, run_id)
    return csv_answer("quality.csv", QUALITY_COLUMNS, rows_by_slice({"slices": shown["quality"]}, shown["names"]))


def _quality(viewer: Viewer, run_id: str) -> dict[str, Any]:
    """Return the quality of a run's ranking by group, empty without figures, and the names of the groups' codes."""
    session, artefacts = viewer.session, viewer.settings.artefacts_folder
    run, smallest = store.find(session, viewer.organisation_key, run_id), viewer.local_settings.privacy.smallest_group
    name = f"quality {run['run_id']}"
    by_group = viewer.figures.of(name, lambda: ranking_by_group(session, artefacts, run, min_group_size=smallest) or {})
    names = group_names(viewer, {"slices": by_group}) if by_group else {}
    most = max((row["high"] or 0.0 for rows in by_group.values() for row in rows), default=0.0) or 1.0
    return {"quality": by_group, "most": most, "names": names, "slices": SLICES}


@router.post("/runs/{run_id}/publish")
def publish(viewer: Operator, run_id: str) -> Response:
    """Serve a run from now on."""
    run = outbox.publish_run(
        viewer.session,
        viewer.organisation_key,
        run_id,
        viewer.settings,
        actor=viewer.caller.actor,
        reason=viewer.form.get("reason", ""),
        now=viewer.now,
    )
    return redirected(viewer.request, f"/console/runs/{run['run_id']}")


@router.post("/runs/{run_id}/roll-back")
def roll_back(viewer: Operator, run_id: str) -> Response:
    """Serve the run that was published before this one, which is served."""
    run = outbox.roll_back(
        viewer.session,
        viewer.organisation_key,
        viewer.settings,
        actor=viewer.caller.actor,
        reason=viewer.form.get("reason", "").strip(),
        run_id=run_id,
        now=viewer.now,
    )
    return redirected(viewer.request, f"/console/runs/{run['run_id']}")


def _served(viewer: Viewer) -> str | None:
    """Return the id of the served run."""
    try:
        return str(store.latest(viewer.session, viewer.organisation_key)["run_id"])
    except NoPublishedRunError:
        return None
