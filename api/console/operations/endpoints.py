"""Screens of delivery endpoints: adding a webhook, rotating its secret, delivering to it again, removing it."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, TypeVar

from starlette.responses import Response

from api.console.access import Administrator, Viewer
from api.console.catalogue.forms import refusal_of
from api.console.frame import console_router, page, redirected
from api.console.operations.deliveries import queues_page
from api.errors import MalformedBodyError, RefusedFormError
from api.routers import endpoints as routes
from api.schemas.endpoints import EndpointBody, RotationBody
from infra.delivery import admin, endpoints
from infra.errors import EndpointError

USUAL_OVERLAP_HOURS: Final = "24"
REFUSALS: Final = (MalformedBodyError, EndpointError)
"""Errors that a form shows, with the values that were sent."""

Body = TypeVar("Body")

router = console_router()


@router.post("/endpoints")
def add_endpoint(viewer: Administrator) -> Response:
    """Register a webhook, and return the page that shows its secret: this once."""
    url = viewer.form.get("url", "").strip()
    try:
        body = _checked(lambda: EndpointBody(url=url), "the address is none to push to; write https://host/path")
        secret = routes.add_endpoint(
            viewer.caller, body, viewer.settings, viewer.session, viewer.now, viewer.request, Response()
        )
    except REFUSALS as error:
        raise RefusedFormError(queues_page(viewer, url=url, **refusal_of(error))) from error
    return page(viewer, "secret.html", endpoint_id=secret.endpoint_id, secret=secret.secret, overlap=None)


@router.get("/endpoints/{endpoint_id}")
def endpoint_page(viewer: Administrator, endpoint_id: str) -> Response:
    """Return an endpoint with the state of its queue."""
    return _page(viewer, endpoint_id, overlap_hours=USUAL_OVERLAP_HOURS)


@router.post("/endpoints/{endpoint_id}/rotate")
def rotate_secret(viewer: Administrator, endpoint_id: str) -> Response:
    """Give a webhook a new secret, and return the page that shows it: this once."""
    hours, reason = viewer.form.get("overlap_hours", ""), "the overlap is no number of hours from 0 to 720"
    try:
        body = _checked(lambda: RotationBody(overlap_hours=float(hours)), reason)
        rotated = routes.rotate_secret(endpoint_id, viewer.caller, body, viewer.settings, viewer.session, viewer.now)
    except REFUSALS as error:
        raise RefusedFormError(_page(viewer, endpoint_id, overlap_hours=hours, **refusal_of(error))) from error
    return page(viewer, "secret.html", endpoint_id=endpoint_id, secret=rotated.secret, overlap=body.overlap_hours)


@router.post("/endpoints/{endpoint_id}/enable")
def enable_endpoint(viewer: Administrator, endpoint_id: str) -> Response:
    """Deliver again to an endpoint that was disabled or asked to wait."""
    endpoint = endpoints.get_endpoint(viewer.session, viewer.organisation_key, endpoint_id)
    endpoints.set_status(viewer.session, endpoint["endpoint_key"], endpoints.ACTIVE)
    viewer.record("endpoints.enable", endpoint_id=endpoint_id)
    return redirected(viewer.request, f"/console/endpoints/{endpoint_id}")


@router.post("/endpoints/{endpoint_id}/remove")
def remove_endpoint(viewer: Administrator, endpoint_id: str) -> Response:
    """Remove an endpoint with its secrets, if the form says so twice; its pending deliveries are dropped."""
    if "sure" not in viewer.form:
        raise MalformedBodyError("the endpoint was not removed: tick the box that says so")
    routes.remove_endpoint(endpoint_id, viewer.caller, viewer.session, viewer.now)
    return redirected(viewer.request, "/console/deliveries")


def _checked(make: Callable[[], Body], reason: str) -> Body:
    """Return the body that a function makes of a form; a fault of it is raised with this reason.

    Raises
    ------
    MalformedBodyError
    """
    try:
        return make()
    except ValueError as error:
        raise MalformedBodyError(reason) from error


def _page(viewer: Viewer, endpoint_id: str, *, status: HTTPStatus = HTTPStatus.OK, **form: Any) -> Response:
    session, key, now = viewer.session, viewer.organisation_key, viewer.now
    endpoint = endpoints.get_endpoint(session, key, endpoint_id)
    queues = admin.queue_state(session, now=now, organisation_key=key)
    queue = next(row for row in queues if row["endpoint_id"] == endpoint_id)
    throttled = endpoint["throttled_until"] is not None and endpoint["throttled_until"] > now
    shown = {"endpoint": endpoint, "queue": queue, "throttled": throttled, "faults": [], **form}
    return page(viewer, "endpoint.html", status=status, **shown)
