"""Member routes: profiles and consent flags, subject-access export, erasure."""

from typing import Annotated, Any

from fastapi import Path, Query

from api.auth.auth import MembersWriter
from api.dependencies import AuditBufferDep, NowDep, SessionDep, SettingsDep
from api.routers.crud import UNCHANGED, BulkDep, MergePatch, ReadDep, WriteDep, bulk_body_openapi, created
from api.routers.resource import ChangedPageDep, resource_router
from api.schemas.queries import Filter
from api.schemas.records import BulkResult, Erasure, Member, MemberBody, MemberExport, Members
from infra.catalog import records
from infra.privacy import erasure, export

BULK_BODY = bulk_body_openapi("member_id,role\nm1,83\n", '{"member_id": "m1", "role": "83"}\n')

router = resource_router("/members", "people", 400, 404, 412, slashes=True)
MemberId = Annotated[str, Path(description="Id of the member.", examples=["m1"])]


@router.get("", name="list members")
def list_members(
    session: SessionDep,
    caller: MembersWriter,
    audit_buffer: AuditBufferDep,
    page: ChangedPageDep,
    role: Annotated[Filter, Query(description="Only members of this role, or one below it.")] = None,
    industry: Annotated[Filter, Query(description="Only members of this industry, or one below it.")] = None,
    unit: Annotated[Filter, Query(description="Only members of this unit, or one below it.")] = None,
    region: Annotated[Filter, Query(description="Only members of this region, or one below it.")] = None,
) -> Members:
    """Return members in order of their ids."""
    having = {"role": role, "industry": industry, "units": unit, "region": region}
    rows = records.page(session, caller.organisation_key, "members", having=having, **page.query)
    members = page.of(rows, lambda member: member["member_id"])
    for member in members:
        audit_buffer.record_read(caller.organisation_key, caller.actor, "members.read", member["member_id"])
    return Members.model_validate({"members": members})


@router.post("/bulk", openapi_extra=BULK_BODY, name="bulk upsert members")
def bulk_upsert_members(caller: MembersWriter, bulk: BulkDep) -> BulkResult:
    """Create or update many members, as CSV with a header or as JSON Lines, with the checks of `xuelu ingest`.

    Of existing members the columns that a line names are replaced. Bad lines come back as rejects; where more than the
    setting `max_reject_share` of them are bad, nothing is stored.
    """
    return bulk.upsert(caller, "members")


@router.get("/{member_id:path}/export", name="export member")
def export_member(
    member_id: MemberId, session: SessionDep, caller: MembersWriter, settings: SettingsDep, now: NowDep
) -> MemberExport:
    """Return every stored row about a member, table by table."""
    held = export.export(session, caller.organisation_key, member_id, home_page=settings.xapi_home_page or None)
    caller.record(session, "members.export", now=now, member=member_id)
    return MemberExport(member_id=member_id, exported_at=now, **held)


@router.get("/{member_id:path}", name="read member", response_model=Member, responses=UNCHANGED)
def read_member(member_id: MemberId, caller: MembersWriter, audit_buffer: AuditBufferDep, reading: ReadDep) -> Any:
    """Return a member, with its `ETag`."""
    member = records.read(reading.session, caller.organisation_key, "members", member_id)
    audit_buffer.record_read(caller.organisation_key, caller.actor, "members.read", member_id)
    return reading.answer(member)


@router.put("/{member_id:path}", name="write member", responses=created(Member))
def write_member(member_id: MemberId, caller: MembersWriter, body: MemberBody, writing: WriteDep) -> Member:
    """Create a member, or replace it: fields that the body leaves out become empty."""
    return Member(**writing.put(caller, "members", member_id, body.model_dump()))


@router.patch("/{member_id:path}", name="change member")
def change_member(
    member_id: MemberId,
    caller: MembersWriter,
    body: MergePatch[MemberBody],
    writing: WriteDep,
) -> Member:
    """Change the fields that the body names (RFC 7396): null removes a value.

    `{"personalised": false}` switches personalisation off, from the member's next list on.
    """
    return Member(**writing.patch(caller, "members", member_id, body.model_dump(exclude_unset=True)))


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
