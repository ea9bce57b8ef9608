"""Audit log over HTTP."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response

from api.auth.auth import Caller, requires
from api.dependencies import NowDep, SessionDep
from api.problems import problems
from api.protocol.pagination import link_next, number_of
from api.protocol.route_class import Route
from api.schemas.audit import AuditEntries, AuditEntry, AuditHead, AuditQuery
from infra.access import audit, audit_log

router = APIRouter(
    route_class=Route,
    prefix="/v1",
    tags=["audit"],
    responses=problems(400, 401, 403, 503),
)
Administrator = Annotated[Caller, requires("admin")]


@router.get("/audit", name="read audit log")
def read_audit_log(
    query: Annotated[AuditQuery, Query()],
    session: SessionDep,
    caller: Administrator,
    request: Request,
    response: Response,
    now: NowDep,
) -> AuditEntries:
    """Return audit entries, newest first; the reading is an entry itself."""
    key = caller.organisation_key
    head = audit_log.head(session, key)
    rows = audit_log.page(session, key, query.filter(), before=number_of(query.cursor), limit=query.limit + 1)
    if len(rows) > query.limit:
        link_next(request, response, str(rows[query.limit - 1]["sequence"]))
    page = rows[: query.limit]
    detail = {"entries": len(page)}
    audit.append(session, key, actor=caller.actor, action="audit.read", subject=query.member_id, now=now, detail=detail)
    return AuditEntries(
        head=AuditHead(sequence=head.sequence, hash=head.hash),
        entries=[
            AuditEntry.model_validate({**row, "detail": None if row["detail"] is None else orjson.loads(row["detail"])})
            for row in page
        ],
    )
