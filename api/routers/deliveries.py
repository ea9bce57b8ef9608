"""Routes for deliveries: the queue, dead letters, attempts, sending again and dropping."""

import re
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.auth.auth import Caller, requires
from api.dependencies import AuditBufferDep, NowDep, SessionDep, SettingsDep, known_parameters_only
from api.errors import InvalidCursorError
from api.problems import problems
from api.protocol.pagination import Cursor, link_next, position_of
from api.protocol.route_class import Route
from api.schemas.deliveries import Deliveries, Delivery, DeliveryDetail, Queues, Status
from api.schemas.queries import Limit
from infra.access import audit
from infra.catalog import organisations
from infra.delivery import admin

POSITION: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([^\x00]{1,100})")

router = APIRouter(
    route_class=Route,
    prefix="/v1/deliveries",
    tags=["delivery"],
    dependencies=[Depends(known_parameters_only)],
    responses=problems(400, 404, 409),
)
Admin = Annotated[Caller, requires("admin")]
DeliveryId = Annotated[str, Path(description="Id of the delivery.", examples=["dl_0123"])]


@router.get("", name="list deliveries")
def list_deliveries(  # noqa: PLR0913, PLR0917 - parameters of the query
    session: SessionDep,
    caller: Admin,
    audit_buffer: AuditBufferDep,
    request: Request,
    response: Response,
    status: Annotated[Status | None, Query(description="Only those of this status.")] = None,
    endpoint_id: Annotated[
        str | None, Query(max_length=100, pattern=r"^[^\x00]*$", description="Only those for this endpoint.")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Deliveries:
    """Return deliveries, the latest dates first; dead ones with the reason."""
    rows = admin.list_deliveries(
        session,
        caller.organisation_key,
        status=status,
        endpoint_id=endpoint_id,
        after=position(cursor),
        limit=limit + 1,
    )
    page = rows[:limit]
    if len(rows) > limit:
        link_next(request, response, f"{page[-1]['period']} {page[-1]['delivery_id']}")
    for row in page:
        audit_buffer.record_read(caller.organisation_key, caller.actor, "deliveries.read", row["member_id"])
    return Deliveries.model_validate({"deliveries": page})


@router.get("/queue", name="read queues")
def read_queues(session: SessionDep, caller: Admin, now: NowDep) -> Queues:
    """Return for each endpoint how many deliveries wait, are due and were given up."""
    queues = admin.queue_state(session, now=now, organisation_key=caller.organisation_key)
    return Queues.model_validate({"queues": queues})


@router.get("/{delivery_id}", name="read delivery")
def read_delivery(
    delivery_id: DeliveryId, session: SessionDep, caller: Admin, audit_buffer: AuditBufferDep
) -> DeliveryDetail:
    """Return a delivery and every attempt of it."""
    row = admin.get_delivery(session, caller.organisation_key, delivery_id)
    audit_buffer.record_read(caller.organisation_key, caller.actor, "deliveries.read", row["member_id"])
    return DeliveryDetail.model_validate(row)


@router.post("/{delivery_id}/drop", name="drop delivery")
def drop_delivery(delivery_id: DeliveryId, session: SessionDep, caller: Admin, now: NowDep) -> Delivery:
    """Drop a pending or dead delivery: it is not sent."""
    key = caller.organisation_key
    admin.drop(session, admin.get_delivery(session, key, delivery_id), now=now)
    detail = {"deliveries": [delivery_id]}
    audit.append(session, key, actor=caller.actor, action="deliveries.drop", subject=None, now=now, detail=detail)
    return Delivery.model_validate(admin.get_delivery(session, key, delivery_id))


@router.post("/{delivery_id}/redeliver", name="send delivery again")
def redeliver_delivery(
    delivery_id: DeliveryId, session: SessionDep, caller: Admin, settings: SettingsDep, now: NowDep
) -> Delivery:
    """Send a dead, dropped or delivered one again under its old id, at its member's next open time.

    One that did not arrive needs room under the caps of the new date.
    """
    key = caller.organisation_key
    zone = organisations.local_settings(session, key, settings).timezone
    row = admin.get_delivery(session, key, delivery_id)
    admin.redeliver_one(session, key, row, settings.delivery, now=now, timezone=zone)
    detail = {"delivery_id": delivery_id}
    action, member = "deliveries.redeliver", row["member_id"]
    audit.append(session, key, actor=caller.actor, action=action, subject=member, now=now, detail=detail)
    return Delivery.model_validate(admin.get_delivery(session, key, delivery_id))


def position(cursor: str | None) -> admin.Position | None:
    """Return the date and id of the delivery that a page begins after."""
    text = position_of(cursor)
    if not text:
        return None
    position = POSITION.fullmatch(text)
    if position is None:
        raise InvalidCursorError("cursor is none that a `next` link gave; begin again without one")
    return position[1], position[2]
