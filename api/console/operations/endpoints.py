"""Screens of delivery endpoints: adding a webhook, rotating its secret, delivering to it again, removing it."""

from pydantic import ValidationError
from starlette.responses import Response

from api.console.access import Administrator
from api.console.frame import console_router, page, redirected
from api.errors import MalformedBodyError
from api.routers import endpoints as routes
from api.schemas.endpoints import EndpointBody, RotationBody
from infra.delivery import admin, endpoints

router = console_router()


@router.post("/endpoints")
def add_endpoint(viewer: Administrator) -> Response:
    """Register a webhook, and return the page that shows its secret: this once."""
    try:
        body = EndpointBody(url=viewer.form.get("url", "").strip())
    except ValidationError as error:
        raise MalformedBodyError("the address is none to push to; write https://host/path") from error
    secret = routes.add_endpoint(
        viewer.caller, body, viewer.settings, viewer.session, viewer.now, viewer.request, Response()
    )
    return page(viewer, "secret.html", endpoint_id=secret.endpoint_id, secret=secret.secret, overlap=None)


@router.get("/endpoints/{endpoint_id}")
def endpoint_page(viewer: Administrator, endpoint_id: str) -> Response:
    """Return an endpoint with the state of its queue."""
    session, key, now = viewer.session, viewer.organisation_key, viewer.now
    endpoint = endpoints.get_endpoint(session, key, endpoint_id)
    queues = admin.queue_state(session, now=now, organisation_key=key)
    queue = next(row for row in queues if row["endpoint_id"] == endpoint_id)
    throttled = endpoint["throttled_until"] is not None and endpoint["throttled_until"] > now
    return page(viewer, "endpoint.html", endpoint=endpoint, queue=queue, throttled=throttled)


@router.post("/endpoints/{endpoint_id}/rotate")
def rotate_secret(viewer: Administrator, endpoint_id: str) -> Response:
    """Give a webhook a new secret, and return the page that shows it: this once."""
    try:
        body = RotationBody(overlap_hours=float(viewer.form.get("overlap_hours", "")))
    except ValueError as error:
        raise MalformedBodyError("the overlap is no number of hours from 0 to 720") from error
    secret = routes.rotate_secret(endpoint_id, viewer.caller, body, viewer.settings, viewer.session, viewer.now).secret
    return page(viewer, "secret.html", endpoint_id=endpoint_id, secret=secret, overlap=body.overlap_hours)


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
