"""Routes for deliveries: the queue, dead letters, attempts, sending again and dropping."""

import re
from typing import Annotated, Final

from fastapi import Path, Query

from api.auth.auth import Administrator
from api.dependencies import AuditBufferDep, NowDep, SessionDep, SettingsDep
from api.errors import MalformedRequestError
from api.protocol.pagination import NOT_OURS, position_of
from api.routers.resource import PageDep, resource_router
from api.schemas.deliveries import Deliveries, Delivery, DeliveryDetail, Queues, Status
from api.schemas.queries import Filter
from infra.delivery import admin

POSITION: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([^\x00]{1,100})")

router = resource_router("/deliveries", "delivery", 400, 404, 409)
DeliveryId = Annotated[str, Path(description="Id of the delivery.", examples=["dl_0123"])]


@router.get("", name="list deliveries")
def list_deliveries(
    session: SessionDep,
    caller: Administrator,
    audit_buffer: AuditBufferDep,
    page: PageDep,
    status: Annotated[Status | None, Query(description="Only those of this status.")] = None,
    endpoint_id: Annotated[Filter, Query(description="Only those for this endpoint.")] = None,
) -> Deliveries:
    """Return deliveries, the latest dates first; dead ones with the reason."""
    rows = admin.list_deliveries(
        session,
        caller.organisation_key,
        status=status,
        endpoint_id=endpoint_id,
        after=position(page.cursor),
        limit=page.query_limit,
    )
    deliveries = page.of(rows, lambda row: f"{row['period']} {row['delivery_id']}")
    for row in deliveries:
        audit_buffer.record_read(caller.organisation_key, caller.actor, "deliveries.read", row["member_id"])
    return Deliveries.model_validate({"deliveries": deliveries})


@router.get("/queue", name="read queues")
def read_queues(session: SessionDep, caller: Administrator, now: NowDep) -> Queues:
    """Return for each endpoint how many deliveries wait, are due and were given up."""
    queues = admin.queue_state(session, now=now, organisation_key=caller.organisation_key)
    return Queues.model_validate({"queues": queues})


@router.get("/{delivery_id}", name="read delivery")
def read_delivery(
    delivery_id: DeliveryId, session: SessionDep, caller: Administrator, audit_buffer: AuditBufferDep
) -> DeliveryDetail:
    """Return a delivery and every attempt of it."""
    row = admin.get_delivery(session, caller.organisation_key, delivery_id)
    audit_buffer.record_read(caller.organisation_key, caller.actor, "deliveries.read", row["member_id"])
    return DeliveryDetail.model_validate(row)


@router.post("/{delivery_id}/drop", name="drop delivery")
def drop_delivery(delivery_id: DeliveryId, session: SessionDep, caller: Administrator, now: NowDep) -> Delivery:
    """Drop a pending or dead delivery: it is not sent."""
    key = caller.organisation_key
    admin.drop(session, admin.get_delivery(session, key, delivery_id), now=now)
    caller.record(session, "deliveries.drop", now=now, deliveries=[delivery_id])
    return Delivery.model_validate(admin.get_delivery(session, key, delivery_id))


@router.post("/{delivery_id}/redeliver", name="send delivery again")
def redeliver_delivery(
    delivery_id: DeliveryId, session: SessionDep, caller: Administrator, settings: SettingsDep, now: NowDep
) -> Delivery:
    """Send a dead, dropped or delivered one again under its old id, at its member's next open time.

    One that did not arrive needs room under the caps of the new date.
    """
    key = caller.organisation_key
    row = admin.get_delivery(session, key, delivery_id)
    admin.redeliver_one(session, key, row, settings, now=now)
    caller.record(session, "deliveries.redeliver", now=now, member=row["member_id"], delivery_id=delivery_id)
    return Delivery.model_validate(admin.get_delivery(session, key, delivery_id))


def position(cursor: str | None) -> admin.Position | None:
    """Return the date and id of the delivery that a page begins after."""
    text = position_of(cursor)
    if not text:
        return None
    match = POSITION.fullmatch(text)
    if match is None:
        raise MalformedRequestError(NOT_OURS)
    return match[1], match[2]
