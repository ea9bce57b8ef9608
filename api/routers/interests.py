"""Routes of interests: the topics held about a member."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.dependencies import AuditBufferDep, NowDep, SessionDep, SettingsDep, known_parameters_only, whole_ids_only
from api.problems import problems
from api.protocol.route_class import Route
from api.routers.members import MemberId, MembersWriter
from api.schemas.policy import Interests
from infra.access import audit
from infra.policy import interests

router = APIRouter(
    route_class=Route,
    prefix="/v1/members",
    tags=["policy"],
    dependencies=[Depends(whole_ids_only), Depends(known_parameters_only)],
    responses=problems(400, 401, 403, 404, 503),
)
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
    key, detail = caller.organisation_key, {"topic": topic}
    interests.delete_interest(session, key, member_id, topic, now=now)
    audit.append(session, key, actor=caller.actor, action="interests.delete", subject=member_id, now=now, detail=detail)


@router.put("/{member_id:path}/interests/{topic:path}", status_code=204, name="restore interest")
def restore_interest(
    member_id: MemberId, topic: Topic, session: SessionDep, caller: MembersWriter, now: NowDep
) -> None:
    """Let study of a deleted topic count again."""
    key, detail = caller.organisation_key, {"topic": topic}
    interests.restore_interest(session, key, member_id, topic)
    audit.append(
        session, key, actor=caller.actor, action="interests.restore", subject=member_id, now=now, detail=detail
    )
