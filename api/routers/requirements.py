"""Requirement routes: required study of audiences."""

from typing import Annotated, Any

from fastapi import Path

from api.auth.auth import AnalyticsReader, CatalogueWriter
from api.dependencies import NowDep, SessionDep, SettingsDep
from api.routers.crud import UNCHANGED, BulkDep, MergePatch, ReadDep, WriteDep, bulk_body_openapi, created
from api.routers.resource import PageDep, resource_router
from api.schemas.policy import RequirementBody, Requirements, RequirementsAtRisk, StoredRequirement, WrittenRequirement
from api.schemas.records import BulkResult
from infra.catalog import records, requirements
from infra.catalog.requirements import KIND
from infra.reports.requirement_counts import at_risk, requirement_counts

BULK_BODY = bulk_body_openapi(
    "requirement_id,items,target_roles,due_on\nsafety,knots,83,2026-06-30\n",
    '{"requirement_id": "safety", "items": ["knots"], "due_on": "2026-06-30"}\n',
)

router = resource_router("/requirements", "policy", 400, 404, 412, slashes=True)
RequirementId = Annotated[str, Path(description="Id of the requirement.", examples=["safety"])]


@router.get("", name="list requirements")
def list_requirements(session: SessionDep, caller: CatalogueWriter, page: PageDep) -> Requirements:
    """Return requirements in order of their ids."""
    rows = records.page(session, caller.organisation_key, KIND, **page.query)
    return Requirements.model_validate({"requirements": page.of(rows, lambda row: row["requirement_id"])})


@router.post("/bulk", openapi_extra=BULK_BODY, name="bulk upsert requirements")
def bulk_upsert_requirements(caller: CatalogueWriter, bulk: BulkDep) -> BulkResult:
    """Create or replace many requirements, as CSV with a header or as JSON Lines, with the checks of `xuelu ingest`.

    A line is the whole requirement. Bad lines come back as rejects; where more than the setting `max_reject_share` of
    them are bad, nothing is stored.
    """
    return bulk.upsert(caller, KIND)


@router.get("/at-risk", name="list requirements at risk")
def list_requirements_at_risk(
    session: SessionDep, caller: AnalyticsReader, settings: SettingsDep, now: NowDep
) -> RequirementsAtRisk:
    """Return the requirements and units some of whose members cannot be done in time, or have to begin within 7 days.

    Units of fewer members than `privacy.smallest_group` are part of the unit above them.
    """
    rows = requirement_counts(session, caller.organisation_key, settings, now=now)
    return RequirementsAtRisk.model_validate({"requirements": at_risk(rows)})


@router.get("/{requirement_id}", name="read requirement", response_model=StoredRequirement, responses=UNCHANGED)
def read_requirement(requirement_id: RequirementId, caller: CatalogueWriter, reading: ReadDep) -> Any:
    """Return a requirement, with its `ETag`."""
    return reading.record(caller, KIND, requirement_id)


@router.put("/{requirement_id}", name="write requirement", responses=created(WrittenRequirement))
def write_requirement(
    requirement_id: RequirementId, caller: CatalogueWriter, body: RequirementBody, writing: WriteDep
) -> WrittenRequirement:
    """Create a requirement, or replace it; it holds from the next request for a list on."""
    stored = writing.put(caller, KIND, requirement_id, body.model_dump())
    return WrittenRequirement(**stored, warnings=writing.warnings(KIND, stored))


@router.patch("/{requirement_id}", name="change requirement")
def change_requirement(
    requirement_id: RequirementId,
    caller: CatalogueWriter,
    body: MergePatch[RequirementBody],
    writing: WriteDep,
) -> WrittenRequirement:
    """Change the fields that the body names (RFC 7396): null removes a value."""
    stored = writing.patch(caller, KIND, requirement_id, body.model_dump(exclude_unset=True))
    return WrittenRequirement(**stored, warnings=writing.warnings(KIND, stored))


@router.delete("/{requirement_id}", status_code=204, name="remove requirement")
def remove_requirement(requirement_id: RequirementId, caller: CatalogueWriter, writing: WriteDep) -> None:
    """Delete a requirement and its waivers: it leaves every list."""
    writing.existing(caller, KIND, requirement_id)
    requirements.remove(writing.session, caller.organisation_key, requirement_id)
    writing.record(caller, KIND, requirement_id, "remove")
