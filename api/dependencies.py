"""Dependencies that routes share."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, get_args, get_origin

from fastapi import Depends, HTTPException, Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel
from sqlalchemy.orm import Session

from api.errors import MalformedRequestError, is_below_record
from infra.access.audit_buffer import AuditBuffer
from infra.db.engine import transaction
from infra.settings.settings import Settings

READING = frozenset({"GET", "HEAD", "OPTIONS"})


async def settings(request: Request) -> Settings:
    """Return the service's settings."""
    service_settings: Settings = request.app.state.settings
    return service_settings


async def write_lock(request: Request) -> AsyncIterator[None]:
    """Serialise requests that write to SQLite, in the order in which they came.

    SQLite has one writer, and waiting ones poll for the lock, so that some would never get it.
    """
    await request.body()  # before the lock: no request waits for the body of another
    if request.method in READING or request.app.state.write_lock is None:
        yield
        return
    async with request.app.state.write_lock:
        yield


WriteLockDep = Annotated[None, Depends(write_lock, scope="function")]


def session(request: Request, _lock: WriteLockDep) -> Iterator[Session]:
    """Yield a session that commits before the answer leaves."""
    with transaction(request.app.state.engine) as opened:
        yield opened


async def now() -> datetime:
    """Return the present moment in UTC."""
    return clock()


def clock() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


async def clock_of_requests() -> Callable[[], datetime]:
    """Return the clock, for work during which time passes."""
    return clock


async def audit_buffer(request: Request) -> AuditBuffer:
    """Return the write-behind buffer of the audit log."""
    buffer: AuditBuffer = request.app.state.audit_buffer
    return buffer


def is_list(annotation: Any) -> bool:
    """Return whether a parameter takes several values.

    >>> is_list(list[str] | None), is_list(str | None)
    (True, False)
    """
    return get_origin(annotation) is list or any(is_list(part) for part in get_args(annotation))


async def known_parameters_only(request: Request) -> None:
    """Refuse query parameters that the route does not have, and single ones that come twice.

    Raises
    ------
    MalformedRequestError
        Names the parameter and those that the route has.
    """
    parameters = dict(query_parameters(request.scope["route"].dependant))
    repeatable = {name for name, annotation in parameters.items() if is_list(annotation)}
    values: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        values.setdefault(name, []).append(value)
    check_names(values, names=parameters.keys(), repeatable=repeatable)


def query_parameters(dependant: Dependant) -> Iterator[tuple[str, Any]]:
    """Yield names and annotations of the query parameters of a function and of all that it depends on."""
    for field in dependant.query_params:
        model = field.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from ((part.alias or name, part.annotation) for name, part in model.model_fields.items())
        else:
            yield field.alias, model
    for dependency in dependant.dependencies:
        yield from query_parameters(dependency)


def check_names(values: Mapping[str, Sequence[str]], *, names: AbstractSet[str], repeatable: AbstractSet[str]) -> None:
    """Refuse a query that holds an unknown parameter, or a single one several times.

    Raises
    ------
    MalformedRequestError
    """
    unknown = sorted(values.keys() - names)
    if unknown:
        raise MalformedRequestError(f"unknown parameter {unknown[0]!r}; known: {', '.join(sorted(names)) or 'none'}")
    repeated = sorted(name for name, texts in values.items() if len(texts) > 1 and name not in repeatable)
    if repeated:
        raise MalformedRequestError(
            f"the parameter {repeated[0]!r} comes {len(values[repeated[0]])} times; send it once"
        )


async def whole_ids_only(request: Request) -> None:
    """Answer 405 to methods that a path below a member or an item lacks, rather than take the path for an id."""
    if request.method != "GET" and is_below_record(request):
        raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)


SessionDep = Annotated[Session, Depends(session, scope="function")]
NowDep = Annotated[datetime, Depends(now)]
ClockDep = Annotated[Callable[[], datetime], Depends(clock_of_requests)]
AuditBufferDep = Annotated[AuditBuffer, Depends(audit_buffer)]
SettingsDep = Annotated[Settings, Depends(settings)]
