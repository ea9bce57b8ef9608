"""Taxonomy routes: roles and industries, as shipped or the organisation's own."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from api.auth.auth import Caller, requires
from api.dependencies import SessionDep, known_parameters_only
from api.problems import problems
from api.protocol.conditions import PreconditionsDep
from api.protocol.pagination import Cursor, position_of
from api.protocol.route_class import Route
from api.protocol.strict_json import strict_json
from api.routers.crud import (
    MERGE_PATCH,
    BulkBodyDep,
    WriteDep,
    WriteRequest,
    bulk_body_openapi,
    conditional,
    page_of,
    temporary_file,
)
from api.schemas.queries import Limit
from api.schemas.records import Code, CodeBody, Codes, UnknownCodes
from infra.catalog import organisations, records, taxonomies

BULK_BODY = bulk_body_openapi(
    "code,parent,name_en\n8,,Operators\n83,8,Drivers\n", '{"code": "83", "parent": "", "name_en": "Drivers"}\n'
)

router = APIRouter(
    route_class=Route,
    prefix="/v1/taxonomies",
    tags=["catalogue"],
    dependencies=[Depends(known_parameters_only), Depends(strict_json)],
    responses=problems(400, 401, 403, 404, 409, 412, 503),
)
CatalogueWriter = Annotated[Caller, requires("catalogue:write")]
Kind = Annotated[Literal["role", "industry"], Path(description="Which taxonomy.", examples=["role"])]
CodePath = Annotated[str, Path(description="The code.", examples=["83"])]


@router.get("/{kind}", name="list codes")
def list_codes(
    kind: Kind,
    session: SessionDep,
    caller: CatalogueWriter,
    request: Request,
    response: Response,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Codes:
    """Return the codes of a taxonomy in their order."""
    after, key = position_of(cursor), caller.organisation_key
    rows = [row for code, row in taxonomies.codes(session, key, kind).items() if code > after][: limit + 1]
    page = page_of(rows, "code", limit=limit, request=request, response=response)
    return Codes.model_validate({"own": taxonomies.is_own(session, key, kind), "codes": page})


@router.put("/{kind}", openapi_extra=BULK_BODY, name="replace taxonomy", responses=problems(413, 415))
def replace_taxonomy(kind: Kind, caller: CatalogueWriter, writing: WriteDep, body: BulkBodyDep) -> UnknownCodes:
    """Replace a taxonomy by one of your own: CSV or JSON Lines with `code`, `parent` and `name_en` or `name_zh`.

    Members, items and requirements keep their codes; those that the new taxonomy lacks are counted in the answer.
    """
    writing.expected.check(_lock_etag(writing, caller, kind))
    content, file_format = body
    with temporary_file(content) as path:
        taxonomies.replace_by_file(writing.session, caller.organisation_key, kind, path, file_format=file_format)
    writing.audit(caller, "taxonomies.replace", kind=kind)
    return UnknownCodes(**taxonomies.unknown_in_use(writing.session, caller.organisation_key, kind))


@router.delete("/{kind}", name="remove taxonomy")
def remove_taxonomy(kind: Kind, caller: CatalogueWriter, writing: WriteDep) -> UnknownCodes:
    """Delete the organisation's own taxonomy: the shipped one applies again. Codes in use that it lacks are counted."""
    writing.expected.check(_lock_etag(writing, caller, kind))
    taxonomies.delete_own(writing.session, caller.organisation_key, kind)
    writing.audit(caller, "taxonomies.remove", kind=kind)
    return UnknownCodes(**taxonomies.unknown_in_use(writing.session, caller.organisation_key, kind))


@router.get(
    "/{kind}/codes/{code:path}", name="read code", response_model=Code, responses={304: {"description": "Unchanged"}}
)
def read_code(
    kind: Kind,
    code: CodePath,
    session: SessionDep,
    caller: CatalogueWriter,
    expected: PreconditionsDep,
    response: Response,
) -> Any:
    """Return a code with its names, and its `ETag`."""
    return conditional(taxonomies.read(session, caller.organisation_key, kind, code), expected, response)


@router.put(
    "/{kind}/codes/{code:path}", name="write code", responses={201: {"model": Code, "description": "It was new"}}
)
def write_code(kind: Kind, code: CodePath, caller: CatalogueWriter, body: CodeBody, writing: WriteDep) -> Code:
    """Create or replace a code. The first change of a shipped taxonomy makes a copy that is the organisation's own."""
    before = _lock_taxonomy(writing, caller, kind).get(code)
    return _write(code, caller, {"before": before, "body": body.model_dump()}, writing, kind=kind)


@router.patch("/{kind}/codes/{code:path}", name="change code")
def change_code(
    kind: Kind,
    code: CodePath,
    caller: CatalogueWriter,
    body: Annotated[CodeBody, Body(media_type=MERGE_PATCH)],
    writing: WriteDep,
) -> Code:
    """Change the fields that the body names (RFC 7396): null removes a value."""
    _lock_taxonomy(writing, caller, kind)
    before = taxonomies.read(writing.session, caller.organisation_key, kind, code)
    merged = before | body.model_dump(exclude_unset=True)
    return _write(code, caller, {"before": before, "body": merged}, writing, kind=kind)


@router.delete("/{kind}/codes/{code:path}", status_code=204, name="remove code")
def remove_code(kind: Kind, code: CodePath, caller: CatalogueWriter, writing: WriteDep) -> None:
    """Delete a code that no member has, no item and no requirement targets, and that has no codes below it."""
    _lock_taxonomy(writing, caller, kind)
    key = caller.organisation_key
    writing.expected.check(records.etag(taxonomies.read(writing.session, key, kind, code)))
    taxonomies.remove(writing.session, key, kind, code)
    writing.audit(caller, "taxonomies.remove_code", kind=kind, code=code)


def _lock_taxonomy(writing: WriteRequest, caller: Caller, kind: str) -> dict[str, Any]:
    """Return a taxonomy, locked until the request ends."""
    organisations.lock(writing.session, caller.organisation_key)
    return taxonomies.codes(writing.session, caller.organisation_key, kind)


def _lock_etag(writing: WriteRequest, caller: Caller, kind: str) -> str:
    return records.etag(_lock_taxonomy(writing, caller, kind))


def _write(code: str, caller: Caller, change: dict[str, Any], writing: WriteRequest, *, kind: str) -> Code:
    before, key = change["before"], caller.organisation_key
    writing.expected.check(None if before is None else records.etag(before))
    taxonomies.write(writing.session, key, kind, code, change["body"])
    after = taxonomies.read(writing.session, key, kind, code)
    writing.response.headers["ETag"] = records.etag(after)
    if before is None:
        writing.response.status_code = 201
    writing.audit(caller, "taxonomies.write_code", kind=kind, code=code)
    return Code(**after)
