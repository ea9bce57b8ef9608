"""Curation routes: items that editors pin, boost or ban for an audience."""

from typing import Annotated, Any, Final

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
from api.schemas.policy import CurationBody, Curations, StoredCuration, WrittenCuration
from api.schemas.queries import Limit
from api.schemas.records import BulkResult
from infra.catalog import records
from infra.errors import UnknownCurationError

KIND: Final = "curations"
BULK_BODY = bulk_body_openapi(
    "curation_id,action,items,ends_at\nsummer,pin,knots,2026-09-01T00:00:00Z\n",
    '{"curation_id": "summer", "action": "pin", "items": ["knots"], "ends_at": "2026-09-01T00:00:00Z"}\n',
)

router = APIRouter(
    route_class=Route,
    prefix="/v1/curations",
    tags=["policy"],
    dependencies=[Depends(whole_ids_only), Depends(known_parameters_only), Depends(strict_json)],
    responses=problems(400, 401, 403, 404, 412, 503),
)
CatalogueWriter = Annotated[Caller, requires("catalogue:write")]
CurationId = Annotated[str, Path(description="Id of the curation.", examples=["summer"])]


@router.get("", name="list curations")
def list_curations(
    session: SessionDep,
    caller: CatalogueWriter,
    request: Request,
    response: Response,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Curations:
    """Return curations in order of their ids."""
    rows = records.page(session, caller.organisation_key, KIND, after=position_of(cursor), limit=limit + 1)
    page = page_of(rows, "curation_id", limit=limit, request=request, response=response)
    return Curations.model_validate({"curations": page})


@router.post("/bulk", openapi_extra=BULK_BODY, name="bulk upsert curations", responses=problems(413, 415))
def bulk_upsert_curations(
    session: SessionDep, caller: CatalogueWriter, settings: SettingsDep, now: NowDep, body: BulkBodyDep
) -> BulkResult:
    """Create or replace many curations, as CSV with a header or as JSON Lines, with the checks of `xuelu ingest`.

    A line is the whole curation. Bad lines come back as rejects; where more than the setting `max_reject_share` of
    them are bad, nothing is stored.
    """
    return bulk_upsert(session, caller, settings, KIND, body, now=now)


@router.get(
    "/{curation_id}",
    name="read curation",
    response_model=StoredCuration,
    responses={304: {"description": "Unchanged"}},
)
def read_curation(
    curation_id: CurationId,
    session: SessionDep,
    caller: CatalogueWriter,
    expected: PreconditionsDep,
    response: Response,
) -> Any:
    """Return a curation, with its `ETag`."""
    return conditional(records.read(session, caller.organisation_key, KIND, curation_id), expected, response)


@router.put(
    "/{curation_id}",
    name="write curation",
    responses={201: {"model": WrittenCuration, "description": "It was new"}},
)
def write_curation(
    curation_id: CurationId, caller: CatalogueWriter, body: CurationBody, writing: WriteDep
) -> WrittenCuration:
    """Create a curation, or replace it; it holds from the next request for a list on."""
    row = {"curation_id": curation_id, **body.model_dump()}
    stored, new = writing.write(caller, KIND, curation_id, lambda _before: row)
    action = "curations.create" if new else "curations.replace"
    writing.audit(caller, action, curation_id=curation_id)
    return WrittenCuration(**stored, warnings=writing.warnings(KIND, stored))


@router.patch("/{curation_id}", name="change curation")
def change_curation(
    curation_id: CurationId,
    caller: CatalogueWriter,
    body: Annotated[CurationBody, Body(media_type=MERGE_PATCH)],
    writing: WriteDep,
) -> WrittenCuration:
    """Change the fields that the body names (RFC 7396): null removes a value."""
    change = merge_patch(body, UnknownCurationError, curation_id)
    stored, _ = writing.write(caller, KIND, curation_id, change)
    fields = sorted(body.model_fields_set)
    writing.audit(caller, "curations.change", curation_id=curation_id, fields=fields)
    return WrittenCuration(**stored, warnings=writing.warnings(KIND, stored))


@router.delete("/{curation_id}", status_code=204, name="remove curation")
def remove_curation(curation_id: CurationId, caller: CatalogueWriter, writing: WriteDep) -> None:
    """Delete a curation: lists are without it from the next request on."""
    if writing.before(caller, KIND, curation_id) is None:
        raise UnknownCurationError(f"no curation {curation_id!r}; check the id")
    records.remove(writing.session, caller.organisation_key, KIND, curation_id)
    writing.audit(caller, "curations.remove", curation_id=curation_id)
