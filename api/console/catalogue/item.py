"""Screen of an item: its data, who gets it, what became of it on push lists, similar items; edit and hide."""

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from api.console.access import FormDep, Viewer, opens
from api.console.catalogue import curations
from api.console.catalogue.forms import REFUSALS, as_fields, fields_of, refusal_of, write_request
from api.console.frame import console_router, csv_answer, page, redirected
from api.dependencies import NowDep, SessionDep, SettingsDep
from api.errors import RefusedFormError
from api.schemas.records import NO_NUL
from content_catalog.schema import ITEMS
from infra.catalog import organisations, records
from infra.catalog.records import Record
from infra.errors import NoPublishedRunError, UnknownItemError
from infra.reports.item_report import item_report
from infra.serving import push_lists

SIMILAR: Final = 10
MONTH_COLUMNS: Final = ("value", "lists", "shown", "opened", "completed", "opened_rate", "completed_rate")
COLUMNS: Final = tuple(column for column in ITEMS.columns if column.name not in {"item_id", "text", "hidden", "shared"})
"""Columns of the form: the text is too long for one, and to hide an item is a button."""

router = console_router()
Analyst = Annotated[Viewer, opens("analytics:read")]
Editor = Annotated[Viewer, opens("analytics:read", "catalogue:write")]
ItemId = Annotated[str, Query(max_length=2_000, pattern=NO_NUL)]


@router.get("/item")
def item_page(
    request: Request, session: SessionDep, viewer: Analyst, now: NowDep, settings: SettingsDep, item_id: ItemId
) -> Response:
    """Return an item."""
    record = records.read(session, viewer.caller.organisation_key, "items", item_id)
    return _page(request, session, viewer, now, settings, record=record, fields=as_fields(record))


@router.get("/item.csv")
def item_csv(session: SessionDep, viewer: Analyst, settings: SettingsDep, item_id: ItemId) -> Response:
    """Return what became of an item on push lists by month, as CSV."""
    report = _report(session, viewer, settings, item_id)
    return csv_answer("item.csv", MONTH_COLUMNS, report["months"] if report else [])


@router.post("/item")
def change_item(
    request: Request, session: SessionDep, viewer: Editor, now: NowDep, settings: SettingsDep, form: FormDep
) -> Response:
    """Change the item that the form names; its other columns stay."""
    key, item_id = viewer.caller.organisation_key, form.get("item_id", "")
    fields = fields_of(form, [column.name for column in COLUMNS])
    record = records.read(session, key, "items", item_id)
    try:
        return _saved(request, session, viewer, form, settings, now, fields)
    except REFUSALS as error:
        shown, etag = as_fields(record) | fields, form.get("etag", "")
        refused = refusal_of(error)
        answer = _page(request, session, viewer, now, settings, record=record, fields=shown, etag=etag, **refused)
        raise RefusedFormError(answer) from error


@router.post("/item/hidden")
def hide_item(
    request: Request, session: SessionDep, viewer: Editor, now: NowDep, settings: SettingsDep, form: FormDep
) -> Response:
    """Hide an item, so that it is on no list from the next request on, or show it again."""
    hidden = "true" if form.get("hidden") == "true" else "false"
    return _saved(request, session, viewer, form, settings, now, {"hidden": hidden})


def _saved(
    request: Request,
    session: Session,
    viewer: Viewer,
    form: FormDep,
    settings: SettingsDep,
    now: NowDep,
    fields: dict[str, str],
) -> Response:
    item_id = form.get("item_id", "")

    def change(before: Record | None) -> Record:
        if before is None:
            raise UnknownItemError(f"your organisation has no item {item_id!r} of its own; shared ones are not yours")
        return before | fields

    writing = write_request(session, form, settings, now)
    writing.write(viewer.caller, "items", item_id, change)
    writing.audit(viewer.caller, "items.change", item_id=item_id, fields=sorted(fields))
    return redirected(request, f"/console/item?{urlencode({'item_id': item_id})}")


def _report(session: Session, viewer: Viewer, settings: SettingsDep, item_id: str) -> dict[str, Any] | None:
    """Return the report on an item; None before the first run."""
    key = viewer.caller.organisation_key
    local = organisations.local_settings(session, key, settings)
    smallest = local.privacy.smallest_group
    try:
        return viewer.figures.of(
            f"item {item_id}",
            lambda: item_report(session, key, item_id, zone=local.timezone, min_group_size=smallest),
        )
    except NoPublishedRunError:
        return None


def _page(
    request: Request,
    session: Session,
    viewer: Viewer,
    now: NowDep,
    settings: SettingsDep,
    *,
    record: Record,
    etag: str | None = None,
    **form: Any,
) -> Response:
    key, item_id = viewer.caller.organisation_key, record["item_id"]
    report = _report(session, viewer, settings, item_id)
    edits = "catalogue:write" in viewer.caller.scopes and records.is_own(session, key, item_id)
    return page(
        request,
        viewer,
        "item.html",
        item=record,
        report=report,
        similar=push_lists.similar(session, key, item_id, n=SIMILAR, now=now)["items"] if report else [],
        curations=curations.of_item(session, key, item_id),
        curates="catalogue:write" in viewer.caller.scopes,
        edits=edits,
        etag=records.etag(record) if etag is None else etag,
        columns=COLUMNS,
        **{"faults": [], **form},
    )
