"""Unit routes: the organisation's tree of units, named by their paths."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from api.auth.auth import Caller, requires
from api.dependencies import NowDep, SessionDep, SettingsDep, known_parameters_only
from api.problems import problems
from api.protocol.conditions import PreconditionsDep
from api.protocol.pagination import Cursor, position_of
from api.protocol.route_class import Route
from api.protocol.strict_json import strict_json
from api.routers.crud import MERGE_PATCH, BulkBodyDep, WriteDep, bulk_body_openapi, bulk_upsert, conditional, page_of
from api.schemas.queries import Limit
from api.schemas.records import BulkResult, Unit, UnitBody, Units
from infra.catalog import organisations, records, units

BULK_BODY = bulk_body_openapi(
    "unit,name_en,name_zh\nNorth/Depot 3,Depot 3,三号仓库\n", '{"unit": "North/Depot 3", "name_en": "Depot 3"}\n'
)

router = APIRouter(
    route_class=Route,
    prefix="/v1/units",
    tags=["people"],
    dependencies=[Depends(known_parameters_only), Depends(strict_json)],
    responses=problems(400, 401, 403, 404, 409, 412, 503),
)
MembersWriter = Annotated[Caller, requires("members:write")]
UnitPath = Annotated[str, Path(description="Path of the unit.", examples=["North"])]


@router.get("", name="list units")
def list_units(
    session: SessionDep,
    caller: MembersWriter,
    request: Request,
    response: Response,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Units:
    """Return the units in order of their paths: those with names, and those that members are in."""
    after = position_of(cursor)
    rows = [unit for path, unit in units.tree(session, caller.organisation_key).items() if path > after]
    return Units.model_validate(
        {"units": page_of(rows[: limit + 1], "unit", limit=limit, request=request, response=response)}
    )


@router.post("/bulk", openapi_extra=BULK_BODY, name="bulk upsert units", responses=problems(413, 415))
def bulk_upsert_units(
    session: SessionDep, caller: MembersWriter, settings: SettingsDep, now: NowDep, body: BulkBodyDep
) -> BulkResult:
    """Create or update many units, as CSV with a header or as JSON Lines, with the checks of `xuelu ingest`.

    Of existing units the names that a line has are replaced. Bad lines come back as rejects; where more than the
    setting `max_reject_share` of them are bad, nothing is stored.
    """
    organisations.lock(session, caller.organisation_key)
    return bulk_upsert(session, caller, settings, "units", body, now=now)


@router.get("/{unit:path}", name="read unit", response_model=Unit, responses={304: {"description": "Unchanged"}})
def read_unit(
    unit: UnitPath, session: SessionDep, caller: MembersWriter, expected: PreconditionsDep, response: Response
) -> Any:
    """Return a unit with its names, its number of members, and its `ETag`."""
    return conditional(units.read(session, caller.organisation_key, unit), expected, response)


@router.put("/{unit:path}", name="write unit", responses={201: {"model": Unit, "description": "It was new"}})
def write_unit(unit: UnitPath, caller: MembersWriter, body: UnitBody, writing: WriteDep) -> Unit:
    """Create a unit, or replace its names."""
    return _write(unit, caller, body.model_dump(), writing, action="units.write")


@router.patch("/{unit:path}", name="change unit")
def change_unit(
    unit: UnitPath, caller: MembersWriter, body: Annotated[UnitBody, Body(media_type=MERGE_PATCH)], writing: WriteDep
) -> Unit:
    """Change the names that the body has (RFC 7396): null removes a name."""
    units.read(writing.session, caller.organisation_key, unit)
    return _write(unit, caller, body.model_dump(exclude_unset=True), writing, action="units.change")


@router.delete("/{unit:path}", status_code=204, name="remove unit")
def remove_unit(unit: UnitPath, caller: MembersWriter, writing: WriteDep) -> None:
    """Delete a unit that has no members and no units below it."""
    organisations.lock(writing.session, caller.organisation_key)
    writing.expected.check(records.etag(units.read(writing.session, caller.organisation_key, unit)))
    units.remove(writing.session, caller.organisation_key, unit)
    writing.audit(caller, "units.remove", unit=unit)


def _write(unit: str, caller: Caller, names: dict[str, Any], writing: WriteDep, *, action: str) -> Unit:
    organisations.lock(writing.session, caller.organisation_key)
    before = units.tree(writing.session, caller.organisation_key).get(unit)
    writing.expected.check(None if before is None else records.etag(before))
    stored = {name: before[name] for name in units.NAMES} if before else {}
    units.write(writing.session, caller.organisation_key, unit, stored | names)
    after = units.read(writing.session, caller.organisation_key, unit)
    writing.response.headers["ETag"] = records.etag(after)
    if before is None:
        writing.response.status_code = 201
    writing.audit(caller, action, unit=unit)
    return Unit(**after)
