"""Study events in."""

from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import Depends, Query, Request, Response

from api.auth.auth import EventWriter
from api.dependencies import NowDep, WriteLockDep
from api.errors import MalformedBodyError
from api.protocol.strict_json import json_type_only, parsed, raw_body
from api.routers.resource import resource_router
from api.schemas.events import BATCH, MAX_EVENTS
from api.schemas.lists import PostedEvents
from api.schemas.queries import Flag
from infra.catalog import organisations
from infra.db.engine import transaction
from infra.events import http_batches

router = resource_router("", "events", 400, 409, 413, 415)


def checked_batch(
    request: Request,
    caller: EventWriter,
    body: Annotated[bytes, Depends(raw_body)],
    *,
    partial: Annotated[
        Flag, Query(description="Take the good events where others are bad; else a bad one refuses the batch.")
    ] = False,
) -> http_batches.CheckedBatch:
    """Return the events of a body, validated before the request waits for its turn to write."""
    batch = _batch(parsed(body))
    with transaction(request.app.state.engine) as session:
        own = organisations.local_settings(session, caller.organisation_key, request.app.state.settings)
    return http_batches.checked(batch, partial=partial, zone=own.timezone)


def _batch(body: Any) -> list[Any]:
    """Return the events that a body holds.

    Raises
    ------
    MalformedBodyError
    """
    if not isinstance(body, dict) or set(body) != {"events"} or not isinstance(body["events"], list):
        raise MalformedBodyError('the body must be an object with the one key "events", an array of events')
    if not 1 <= len(body["events"]) <= MAX_EVENTS:
        raise MalformedBodyError(f"{len(body['events'])} events; send 1 to {MAX_EVENTS:,} in one batch")
    return list(body["events"])


@router.post(
    "/events",
    dependencies=[Depends(json_type_only)],
    response_model=PostedEvents,
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": BATCH}}}},
)
def post_events(
    checked: Annotated[http_batches.CheckedBatch, Depends(checked_batch)],
    request: Request,
    _lock: WriteLockDep,
    caller: EventWriter,
    now: NowDep,
) -> Response:
    """Store study events, each once, and return the result of each, in order."""
    # Not by the session that other routes ask for: opening and closing it would be a change of threads each.
    with transaction(request.app.state.engine) as session:
        results = http_batches.post(session, caller.organisation_key, checked)
        statuses = [result["status"] for result in results]
        unresolved = statuses.count("unresolved")
        counts: dict[str, Any] = {
            "stored": statuses.count("stored") + unresolved,
            "duplicates": statuses.count("duplicate"),
            "rejected": statuses.count("rejected") + statuses.count("conflict"),
        }
        caller.record(session, "events.write", now=now, **counts)
    for result, number in counts.items():
        request.app.state.metrics.events.labels(result).inc(number)
    return Response(
        orjson.dumps({**counts, "unresolved": unresolved, "results": results}),
        HTTPStatus.OK,
        media_type="application/json",
    )
