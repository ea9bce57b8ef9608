"""Whether the service lives and is ready."""

from fastapi import APIRouter, Depends, Request

from api.deps import SessionDep, known_parameters_only
from api.routing import Route
from api.schemas import Health
from infra import shelf
from infra.db import check_migrated

router = APIRouter(route_class=Route, prefix="/v1/health", dependencies=[Depends(known_parameters_only)])


@router.get("/live")
def live() -> Health:
    """Return ok as long as the process answers."""
    return Health(status="ok")


@router.get("/ready")
def ready(request: Request, session: SessionDep) -> Health:
    """Return ok where lists can be served: the database answers, is migrated, and a run is published."""
    check_migrated(request.app.state.engine)
    shelf.check_published(session)
    return Health(status="ok")
