"""Item routes: the organisation's own items, and those that others share with it."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response

from api.auth.auth import Caller, requires
from api.dependencies import NowDep, SessionDep, SettingsDep, known_parameters_only, whole_ids_only
from api.problems import problems
from api.protocol.conditions import PreconditionsDep
from api.protocol.pagination import Cursor, position_of
from api.protocol.route_class import Route
from api.protocol.strict_json import strict_json
from api.routers.crud import (
    MERGE_PATCH,
    BulkBodyDep,
    WriteDep,
    bulk_body_openapi,
    bulk_upsert,
    conditional,
    merge_patch,
    page_of,
)
from api.schemas.queries import Filter, Flag, Limit
from api.schemas.records import BulkResult, Item, ItemBody, Items
from infra.catalog import records
from infra.errors import UnknownItemError

BULK_BODY = bulk_body_openapi("item_id,title\nknots,Knots\n", '{"item_id": "knots", "title": "Knots"}\n')

router = APIRouter(
    route_class=Route,
    prefix="/v1/items",
    tags=["catalogue"],
    dependencies=[Depends(whole_ids_only), Depends(known_parameters_only), Depends(strict_json)],
    responses=problems(400, 401, 403, 404, 409, 412, 503),
)
CatalogueWriter = Annotated[Caller, requires("catalogue:write")]
ItemId = Annotated[str, Path(description="Id of the item.", examples=["knots"])]


@router.get("", name="list items")
def list_items(  # noqa: PLR0913, PLR0917 - parameters of the query
    session: SessionDep,
    caller: CatalogueWriter,
    request: Request,
    response: Response,
    topic: Annotated[Filter, Query(description="Only items of this topic.")] = None,
    format_: Annotated[Filter, Query(alias="format", description="Only items of this format.")] = None,
    role: Annotated[Filter, Query(description="Only items that target this role.")] = None,
    industry: Annotated[Filter, Query(description="Only items that target this industry.")] = None,
    hidden: Annotated[Flag | None, Query(description="Only hidden items, or only others.")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Items:
    """Return items in order of their ids, shared ones included, without their `text`."""
    having = {
        "topics": topic,
        "format": format_,
        "target_roles": role,
        "target_industries": industry,
        "hidden": hidden,
    }
    after, key = position_of(cursor), caller.organisation_key
    rows = records.page(session, key, "items", after=after, limit=limit + 1, having=having)
    return Items.model_validate({"items": page_of(rows, "item_id", limit=limit, request=request, response=response)})


@router.post("/bulk", openapi_extra=BULK_BODY, name="bulk upsert items", responses=problems(413, 415))
def bulk_upsert_items(
    session: SessionDep, caller: CatalogueWriter, settings: SettingsDep, now: NowDep, body: BulkBodyDep
) -> BulkResult:
    """Create or update many items, as CSV with a header or as JSON Lines, with the checks of `xuelu ingest`.

    Of existing items the columns that a line names are replaced. Bad lines come back as rejects; where more than the
    setting `max_reject_share` of them are bad, nothing is stored.
    """
    return bulk_upsert(session, caller, settings, "items", body, now=now)


@router.get("/{item_id:path}", name="read item", response_model=Item, responses={304: {"description": "Unchanged"}})
def read_item(
    item_id: ItemId, session: SessionDep, caller: CatalogueWriter, expected: PreconditionsDep, response: Response
) -> Any:
    """Return an item, own or shared, with its `ETag`."""
    return conditional(records.read(session, caller.organisation_key, "items", item_id), expected, response)


@router.put("/{item_id:path}", name="write item", responses={201: {"model": Item, "description": "It was new"}})
def write_item(item_id: ItemId, caller: CatalogueWriter, body: ItemBody, writing: WriteDep) -> Item:
    """Create an item, or replace it: fields that the body leaves out become empty."""
    item, new = writing.write(caller, "items", item_id, lambda _before: {"item_id": item_id, **body.model_dump()})
    writing.audit(caller, "items.create" if new else "items.replace", item_id=item_id)
    return Item(**item)


@router.patch("/{item_id:path}", name="change item")
def change_item(
    item_id: ItemId, caller: CatalogueWriter, body: Annotated[ItemBody, Body(media_type=MERGE_PATCH)], writing: WriteDep
) -> Item:
    """Change the fields that the body names (RFC 7396): null removes a value.

    `{"hidden": true}` removes the item from every list, from the next request on.
    """
    item, _ = writing.write(caller, "items", item_id, merge_patch(body, UnknownItemError, item_id))
    writing.audit(caller, "items.change", item_id=item_id, fields=sorted(body.model_fields_set))
    return Item(**item)


@router.delete("/{item_id:path}", status_code=204, name="remove item")
def remove_item(item_id: ItemId, caller: CatalogueWriter, writing: WriteDep) -> None:
    """Delete an own item: it leaves every list. Its events stay, and count again if it is created again."""
    if writing.before(caller, "items", item_id) is None:
        raise UnknownItemError(f"no item {item_id!r} of your own; check the id")
    records.remove(writing.session, caller.organisation_key, "items", item_id)
    writing.audit(caller, "items.remove", item_id=item_id)
