"""Screens of requirements: their state by unit, one to add or change after a dry run, waivers."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from api.console.access import FormDep, Viewer, opens
from api.console.catalogue.forms import REFUSALS, as_fields, fields_of, refusal_of, write_request
from api.console.frame import console_router, csv_answer, page, redirected
from api.dependencies import NowDep, SessionDep, SettingsDep
from api.errors import RefusedFormError
from api.schemas.records import NO_NUL
from content_catalog.schema import REQUIREMENTS
from infra.access import audit
from infra.catalog import records, requirements
from infra.catalog.requirements import KIND
from infra.reports.requirement_counts import dry_run, requirement_counts

FIGURES = ("members", "open", "due", "cannot_be_met", "overdue")
EMPTY = dict.fromkeys(REQUIREMENTS.names, "")

router = console_router()
Analyst = Annotated[Viewer, opens("analytics:read")]
Editor = Annotated[Viewer, opens("analytics:read", "catalogue:write")]
Waiver = Annotated[Viewer, opens("analytics:read", "members:write")]
RequirementId = Annotated[str, Query(max_length=1_000, pattern=NO_NUL)]


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

    def shown(**outcome: Any) -> Response:
        counts = _counts(session, viewer, settings, now)
        return _list_page(request, session, viewer, counts=counts, fields=fields, **outcome)

    return _tried_or_saved(request, session, viewer, form, fields, settings, now, shown)


@router.get("/requirement")
def requirement_page(
    request: Request,
    session: SessionDep,
    viewer: Analyst,
    now: NowDep,
    settings: SettingsDep,
    requirement_id: RequirementId,
) -> Response:
    """Return a requirement with its state by unit, and the forms that change it."""
    record = records.read(session, viewer.caller.organisation_key, KIND, requirement_id)
    etag = records.etag(record)
    return _page(request, session, viewer, now, settings, record=record, fields=as_fields(record), etag=etag)


@router.post("/requirement")
def change_requirement(
    request: Request, session: SessionDep, viewer: Editor, now: NowDep, settings: SettingsDep, form: FormDep
) -> Response:
    """Replace a requirement by that of the form, or show whom it would meet."""
    record = records.read(session, viewer.caller.organisation_key, KIND, form.get("requirement_id", ""))
    fields = fields_of(form, REQUIREMENTS.names) | {"requirement_id": record["requirement_id"]}

    def shown(**outcome: Any) -> Response:
        etag = form.get("etag", "")
        return _page(request, session, viewer, now, settings, record=record, fields=fields, etag=etag, **outcome)

    return _tried_or_saved(request, session, viewer, form, fields, settings, now, shown)


@router.post("/requirement/remove")
def remove_requirement(request: Request, session: SessionDep, viewer: Editor, now: NowDep, form: FormDep) -> Response:
    """Delete a requirement and its waivers."""
    key, requirement_id = viewer.caller.organisation_key, form.get("requirement_id", "")
    requirements.remove(session, key, requirement_id)
    detail = {"requirement_id": requirement_id}
    actor = viewer.caller.actor
    audit.append(session, key, actor=actor, action="requirements.remove", subject=None, now=now, detail=detail)
    return redirected(request, "/console/requirements")


@router.post("/requirement/waivers")
def waive(request: Request, session: SessionDep, viewer: Waiver, now: NowDep, form: FormDep) -> Response:
    """Free the member of the form from a requirement, or end the waiver."""
    requirement_id = form.get("requirement_id", "")
    key, member_id = viewer.caller.organisation_key, form.get("member_id", "").strip()
    ends = form.get("do") == "end"
    if ends:
        requirements.end_waiver(session, key, member_id, requirement_id)
    else:
        reason = form.get("reason", "").strip()[:1_000] or None
        requirements.waive(session, key, member_id, requirement_id, now=now, reason=reason)
    action, detail = "waivers.end" if ends else "waivers.write", {"requirement_id": requirement_id}
    audit.append(session, key, actor=viewer.caller.actor, action=action, subject=member_id, now=now, detail=detail)
    return redirected(request, f"/console/requirement?{urlencode({'requirement_id': requirement_id})}")


def _counts(session: Session, viewer: Viewer, settings: SettingsDep, now: NowDep) -> list[dict[str, Any]]:
    """Return the state of each requirement over all members and by unit."""
    key = viewer.caller.organisation_key
    return viewer.figures.of("requirements", lambda: requirement_counts(session, key, settings, now=now))


def _tried_or_saved(
    request: Request,
    session: Session,
    viewer: Viewer,
    form: FormDep,
    fields: dict[str, str],
    settings: SettingsDep,
    now: NowDep,
    shown: Callable[..., Response],
) -> Response:
    """Save the requirement of a form, or show its dry run where that was asked for; its faults where it has any."""
    key, requirement_id = viewer.caller.organisation_key, fields["requirement_id"]
    try:
        if form.get("do") == "check":
            return shown(outcome=dry_run(session, key, settings, fields, now=now))
        writing = write_request(session, form, settings, now)
        _, new = writing.write(viewer.caller, KIND, requirement_id, lambda _before: fields)
    except REFUSALS as error:
        raise RefusedFormError(shown(**refusal_of(error))) from error
    action = "requirements.create" if new else "requirements.replace"
    writing.audit(viewer.caller, action, requirement_id=requirement_id)
    return redirected(request, f"/console/requirement?{urlencode({'requirement_id': requirement_id})}")


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
        status=outcome.pop("status", HTTPStatus.OK),
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
    etag: str,
    **outcome: Any,
) -> Response:
    rows = _counts(session, viewer, settings, now)
    return page(
        request,
        viewer,
        "requirement.html",
        status=outcome.pop("status", HTTPStatus.OK),
        record=record,
        etag=etag,
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
