"""Screens of pins, boosts and bans: all of them, one to add, change or remove."""

from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from api.console.access import FormDep, Viewer, opens
from api.console.catalogue.forms import REFUSALS, as_fields, fields_of, refusal_of, write_request
from api.console.frame import console_router, page, redirected
from api.dependencies import NowDep, SessionDep, SettingsDep
from api.errors import RefusedFormError
from api.schemas.records import NO_NUL
from content_catalog.schema import CURATIONS
from infra.catalog import records
from infra.catalog.records import Record
from infra.errors import UnknownCurationError
from infra.policy import curated_entries

KIND: Final = "curations"
PATH: Final = "/console/curations"
EMPTY: Final = dict.fromkeys(CURATIONS.names, "")

router = console_router()
Analyst = Annotated[Viewer, opens("analytics:read")]
Editor = Annotated[Viewer, opens("analytics:read", "catalogue:write")]
CurationId = Annotated[str, Query(max_length=1_000, pattern=NO_NUL)]
ItemId = Annotated[str, Query(max_length=2_000, pattern=NO_NUL, description="Item that the form begins with.")]


def of_item(session: Session, organisation_key: int, item_id: str) -> list[Record]:
    """Return the curations that name an item, in order of their ids."""
    return [row for row in _stored(session, organisation_key) if item_id in row["items"]]


@router.get("/curations")
def curations_page(request: Request, session: SessionDep, viewer: Analyst, item_id: ItemId = "") -> Response:
    """Return all curations, and the form that adds one."""
    return _list_page(request, session, viewer, fields=EMPTY | {"items": item_id}, open_form=bool(item_id))


@router.post("/curations")
def add_curation(
    request: Request, session: SessionDep, viewer: Editor, now: NowDep, settings: SettingsDep, form: FormDep
) -> Response:
    """Pin, boost or ban the items of the form."""
    fields = fields_of(form, CURATIONS.names)
    try:
        return _saved(request, session, viewer, now, settings, form, fields)
    except REFUSALS as error:
        refused = _list_page(request, session, viewer, fields=fields, open_form=True, **refusal_of(error))
        raise RefusedFormError(refused) from error


@router.get("/curation")
def curation_page(request: Request, session: SessionDep, viewer: Analyst, curation_id: CurationId) -> Response:
    """Return a curation, and the forms that change and remove it."""
    record = records.read(session, viewer.caller.organisation_key, KIND, curation_id)
    return _page(request, viewer, record=record, etag=records.etag(record), fields=as_fields(record))


@router.post("/curation")
def change_curation(
    request: Request, session: SessionDep, viewer: Editor, now: NowDep, settings: SettingsDep, form: FormDep
) -> Response:
    """Replace a curation by that of the form."""
    record = records.read(session, viewer.caller.organisation_key, KIND, form.get("curation_id", ""))
    fields = fields_of(form, CURATIONS.names) | {"curation_id": record["curation_id"]}
    try:
        return _saved(request, session, viewer, now, settings, form, fields)
    except REFUSALS as error:
        etag = form.get("etag", "")
        refused = _page(request, viewer, record=record, etag=etag, fields=fields, **refusal_of(error))
        raise RefusedFormError(refused) from error


@router.post("/curation/remove")
def remove_curation(
    request: Request, session: SessionDep, viewer: Editor, now: NowDep, settings: SettingsDep, form: FormDep
) -> Response:
    """Delete the curation that the form names."""
    curation_id, key = form.get("curation_id", ""), viewer.caller.organisation_key
    if records.read_for_update(session, key, KIND, curation_id) is None:
        raise UnknownCurationError(f"no curation {curation_id!r}; it may be removed already: load the page again")
    records.remove(session, key, KIND, curation_id)
    write_request(session, form, settings, now).audit(viewer.caller, "curations.remove", curation_id=curation_id)
    return redirected(request, PATH)


def _saved(
    request: Request,
    session: Session,
    viewer: Viewer,
    now: NowDep,
    settings: SettingsDep,
    form: FormDep,
    fields: dict[str, str],
) -> Response:
    curation_id = fields["curation_id"]
    writing = write_request(session, form, settings, now)
    _, new = writing.write(viewer.caller, KIND, curation_id, lambda _before: fields)
    writing.audit(viewer.caller, "curations.create" if new else "curations.replace", curation_id=curation_id)
    return redirected(request, f"/console/curation?{urlencode({'curation_id': curation_id})}")


def _stored(session: Session, organisation_key: int) -> list[Record]:
    ids = [each.curation_id for each in curated_entries.of_organisation(session, organisation_key)]
    return [records.read(session, organisation_key, KIND, curation_id) for curation_id in ids]


def _list_page(
    request: Request, session: Session, viewer: Viewer, *, status: HTTPStatus = HTTPStatus.OK, **values: Any
) -> Response:
    rows = _stored(session, viewer.caller.organisation_key)
    return page(request, viewer, "curations.html", status=status, rows=rows, **_form_values(viewer), **values)


def _page(request: Request, viewer: Viewer, *, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
    return page(request, viewer, "curation.html", status=status, **_form_values(viewer), **values)


def _form_values(viewer: Viewer) -> dict[str, Any]:
    return {
        "edits": "catalogue:write" in viewer.caller.scopes,
        "columns": {column.name: column for column in CURATIONS.columns},
    }
