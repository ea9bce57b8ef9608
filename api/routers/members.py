"""Member routes: profiles and consent flags, subject-access export, erasure."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response

from api.auth.auth import Caller, requires
from api.dependencies import AuditBufferDep, NowDep, SessionDep, SettingsDep, known_parameters_only, whole_ids_only
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
from api.schemas.queries import Filter, Limit
from api.schemas.records import BulkResult, Erasure, Member, MemberBody, MemberExport, Members
from infra.access import audit
from infra.catalog import records
from infra.errors import UnknownMemberError
from infra.privacy import erasure, export

BULK_BODY = bulk_body_openapi("member_id,role\nm1,83\n", '{"member_id": "m1", "role": "83"}\n')

router = APIRouter(
    route_class=Route,
    prefix="/v1/members",
    tags=["people"],
    dependencies=[Depends(whole_ids_only), Depends(known_parameters_only), Depends(strict_json)],
    responses=problems(400, 401, 403, 404, 412, 503),
)
MembersWriter = Annotated[Caller, requires("members:write")]
MemberId = Annotated[str, Path(description="Id of the member.", examples=["m1"])]


@router.get("", name="list members")
def list_members(  # noqa: PLR0913, PLR0917 - parameters of the query
    session: SessionDep,
    caller: MembersWriter,
    audit_buffer: AuditBufferDep,
    request: Request,
    response: Response,
    role: Annotated[Filter, Query(description="Only members of this role, or one below it.")] = None,
    industry: Annotated[Filter, Query(description="Only members of this industry, or one below it.")] = None,
    unit: Annotated[Filter, Query(description="Only members of this unit, or one below it.")] = None,
    region: Annotated[Filter, Query(description="Only members of this region, or one below it.")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Members:
    """Return members in order of their ids."""
    having = {"role": role, "industry": industry, "units": unit, "region": region}
    after, key = position_of(cursor), caller.organisation_key
    rows = records.page(session, key, "members", after=after, limit=limit + 1, having=having)
    page = page_of(rows, "member_id", limit=limit, request=request, response=response)
    for member in page:
        audit_buffer.record_read(caller.organisation_key, caller.actor, "members.read", member["member_id"])
    return Members.model_validate({"members": page})


@router.post("/bulk", openapi_extra=BULK_BODY, name="bulk upsert members", responses=problems(413, 415))
def bulk_upsert_members(
    session: SessionDep, caller: MembersWriter, settings: SettingsDep, now: NowDep, body: BulkBodyDep
) -> BulkResult:
    """Create or update many members, as CSV with a header or as JSON Lines, with the checks of `xuelu ingest`.

    Of existing members the columns that a line names are replaced. Bad lines come back as rejects; where more than the
    setting `max_reject_share` of them are bad, nothing is stored.
    """
    return bulk_upsert(session, caller, settings, "members", body, now=now)


@router.get("/{member_id:path}/export", name="export member")
def export_member(
    member_id: MemberId, session: SessionDep, caller: MembersWriter, settings: SettingsDep, now: NowDep
) -> MemberExport:
    """Return every stored row about a member, table by table."""
    held = export.export(session, caller.organisation_key, member_id, home_page=settings.xapi_home_page or None)
    audit.append(
        session, caller.organisation_key, actor=caller.actor, action="members.export", subject=member_id, now=now
    )
    return MemberExport(member_id=member_id, exported_at=now, **held)


@router.get(
    "/{member_id:path}", name="read member", response_model=Member, responses={304: {"description": "Unchanged"}}
)
def read_member(
    member_id: MemberId,
    session: SessionDep,
    caller: MembersWriter,
    audit_buffer: AuditBufferDep,
    expected: PreconditionsDep,
    response: Response,
) -> Any:
    """Return a member, with its `ETag`."""
    member = records.read(session, caller.organisation_key, "members", member_id)
    audit_buffer.record_read(caller.organisation_key, caller.actor, "members.read", member_id)
    return conditional(member, expected, response)


@router.put("/{member_id:path}", name="write member", responses={201: {"model": Member, "description": "It was new"}})
def write_member(member_id: MemberId, caller: MembersWriter, body: MemberBody, writing: WriteDep) -> Member:
    """Create a member, or replace it: fields that the body leaves out become empty."""
    row = {"member_id": member_id, **body.model_dump()}
    member, new = writing.write(caller, "members", member_id, lambda _before: row)
    writing.audit(caller, "members.create" if new else "members.replace", member=member_id)
    return Member(**member)


@router.patch("/{member_id:path}", name="change member")
def change_member(
    member_id: MemberId,
    caller: MembersWriter,
    body: Annotated[MemberBody, Body(media_type=MERGE_PATCH)],
    writing: WriteDep,
) -> Member:
    """Change the fields that the body names (RFC 7396): null removes a value.

    `{"personalised": false}` switches personalisation off, from the member's next list on.
    """
    member, _ = writing.write(caller, "members", member_id, merge_patch(body, UnknownMemberError, member_id))
    writing.audit(caller, "members.change", member=member_id, fields=sorted(body.model_fields_set))
    return Member(**member)


@router.delete("/{member_id:path}", name="erase member")
def erase_member(member_id: MemberId, caller: MembersWriter, settings: SettingsDep, writing: WriteDep) -> Erasure:
    """Erase a member: rows, events, statements, lists and lines of files, for good; return a signed receipt.

    The audit log names the member by a keyed hash, whose key is destroyed with the rest.
    """
    writing.before(caller, "members", member_id)
    done = erasure.erase(
        writing.session, settings, caller.organisation_key, member_id, actor=caller.actor, now=writing.now
    )
    return Erasure(**done)
