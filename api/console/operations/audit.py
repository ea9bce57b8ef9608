"""Screen of the audit log: read, searched, downloaded, its hash chain verified."""

from typing import Annotated, Final

from fastapi import Depends, Request
from pydantic import ValidationError
from starlette.responses import Response

from api.console.access import Administrator
from api.console.frame import MAX_ROWS, PAGE_LENGTH, console_router, csv_answer, page
from api.errors import MalformedBodyError, MalformedRequestError
from api.protocol.pagination import cursor_of
from api.routers.audit import read_audit_log
from api.schemas.audit import AuditQuery
from infra.access import audit_log
from infra.errors import SettingsError

FILTERS: Final = ("actor", "action", "member_id", "since", "until")
COLUMNS: Final = ("sequence", "at", "actor", "action", "subject", "detail", "hash")

router = console_router()


def audit_query(request: Request) -> AuditQuery:
    """Return the filters of a request, those left empty in the form as None.

    Raises
    ------
    MalformedRequestError
        A filter does not have a value that is asked for.
    """
    values = {name: request.query_params.get(name) or None for name in (*FILTERS, "cursor")}
    try:
        return AuditQuery.model_validate({**values, "limit": PAGE_LENGTH})
    except ValidationError as error:
        [fault, *_] = error.errors()
        raise MalformedRequestError(f"{fault['loc'][0]}: {fault['msg'].removeprefix('Value error, ')}") from error


AuditQueryDep = Annotated[AuditQuery, Depends(audit_query)]


@router.get("/audit")
def audit_page(viewer: Administrator, query: AuditQueryDep) -> Response:
    """Return matching entries, newest first; the reading is an entry itself."""
    linked = Response()
    body = read_audit_log(query, viewer.session, viewer.caller, viewer.request, linked, viewer.now)
    return page(
        viewer,
        "audit.html",
        entries=body.entries,
        head=body.head,
        wanted={name: getattr(query, name) or "" for name in FILTERS},
        cursor=cursor_of(str(body.entries[-1].sequence)) if "link" in linked.headers else None,
    )


@router.get("/audit.csv")
def audit_csv(viewer: Administrator, query: AuditQueryDep) -> Response:
    """Return the newest matching entries as CSV, :data:`MAX_ROWS` of them at most; the reading is an entry itself."""
    rows = audit_log.page(viewer.session, viewer.organisation_key, query.filter(), limit=MAX_ROWS)
    viewer.record("audit.read", member=query.member_id, entries=len(rows))
    return csv_answer("audit.csv", COLUMNS, rows)


@router.post("/audit")
def verify(viewer: Administrator) -> Response:
    """Verify the hash chain, against a head from outside the database where the form holds one."""
    text = viewer.form.get("head", "").strip()
    try:
        known_head = audit_log.parse_head(text) if text else None
    except SettingsError as error:
        raise MalformedBodyError(str(error)) from error
    session, key = viewer.session, viewer.organisation_key
    count, fault = audit_log.verify(session, key, known_head=known_head)
    return page(viewer, "verified.html", count=count, fault=fault, head=audit_log.head(session, key))
