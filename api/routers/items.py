"""Items of the catalogue: the organisation's own, and those that others share with it."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from api.auth.auth import Caller, requires
from api.dependencies import NowDep, SessionDep, SettingsDep, known_parameters_only, whole_ids_only
from api.problems import problems
from api.protocol.etags import PreconditionsDep
from api.protocol.pagination import Cursor, Limit, position_of
from api.protocol.route_class import Route
from api.protocol.strict_json import strict_json
from api.routers.crud import MERGE_PATCH, LinesDep, WritingDep, changed, lines, paged, shown, take_lines
from api.schemas.records import Item, ItemBody, Items, Taken
from infra.catalog import records
from infra.errors import UnknownItemError

LINES = lines("item_id,title\nknots,Knots\n", '{"item_id": "knots", "title": "Knots"}\n')

router = APIRouter(
    route_class=Route,
    prefix="/v1/items",
    tags=["catalogue"],
    dependencies=[Depends(whole_ids_only), Depends(known_parameters_only), Depends(strict_json)],
    responses=problems(400, 401, 403, 404, 409, 412, 503),
)
Cataloguer = Annotated[Caller, requires("catalogue:write")]
ItemId = Annotated[str, Path(description="Id of the item.", examples=["knots"])]


@router.get("", name="list items")
def list_items(
    session: SessionDep,
    caller: Cataloguer,
    request: Request,
    response: Response,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Items:
    """Return items in order of their ids, shared ones included, without their `text`."""
    found = records.page(session, caller.organisation_key, "items", after=position_of(cursor), limit=limit + 1)
    return Items.model_validate({"items": paged(found, "item_id", limit=limit, request=request, response=response)})


@router.post("/bulk", openapi_extra=LINES, name="take items", responses=problems(413, 415))
def take_items(session: SessionDep, caller: Cataloguer, settings: SettingsDep, now: NowDep, body: LinesDep) -> Taken:
    """Take many items, as CSV with a header or as JSON Lines, through the checks of `xuelu ingest`.

    Of items that are there already, the columns that are given are replaced. Bad lines are answered as rejects; where
    more than the setting `max_reject_share` of them are bad, nothing is taken.
    """
    return take_lines(session, caller, settings, "items", body, now=now)


@router.get("/{item_id:path}", name="read item", response_model=Item, responses={304: {"description": "Unchanged"}})
def read_item(
    item_id: ItemId, session: SessionDep, caller: Cataloguer, expected: PreconditionsDep, response: Response
) -> Any:
    """Return an item, own or shared, with its `ETag`."""
    return shown(records.read(session, caller.organisation_key, "items", item_id), expected, response)


@router.put("/{item_id:path}", name="write item", responses={201: {"model": Item, "description": "It was new"}})
def write_item(item_id: ItemId, caller: Cataloguer, body: ItemBody, writing: WritingDep) -> Item:
    """Make an item, or replace it whole: what the body leaves out is not known any more."""
    item, new = writing.write(caller, "items", item_id, lambda _before: {"item_id": item_id, **body.model_dump()})
    writing.note(caller, "items.create" if new else "items.replace", item_id=item_id)
    return Item(**item)


@router.patch("/{item_id:path}", name="change item")
def change_item(
    item_id: ItemId, caller: Cataloguer, body: Annotated[ItemBody, Body(media_type=MERGE_PATCH)], writing: WritingDep
) -> Item:
    """Change what the body names and leave the rest as it is (RFC 7396): null takes a value away.

    `{"hidden": true}` takes the item off every list, from the next request on.
    """
    item, _ = writing.write(caller, "items", item_id, changed(body, UnknownItemError, item_id))
    writing.note(caller, "items.change", item_id=item_id, fields=sorted(body.model_fields_set))
    return Item(**item)


@router.delete("/{item_id:path}", status_code=204, name="remove item")
def remove_item(item_id: ItemId, caller: Cataloguer, writing: WritingDep) -> None:
    """Remove an own item: it is gone from every list. Events of it stay, and count again where it comes back."""
    before = records.locked(writing.session, caller.organisation_key, "items", item_id)
    if before is None:
        raise UnknownItemError(f"no item {item_id!r} of your own; check the id")
    writing.expected.check(records.etag(before))
    records.remove_item(writing.session, caller.organisation_key, item_id)
    writing.note(caller, "items.remove", item_id=item_id)
