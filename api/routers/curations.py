"""Curation routes: items that editors pin, boost or ban for an audience."""

from typing import Annotated, Any, Final

from fastapi import Path

from api.auth.auth import CatalogueWriter
from api.dependencies import SessionDep
from api.routers.crud import UNCHANGED, BulkDep, MergePatch, ReadDep, WriteDep, bulk_body_openapi, created
from api.routers.resource import PageDep, resource_router
from api.schemas.policy import CurationBody, Curations, StoredCuration, WrittenCuration
from api.schemas.records import BulkResult
from infra.catalog import records

KIND: Final = "curations"
BULK_BODY = bulk_body_openapi(
    "curation_id,action,items,ends_at\nsummer,pin,knots,2026-09-01T00:00:00Z\n",
    '{"curation_id": "summer", "action": "pin", "items": ["knots"], "ends_at": "2026-09-01T00:00:00Z"}\n',
)

router = resource_router("/curations", "policy", 400, 404, 412, slashes=True)
CurationId = Annotated[str, Path(description="Id of the curation.", examples=["summer"])]


@router.get("", name="list curations")
def list_curations(session: SessionDep, caller: CatalogueWriter, page: PageDep) -> Curations:
    """Return curations in order of their ids."""
    rows = records.page(session, caller.organisation_key, KIND, **page.query)
    return Curations.model_validate({"curations": page.of(rows, lambda curation: curation["curation_id"])})


@router.post("/bulk", openapi_extra=BULK_BODY, name="bulk upsert curations")
def bulk_upsert_curations(caller: CatalogueWriter, bulk: BulkDep) -> BulkResult:
    """Create or replace many curations, as CSV with a header or as JSON Lines, with the checks of `xuelu ingest`.

    A line is the whole curation. Bad lines come back as rejects; where more than the setting `max_reject_share` of
    them are bad, nothing is stored.
    """
    return bulk.upsert(caller, KIND)


@router.get("/{curation_id}", name="read curation", response_model=StoredCuration, responses=UNCHANGED)
def read_curation(curation_id: CurationId, caller: CatalogueWriter, reading: ReadDep) -> Any:
    """Return a curation, with its `ETag`."""
    return reading.record(caller, KIND, curation_id)


@router.put("/{curation_id}", name="write curation", responses=created(WrittenCuration))
def write_curation(
    curation_id: CurationId, caller: CatalogueWriter, body: CurationBody, writing: WriteDep
) -> WrittenCuration:
    """Create a curation, or replace it; it holds from the next request for a list on."""
    stored = writing.put(caller, KIND, curation_id, body.model_dump())
    return WrittenCuration(**stored, warnings=writing.warnings(KIND, stored))


@router.patch("/{curation_id}", name="change curation")
def change_curation(
    curation_id: CurationId,
    caller: CatalogueWriter,
    body: MergePatch[CurationBody],
    writing: WriteDep,
) -> WrittenCuration:
    """Change the fields that the body names (RFC 7396): null removes a value."""
    stored = writing.patch(caller, KIND, curation_id, body.model_dump(exclude_unset=True))
    return WrittenCuration(**stored, warnings=writing.warnings(KIND, stored))


@router.delete("/{curation_id}", status_code=204, name="remove curation")
def remove_curation(curation_id: CurationId, caller: CatalogueWriter, writing: WriteDep) -> None:
    """Delete a curation: lists are without it from the next request on."""
    writing.delete(caller, KIND, curation_id)
