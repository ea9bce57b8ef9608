"""Routes for stored data as a whole: imports with their rejects, and the data-quality report."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from starlette.responses import FileResponse

from api.auth.auth import Caller, requires
from api.dependencies import NowDep, SessionDep, SettingsDep, known_parameters_only
from api.problems import problems
from api.protocol.pagination import Cursor, link_next, number_of
from api.protocol.route_class import Route
from api.schemas.analytics import DataQuality
from api.schemas.queries import DIGITS, Limit
from api.schemas.records import Import, Imports
from infra.access import audit
from infra.catalog import organisations
from infra.ingest import import_log, rejects
from infra.privacy import folders
from infra.reports import data_quality

router = APIRouter(
    route_class=Route,
    prefix="/v1",
    tags=["data"],
    dependencies=[Depends(known_parameters_only)],
    responses=problems(400, 401, 403, 503),
)
Admin = Annotated[Caller, requires("admin")]
ImportId = Annotated[int, Path(ge=1, le=2**63 - 1, description="Id of the import.", examples=[1]), DIGITS]
CSV_FILE = {"description": "The rejects as CSV", "content": {"text/csv": {"schema": {"type": "string"}}}}


@router.get("/data-quality", name="read data quality")
def read_data_quality(session: SessionDep, caller: Admin, settings: SettingsDep, now: NowDep) -> DataQuality:
    """Return the report of `xuelu doctor`: whether the data is sound enough to learn from."""
    report = data_quality.report(session, caller.organisation_key, settings.doctor.model_dump(), now=now)
    return DataQuality.model_validate(report)


@router.get("/imports", name="list imports")
def list_imports(
    session: SessionDep,
    caller: Admin,
    request: Request,
    response: Response,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Imports:
    """Return imported and refused files and bulk bodies, the newest first, with their counts."""
    rows = import_log.page(session, caller.organisation_key, before=number_of(cursor), limit=limit + 1)
    if len(rows) > limit:
        link_next(request, response, str(rows[limit - 1]["import_key"]))
    return Imports(imports=[Import.model_validate({**row, "import_id": row["import_key"]}) for row in rows[:limit]])


@router.get(
    "/imports/{import_id}/rejects",
    name="download rejects",
    response_class=FileResponse,
    responses={200: CSV_FILE, **problems(404)},
)
def download_rejects(
    import_id: ImportId, session: SessionDep, caller: Admin, settings: SettingsDep, now: NowDep
) -> FileResponse:
    """Return the bad lines of an imported file as CSV: `line, field, value, reason`; the download is audited.

    They are there until the next import of a file of the same name. Values that a spreadsheet would run as a formula
    begin with an apostrophe. Those of bulk bodies are in the answer to these alone.
    """
    key = caller.organisation_key
    organisation = organisations.name_of(session, key)
    places = folders.existing(session, key, folders.REJECTS, settings.rejects_folder)
    path = import_log.rejects_file(
        session, key, import_id, [rejects.folder_of(place, organisation) for place in places]
    )
    detail = {"import_id": import_id}
    audit.append(session, key, actor=caller.actor, action="imports.read_rejects", subject=None, now=now, detail=detail)
    return FileResponse(path, media_type="text/csv; charset=utf-8", filename=path.name)
