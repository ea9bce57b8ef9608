"""Screens of requirements: their state by unit, one to add or change after a dry run, waivers."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from api.console.access import Analyst, Editor, Viewer, opens
from api.console.catalogue.forms import (
    REFUSALS,
    as_fields,
    audience_of,
    fields_of,
    refusal_of,
    titles_of,
    write_request,
)
from api.console.frame import console_router, csv_answer, page, redirected
from api.errors import RefusedFormError
from api.schemas.queries import NO_NUL
from content_catalog.schema import REQUIREMENTS
from infra.catalog import records, requirements
from infra.catalog.requirements import KIND
from infra.errors import NotFoundError
from infra.reports.requirement_counts import dry_run, requirement_counts

FIGURES = ("members", "open", "due", "cannot_be_met", "overdue")
EMPTY = dict.fromkeys(REQUIREMENTS.names, "")

router = console_router()
WaiverEditor = Annotated[Viewer, opens("analytics:read", "members:write")]
RequirementId = Annotated[str, Query(max_length=1_000, pattern=NO_NUL)]


@router.get("/requirements")
def requirements_page(viewer: Analyst) -> Response:
    """Return the requirements with the state of each over all members, and the form that adds one."""
    return _list_page(viewer, fields=EMPTY, open_form=False)


@router.get("/requirements.csv")
def requirements_csv(viewer: Analyst) -> Response:
    """Return the state of each requirement by unit as CSV."""
    return csv_answer("requirements.csv", ("requirement_id", "unit", *FIGURES), _counts(viewer))


@router.post("/requirements")
def add_requirement(viewer: Editor) -> Response:
    """Add the requirement of the form, or show whom it would meet."""
    fields = fields_of(viewer.form, REQUIREMENTS.names)
    return _tried_or_saved(viewer, fields, lambda **outcome: _list_page(viewer, fields=fields, **outcome))


@router.get("/requirement")
def requirement_page(viewer: Analyst, requirement_id: RequirementId) -> Response:
    """Return a requirement with its state by unit, and the forms that change it."""
    record = records.read(viewer.session, viewer.organisation_key, KIND, requirement_id)
    return _page(viewer, record=record, fields=as_fields(record), etag=records.etag(record))


@router.post("/requirement")
def change_requirement(viewer: Editor) -> Response:
    """Replace a requirement by that of the form, or show whom it would meet."""
    record = records.read(viewer.session, viewer.organisation_key, KIND, viewer.form.get("requirement_id", ""))
    fields = fields_of(viewer.form, REQUIREMENTS.names) | {"requirement_id": record["requirement_id"]}
    etag = viewer.form.get("etag", "")
    return _tried_or_saved(
        viewer, fields, lambda **outcome: _page(viewer, record=record, fields=fields, etag=etag, **outcome)
    )


@router.post("/requirement/remove")
def remove_requirement(viewer: Editor) -> Response:
    """Delete a requirement and its waivers."""
    requirement_id = viewer.form.get("requirement_id", "")
    requirements.remove(viewer.session, viewer.organisation_key, requirement_id)
    viewer.record("requirements.remove", requirement_id=requirement_id)
    return redirected(viewer.request, "/console/requirements")


@router.post("/requirement/waivers")
def waive(viewer: WaiverEditor) -> Response:
    """Free the member of the form from a requirement, or end the waiver."""
    session, key, form = viewer.session, viewer.organisation_key, viewer.form
    member_id, requirement_id = form.get("member_id", "").strip(), form.get("requirement_id", "")
    record, ends = records.read(session, key, KIND, requirement_id), form.get("do") == "end"
    try:
        if ends:
            requirements.end_waiver(session, key, member_id, requirement_id)
        else:
            reason = form.get("reason", "").strip()[:1_000] or None
            requirements.waive(session, key, member_id, requirement_id, now=viewer.now, reason=reason)
    except NotFoundError as error:
        refusal = refusal_of(error)
        waiver = {"waiver": form, "waiver_faults": refusal["faults"], "status": refusal["status"]}
        refused = _page(viewer, record=record, fields=as_fields(record), etag=records.etag(record), **waiver)
        raise RefusedFormError(refused) from error
    viewer.record("waivers.end" if ends else "waivers.write", member=member_id, requirement_id=requirement_id)
    return redirected(viewer.request, "/console/requirement", requirement_id=requirement_id)


def _counts(viewer: Viewer) -> list[dict[str, Any]]:
    """Return the state of each requirement over all members and by unit."""
    session, key = viewer.session, viewer.organisation_key
    return viewer.figures.of("requirements", lambda: requirement_counts(session, key, viewer.settings, now=viewer.now))


def _tried_or_saved(viewer: Viewer, fields: dict[str, str], shown: Callable[..., Response]) -> Response:
    """Save the requirement of a form, or show its dry run where that was asked for; its faults where it has any."""
    key, requirement_id = viewer.organisation_key, fields["requirement_id"]
    try:
        if viewer.form.get("do") == "check":
            return shown(outcome=dry_run(viewer.session, key, viewer.settings, fields, now=viewer.now))
        write_request(viewer).put(viewer.caller, KIND, requirement_id, fields)
    except REFUSALS as error:
        raise RefusedFormError(shown(**refusal_of(error))) from error
    return redirected(viewer.request, "/console/requirement", requirement_id=requirement_id)


def _list_page(viewer: Viewer, *, open_form: bool = True, **form: Any) -> Response:
    whole = {row["requirement_id"]: row for row in _counts(viewer) if row["unit"] is None}
    stored = requirements.of_organisation(viewer.session, viewer.organisation_key)
    rows = [(requirement, whole.get(requirement.requirement_id)) for requirement in stored]
    titles = titles_of(viewer, ({"items": requirement.items} for requirement in stored))
    return _form_page(viewer, "requirements.html", requirements=rows, titles=titles, open_form=open_form, **form)


def _page(viewer: Viewer, *, record: dict[str, Any], **form: Any) -> Response:
    rows = [row for row in _counts(viewer) if row["requirement_id"] == record["requirement_id"]]
    waives, titles = viewer.may("members:write"), titles_of(viewer, [record])
    named: dict[str, Any] = {"titles": titles, "audience": audience_of(viewer)}
    return _form_page(viewer, "requirement.html", record=record, rows=rows, waives=waives, **named, **form)


def _form_page(viewer: Viewer, template: str, *, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
    """Return a page with the form of a requirement, its faults and the outcome of its dry run."""
    columns = {column.name: column for column in REQUIREMENTS.columns}
    shown = {"edits": viewer.may("catalogue:write"), "columns": columns, "faults": [], "outcome": None}
    shown |= {"waiver": {}, "waiver_faults": [], **values}
    return page(viewer, template, status=status, **shown)
