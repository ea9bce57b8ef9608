"""Whether the service lives and is ready."""

from fastapi import APIRouter, Depends, Request

from api.dependencies import SessionDep, known_parameters_only
from api.protocol.route_class import Route
from api.schemas.lists import Health
from infra.db.engine import check_migrated
from infra.serving import push_lists

router = APIRouter(route_class=Route, prefix="/v1/health", dependencies=[Depends(known_parameters_only)])


@router.get("/live")
def live() -> Health:
    """Return ok as long as the process answers."""
    return Health(status="ok")


@router.get("/ready")
def ready(request: Request, session: SessionDep) -> Health:
    """Return ok where lists can be served: the database answers, is migrated, and a run is published."""
    check_migrated(request.app.state.engine)
    push_lists.check_published(session)
    return Health(status="ok")
