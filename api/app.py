"""The HTTP service, made from settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from api import errors, metrics, telemetry
from api.auth import Doorkeeper
from api.deps import clock
from api.edge import Edge
from api.limits import RateLimit
from api.routers import analytics, endpoints, events, health, items, lists, members, taxonomies, units, xapi
from api.tokens import Tokens
from api.xapi_syntax import XapiSyntax
from infra import logs
from infra.db import make_engine
from infra.readings import Readings
from infra.serving import Lists
from infra.settings import Settings, load_settings
from infra.state_metrics import StateCollector

DESCRIPTION = (
    "Push lists of learning content for every member, by history, role and industry, each item with its reason."
)


def create_app(settings: Settings) -> FastAPI:
    """Return the service for these settings; nothing is opened before it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = app.state.engine = make_engine(settings.database_url)
        readings = app.state.readings = Readings(engine)
        app.state.doorkeeper = Doorkeeper(engine, readings, Tokens(settings.oidc))
        app.state.lists = Lists(engine)
        readings.start()
        state = StateCollector(engine, clock)
        app.state.metrics.registry.register(state)
        yield
        app.state.metrics.registry.unregister(state)
        await app.state.lists.close()
        readings.close()
        engine.dispose()

    # FastAPI's own pages load scripts from the internet, which a closed network has not.
    app = FastAPI(
        title="xuelu",
        version=version("xuelu"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.clock = clock
    app.state.metrics = metrics.Metrics()
    app.state.rate_limit = RateLimit(settings.rate_limit_per_minute)
    # The catalogue and people come last: their ids may hold slashes, so their paths match those of the others.
    for router in (lists, events, xapi, health, analytics, items, members, units, taxonomies, endpoints):
        app.include_router(router.router)
    app.include_router(metrics.router)
    # The last one added is the outermost.
    app.add_middleware(XapiSyntax)
    app.add_middleware(Edge, metrics=app.state.metrics, max_body_bytes=settings.max_body_bytes)
    errors.install(app)
    return app


def app_from_environment() -> FastAPI:
    """Return the service for the settings that the environment names; it logs lines of JSON on standard error."""
    logs.configure()
    app = create_app(load_settings())
    telemetry.install(app)
    return app
