"""Pins, boosts and bans on an item's page: add one for an audience until a set time, remove one."""

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from api.console.access import FormDep, Viewer, opens
from api.console.catalogue.forms import NOTHING_YET, fields_of, write_request
from api.console.frame import console_router, redirected
from api.dependencies import NowDep, SessionDep, SettingsDep
from content_catalog.schema import CURATIONS
from infra.catalog import records
from infra.errors import UnknownCurationError
from infra.policy import curated_entries

KIND: Final = "curations"
COLUMNS: Final = tuple(column for column in CURATIONS.columns if column.name != "items")
"""Columns of the form: the item is that of the page."""

router = console_router()
Editor = Annotated[Viewer, opens("analytics:read", "catalogue:write")]


def of_item(session: Session, organisation_key: int, item_id: str) -> list[dict[str, Any]]:
    """Return the curations that name an item, in order of their ids."""
    named = [each for each in curated_entries.of_organisation(session, organisation_key) if item_id in each.items]
    return [records.read(session, organisation_key, KIND, curation.curation_id) for curation in named]


@router.post("/item/curations")
def add_curation(
    request: Request, session: SessionDep, viewer: Editor, now: NowDep, settings: SettingsDep, form: FormDep
) -> Response:
    """Pin, boost or ban the item that the form names."""
    item_id = form.get("item_id", "")
    fields = fields_of(form, [column.name for column in COLUMNS]) | {"items": item_id}
    writing = write_request(session, {**form, "etag": NOTHING_YET}, settings, now)
    writing.write(viewer.caller, KIND, fields["curation_id"], lambda _before: fields)
    writing.audit(viewer.caller, "curations.create", curation_id=fields["curation_id"])
    return redirected(request, f"/console/item?{urlencode({'item_id': item_id})}")


@router.post("/item/curations/remove")
def remove_curation(
    request: Request, session: SessionDep, viewer: Editor, now: NowDep, settings: SettingsDep, form: FormDep
) -> Response:
    """Delete the curation that the form names."""
    curation_id, key = form.get("curation_id", ""), viewer.caller.organisation_key
    if records.read_for_update(session, key, KIND, curation_id) is None:
        raise UnknownCurationError(f"no curation {curation_id!r}; it may be removed already: load the page again")
    records.remove(session, key, KIND, curation_id)
    write_request(session, form, settings, now).audit(viewer.caller, "curations.remove", curation_id=curation_id)
    return redirected(request, f"/console/item?{urlencode({'item_id': form.get('item_id', '')})}")
