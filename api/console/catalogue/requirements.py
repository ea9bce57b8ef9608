"""Screens of requirements: their state by unit, one to add or change after a dry run, waivers."""

from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from api.console.access import FormDep, Viewer, opens
from api.console.catalogue.forms import as_fields, fields_of, write_request
from api.console.frame import console_router, csv_answer, page, redirected
from api.dependencies import NowDep, SessionDep, SettingsDep
from content_catalog.schema import REQUIREMENTS
from infra.access import audit
from infra.catalog import records, requirements
from infra.catalog.requirements import KIND
from infra.errors import InvalidRecordError
from infra.reports.requirement_counts import dry_run, requirement_counts

FIGURES = ("members", "open", "due", "cannot_be_met", "overdue")
EMPTY = dict.fromkeys(REQUIREMENTS.names, "")

router = console_router()
Analyst = Annotated[Viewer, opens("analytics:read")]
Editor = Annotated[Viewer, opens("analytics:read", "catalogue:write")]
Waiver = Annotated[Viewer, opens("analytics:read", "members:write")]


@router.get("/requirements")
def requirements_page(
    request: Request, session: SessionDep, viewer: Analyst, now: NowDep, settings: SettingsDep
) -> Response:
    """Return the requirements with the state of each over all members, and the form that adds one."""
    counts = _counts(session, viewer, settings, now)
    return _list_page(request, session, viewer, counts=counts)


@router.get("/requirements.csv")
def requirements_csv(session: SessionDep, viewer: Analyst, now: NowDep, settings: SettingsDep) -> Response:
    """Return the state of each requirement by unit as CSV."""
    rows = _counts(session, viewer, settings, now)
    return csv_answer("requirements.csv", ("requirement_id", "unit", *FIGURES), rows)


@router.post("/requirements")
def add_requirement(
    request: Request, session: SessionDep, viewer: Editor, now: NowDep, settings: SettingsDep, form: FormDep
) -> Response:
    """Add the requirement of the form, or show whom it would meet."""
    fields = fields_of(form, REQUIREMENTS.names)
    outcome = _checked_or_saved(session, viewer, form, fields, settings, now)
    if outcome is None:
        return redirected(request, f"/console/requirements/{quote(fields['requirement_id'], safe='')}")
    counts = _counts(session, viewer, settings, now)
    return _list_page(request, session, viewer, counts=counts, fields=fields, **outcome)


@router.get("/requirements/{requirement_id}")
def requirement_page(
    request: Request, session: SessionDep, viewer: Analyst, now: NowDep, settings: SettingsDep, requirement_id: str
) -> Response:
    """Return a requirement with its state by unit, and the forms that change it."""
    record = records.read(session, viewer.caller.organisation_key, KIND, requirement_id)
    return _page(request, session, viewer, now, settings, record=record, fields=as_fields(record))


@router.post("/requirements/{requirement_id}")
def change_requirement(
    request: Request,
    session: SessionDep,
    viewer: Editor,
    now: NowDep,
    settings: SettingsDep,
    form: FormDep,
    requirement_id: str,
) -> Response:
    """Replace a requirement by that of the form, or show whom it would meet."""
    record = records.read(session, viewer.caller.organisation_key, KIND, requirement_id)
    fields = fields_of(form, REQUIREMENTS.names) | {"requirement_id": requirement_id}
    outcome = _checked_or_saved(session, viewer, form, fields, settings, now)
    if outcome is None:
        return redirected(request, f"/console/requirements/{quote(requirement_id, safe='')}")
    return _page(request, session, viewer, now, settings, record=record, fields=fields, **outcome)


@router.post("/requirements/{requirement_id}/remove")
def remove_requirement(
    request: Request, session: SessionDep, viewer: Editor, now: NowDep, form: FormDep, requirement_id: str
) -> Response:
    """Delete a requirement and its waivers."""
    del form
    key = viewer.caller.organisation_key
    requirements.remove(session, key, requirement_id)
    detail = {"requirement_id": requirement_id}
    actor = viewer.caller.actor
    audit.append(session, key, actor=actor, action="requirements.remove", subject=None, now=now, detail=detail)
    return redirected(request, "/console/requirements")


@router.post("/requirements/{requirement_id}/waivers")
def waive(
    request: Request, session: SessionDep, viewer: Waiver, now: NowDep, form: FormDep, requirement_id: str
) -> Response:
    """Free the member of the form from a requirement, or end the waiver."""
    key, member_id = viewer.caller.organisation_key, form.get("member_id", "").strip()
    ends = form.get("do") == "end"
    if ends:
        requirements.end_waiver(session, key, member_id, requirement_id)
    else:
        reason = form.get("reason", "").strip()[:1_000] or None
        requirements.waive(session, key, member_id, requirement_id, now=now, reason=reason)
    action, detail = "waivers.end" if ends else "waivers.write", {"requirement_id": requirement_id}
    audit.append(session, key, actor=viewer.caller.actor, action=action, subject=member_id, now=now, detail=detail)
    return redirected(request, f"/console/requirements/{quote(requirement_id, safe='')}")


def _counts(session: Session, viewer: Viewer, settings: SettingsDep, now: NowDep) -> list[dict[str, Any]]:
    """Return the state of each requirement over all members and by unit."""
    key = viewer.caller.organisation_key
    return viewer.figures.of("requirements", lambda: requirement_counts(session, key, settings, now=now))


def _checked_or_saved(
    session: Session, viewer: Viewer, form: FormDep, fields: dict[str, str], settings: SettingsDep, now: NowDep
) -> dict[str, Any] | None:
    """Save the requirement of a form, or return its dry run where that was asked for; its faults where it has any."""
    key = viewer.caller.organisation_key
    try:
        if form.get("do") == "check":
            return {"outcome": dry_run(session, key, settings, fields, now=now)}
        writing = write_request(session, form, settings, now)
        _, new = writing.write(viewer.caller, KIND, fields["requirement_id"], lambda _before: fields)
    except InvalidRecordError as error:
        return {"faults": error.errors}
    action = "requirements.create" if new else "requirements.replace"
    writing.audit(viewer.caller, action, requirement_id=fields["requirement_id"])
    return None


def _list_page(
    request: Request,
    session: Session,
    viewer: Viewer,
    *,
    counts: list[dict[str, Any]],
    fields: dict[str, str] | None = None,
    **outcome: Any,
) -> Response:
    whole = {row["requirement_id"]: row for row in counts if row["unit"] is None}
    stored = requirements.of_organisation(session, viewer.caller.organisation_key)
    return page(
        request,
        viewer,
        "requirements.html",
        status=_status(outcome),
        requirements=[(requirement, whole.get(requirement.requirement_id)) for requirement in stored],
        open_form=fields is not None,
        **_form_values(viewer, fields or EMPTY, outcome),
    )


def _page(
    request: Request,
    session: Session,
    viewer: Viewer,
    now: NowDep,
    settings: SettingsDep,
    *,
    record: dict[str, Any],
    fields: dict[str, str],
    **outcome: Any,
) -> Response:
    rows = _counts(session, viewer, settings, now)
    return page(
        request,
        viewer,
        "requirement.html",
        status=_status(outcome),
        record=record,
        etag=records.etag(record),
        rows=[row for row in rows if row["requirement_id"] == record["requirement_id"]],
        waives="members:write" in viewer.caller.scopes,
        **_form_values(viewer, fields, outcome),
    )


def _form_values(viewer: Viewer, fields: dict[str, str], outcome: dict[str, Any]) -> dict[str, Any]:
    return {
        "edits": "catalogue:write" in viewer.caller.scopes,
        "fields": fields,
        "faults": outcome.get("faults", []),
        "outcome": outcome.get("outcome"),
        "columns": {column.name: column for column in REQUIREMENTS.columns},
    }


def _status(outcome: dict[str, Any]) -> HTTPStatus:
    return HTTPStatus.BAD_REQUEST if "faults" in outcome else HTTPStatus.OK
