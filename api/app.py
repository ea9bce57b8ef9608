"""The HTTP service, made from settings."""

import gc
import sys
from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from api import errors
from api.auth.rate_limit import RateLimit
from api.dependencies import clock
from api.lifespan import running
from api.protocol import metrics, tracing
from api.protocol.middleware import Edge
from api.routers import (
    analytics,
    anonymous_lists,
    audit,
    endpoints,
    events,
    health,
    items,
    lists,
    members,
    taxonomies,
    units,
)
from api.routers.push_list_fast_path import Straight
from api.xapi import router as xapi
from api.xapi.middleware import XapiMiddleware
from infra import log_setup
from infra.access.rate_counts import RequestCounts
from infra.settings.settings import Settings, load_settings

SWITCH_SECONDS = 0.0001
"""How long a thread keeps the interpreter while others want it: less than a stored list takes, which lets go of it each
time it asks the database, and would wait for the writer of the audit log as often."""
YOUNG_OBJECTS = 5_000
"""How many more objects there must be before the collector of garbage looks through them: with the usual 700 it would
look every few requests, and find what others under way still use."""
DESCRIPTION = (
    "Push lists of learning content for every member, by history, role and industry, each item with its reason."
)


class Service(FastAPI):
    """FastAPI within an edge of our own, so that what is answered straight costs none of FastAPI's layers."""

    edge: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        scope["app"] = self
        await self.edge(scope, receive, send)

    async def inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that came through the edge."""
        await super().__call__(scope, receive, send)


def create_app(settings: Settings) -> FastAPI:
    """Return the service for these settings; nothing is opened before it starts."""
    # FastAPI's own pages load scripts from the internet, which a closed network has not.
    app = Service(
        title="xuelu",
        version=version("xuelu"),
        description=DESCRIPTION,
        lifespan=running,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # to a scheme and host that the request tells
    )
    app.state.settings = settings
    app.state.clock = clock
    app.state.metrics = metrics.Metrics()
    app.state.request_counts = RequestCounts()
    app.state.rate_limit = RateLimit(settings.rate_limit_per_minute, app.state.request_counts)
    # The catalogue and people come last: their ids may hold slashes, so their paths match those of the others.
    for router in (
        lists,
        anonymous_lists,
        events,
        xapi,
        health,
        analytics,
        items,
        members,
        units,
        taxonomies,
        endpoints,
        audit,
    ):
        app.include_router(router.router)
    app.include_router(metrics.router)
    app.add_middleware(XapiMiddleware)
    errors.install(app)
    app.state.straight = Straight(app.inside, route=lists.router.routes[0])
    app.edge = Edge(
        app.state.straight,
        metrics=app.state.metrics,
        max_body_bytes=settings.max_body_bytes,
        body_seconds=settings.request_timeout_seconds,
    )
    return app


def app_from_environment() -> FastAPI:
    """Return the service for the settings that the environment names, in a process of its own.

    It logs lines of JSON on standard error. What serves hardly waits for the threads beside it, nor for the collector
    of garbage to look through all that was made at the start.
    """
    log_setup.configure()
    sys.setswitchinterval(SWITCH_SECONDS)
    app = create_app(load_settings())
    tracing.install(app)
    spare_collector()
    return app


def spare_collector() -> None:
    """Let the collector of garbage pass over all that is there by now, and look seldom through what comes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
