"""Screens of deliveries: the queue of each endpoint, deliveries by status, sending again and dropping."""

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from fastapi import Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from api.console.access import FormDep, Viewer, opens
from api.console.frame import console_router, csv_answer, page
from api.dependencies import AuditBufferDep, NowDep, SessionDep, SettingsDep
from api.protocol.pagination import Cursor, cursor_of
from api.routers.deliveries import position
from api.schemas.deliveries import Status
from infra.catalog import organisations
from infra.delivery import admin, endpoints
from infra.delivery.outbox import DEAD, STATUSES
from infra.errors import DeliveryError

PAGE_LENGTH: Final = 50
MOST_ROWS: Final = 10_000
"""Most rows of a download."""
MOST_RETRIED: Final = 1_000_000
ID: Final = "dl_"
"""Beginning of the ids of deliveries, and so of the fields by which a form names them."""
COLUMNS: Final = ("delivery_id", "member_id", "endpoint_id", "run_id", "period", "status", "reason", "attempts",
                  "push_at", "due_at", "expires_at")  # fmt: skip

router = console_router()
Administrator = Annotated[Viewer, opens("admin")]
StatusFilter = Annotated[Status | Literal[""], Query()]
EndpointFilter = Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$")]


@router.get("/deliveries")
def deliveries_page(
    request: Request,
    session: SessionDep,
    viewer: Administrator,
    audit_buffer: AuditBufferDep,
    now: NowDep,
    status: StatusFilter = "",
    endpoint_id: EndpointFilter = "",
    cursor: Cursor = None,
) -> Response:
    """Return the queues, and a page of deliveries."""
    key = viewer.caller.organisation_key
    rows = admin.list_deliveries(
        session,
        key,
        status=status or None,
        endpoint_id=endpoint_id or None,
        after=position(cursor or None),
        limit=PAGE_LENGTH + 1,
    )
    shown = rows[:PAGE_LENGTH]
    _record_reads(audit_buffer, viewer, shown)
    queues = {row["endpoint_id"]: row for row in admin.queue_state(session, now=now, organisation_key=key)}
    return page(
        request,
        viewer,
        "deliveries.html",
        rows=shown,
        wanted=status,
        statuses=STATUSES,
        endpoint_id=endpoint_id,
        endpoints=[{**queues[row["endpoint_id"]], **row} for row in endpoints.list_endpoints(session, key)],
        cursor=cursor_of(f"{shown[-1]['period']} {shown[-1]['delivery_id']}") if len(rows) > PAGE_LENGTH else None,
        dead=sum(row["dead"] for row in queues.values()),
    )


@router.get("/deliveries.csv")
def deliveries_csv(
    session: SessionDep,
    viewer: Administrator,
    audit_buffer: AuditBufferDep,
    status: StatusFilter = "",
    endpoint_id: EndpointFilter = "",
) -> Response:
    """Return the newest deliveries as CSV, :data:`MOST_ROWS` of them at most."""
    rows = admin.list_deliveries(
        session,
        viewer.caller.organisation_key,
        status=status or None,
        endpoint_id=endpoint_id or None,
        limit=MOST_ROWS,
    )
    _record_reads(audit_buffer, viewer, rows)
    return csv_answer("deliveries.csv", COLUMNS, rows)


@router.get("/deliveries/{delivery_id}")
def delivery_page(
    request: Request, session: SessionDep, viewer: Administrator, audit_buffer: AuditBufferDep, delivery_id: str
) -> Response:
    """Return a delivery with its attempts."""
    row = admin.get_delivery(session, viewer.caller.organisation_key, delivery_id)
    _record_reads(audit_buffer, viewer, [row])
    return page(request, viewer, "delivery.html", row=row)


@router.post("/deliveries/redeliver")
def redeliver(
    request: Request, session: SessionDep, viewer: Administrator, now: NowDep, settings: SettingsDep, form: FormDep
) -> Response:
    """Send the chosen deliveries again, or all dead ones, and return the page that says what came of each."""
    key = viewer.caller.organisation_key
    all_dead = "all_dead" in form
    chosen = (
        admin.list_deliveries(session, key, status=DEAD, limit=MOST_RETRIED)
        if all_dead
        else _chosen(session, key, form)
    )
    zone = organisations.local_settings(session, key, settings).timezone
    results = admin.redeliver(session, key, chosen, settings.delivery, now=now, timezone=zone)
    sent = [row for row in chosen if not isinstance(results[row["delivery_id"]], DeliveryError)]
    if all_dead:
        viewer.record(session, "deliveries.retry", now=now, deliveries=len(sent))
    else:
        for row in sent:
            member_id, delivery_id = row["member_id"], row["delivery_id"]
            viewer.record(session, "deliveries.redeliver", now=now, subject=member_id, delivery_id=delivery_id)
    refused = [str(result) for result in results.values() if isinstance(result, DeliveryError)]
    return _results(request, viewer, form, done="sent_again", count=len(sent), refused=refused)


@router.post("/deliveries/drop")
def drop(request: Request, session: SessionDep, viewer: Administrator, now: NowDep, form: FormDep) -> Response:
    """Drop the chosen deliveries, and return the page that says what came of each."""
    dropped, refused = [], []
    for row in _chosen(session, viewer.caller.organisation_key, form):
        try:
            admin.drop(session, row, now=now)
        except DeliveryError as error:
            refused.append(str(error))
        else:
            dropped.append(row["delivery_id"])
    if dropped:
        viewer.record(session, "deliveries.drop", now=now, deliveries=dropped)
    return _results(request, viewer, form, done="dropped", count=len(dropped), refused=refused)


def _results(request: Request, viewer: Viewer, form: dict[str, str], **values: Any) -> Response:
    """Return the page that says what came of an action, with a way back to the filters it was begun from."""
    wanted = {name: form.get(name, "") for name in ("status", "endpoint_id")}
    return page(request, viewer, "delivery_results.html", wanted=wanted, **values)


def _chosen(session: Session, organisation_key: int, form: dict[str, str]) -> list[admin.Delivery]:
    """Return the deliveries that a form names.

    Raises
    ------
    DeliveryError, UnknownDeliveryError
        It names none, or one that the organisation does not have.
    """
    names = [name for name in form if name.startswith(ID)]
    if not names:
        raise DeliveryError("no delivery is chosen; tick those that are meant")
    return [admin.get_delivery(session, organisation_key, name) for name in names]


def _record_reads(audit_buffer: AuditBufferDep, viewer: Viewer, rows: Iterable[admin.Delivery]) -> None:
    """Note in the audit log that deliveries of members were looked at."""
    caller = viewer.caller
    for row in rows:
        audit_buffer.record_read(caller.organisation_key, caller.actor, "deliveries.read", row["member_id"])
