"""Audit log over HTTP."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response

from api.auth.auth import Caller, requires
from api.dependencies import NowDep, SessionDep
from api.errors import InvalidCursorError
from api.problems import problems
from api.protocol.pagination import link_next, position_of
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
MAX_CURSOR_DIGITS = 18


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
    rows = audit_log.page(session, key, query.filter(), before=_sequence_of(query.cursor), limit=query.limit + 1)
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


def _sequence_of(cursor: str | None) -> int | None:
    """Return the sequence number that a page ends before.

    Raises
    ------
    InvalidCursorError
    """
    text = position_of(cursor)
    if text and not (text.isascii() and text.isdigit() and len(text) <= MAX_CURSOR_DIGITS):
        raise InvalidCursorError("cursor is none that a `next` link gave; begin again without one")
    return int(text) if text else None
