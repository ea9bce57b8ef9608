"""Unit routes: the organisation's tree of units, named by their paths."""

from typing import Annotated, Any

from fastapi import Path

from api.auth.auth import Caller, MembersWriter
from api.dependencies import SessionDep
from api.routers.crud import UNCHANGED, BulkDep, MergePatch, ReadDep, WriteDep, bulk_body_openapi, created
from api.routers.resource import PageDep, resource_router
from api.schemas.records import BulkResult, Unit, UnitBody, Units
from infra.catalog import organisations, units

BULK_BODY = bulk_body_openapi(
    "unit,name_en,name_zh\nNorth/Depot 3,Depot 3,三号仓库\n", '{"unit": "North/Depot 3", "name_en": "Depot 3"}\n'
)

router = resource_router("/units", "people", 400, 404, 409, 412)
UnitPath = Annotated[str, Path(description="Path of the unit.", examples=["North"])]


@router.get("", name="list units")
def list_units(session: SessionDep, caller: MembersWriter, page: PageDep) -> Units:
    """Return the units in order of their paths: those with names, and those that members are in."""
    after = page.after
    rows = [unit for path, unit in units.tree(session, caller.organisation_key).items() if path > after]
    return Units.model_validate({"units": page.of(rows, lambda unit: unit["unit"])})


@router.post("/bulk", openapi_extra=BULK_BODY, name="bulk upsert units")
def bulk_upsert_units(caller: MembersWriter, bulk: BulkDep) -> BulkResult:
    """Create or update many units, as CSV with a header or as JSON Lines, with the checks of `xuelu ingest`.

    Of existing units the names that a line has are replaced. Bad lines come back as rejects; where more than the
    setting `max_reject_share` of them are bad, nothing is stored.
    """
    organisations.lock(bulk.session, caller.organisation_key)
    return bulk.upsert(caller, "units")


@router.get("/{unit:path}", name="read unit", response_model=Unit, responses=UNCHANGED)
def read_unit(unit: UnitPath, caller: MembersWriter, reading: ReadDep) -> Any:
    """Return a unit with its names, its number of members, and its `ETag`."""
    return reading.answer(units.read(reading.session, caller.organisation_key, unit))


@router.put("/{unit:path}", name="write unit", responses=created(Unit))
def write_unit(unit: UnitPath, caller: MembersWriter, body: UnitBody, writing: WriteDep) -> Unit:
    """Create a unit, or replace its names."""
    return _write(unit, caller, body.model_dump(), writing, action="units.write")


@router.patch("/{unit:path}", name="change unit")
def change_unit(unit: UnitPath, caller: MembersWriter, body: MergePatch[UnitBody], writing: WriteDep) -> Unit:
    """Change the names that the body has (RFC 7396): null removes a name."""
    units.read(writing.session, caller.organisation_key, unit)
    return _write(unit, caller, body.model_dump(exclude_unset=True), writing, action="units.change")


@router.delete("/{unit:path}", status_code=204, name="remove unit")
def remove_unit(unit: UnitPath, caller: MembersWriter, writing: WriteDep) -> None:
    """Delete a unit without members and units below it, that no item, requirement or curation targets."""
    organisations.lock(writing.session, caller.organisation_key)
    writing.check(units.read(writing.session, caller.organisation_key, unit))
    units.remove(writing.session, caller.organisation_key, unit)
    caller.record(writing.session, "units.remove", now=writing.now, unit=unit)


def _write(unit: str, caller: Caller, names: dict[str, Any], writing: WriteDep, *, action: str) -> Unit:
    organisations.lock(writing.session, caller.organisation_key)
    before = units.tree(writing.session, caller.organisation_key).get(unit)
    writing.check(before)
    stored = {name: before[name] for name in units.NAMES} if before else {}
    units.write(writing.session, caller.organisation_key, unit, stored | names, now=writing.now)
    caller.record(writing.session, action, now=writing.now, unit=unit)
    return Unit(**writing.answer(before, units.read(writing.session, caller.organisation_key, unit)))
