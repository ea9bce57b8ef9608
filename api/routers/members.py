"""Members: their roles, units and switches; everything held about one; erasure."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from api.auth.auth import Caller, requires
from api.dependencies import AuditBufferDep, NowDep, SessionDep, SettingsDep, known_parameters_only, whole_ids_only
from api.problems import problems
from api.protocol.etags import PreconditionsDep
from api.protocol.pagination import Cursor, Limit, position_of
from api.protocol.route_class import Route
from api.protocol.strict_json import strict_json
from api.routers.crud import MERGE_PATCH, LinesDep, WritingDep, changed, lines, paged, shown, take_lines
from api.schemas.records import Erasure, Member, MemberBody, MemberExport, Members, Taken
from infra.access import audit
from infra.catalog import records
from infra.errors import UnknownMemberError
from infra.privacy import erasure, export

LINES = lines("member_id,role\nm1,83\n", '{"member_id": "m1", "role": "83"}\n')

router = APIRouter(
    route_class=Route,
    prefix="/v1/members",
    tags=["people"],
    dependencies=[Depends(whole_ids_only), Depends(known_parameters_only), Depends(strict_json)],
    responses=problems(400, 401, 403, 404, 412, 503),
)
Keeper = Annotated[Caller, requires("members:write")]
MemberId = Annotated[str, Path(description="Id of the member.", examples=["m1"])]


@router.get("", name="list members")
def list_members(
    session: SessionDep,
    caller: Keeper,
    audit_buffer: AuditBufferDep,
    request: Request,
    response: Response,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Members:
    """Return members in order of their ids."""
    found = records.page(session, caller.organisation_key, "members", after=position_of(cursor), limit=limit + 1)
    page = paged(found, "member_id", limit=limit, request=request, response=response)
    for member in page:
        audit_buffer.record_read(caller.organisation_key, caller.actor, "members.read", member["member_id"])
    return Members.model_validate({"members": page})


@router.post("/bulk", openapi_extra=LINES, name="take members", responses=problems(413, 415))
def take_members(session: SessionDep, caller: Keeper, settings: SettingsDep, now: NowDep, body: LinesDep) -> Taken:
    """Take many members, as CSV with a header or as JSON Lines, through the checks of `xuelu ingest`.

    Of members that are there already, the columns that are given are replaced. Bad lines are answered as rejects;
    where more than the setting `max_reject_share` of them are bad, nothing is taken.
    """
    return take_lines(session, caller, settings, "members", body, now=now)


@router.get("/{member_id:path}/export", name="export member")
def export_member(
    member_id: MemberId, session: SessionDep, caller: Keeper, settings: SettingsDep, now: NowDep
) -> MemberExport:
    """Return everything that is held about a member, table by table, as it is stored."""
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
    caller: Keeper,
    audit_buffer: AuditBufferDep,
    expected: PreconditionsDep,
    response: Response,
) -> Any:
    """Return a member, with its `ETag`."""
    member = records.read(session, caller.organisation_key, "members", member_id)
    audit_buffer.record_read(caller.organisation_key, caller.actor, "members.read", member_id)
    return shown(member, expected, response)


@router.put("/{member_id:path}", name="write member", responses={201: {"model": Member, "description": "It was new"}})
def write_member(member_id: MemberId, caller: Keeper, body: MemberBody, writing: WritingDep) -> Member:
    """Make a member, or replace it whole: what the body leaves out is not known any more."""
    row = {"member_id": member_id, **body.model_dump()}
    member, new = writing.write(caller, "members", member_id, lambda _before: row)
    writing.note(caller, "members.create" if new else "members.replace", member=member_id)
    return Member(**member)


@router.patch("/{member_id:path}", name="change member")
def change_member(
    member_id: MemberId, caller: Keeper, body: Annotated[MemberBody, Body(media_type=MERGE_PATCH)], writing: WritingDep
) -> Member:
    """Change what the body names and leave the rest as it is (RFC 7396): null takes a value away.

    `{"personalised": false}` switches personalisation off, from the member's next list on.
    """
    member, _ = writing.write(caller, "members", member_id, changed(body, UnknownMemberError, member_id))
    writing.note(caller, "members.change", member=member_id, fields=sorted(body.model_fields_set))
    return Member(**member)


@router.delete("/{member_id:path}", name="erase member")
def erase_member(member_id: MemberId, caller: Keeper, settings: SettingsDep, writing: WritingDep) -> Erasure:
    """Erase a member: rows, events, statements, lists and lines of files, for good; return a signed receipt.

    In the audit log the member stands as a keyed hash, whose key is destroyed with the rest.
    """
    before = records.locked(writing.session, caller.organisation_key, "members", member_id)
    writing.expected.check(None if before is None else records.etag(before))
    done = erasure.erase(
        writing.session, settings, caller.organisation_key, member_id, actor=caller.actor, now=writing.now
    )
    return Erasure(**done)
