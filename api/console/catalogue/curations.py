"""Screens of pins, boosts and bans: all of them, one to add, change or remove."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Query
from sqlalchemy.orm import Session
from starlette.responses import Response

from api.console.access import Analyst, Editor, Viewer
from api.console.catalogue.forms import (
    REFUSALS,
    as_fields,
    audience_of,
    fields_of,
    refusal_of,
    titles_of,
    write_request,
)
from api.console.frame import console_router, page, redirected
from api.errors import RefusedFormError
from api.schemas.queries import NO_NUL
from content_catalog.schema import CURATIONS
from infra.catalog import records
from infra.catalog.records import Record
from infra.errors import NotFoundError

KIND: Final = "curations"
PATH: Final = "/console/curations"
EMPTY: Final = dict.fromkeys(CURATIONS.names, "")

router = console_router()
CurationId = Annotated[str, Query(max_length=1_000, pattern=NO_NUL)]
ItemId = Annotated[str, Query(max_length=2_000, pattern=NO_NUL, description="Item that the form begins with.")]


def of_item(session: Session, organisation_key: int, item_id: str) -> list[Record]:
    """Return the curations that name an item, in order of their ids."""
    return [row for row in records.page(session, organisation_key, KIND) if item_id in row["items"]]


@router.get("/curations")
def curations_page(viewer: Analyst, item_id: ItemId = "") -> Response:
    """Return all curations, and the form that adds one."""
    return _list_page(viewer, fields=EMPTY | {"items": item_id}, open_form=bool(item_id))


@router.post("/curations")
def add_curation(viewer: Editor) -> Response:
    """Pin, boost or ban the items of the form."""
    fields = fields_of(viewer.form, CURATIONS.names)
    try:
        return _saved(viewer, fields)
    except REFUSALS as error:
        raise RefusedFormError(_list_page(viewer, fields=fields, open_form=True, **refusal_of(error))) from error


@router.get("/curation")
def curation_page(viewer: Analyst, curation_id: CurationId) -> Response:
    """Return a curation, and the forms that change and remove it."""
    record = records.read(viewer.session, viewer.organisation_key, KIND, curation_id)
    return _page(viewer, record=record, etag=records.etag(record), fields=as_fields(record))


@router.post("/curation")
def change_curation(viewer: Editor) -> Response:
    """Replace a curation by that of the form."""
    record = records.read(viewer.session, viewer.organisation_key, KIND, viewer.form.get("curation_id", ""))
    fields = fields_of(viewer.form, CURATIONS.names) | {"curation_id": record["curation_id"]}
    try:
        return _saved(viewer, fields)
    except REFUSALS as error:
        etag = viewer.form.get("etag", "")
        raise RefusedFormError(_page(viewer, record=record, etag=etag, fields=fields, **refusal_of(error))) from error


@router.post("/curation/remove")
def remove_curation(viewer: Editor) -> Response:
    """Delete the curation that the form names."""
    curation_id = viewer.form.get("curation_id", "")
    if records.read_for_update(viewer.session, viewer.organisation_key, KIND, curation_id) is None:
        raise NotFoundError(f"no curation {curation_id!r}; it may be removed already: load the page again")
    records.remove(viewer.session, viewer.organisation_key, KIND, curation_id)
    viewer.record("curations.remove", curation_id=curation_id)
    return redirected(viewer.request, PATH)


def _saved(viewer: Viewer, fields: dict[str, str]) -> Response:
    curation_id = fields["curation_id"]
    write_request(viewer).put(viewer.caller, KIND, curation_id, fields)
    return redirected(viewer.request, "/console/curation", curation_id=curation_id)


def _list_page(viewer: Viewer, *, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
    rows = records.page(viewer.session, viewer.organisation_key, KIND)
    titles = titles_of(viewer, rows)
    return page(viewer, "curations.html", status=status, rows=rows, titles=titles, **_form_values(viewer), **values)


def _page(viewer: Viewer, *, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
    titles = titles_of(viewer, [values["record"]])
    return page(viewer, "curation.html", status=status, titles=titles, **_form_values(viewer), **values)


def _form_values(viewer: Viewer) -> dict[str, Any]:
    columns = {column.name: column for column in CURATIONS.columns}
    return {"edits": viewer.may("catalogue:write"), "columns": columns, "audience": audience_of(viewer)}
