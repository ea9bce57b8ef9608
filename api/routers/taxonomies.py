"""Taxonomy routes: roles and industries, as shipped or the organisation's own."""

from typing import Annotated, Any, Literal

from fastapi import Path

from api.auth.auth import Caller, CatalogueWriter
from api.dependencies import SessionDep
from api.routers.crud import (
    UNCHANGED,
    BulkBodyDep,
    MergePatch,
    ReadDep,
    WriteDep,
    WriteRequest,
    bulk_body_openapi,
    created,
    temporary_file,
)
from api.routers.resource import PageDep, resource_router
from api.schemas.records import Code, CodeBody, Codes, UnknownCodes
from infra.catalog import organisations, taxonomies
from infra.catalog.records import Record

BULK_BODY = bulk_body_openapi(
    "code,parent,name_en\n8,,Operators\n83,8,Drivers\n", '{"code": "83", "parent": "", "name_en": "Drivers"}\n'
)

router = resource_router("/taxonomies", "catalogue", 400, 404, 409, 412)
Kind = Annotated[Literal["role", "industry"], Path(description="Which taxonomy.", examples=["role"])]
CodePath = Annotated[str, Path(description="The code.", examples=["83"])]


@router.get("/{kind}", name="list codes")
def list_codes(kind: Kind, session: SessionDep, caller: CatalogueWriter, page: PageDep) -> Codes:
    """Return the codes of a taxonomy in their order."""
    after, key = page.after, caller.organisation_key
    rows = [row for code, row in taxonomies.codes(session, key, kind).items() if code > after]
    codes = page.of(rows, lambda row: row["code"])
    return Codes.model_validate({"own": taxonomies.is_own(session, key, kind), "codes": codes})


@router.put("/{kind}", openapi_extra=BULK_BODY, name="replace taxonomy")
def replace_taxonomy(kind: Kind, caller: CatalogueWriter, writing: WriteDep, body: BulkBodyDep) -> UnknownCodes:
    """Replace a taxonomy by one of your own: CSV or JSON Lines with `code`, `parent` and `name_en` or `name_zh`.

    Members, items and requirements keep their codes; those that the new taxonomy lacks are counted in the answer.
    """
    writing.check(_lock_taxonomy(writing, caller, kind))
    content, file_format = body
    with temporary_file(content) as path:
        taxonomies.replace_by_file(writing.session, caller.organisation_key, kind, path, file_format=file_format)
    caller.record(writing.session, "taxonomies.replace", now=writing.now, kind=kind)
    return UnknownCodes(**taxonomies.unknown_in_use(writing.session, caller.organisation_key, kind))


@router.delete("/{kind}", name="remove taxonomy")
def remove_taxonomy(kind: Kind, caller: CatalogueWriter, writing: WriteDep) -> UnknownCodes:
    """Delete the organisation's own taxonomy: the shipped one applies again. Codes in use that it lacks are counted."""
    writing.check(_lock_taxonomy(writing, caller, kind))
    taxonomies.delete_own(writing.session, caller.organisation_key, kind)
    caller.record(writing.session, "taxonomies.remove", now=writing.now, kind=kind)
    return UnknownCodes(**taxonomies.unknown_in_use(writing.session, caller.organisation_key, kind))


@router.get("/{kind}/codes/{code:path}", name="read code", response_model=Code, responses=UNCHANGED)
def read_code(kind: Kind, code: CodePath, caller: CatalogueWriter, reading: ReadDep) -> Any:
    """Return a code with its names, and its `ETag`."""
    return reading.answer(taxonomies.read(reading.session, caller.organisation_key, kind, code))


@router.put("/{kind}/codes/{code:path}", name="write code", responses=created(Code))
def write_code(kind: Kind, code: CodePath, caller: CatalogueWriter, body: CodeBody, writing: WriteDep) -> Code:
    """Create or replace a code. The first change of a shipped taxonomy makes a copy that is the organisation's own."""
    before = _lock_taxonomy(writing, caller, kind).get(code)
    return _write(writing, caller, kind, code, before, body.model_dump())


@router.patch("/{kind}/codes/{code:path}", name="change code")
def change_code(
    kind: Kind,
    code: CodePath,
    caller: CatalogueWriter,
    body: MergePatch[CodeBody],
    writing: WriteDep,
) -> Code:
    """Change the fields that the body names (RFC 7396): null removes a value."""
    _lock_taxonomy(writing, caller, kind)
    before = taxonomies.read(writing.session, caller.organisation_key, kind, code)
    return _write(writing, caller, kind, code, before, before | body.model_dump(exclude_unset=True))


@router.delete("/{kind}/codes/{code:path}", status_code=204, name="remove code")
def remove_code(kind: Kind, code: CodePath, caller: CatalogueWriter, writing: WriteDep) -> None:
    """Delete a code that no member has, no item and no requirement targets, and that has no codes below it."""
    _lock_taxonomy(writing, caller, kind)
    key = caller.organisation_key
    writing.check(taxonomies.read(writing.session, key, kind, code))
    taxonomies.remove(writing.session, key, kind, code)
    caller.record(writing.session, "taxonomies.remove_code", now=writing.now, kind=kind, code=code)


def _lock_taxonomy(writing: WriteRequest, caller: Caller, kind: str) -> dict[str, Any]:
    """Return a taxonomy, locked until the request ends."""
    organisations.lock(writing.session, caller.organisation_key)
    return taxonomies.codes(writing.session, caller.organisation_key, kind)


def _write(writing: WriteRequest, caller: Caller, kind: str, code: str, before: Record | None, after: Record) -> Code:
    key = caller.organisation_key
    writing.check(before)
    taxonomies.write(writing.session, key, kind, code, after)
    caller.record(writing.session, "taxonomies.write_code", now=writing.now, kind=kind, code=code)
    return Code(**writing.answer(before, taxonomies.read(writing.session, key, kind, code)))
