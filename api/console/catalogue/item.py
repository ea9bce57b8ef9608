"""Screen of an item: its data, members who get it, its outcomes on push lists, similar items; edit and hide."""

from typing import Annotated, Any, Final, Literal

from fastapi import Query
from starlette.responses import Response

from api.console.access import Analyst, Editor, Viewer
from api.console.catalogue import curations
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
from content_catalog.schema import ITEMS
from infra.catalog import records
from infra.catalog.records import Record
from infra.errors import NoPublishedRunError
from infra.reports.item_report import item_report
from infra.serving import push_lists

SIMILAR: Final = 10
MONTH_COLUMNS: Final = ("value", "lists", "shown", "opened", "completed", "opened_rate", "completed_rate")
COLUMNS: Final = tuple(column for column in ITEMS.columns if column.name not in {"item_id", "text", "hidden", "shared"})
"""Columns of the form: the text is too long for one, and to hide an item is a button."""

router = console_router()
ItemId = Annotated[str, Query(max_length=2_000, pattern=NO_NUL)]


@router.get("/item")
def item_page(viewer: Analyst, item_id: ItemId, saved: Literal["", "true"] = "") -> Response:
    """Return an item, which may have just been ``saved``."""
    record = records.read(viewer.session, viewer.organisation_key, "items", item_id)
    return _page(viewer, record=record, fields=as_fields(record), etag=records.etag(record), saved=saved)


@router.get("/item.csv")
def item_csv(viewer: Analyst, item_id: ItemId) -> Response:
    """Return the outcomes of an item on push lists by month, as CSV."""
    report = _report(viewer, item_id)
    return csv_answer("item.csv", MONTH_COLUMNS, report["months"] if report else [])


@router.post("/item")
def change_item(viewer: Editor) -> Response:
    """Change the item that the form names; its other columns stay."""
    fields = fields_of(viewer.form, [column.name for column in COLUMNS])
    record = records.read(viewer.session, viewer.organisation_key, "items", viewer.form.get("item_id", ""))
    try:
        return _saved(viewer, fields)
    except REFUSALS as error:
        shown, etag = as_fields(record) | fields, viewer.form.get("etag", "")
        raise RefusedFormError(_page(viewer, record=record, fields=shown, etag=etag, **refusal_of(error))) from error


@router.post("/item/hidden")
def hide_item(viewer: Editor) -> Response:
    """Hide an item, so that it is on no list from the next request on, or show it again."""
    return _saved(viewer, {"hidden": "true" if viewer.form.get("hidden") == "true" else "false"})


def _saved(viewer: Viewer, fields: dict[str, str]) -> Response:
    item_id = viewer.form.get("item_id", "")
    write_request(viewer).patch(viewer.caller, "items", item_id, fields)
    return redirected(viewer.request, "/console/item", item_id=item_id, saved="true")


def _report(viewer: Viewer, item_id: str) -> dict[str, Any] | None:
    """Return the report on an item; None before the first run."""
    session, key, local = viewer.session, viewer.organisation_key, viewer.local_settings
    smallest = local.privacy.smallest_group
    try:
        return viewer.figures.of(
            f"item {item_id}",
            lambda: item_report(session, key, item_id, zone=local.timezone, min_group_size=smallest),
        )
    except NoPublishedRunError:
        return None


def _page(viewer: Viewer, *, record: Record, **form: Any) -> Response:
    session, key, item_id = viewer.session, viewer.organisation_key, record["item_id"]
    report, curated = _report(viewer, item_id), curations.of_item(session, key, item_id)
    return page(
        viewer,
        "item.html",
        item=record,
        report=report,
        similar=push_lists.similar(session, key, item_id, n=SIMILAR, now=viewer.now)["items"] if report else [],
        curations=curated,
        audience=audience_of(viewer),
        titles=titles_of(viewer, curated),
        curates=viewer.may("catalogue:write"),
        edits=viewer.may("catalogue:write") and records.is_own(session, key, item_id),
        columns=COLUMNS,
        **{"faults": [], "saved": "", **form},
    )
