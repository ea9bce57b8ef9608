"""The HTTP service, made from settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from api import errors
from api.auth import Doorkeeper
from api.deps import clock
from api.routers import analytics, endpoints, events, health, items, lists, members, taxonomies, units, xapi
from api.xapi_syntax import XapiSyntax
from infra.db import make_engine
from infra.readings import Readings
from infra.serving import Lists
from infra.settings import Settings, load_settings

DESCRIPTION = (
    "Push lists of learning content for every member, by history, role and industry, each item with its reason."
)


def create_app(settings: Settings) -> FastAPI:
    """Return the service for these settings; nothing is opened before it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = app.state.engine = make_engine(settings.database_url)
        readings = app.state.readings = Readings(engine)
        app.state.doorkeeper = Doorkeeper(engine, readings)
        app.state.lists = Lists(engine)
        readings.start()
        yield
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
    # The catalogue and people come last: their ids may hold slashes, so their paths match those of the others.
    for router in (lists, events, xapi, health, analytics, items, members, units, taxonomies, endpoints):
        app.include_router(router.router)
    app.add_middleware(XapiSyntax)
    errors.install(app)
    return app


def app_from_environment() -> FastAPI:
    """Return the service for the settings that the environment names."""
    return create_app(load_settings())
