"""Item routes: the organisation's own items, and those that others share with it."""

from typing import Annotated, Any

from fastapi import Path, Query

from api.auth.auth import CatalogueWriter
from api.dependencies import SessionDep
from api.routers.crud import UNCHANGED, BulkDep, MergePatch, ReadDep, WriteDep, bulk_body_openapi, created
from api.routers.resource import ChangedPageDep, resource_router
from api.schemas.queries import Filter, Flag
from api.schemas.records import BulkResult, Item, ItemBody, Items
from infra.catalog import records

BULK_BODY = bulk_body_openapi("item_id,title\nknots,Knots\n", '{"item_id": "knots", "title": "Knots"}\n')

router = resource_router("/items", "catalogue", 400, 404, 409, 412, slashes=True)
ItemId = Annotated[str, Path(description="Id of the item.", examples=["knots"])]


@router.get("", name="list items")
def list_items(
    session: SessionDep,
    caller: CatalogueWriter,
    page: ChangedPageDep,
    topic: Annotated[Filter, Query(description="Only items of this topic.")] = None,
    format_: Annotated[Filter, Query(alias="format", description="Only items of this format.")] = None,
    role: Annotated[Filter, Query(description="Only items that target this role.")] = None,
    industry: Annotated[Filter, Query(description="Only items that target this industry.")] = None,
    hidden: Annotated[Flag | None, Query(description="Only hidden items, or only others.")] = None,
) -> Items:
    """Return items in order of their ids, shared ones included, without their `text`."""
    having = {
        "topics": topic,
        "format": format_,
        "target_roles": role,
        "target_industries": industry,
        "hidden": hidden,
    }
    rows = records.page(session, caller.organisation_key, "items", having=having, **page.query)
    return Items.model_validate({"items": page.of(rows, lambda item: item["item_id"])})


@router.post("/bulk", openapi_extra=BULK_BODY, name="bulk upsert items")
def bulk_upsert_items(caller: CatalogueWriter, bulk: BulkDep) -> BulkResult:
    """Create or update many items, as CSV with a header or as JSON Lines, with the checks of `xuelu ingest`.

    Of existing items the columns that a line names are replaced. Bad lines come back as rejects; where more than the
    setting `max_reject_share` of them are bad, nothing is stored.
    """
    return bulk.upsert(caller, "items")


@router.get("/{item_id:path}", name="read item", response_model=Item, responses=UNCHANGED)
def read_item(item_id: ItemId, caller: CatalogueWriter, reading: ReadDep) -> Any:
    """Return an item, own or shared, with its `ETag`."""
    return reading.record(caller, "items", item_id)


@router.put("/{item_id:path}", name="write item", responses=created(Item))
def write_item(item_id: ItemId, caller: CatalogueWriter, body: ItemBody, writing: WriteDep) -> Item:
    """Create an item, or replace it: fields that the body leaves out become empty."""
    return Item(**writing.put(caller, "items", item_id, body.model_dump()))


@router.patch("/{item_id:path}", name="change item")
def change_item(item_id: ItemId, caller: CatalogueWriter, body: MergePatch[ItemBody], writing: WriteDep) -> Item:
    """Change the fields that the body names (RFC 7396): null removes a value.

    `{"hidden": true}` removes the item from every list, from the next request on.
    """
    return Item(**writing.patch(caller, "items", item_id, body.model_dump(exclude_unset=True)))


@router.delete("/{item_id:path}", status_code=204, name="remove item")
def remove_item(item_id: ItemId, caller: CatalogueWriter, writing: WriteDep) -> None:
    """Delete an own item: it leaves every list. Its events stay, and count again if it is created again."""
    writing.delete(caller, "items", item_id)
