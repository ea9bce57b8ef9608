"""Units of the organisation: a tree of paths with names."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Request, Response

from api.auth.auth import Caller, requires
from api.dependencies import NowDep, SessionDep, SettingsDep, known_parameters_only
from api.problems import problems
from api.protocol.etags import PreconditionsDep
from api.protocol.pagination import Cursor, Limit, position_of
from api.protocol.route_class import Route
from api.protocol.strict_json import strict_json
from api.routers.crud import MERGE_PATCH, LinesDep, WritingDep, lines, paged, shown, take_lines
from api.schemas.records import Taken, Unit, UnitBody, Units
from infra.catalog import organisations, records, units

LINES = lines(
    "unit,name_en,name_zh\nNorth/Depot 3,Depot 3,三号仓库\n", '{"unit": "North/Depot 3", "name_en": "Depot 3"}\n'
)

router = APIRouter(
    route_class=Route,
    prefix="/v1/units",
    tags=["people"],
    dependencies=[Depends(known_parameters_only), Depends(strict_json)],
    responses=problems(400, 401, 403, 404, 409, 412, 503),
)
Keeper = Annotated[Caller, requires("members:write")]
UnitPath = Annotated[str, Path(description="Path of the unit.", examples=["North"])]


@router.get("", name="list units")
def list_units(
    session: SessionDep, caller: Keeper, request: Request, response: Response, cursor: Cursor = None, limit: Limit = 100
) -> Units:
    """Return the units in order of their paths: those with names, and those that members are in."""
    after = position_of(cursor)
    found = [unit for path, unit in units.tree(session, caller.organisation_key).items() if path > after]
    return Units.model_validate(
        {"units": paged(found[: limit + 1], "unit", limit=limit, request=request, response=response)}
    )


@router.post("/bulk", openapi_extra=LINES, name="take units", responses=problems(413, 415))
def take_units(session: SessionDep, caller: Keeper, settings: SettingsDep, now: NowDep, body: LinesDep) -> Taken:
    """Take many units, as CSV with a header or as JSON Lines, through the checks of `xuelu ingest`.

    Of units that are there already, the names that are given are replaced. Bad lines are answered as rejects; where
    more than the setting `max_reject_share` of them are bad, nothing is taken.
    """
    organisations.lock(session, caller.organisation_key)
    return take_lines(session, caller, settings, "units", body, now=now)


@router.get("/{unit:path}", name="read unit", response_model=Unit, responses={304: {"description": "Unchanged"}})
def read_unit(
    unit: UnitPath, session: SessionDep, caller: Keeper, expected: PreconditionsDep, response: Response
) -> Any:
    """Return a unit with its names, its members counted, and its `ETag`."""
    return shown(units.read(session, caller.organisation_key, unit), expected, response)


@router.put("/{unit:path}", name="write unit", responses={201: {"model": Unit, "description": "It was new"}})
def write_unit(unit: UnitPath, caller: Keeper, body: UnitBody, writing: WritingDep) -> Unit:
    """Make a unit, or replace its names."""
    return _write(unit, caller, body.model_dump(), writing, action="units.write")


@router.patch("/{unit:path}", name="change unit")
def change_unit(
    unit: UnitPath, caller: Keeper, body: Annotated[UnitBody, Body(media_type=MERGE_PATCH)], writing: WritingDep
) -> Unit:
    """Change the names that the body gives and leave the other as it is (RFC 7396)."""
    units.read(writing.session, caller.organisation_key, unit)
    return _write(unit, caller, body.model_dump(exclude_unset=True), writing, action="units.change")


@router.delete("/{unit:path}", status_code=204, name="remove unit")
def remove_unit(unit: UnitPath, caller: Keeper, writing: WritingDep) -> None:
    """Remove a unit that has no members and no units below it."""
    organisations.lock(writing.session, caller.organisation_key)
    writing.expected.check(records.etag(units.read(writing.session, caller.organisation_key, unit)))
    units.remove(writing.session, caller.organisation_key, unit)
    writing.note(caller, "units.remove", unit=unit)


def _write(unit: str, caller: Caller, names: dict[str, Any], writing: WritingDep, *, action: str) -> Unit:
    organisations.lock(writing.session, caller.organisation_key)
    before = units.tree(writing.session, caller.organisation_key).get(unit)
    writing.expected.check(None if before is None else records.etag(before))
    kept = {name: before[name] for name in units.NAMES} if before else {}
    units.write(writing.session, caller.organisation_key, unit, kept | names)
    after = units.read(writing.session, caller.organisation_key, unit)
    writing.response.headers["ETag"] = records.etag(after)
    if before is None:
        writing.response.status_code = 201
    writing.note(caller, action, unit=unit)
    return Unit(**after)
