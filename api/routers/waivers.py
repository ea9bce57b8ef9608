"""Waiver routes: requirements that a member need not meet."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.dependencies import NowDep, SessionDep, known_parameters_only, whole_ids_only
from api.problems import problems
from api.protocol.route_class import Route
from api.protocol.strict_json import strict_json
from api.routers.members import MemberId, MembersWriter
from api.schemas.policy import Waiver, WaiverBody, Waivers
from infra.access import audit
from infra.catalog import requirements

router = APIRouter(
    route_class=Route,
    prefix="/v1/members",
    tags=["policy"],
    dependencies=[Depends(whole_ids_only), Depends(known_parameters_only), Depends(strict_json)],
    responses=problems(400, 401, 403, 404, 503),
)
WaivedId = Annotated[str, Path(description="Id of the requirement.", examples=["safety"])]


@router.get("/{member_id:path}/waivers", name="list waivers")
def list_waivers(member_id: MemberId, session: SessionDep, caller: MembersWriter) -> Waivers:
    """Return the requirements that a member need not meet."""
    waivers = requirements.waivers_of(session, caller.organisation_key, member_id)
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
    detail = {"requirement_id": requirement_id}
    audit.append(session, key, actor=caller.actor, action="waivers.write", subject=member_id, now=now, detail=detail)
    return Waiver(**waiver)


@router.delete("/{member_id:path}/waivers/{requirement_id}", status_code=204, name="end waiver")
def end_waiver(
    member_id: MemberId, requirement_id: WaivedId, session: SessionDep, caller: MembersWriter, now: NowDep
) -> None:
    """End a waiver: the requirement holds for the member again."""
    key, detail = caller.organisation_key, {"requirement_id": requirement_id}
    requirements.end_waiver(session, key, member_id, requirement_id)
    audit.append(session, key, actor=caller.actor, action="waivers.end", subject=member_id, now=now, detail=detail)
