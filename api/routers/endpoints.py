"""Routes for delivery endpoints: webhooks of study apps.

Batch files are registered by the command line only: a caller must not choose folders of the server.
"""

from datetime import timedelta
from typing import Annotated

from fastapi import Path, Request, Response

from api.auth.auth import Administrator
from api.dependencies import NowDep, SessionDep, SettingsDep
from api.routers.resource import resource_router
from api.schemas.endpoints import Endpoint, EndpointBody, Endpoints, RotationBody, Secret
from infra.access.secret_encryption import VARIABLE, SecretCipher
from infra.delivery import claims, endpoints
from infra.delivery.targets import validate_target
from infra.errors import EndpointError

router = resource_router("/endpoints", "delivery", 400, 404, 409)
EndpointId = Annotated[str, Path(description="Id of the endpoint.", examples=["ep_0123"])]


@router.get("", name="list endpoints")
def list_endpoints(session: SessionDep, caller: Administrator) -> Endpoints:
    """Return the organisation's endpoints, the oldest first."""
    return Endpoints.model_validate({"endpoints": endpoints.list_endpoints(session, caller.organisation_key)})


@router.get("/{endpoint_id}", name="read endpoint")
def read_endpoint(endpoint_id: EndpointId, session: SessionDep, caller: Administrator) -> Endpoint:
    """Return an endpoint."""
    return Endpoint.model_validate(endpoints.get_endpoint(session, caller.organisation_key, endpoint_id))


@router.post("", name="add endpoint", status_code=201)
def add_endpoint(
    caller: Administrator,
    body: EndpointBody,
    settings: SettingsDep,
    session: SessionDep,
    now: NowDep,
    request: Request,
    response: Response,
) -> Secret:
    """Register a webhook, active at once, and return the secret that signs its pushes: this once."""
    url = validate_target("webhook", body.url, plain_http=settings.delivery.allow_private_addresses)
    endpoint = endpoints.add_endpoint(session, caller.organisation_key, "webhook", url, now=now)
    cipher = _cipher(settings.delivery.secret_key)
    secret = endpoints.rotate_secret(session, endpoint, cipher, overlap=timedelta(0), now=now)
    caller.record(session, "endpoints.add", now=now, endpoint_id=endpoint["endpoint_id"], kind="webhook")
    response.headers["Location"] = f"{request.url.path}/{endpoint['endpoint_id']}"
    return Secret(endpoint_id=endpoint["endpoint_id"], secret=secret)


@router.post("/{endpoint_id}/rotate", name="rotate secret")
def rotate_secret(
    endpoint_id: EndpointId,
    caller: Administrator,
    body: RotationBody,
    settings: SettingsDep,
    session: SessionDep,
    now: NowDep,
) -> Secret:
    """Give a webhook a new secret and return it, this once; older ones sign along for the overlap."""
    endpoint = endpoints.get_endpoint(session, caller.organisation_key, endpoint_id)
    overlap = timedelta(hours=body.overlap_hours)
    cipher = _cipher(settings.delivery.secret_key)
    secret = endpoints.rotate_secret(session, endpoint, cipher, overlap=overlap, now=now)
    caller.record(session, "endpoints.rotate_secret", now=now, endpoint_id=endpoint_id)
    return Secret(endpoint_id=endpoint_id, secret=secret)


@router.delete("/{endpoint_id}", name="remove endpoint", status_code=204)
def remove_endpoint(endpoint_id: EndpointId, caller: Administrator, session: SessionDep, now: NowDep) -> None:
    """Remove an endpoint and its secrets; its pending deliveries are dropped."""
    endpoint = endpoints.get_endpoint(session, caller.organisation_key, endpoint_id)
    endpoints.set_status(session, endpoint["endpoint_key"], endpoints.REMOVED)
    claims.drop_pending(session, endpoint["endpoint_key"], now=now)
    caller.record(session, "endpoints.remove", now=now, endpoint_id=endpoint_id)


def _cipher(secret_key: str) -> SecretCipher:
    if not secret_key:
        raise EndpointError(f"this service has no key to encrypt secrets with; its operator must set {VARIABLE}")
    return SecretCipher(secret_key)
