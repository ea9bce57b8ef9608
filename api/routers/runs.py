"""Changes of the run that is served: publish a held one, roll back."""

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from api.auth.auth import RunsWriter
from api.dependencies import NowDep, SessionDep, SettingsDep
from api.problems import problems
from api.routers.resource import resource_router
from api.schemas.analytics import Run
from api.schemas.queries import NO_NUL
from infra.delivery import outbox

router = resource_router("/runs", "analytics", 400, 409)
RunId = Annotated[
    str, Path(description="Id of the run, or how it begins.", examples=["0e5f1c52-8f5e-4c1b-9b60-3d1f3f0b7a11"])
]


class Publication(BaseModel):
    """Why a run is published."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: str | None = Field(
        None,
        max_length=1_000,
        pattern=NO_NUL,
        description="Why a run that was held is served all the same; the audit log keeps it.",
        examples=["the clerks have left"],
    )


@router.post("/{run_id}/publish", name="publish run", responses=problems(404))
def publish_run(
    run_id: RunId, body: Publication, session: SessionDep, caller: RunsWriter, settings: SettingsDep, now: NowDep
) -> Run:
    """Serve a finished run from now on; one that was held needs a `reason`."""
    run = outbox.publish_run(
        session, caller.organisation_key, run_id, settings, actor=caller.actor, reason=body.reason or "", now=now
    )
    return Run.model_validate(run)


@router.post("/rollback", name="roll back")
def roll_back(session: SessionDep, caller: RunsWriter, settings: SettingsDep, now: NowDep) -> Run:
    """Hold the served run, and serve the one published before it: every member gets the same list as then."""
    return Run.model_validate(outbox.roll_back(session, caller.organisation_key, settings, actor=caller.actor, now=now))
