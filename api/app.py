"""The HTTP service, made from settings."""

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from api import errors
from api.auth.rate_limit import FailureLimit, RateLimit
from api.console.access import FigureCache
from api.console.error_pages import present
from api.console.routes import ROUTERS as CONSOLE
from api.dependencies import clock
from api.description import complete
from api.lifespan import running
from api.protocol import metrics, tracing
from api.protocol.middleware import RequestMiddleware
from api.routers import (
    analytics,
    anonymous_lists,
    audit,
    curations,
    data,
    deliveries,
    endpoints,
    events,
    health,
    interests,
    items,
    lists,
    members,
    pages,
    push_lists,
    requirements,
    rows,
    runs,
    saved_items,
    taxonomies,
    units,
    waivers,
)
from api.xapi import router as xapi
from api.xapi.middleware import XapiMiddleware
from infra import log_setup
from infra.access.rate_counts import RequestCounts
from infra.policy.required_entries import list_rules
from infra.runs.memory import collect_rarely
from infra.settings.settings import Settings, load_settings
from recommender.linalg.cache import BoundedCache

DESCRIPTION = (
    "Push lists of learning content for every member, by history, role and industry, each item with its reason."
)
EXPOSED_HEADERS = ("ETag", "Link", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id")
"""Headers of answers that scripts of other origins may read."""

# The catalogue and people come last: their ids may hold slashes, so their paths match those of the others.
ROUTERS = (
    *CONSOLE,
    push_lists.router,
    rows.router,
    lists.router,
    anonymous_lists.router,
    events.router,
    xapi.router,
    health.router,
    pages.router,
    analytics.router,
    runs.router,
    requirements.router,
    waivers.router,
    saved_items.router,
    interests.router,
    curations.router,
    items.router,
    members.router,
    units.router,
    taxonomies.router,
    endpoints.router,
    deliveries.router,
    data.router,
    audit.router,
    metrics.router,
)

MAX_DESCRIPTIONS = 4
"""Renderings of the OpenAPI document that are cached: one by path prefix."""
CONSOLE_FIGURES = 200
"""Figures that the console caches, of some kilobytes each: one by organisation and screen."""


class Service(FastAPI):
    """FastAPI within our own outermost middleware, so that answers to unforeseen errors pass it too."""

    outermost: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        scope["app"] = self
        await self.outermost(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        if not self.openapi_schema:
            complete(super().openapi())
        document: dict[str, Any] = super().openapi()
        return document

    async def inner(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that came through the outermost middleware."""
        await super().__call__(scope, receive, send)


@cache
def _included_routers() -> tuple[list[BaseRoute], list[BaseRoute]]:
    """Return all routes, and the routers that hold them, for every service of this process.

    FastAPI compiles the routes of an included router at its first request, in a third of a second for all of them.
    They know no service, so `dependency_overrides` of one do not reach them.
    """
    parent = APIRouter()
    for router in ROUTERS:
        parent.include_router(router)
    return [route for router in ROUTERS for route in router.routes], parent.routes


def create_app(settings: Settings) -> FastAPI:
    """Return the service for these settings; nothing is opened before it starts."""
    # FastAPI's own pages load scripts from the internet; ours (api.routers.pages) need no other host.
    app = Service(
        title="xuelu",
        version=metrics.program_version(),
        description=DESCRIPTION,
        lifespan=running,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # to a scheme and host that the request names
        # Traces are ours (api.protocol.tracing); FastAPI would look for a provider at each request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.settings = settings
    app.state.list_rules = list_rules(settings)
    app.state.clock = clock
    app.state.metrics = metrics.Metrics()
    app.state.request_counts = RequestCounts()
    app.state.descriptions = BoundedCache[bytes](MAX_DESCRIPTIONS)
    app.state.console_figures = FigureCache(CONSOLE_FIGURES)
    app.state.rate_limit = RateLimit(settings.rate_limit_per_minute, app.state.request_counts)
    app.state.failure_limit = FailureLimit()
    app.router.routes.append(push_lists.ROUTE)
    routes, included = _included_routers()
    app.router.routes.extend(included)
    app.state.routes = [*app.routes, *routes]
    app.add_middleware(XapiMiddleware)
    errors.install(app, present)
    app.outermost = RequestMiddleware(
        app.inner,
        metrics=app.state.metrics,
        max_body_bytes=settings.max_body_bytes,
        body_seconds=settings.request_timeout_seconds,
        present=present,
        share=partial(_shared, origins=settings.cors_origins),
    )
    return app


def _shared(app: ASGIApp, *, origins: Sequence[str]) -> ASGIApp:
    """Return an application whose answers, errors too, scripts of some origins may read."""
    if not origins:
        return app
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE")
    return CORSMiddleware(
        app, allow_origins=origins, allow_methods=methods, allow_headers=["*"], expose_headers=EXPOSED_HEADERS
    )


def app_from_environment() -> FastAPI:
    """Return the service for the settings that the environment names, in a process of its own.

    It logs lines of JSON on standard error, and collects garbage rarely: by Python's default that takes an eighth of
    the processor time of a stored list.
    """
    log_setup.configure()
    collect_rarely()
    app = create_app(load_settings())
    tracing.install(app)
    return app
