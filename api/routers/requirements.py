"""Requirement routes: required study of audiences."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from api.auth.auth import Caller, requires
from api.dependencies import NowDep, SessionDep, SettingsDep, known_parameters_only, whole_ids_only
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
from api.schemas.policy import RequirementBody, Requirements, RequirementsAtRisk, StoredRequirement, WrittenRequirement
from api.schemas.queries import Limit
from api.schemas.records import BulkResult
from infra.catalog import records, requirements
from infra.catalog.requirements import KIND
from infra.errors import UnknownRequirementError
from infra.reports.requirement_counts import at_risk, requirement_counts

BULK_BODY = bulk_body_openapi(
    "requirement_id,items,target_roles,due_on\nsafety,knots,83,2026-06-30\n",
    '{"requirement_id": "safety", "items": ["knots"], "due_on": "2026-06-30"}\n',
)

router = APIRouter(
    route_class=Route,
    prefix="/v1/requirements",
    tags=["policy"],
    dependencies=[Depends(whole_ids_only), Depends(known_parameters_only), Depends(strict_json)],
    responses=problems(400, 401, 403, 404, 412, 503),
)
CatalogueWriter = Annotated[Caller, requires("catalogue:write")]
Analyst = Annotated[Caller, requires("analytics:read")]
RequirementId = Annotated[str, Path(description="Id of the requirement.", examples=["safety"])]


@router.get("", name="list requirements")
def list_requirements(
    session: SessionDep,
    caller: CatalogueWriter,
    request: Request,
    response: Response,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Requirements:
    """Return requirements in order of their ids."""
    rows = records.page(session, caller.organisation_key, KIND, after=position_of(cursor), limit=limit + 1)
    page = page_of(rows, "requirement_id", limit=limit, request=request, response=response)
    return Requirements.model_validate({"requirements": page})


@router.post("/bulk", openapi_extra=BULK_BODY, name="bulk upsert requirements", responses=problems(413, 415))
def bulk_upsert_requirements(
    session: SessionDep, caller: CatalogueWriter, settings: SettingsDep, now: NowDep, body: BulkBodyDep
) -> BulkResult:
    """Create or replace many requirements, as CSV with a header or as JSON Lines, with the checks of `xuelu ingest`.

    A line is the whole requirement. Bad lines come back as rejects; where more than the setting `max_reject_share` of
    them are bad, nothing is stored.
    """
    return bulk_upsert(session, caller, settings, KIND, body, now=now)


@router.get("/at-risk", name="list requirements at risk")
def list_requirements_at_risk(
    session: SessionDep, caller: Analyst, settings: SettingsDep, now: NowDep
) -> RequirementsAtRisk:
    """Return the requirements and units some of whose members cannot be done in time, or have to begin within 7 days.

    Units of fewer members than `privacy.smallest_group` are part of the unit above them, and numbers of members in a
    state are rounded down to multiples of it: a requirement or unit with fewer such members is not among them.
    """
    rows = requirement_counts(session, caller.organisation_key, settings, now=now)
    return RequirementsAtRisk.model_validate({"requirements": at_risk(rows)})


@router.get(
    "/{requirement_id}",
    name="read requirement",
    response_model=StoredRequirement,
    responses={304: {"description": "Unchanged"}},
)
def read_requirement(
    requirement_id: RequirementId,
    session: SessionDep,
    caller: CatalogueWriter,
    expected: PreconditionsDep,
    response: Response,
) -> Any:
    """Return a requirement, with its `ETag`."""
    return conditional(records.read(session, caller.organisation_key, KIND, requirement_id), expected, response)


@router.put(
    "/{requirement_id}",
    name="write requirement",
    responses={201: {"model": WrittenRequirement, "description": "It was new"}},
)
def write_requirement(
    requirement_id: RequirementId, caller: CatalogueWriter, body: RequirementBody, writing: WriteDep
) -> WrittenRequirement:
    """Create a requirement, or replace it; it holds from the next request for a list on."""
    row = {"requirement_id": requirement_id, **body.model_dump()}
    stored, new = writing.write(caller, KIND, requirement_id, lambda _before: row)
    action = "requirements.create" if new else "requirements.replace"
    writing.audit(caller, action, requirement_id=requirement_id)
    return WrittenRequirement(**stored, warnings=writing.warnings(KIND, stored))


@router.patch("/{requirement_id}", name="change requirement")
def change_requirement(
    requirement_id: RequirementId,
    caller: CatalogueWriter,
    body: Annotated[RequirementBody, Body(media_type=MERGE_PATCH)],
    writing: WriteDep,
) -> WrittenRequirement:
    """Change the fields that the body names (RFC 7396): null removes a value."""
    change = merge_patch(body, UnknownRequirementError, requirement_id)
    stored, _ = writing.write(caller, KIND, requirement_id, change)
    fields = sorted(body.model_fields_set)
    writing.audit(caller, "requirements.change", requirement_id=requirement_id, fields=fields)
    return WrittenRequirement(**stored, warnings=writing.warnings(KIND, stored))


@router.delete("/{requirement_id}", status_code=204, name="remove requirement")
def remove_requirement(requirement_id: RequirementId, caller: CatalogueWriter, writing: WriteDep) -> None:
    """Delete a requirement and its waivers: it leaves every list."""
    writing.before(caller, KIND, requirement_id)
    requirements.remove(writing.session, caller.organisation_key, requirement_id)
    writing.audit(caller, "requirements.remove", requirement_id=requirement_id)
