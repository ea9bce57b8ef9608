"""Screens of deliveries: the queue of each endpoint, deliveries by status, sending again and dropping."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import Query
from starlette.responses import Response

from api.console.access import Administrator, Viewer
from api.console.frame import MAX_ROWS, PAGE_LENGTH, console_router, csv_answer, page
from api.protocol.pagination import Cursor, cursor_of
from api.routers.deliveries import position
from api.schemas.deliveries import Status
from api.schemas.queries import NO_NUL
from infra.delivery import admin, endpoints
from infra.delivery.outbox import DEAD, STATUSES
from infra.errors import DeliveryError

MAX_RETRIED: Final = 1_000_000
ID: Final = "dl_"
"""Beginning of the ids of deliveries, and so of the fields by which a form names them."""
COLUMNS: Final = ("delivery_id", "member_id", "endpoint_id", "run_id", "period", "status", "reason", "attempts",
                  "push_at", "due_at", "expires_at")  # fmt: skip

router = console_router()
StatusFilter = Annotated[Status | Literal[""], Query()]
EndpointFilter = Annotated[str, Query(max_length=100, pattern=NO_NUL)]


@router.get("/deliveries")
def deliveries_page(
    viewer: Administrator, status: StatusFilter = "", endpoint_id: EndpointFilter = "", cursor: Cursor = None
) -> Response:
    """Return the queues, and a page of deliveries."""
    rows = _listed(viewer, status, endpoint_id, after=position(cursor or None), limit=PAGE_LENGTH + 1)
    shown = rows[:PAGE_LENGTH]
    _record_reads(viewer, shown)
    following = cursor_of(f"{shown[-1]['period']} {shown[-1]['delivery_id']}") if len(rows) > PAGE_LENGTH else None
    return queues_page(viewer, rows=shown, wanted=status, endpoint_id=endpoint_id, cursor=following)


def queues_page(viewer: Viewer, *, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
    """Return the page of the queues, with the form that adds a webhook.

    Parameters
    ----------
    values
        ``rows`` of deliveries, their filters ``wanted`` and ``endpoint_id``, the ``cursor`` of the next page; ``url``
        and ``faults`` of a refused form.
    """
    session, key = viewer.session, viewer.organisation_key
    queues = {row["endpoint_id"]: row for row in admin.queue_state(session, now=viewer.now, organisation_key=key)}
    usual: dict[str, Any] = {"rows": [], "wanted": "", "endpoint_id": "", "cursor": None, "url": "", "faults": []}
    return page(
        viewer,
        "deliveries.html",
        status=status,
        statuses=STATUSES,
        endpoints=[{**queues[row["endpoint_id"]], **row} for row in endpoints.list_endpoints(session, key)],
        dead=sum(row["dead"] for row in queues.values()),
        **{**usual, **values},
    )


@router.get("/deliveries.csv")
def deliveries_csv(viewer: Administrator, status: StatusFilter = "", endpoint_id: EndpointFilter = "") -> Response:
    """Return the newest deliveries as CSV, :data:`MAX_ROWS` of them at most."""
    rows = _listed(viewer, status, endpoint_id, limit=MAX_ROWS)
    _record_reads(viewer, rows)
    return csv_answer("deliveries.csv", COLUMNS, rows)


@router.get("/deliveries/{delivery_id}")
def delivery_page(viewer: Administrator, delivery_id: str) -> Response:
    """Return a delivery with its attempts."""
    row = admin.get_delivery(viewer.session, viewer.organisation_key, delivery_id)
    _record_reads(viewer, [row])
    return page(viewer, "delivery.html", row=row)


@router.post("/deliveries/redeliver")
def redeliver(viewer: Administrator) -> Response:
    """Send the chosen deliveries again, or all dead ones, and return the page with the result of each."""
    session, key, all_dead = viewer.session, viewer.organisation_key, "all_dead" in viewer.form
    chosen = admin.list_deliveries(session, key, status=DEAD, limit=MAX_RETRIED) if all_dead else _chosen(viewer)
    results = admin.redeliver(session, key, chosen, viewer.settings, now=viewer.now)
    sent = [row for row in chosen if not isinstance(results[row["delivery_id"]], DeliveryError)]
    if all_dead:
        viewer.record("deliveries.retry", deliveries=len(sent))
    else:
        for row in sent:
            viewer.record("deliveries.redeliver", member=row["member_id"], delivery_id=row["delivery_id"])
    refused = [str(result) for result in results.values() if isinstance(result, DeliveryError)]
    return _results(viewer, done="sent_again", count=len(sent), refused=refused)


@router.post("/deliveries/drop")
def drop(viewer: Administrator) -> Response:
    """Drop the chosen deliveries, and return the page with the result of each."""
    dropped, refused = [], []
    for row in _chosen(viewer):
        try:
            admin.drop(viewer.session, row, now=viewer.now)
        except DeliveryError as error:
            refused.append(str(error))
        else:
            dropped.append(row["delivery_id"])
    if dropped:
        viewer.record("deliveries.drop", deliveries=dropped)
    return _results(viewer, done="dropped", count=len(dropped), refused=refused)


def _listed(
    viewer: Viewer, status: str, endpoint_id: str, *, limit: int, after: admin.Position | None = None
) -> list[admin.Delivery]:
    """Return deliveries of a status and for an endpoint, where these are not empty, the latest dates first."""
    session, key, only = viewer.session, viewer.organisation_key, endpoint_id or None
    return admin.list_deliveries(session, key, status=status or None, endpoint_id=only, after=after, limit=limit)


def _results(viewer: Viewer, **values: Any) -> Response:
    """Return the page with the results of an action, and a link back to the filtered list it was started from."""
    wanted = {name: viewer.form.get(name, "") for name in ("status", "endpoint_id")}
    return page(viewer, "delivery_results.html", wanted=wanted, **values)


def _chosen(viewer: Viewer) -> list[admin.Delivery]:
    """Return the deliveries that a form names.

    Raises
    ------
    DeliveryError, NotFoundError
        It names none, or one that the organisation does not have.
    """
    names = [name for name in viewer.form if name.startswith(ID)]
    if not names:
        raise DeliveryError("no delivery is chosen; tick those that are meant")
    return [admin.get_delivery(viewer.session, viewer.organisation_key, name) for name in names]


def _record_reads(viewer: Viewer, rows: Iterable[admin.Delivery]) -> None:
    """Note in the audit log that deliveries of members were looked at."""
    for row in rows:
        viewer.record_read("deliveries.read", row["member_id"])
