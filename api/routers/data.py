"""Routes for stored data as a whole: imports with their rejects, and the data-quality report."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import Path as PathParameter
from fastapi import Query, Request
from sqlalchemy.orm import Session
from starlette.responses import FileResponse, Response

from api.auth.auth import Administrator, Caller
from api.dependencies import NowDep, SessionDep, SettingsDep
from api.problems import problems
from api.protocol.conditions import names
from api.protocol.pagination import key_of, number_of
from api.routers.resource import PageDep, resource_router
from api.schemas.analytics import DataQuality
from api.schemas.records import Import, ImportKind, Imports, ImportStatus, Rejects
from infra.ingest import import_log, rejects
from infra.privacy import folders
from infra.reports import data_quality
from infra.settings.settings import Settings

router = resource_router("", "data", 400)
ImportId = Annotated[str, PathParameter(description="Id of the import.", examples=["im_0123"])]
AS_CSV: Final[dict[str, Any]] = {"content": {"text/csv": {"schema": {"type": "string"}}}}


@router.get("/data-quality", name="read data quality")
def read_data_quality(session: SessionDep, caller: Administrator, settings: SettingsDep, now: NowDep) -> DataQuality:
    """Return the report of `xuelu doctor`: whether the data is sound enough to learn from."""
    report = data_quality.report(session, caller.organisation_key, settings.doctor.model_dump(), now=now)
    return DataQuality.model_validate(report)


@router.get("/imports", name="list imports")
def list_imports(
    session: SessionDep,
    caller: Administrator,
    page: PageDep,
    kind: Annotated[ImportKind | None, Query(description="Only those of this kind.")] = None,
    status: Annotated[ImportStatus | None, Query(description="Only those of this status.")] = None,
) -> Imports:
    """Return imported and refused files and bulk bodies, the newest first, with their counts."""
    key = caller.organisation_key
    before = key_of(page.cursor, lambda import_id: import_log.get(session, key, import_id)["import_key"])
    rows = import_log.page(session, key, before=before, limit=page.query_limit, kind=kind, status=status)
    return Imports(imports=[Import.model_validate(row) for row in page.of(rows, lambda row: row["import_id"])])


@router.get("/imports/{import_id}", name="read import", responses=problems(404))
def read_import(import_id: ImportId, session: SessionDep, caller: Administrator) -> Import:
    """Return an import with its counts."""
    return Import.model_validate(import_log.get(session, caller.organisation_key, import_id))


@router.get(
    "/imports/{import_id}/rejects",
    name="read rejects",
    response_model=Rejects,
    responses={200: AS_CSV, **problems(404)},
)
def read_rejects(
    import_id: ImportId,
    request: Request,
    session: SessionDep,
    caller: Administrator,
    settings: SettingsDep,
    now: NowDep,
    page: PageDep,
    format_: Annotated[
        Literal["json", "csv"],
        Query(alias="format", description="`csv`: all of them as a file, `line,field,value,reason`."),
    ] = "json",
) -> Rejects | Response:
    """Return the bad lines of an imported file; the reading is audited.

    They are there until the next import of a file of the same name, on the machine that imported it. In CSV, values
    that a spreadsheet would run as a formula begin with an apostrophe. Those of bulk bodies are in the answer to these
    alone.
    """
    skip = number_of(page.cursor) or 0
    path = rejects_path(import_id, session, caller, settings, now)
    if format_ == "csv":
        file = FileResponse(path, media_type="text/csv; charset=utf-8", filename=path.name, stat_result=path.stat())
        etag = file.headers["etag"]
        if names(request.headers.get("if-none-match", ""), etag, weakly=True):
            return Response(status_code=304, headers={"ETag": etag})
        return file
    rows = rejects.read_page(path, skip=skip, limit=page.query_limit)
    return Rejects.model_validate({"rejects": page.of(rows, lambda _row: str(skip + page.limit))})


def rejects_path(import_id: str, session: Session, caller: Caller, settings: Settings, now: datetime) -> Path:
    """Return the file of an import's rejects, and note in the audit log that it is read.

    Raises
    ------
    NotFoundError
    """
    key = caller.organisation_key
    places = folders.existing(session, key, folders.REJECTS, settings.rejects_folder)
    path = import_log.rejects_file(session, key, import_id, places)
    caller.record(session, "imports.read_rejects", now=now, import_id=import_id)
    return path
