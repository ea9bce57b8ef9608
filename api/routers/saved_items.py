"""Routes of saved items: what a member put aside for later."""

from typing import Annotated

from fastapi import Path

from api.auth.auth import MembersWriter
from api.dependencies import AuditBufferDep, NowDep, SessionDep
from api.routers.members import MemberId
from api.routers.resource import resource_router
from api.schemas.policy import SavedItem, SavedItems
from infra.policy import member_choices

router = resource_router("/members", "policy", 400, 404, slashes=True)
SavedId = Annotated[str, Path(description="Id of the item.", examples=["knots"])]


@router.get("/{member_id:path}/saved", name="list saved items")
def list_saved_items(
    member_id: MemberId, session: SessionDep, caller: MembersWriter, audit_buffer: AuditBufferDep
) -> SavedItems:
    """Return the items that a member saved for later, the first saved first.

    Left out are those that the member finished, or dismissed since.
    """
    saved = member_choices.saved_of(session, caller.organisation_key, member_id)
    audit_buffer.record_read(caller.organisation_key, caller.actor, "members.read", member_id)
    return SavedItems.model_validate({"saved": saved})


@router.put("/{member_id:path}/saved/{item_id:path}", name="save item")
def save_item(
    member_id: MemberId, item_id: SavedId, session: SessionDep, caller: MembersWriter, now: NowDep
) -> SavedItem:
    """Save an item for later: from the next request on it returns on the member's list."""
    saved = member_choices.save(session, caller.organisation_key, member_id, item_id, now=now)
    caller.record(session, "saved.write", now=now, member=member_id, item_id=item_id)
    return SavedItem(**saved)


@router.delete("/{member_id:path}/saved/{item_id:path}", status_code=204, name="end saving")
def end_saving(member_id: MemberId, item_id: SavedId, session: SessionDep, caller: MembersWriter, now: NowDep) -> None:
    """Take an item off those that a member saved for later."""
    member_choices.unsave(session, caller.organisation_key, member_id, item_id)
    caller.record(session, "saved.end", now=now, member=member_id, item_id=item_id)
