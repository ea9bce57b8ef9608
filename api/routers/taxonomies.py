"""Roles and industries: the shipped taxonomies, or the organisation's own."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from api.auth.auth import Caller, requires
from api.dependencies import SessionDep, known_parameters_only
from api.problems import problems
from api.protocol.etags import PreconditionsDep
from api.protocol.pagination import Cursor, Limit, position_of
from api.protocol.route_class import Route
from api.protocol.strict_json import strict_json
from api.routers.crud import MERGE_PATCH, LinesDep, Writing, WritingDep, lines, on_disk, paged, shown
from api.schemas.records import Code, CodeBody, Codes
from infra.catalog import organisations, records, taxonomies

LINES = lines(
    "code,parent,name_en\n8,,Operators\n83,8,Drivers\n", '{"code": "83", "parent": "", "name_en": "Drivers"}\n'
)

router = APIRouter(
    route_class=Route,
    prefix="/v1/taxonomies",
    tags=["catalogue"],
    dependencies=[Depends(known_parameters_only), Depends(strict_json)],
    responses=problems(400, 401, 403, 404, 409, 412, 503),
)
Cataloguer = Annotated[Caller, requires("catalogue:write")]
Kind = Annotated[Literal["role", "industry"], Path(description="Which taxonomy.", examples=["role"])]
CodePath = Annotated[str, Path(description="The code.", examples=["83"])]


@router.get("/{kind}", name="list codes")
def list_codes(
    kind: Kind,
    session: SessionDep,
    caller: Cataloguer,
    request: Request,
    response: Response,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Codes:
    """Return the codes of a taxonomy in their order."""
    after, key = position_of(cursor), caller.organisation_key
    found = [one for code, one in taxonomies.codes(session, key, kind).items() if code > after][: limit + 1]
    page = paged(found, "code", limit=limit, request=request, response=response)
    return Codes.model_validate({"own": taxonomies.is_own(session, key, kind), "codes": page})


@router.put("/{kind}", status_code=204, openapi_extra=LINES, name="take taxonomy", responses=problems(413, 415))
def take_taxonomy(kind: Kind, caller: Cataloguer, writing: WritingDep, body: LinesDep) -> None:
    """Replace a taxonomy by an own one: CSV or JSON Lines with `code`, `parent` and `name_en` or `name_zh`."""
    writing.expected.check(_lock_all(writing, caller, kind))
    with on_disk(body) as path:
        taxonomies.replace_by_file(writing.session, caller.organisation_key, kind, path)
    writing.note(caller, "taxonomies.take", kind=kind)


@router.delete("/{kind}", status_code=204, name="remove taxonomy")
def remove_taxonomy(kind: Kind, caller: Cataloguer, writing: WritingDep) -> None:
    """Remove the own taxonomy: the shipped one takes its place."""
    writing.expected.check(_lock_all(writing, caller, kind))
    taxonomies.forget_own(writing.session, caller.organisation_key, kind)
    writing.note(caller, "taxonomies.remove", kind=kind)


@router.get(
    "/{kind}/codes/{code:path}", name="read code", response_model=Code, responses={304: {"description": "Unchanged"}}
)
def read_code(
    kind: Kind, code: CodePath, session: SessionDep, caller: Cataloguer, expected: PreconditionsDep, response: Response
) -> Any:
    """Return a code with its names, and its `ETag`."""
    return shown(taxonomies.read(session, caller.organisation_key, kind, code), expected, response)


@router.put(
    "/{kind}/codes/{code:path}", name="write code", responses={201: {"model": Code, "description": "It was new"}}
)
def write_code(kind: Kind, code: CodePath, caller: Cataloguer, body: CodeBody, writing: WritingDep) -> Code:
    """Make or replace a code. With its first change a shipped taxonomy becomes the organisation's own."""
    before = _locked(writing, caller, kind).get(code)
    return _write(code, caller, {"before": before, "body": body.model_dump()}, writing, kind=kind)


@router.patch("/{kind}/codes/{code:path}", name="change code")
def change_code(
    kind: Kind,
    code: CodePath,
    caller: Cataloguer,
    body: Annotated[CodeBody, Body(media_type=MERGE_PATCH)],
    writing: WritingDep,
) -> Code:
    """Change what the body names and leave the rest as it is (RFC 7396)."""
    _locked(writing, caller, kind)
    before = taxonomies.read(writing.session, caller.organisation_key, kind, code)
    merged = before | body.model_dump(exclude_unset=True)
    return _write(code, caller, {"before": before, "body": merged}, writing, kind=kind)


@router.delete("/{kind}/codes/{code:path}", status_code=204, name="remove code")
def remove_code(kind: Kind, code: CodePath, caller: Cataloguer, writing: WritingDep) -> None:
    """Remove a code that no member has, no item names, and that has none below it."""
    _locked(writing, caller, kind)
    key = caller.organisation_key
    writing.expected.check(records.etag(taxonomies.read(writing.session, key, kind, code)))
    taxonomies.remove(writing.session, key, kind, code)
    writing.note(caller, "taxonomies.remove_code", kind=kind, code=code)


def _locked(writing: Writing, caller: Caller, kind: str) -> dict[str, Any]:
    """Return a taxonomy that nobody else can change before the request ends."""
    organisations.lock(writing.session, caller.organisation_key)
    return taxonomies.codes(writing.session, caller.organisation_key, kind)


def _lock_all(writing: Writing, caller: Caller, kind: str) -> str:
    return records.etag(_locked(writing, caller, kind))


def _write(code: str, caller: Caller, change: dict[str, Any], writing: Writing, *, kind: str) -> Code:
    before, key = change["before"], caller.organisation_key
    writing.expected.check(None if before is None else records.etag(before))
    taxonomies.write(writing.session, key, kind, code, change["body"])
    after = taxonomies.read(writing.session, key, kind, code)
    writing.response.headers["ETag"] = records.etag(after)
    if before is None:
        writing.response.status_code = 201
    writing.note(caller, "taxonomies.write_code", kind=kind, code=code)
    return Code(**after)
