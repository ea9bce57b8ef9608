"""Routes of interests: the topics held about a member."""

from typing import Annotated

from fastapi import Path

from api.auth.auth import MembersWriter
from api.dependencies import AuditBufferDep, NowDep, SessionDep, SettingsDep
from api.routers.members import MemberId
from api.routers.resource import resource_router
from api.schemas.policy import Interests
from infra.policy import interests

router = resource_router("/members", "policy", 400, 404, slashes=True)
Topic = Annotated[str, Path(description="The topic.", examples=["safety"])]


@router.get("/{member_id:path}/interests", name="list interests")
def list_interests(
    member_id: MemberId,
    session: SessionDep,
    caller: MembersWriter,
    settings: SettingsDep,
    now: NowDep,
    audit_buffer: AuditBufferDep,
) -> Interests:
    """Return the topics held about a member with the items that they come from, and those that it deleted."""
    held = interests.interests_of(session, caller.organisation_key, member_id, settings, now=now)
    audit_buffer.record_read(caller.organisation_key, caller.actor, "members.read", member_id)
    return Interests.model_validate(held)


@router.delete("/{member_id:path}/interests/{topic:path}", status_code=204, name="delete interest")
def delete_interest(member_id: MemberId, topic: Topic, session: SessionDep, caller: MembersWriter, now: NowDep) -> None:
    """Delete a topic from what is held about a member: from the next request on no list goes by study of it."""
    interests.delete_interest(session, caller.organisation_key, member_id, topic, now=now)
    caller.record(session, "interests.delete", now=now, member=member_id, topic=topic)


@router.put("/{member_id:path}/interests/{topic:path}", status_code=204, name="restore interest")
def restore_interest(
    member_id: MemberId, topic: Topic, session: SessionDep, caller: MembersWriter, now: NowDep
) -> None:
    """Let study of a deleted topic count again."""
    interests.restore_interest(session, caller.organisation_key, member_id, topic)
    caller.record(session, "interests.restore", now=now, member=member_id, topic=topic)
