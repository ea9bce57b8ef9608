"""What routes ask for."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from sqlalchemy.orm import Session

from api.errors import UnknownParameterError
from infra.access.audit_buffer import AuditBuffer
from infra.db.engine import transaction
from infra.settings.settings import Settings

READING = frozenset({"GET", "HEAD", "OPTIONS"})


async def settings(request: Request) -> Settings:
    """Return the service's settings."""
    found: Settings = request.app.state.settings
    return found


async def turn(request: Request) -> AsyncIterator[None]:
    """Let requests that write to SQLite do so one after the other, in the order in which they came.

    SQLite lets one write at a time, and those who wait for it try again and again, so that some never get through.
    """
    await request.body()  # nobody waits for the body of another
    if request.method in READING or request.app.state.writing is None:
        yield
        return
    async with request.app.state.writing:
        yield


TurnDep = Annotated[None, Depends(turn, scope="function")]


def session(request: Request, _turn: TurnDep) -> Iterator[Session]:
    """Yield a session that commits before the answer leaves."""
    with transaction(request.app.state.engine) as opened:
        yield opened


async def now() -> datetime:
    """Return the present moment in UTC."""
    return clock()


def clock() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


async def audit_buffer(request: Request) -> AuditBuffer:
    """Return the write-behind buffer of the audit log."""
    buffer: AuditBuffer = request.app.state.audit_buffer
    return buffer


async def known_parameters_only(request: Request) -> None:
    """Refuse query parameters that the route does not have.

    Raises
    ------
    UnknownParameterError
        Names the parameter and those there are.
    """
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        raise UnknownParameterError(f"unknown parameter {unknown[0]!r}; known: {', '.join(sorted(known)) or 'none'}")


BELOW = (b"/push-list", b"/similar", b"/export")
"""Ends of paths below a member or an item; an id that ends so is written with its slash encoded, as %2F."""


async def whole_ids_only(request: Request) -> None:
    """Refuse to take what stands below a member or an item for a part of its id."""
    if request.method != "GET" and request.scope["raw_path"].endswith(BELOW):
        raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET"})


SessionDep = Annotated[Session, Depends(session, scope="function")]
NowDep = Annotated[datetime, Depends(now)]
AuditBufferDep = Annotated[AuditBuffer, Depends(audit_buffer)]
SettingsDep = Annotated[Settings, Depends(settings)]
