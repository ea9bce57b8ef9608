"""Waiver routes: requirements that a member need not meet."""

from typing import Annotated

from fastapi import Path

from api.auth.auth import MembersWriter
from api.dependencies import AuditBufferDep, NowDep, SessionDep
from api.routers.members import MemberId
from api.routers.resource import resource_router
from api.schemas.policy import Waiver, WaiverBody, Waivers
from infra.catalog import requirements

router = resource_router("/members", "policy", 400, 404, slashes=True)
WaivedId = Annotated[str, Path(description="Id of the requirement.", examples=["safety"])]


@router.get("/{member_id:path}/waivers", name="list waivers")
def list_waivers(
    member_id: MemberId, session: SessionDep, caller: MembersWriter, audit_buffer: AuditBufferDep
) -> Waivers:
    """Return the requirements that a member need not meet."""
    waivers = requirements.waivers_of(session, caller.organisation_key, member_id)
    audit_buffer.record_read(caller.organisation_key, caller.actor, "members.read", member_id)
    return Waivers.model_validate({"waivers": waivers})


@router.put("/{member_id:path}/waivers/{requirement_id}", name="write waiver")
def write_waiver(
    member_id: MemberId,
    requirement_id: WaivedId,
    session: SessionDep,
    caller: MembersWriter,
    body: WaiverBody,
    now: NowDep,
) -> Waiver:
    """Free a member from a requirement: it leaves the member's list with the next request."""
    key = caller.organisation_key
    waiver = requirements.waive(session, key, member_id, requirement_id, now=now, reason=body.reason)
    caller.record(session, "waivers.write", now=now, member=member_id, requirement_id=requirement_id)
    return Waiver(**waiver)


@router.delete("/{member_id:path}/waivers/{requirement_id}", status_code=204, name="end waiver")
def end_waiver(
    member_id: MemberId, requirement_id: WaivedId, session: SessionDep, caller: MembersWriter, now: NowDep
) -> None:
    """End a waiver: the requirement holds for the member again."""
    requirements.end_waiver(session, caller.organisation_key, member_id, requirement_id)
    caller.record(session, "waivers.end", now=now, member=member_id, requirement_id=requirement_id)
