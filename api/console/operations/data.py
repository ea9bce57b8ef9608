"""Screens of imported data: the data-quality report, imports, and the bad lines of one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import quote

from fastapi import Query
from starlette.responses import Response, StreamingResponse

from api.console.access import Administrator, Viewer
from api.console.frame import BOM, MAX_ROWS, PAGE_LENGTH, console_router, csv_answer, page
from api.protocol.pagination import Cursor, cursor_of, key_of, number_of
from api.routers.data import rejects_path
from api.schemas.records import ImportKind, ImportStatus
from infra.errors import NotFoundError
from infra.ingest import import_log, rejects
from infra.reports import data_quality

CHUNK_BYTES: Final = 65_536
COLUMNS: Final = ("import_id", "kind", "file_name", "status", "finished_at", "rows", "stored", "duplicates", "rejected")
MAX_RUNS: Final = 90
"""Runs of the history."""
TREND: Final = ("events", "unresolved_share", "reject_share", "future_share", "thin_member_share", "missing_role_share",
                "missing_industry_share")  # fmt: skip
"""Figures of the history."""
APART: Final = ("rejects_by_reason", "unknown_codes")
"""Figures of the report that are lists, shown apart from the numbers."""

router = console_router()
Kind = Annotated[ImportKind | Literal[""], Query()]
State = Annotated[ImportStatus | Literal[""], Query()]


@router.get("/data")
def data_page(viewer: Administrator, kind: Kind = "", state: State = "", cursor: Cursor = None) -> Response:
    """Return the data-quality report, and a page of imports, the newest first."""
    session, key = viewer.session, viewer.organisation_key
    figures = viewer.figures.of("data quality", lambda: data_quality.measure(session, key, now=viewer.now))
    thresholds = viewer.settings.doctor.model_dump()
    before = key_of(cursor or None, lambda import_id: import_log.get(session, key, import_id)["import_key"])
    rows = import_log.page(session, key, before=before, limit=PAGE_LENGTH + 1, kind=kind or None, status=state or None)
    return page(
        viewer,
        "data.html",
        figures=figures,
        beyond=data_quality.beyond_thresholds(figures, thresholds),
        apart=APART,
        history=_history(viewer),
        trend=TREND,
        rows=rows[:PAGE_LENGTH],
        kinds=get_args(ImportKind),
        wanted={"kind": kind, "state": state},
        cursor=cursor_of(rows[PAGE_LENGTH - 1]["import_id"]) if len(rows) > PAGE_LENGTH else None,
    )


@router.get("/data/quality.csv")
def quality_csv(viewer: Administrator) -> Response:
    """Return the figures of data quality by run as CSV."""
    return csv_answer("data-quality.csv", ("made_at", "run_id", *TREND), _history(viewer))


@router.get("/data/imports.csv")
def imports_csv(viewer: Administrator, kind: Kind = "", state: State = "") -> Response:
    """Return the newest imports as CSV, :data:`MAX_ROWS` of them at most."""
    session, key = viewer.session, viewer.organisation_key
    rows = import_log.page(session, key, before=None, limit=MAX_ROWS, kind=kind or None, status=state or None)
    return csv_answer("imports.csv", COLUMNS, rows)


@router.get("/data/{import_id}")
def import_page(viewer: Administrator, import_id: str, cursor: Cursor = None) -> Response:
    """Return an import, and a page of its bad lines where they are at hand; the reading is audited."""
    row = import_log.get(viewer.session, viewer.organisation_key, import_id)
    skip = number_of(cursor or None) or 0
    values: dict[str, Any] = {"rejects": [], "missing": None}
    if row["rejected"]:
        try:
            path = rejects_path(import_id, viewer.session, viewer.caller, viewer.settings, viewer.now)
        except NotFoundError as error:  # the counts are stored, the lines on the machine that imported them
            values["missing"] = str(error)
        else:
            values["rejects"] = rejects.read_page(path, skip=skip, limit=PAGE_LENGTH + 1)
    following = cursor_of(str(skip + PAGE_LENGTH)) if len(values["rejects"]) > PAGE_LENGTH else None
    return page(viewer, "import.html", row=row, length=PAGE_LENGTH, cursor=following, **values)


@router.get("/data/{import_id}/rejects.csv")
def rejects_csv(viewer: Administrator, import_id: str) -> Response:
    """Return all bad lines of an import as CSV; the reading is audited."""
    path = rejects_path(import_id, viewer.session, viewer.caller, viewer.settings, viewer.now)
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(path.name)}"}
    return StreamingResponse(_with_bom(path), media_type="text/csv; charset=utf-8", headers=headers)


def _history(viewer: Viewer) -> list[dict[str, Any]]:
    """Return the figures of the latest runs, those that a run of an older version did not keep as None."""
    rows = data_quality.history(viewer.session, viewer.organisation_key, limit=MAX_RUNS)
    return [{**dict.fromkeys(TREND), **row} for row in rows]


def _with_bom(path: Path) -> Iterator[bytes]:
    """Yield a file for spreadsheets."""
    yield BOM.encode()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
