"""Routes of saved items: what a member put aside for later."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.dependencies import NowDep, SessionDep, known_parameters_only, whole_ids_only
from api.problems import problems
from api.protocol.route_class import Route
from api.routers.members import MemberId, MembersWriter
from api.schemas.policy import SavedItem, SavedItems
from infra.access import audit
from infra.policy import member_choices

router = APIRouter(
    route_class=Route,
    prefix="/v1/members",
    tags=["policy"],
    dependencies=[Depends(whole_ids_only), Depends(known_parameters_only)],
    responses=problems(400, 401, 403, 404, 503),
)
SavedId = Annotated[str, Path(description="Id of the item.", examples=["knots"])]


@router.get("/{member_id:path}/saved", name="list saved items")
def list_saved_items(member_id: MemberId, session: SessionDep, caller: MembersWriter) -> SavedItems:
    """Return the items that a member saved for later, the first saved first.

    Left out are those that the member finished, or dismissed since.
    """
    saved = member_choices.saved_of(session, caller.organisation_key, member_id)
    return SavedItems.model_validate({"saved": saved})


@router.put("/{member_id:path}/saved/{item_id:path}", name="save item")
def save_item(
    member_id: MemberId, item_id: SavedId, session: SessionDep, caller: MembersWriter, now: NowDep
) -> SavedItem:
    """Save an item for later: from the next request on it returns on the member's list."""
    key, detail = caller.organisation_key, {"item_id": item_id}
    saved = member_choices.save(session, key, member_id, item_id, now=now)
    audit.append(session, key, actor=caller.actor, action="saved.write", subject=member_id, now=now, detail=detail)
    return SavedItem(**saved)


@router.delete("/{member_id:path}/saved/{item_id:path}", status_code=204, name="end saving")
def end_saving(member_id: MemberId, item_id: SavedId, session: SessionDep, caller: MembersWriter, now: NowDep) -> None:
    """Take an item off those that a member saved for later."""
    key, detail = caller.organisation_key, {"item_id": item_id}
    member_choices.unsave(session, key, member_id, item_id)
    audit.append(session, key, actor=caller.actor, action="saved.end", subject=member_id, now=now, detail=detail)
