"""Audit log over HTTP."""

from typing import Annotated

import orjson
from fastapi import Query, Request, Response

from api.auth.auth import Administrator
from api.dependencies import NowDep, SessionDep
from api.protocol.pagination import link_next, number_of
from api.routers.resource import resource_router
from api.schemas.audit import AuditEntries, AuditEntry, AuditHead, AuditQuery
from infra.access import audit_log

router = resource_router("", "audit", 400)


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
    caller.record(session, "audit.read", now=now, member=query.member_id, entries=len(page))
    return AuditEntries(
        head=AuditHead(sequence=head.sequence, hash=head.hash),
        entries=[
            AuditEntry.model_validate({**row, "detail": None if row["detail"] is None else orjson.loads(row["detail"])})
            for row in page
        ],
    )
