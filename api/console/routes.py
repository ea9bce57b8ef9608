"""Routers of the console, in the order of its navigation."""

from typing import Final

from api.console import overview, run_difference, runs
from api.console.catalogue import curations, imports, item, items, requirements
from api.console.lists import member, preview
from api.console.operations import audit, data, deliveries, endpoints, keys
from api.console.reference import draft, glossary, settings
from api.console.sessions import login, openid, organisations

ROUTERS: Final = (
    login.router,
    openid.router,
    organisations.router,
    overview.router,
    runs.router,
    run_difference.router,
    items.router,
    imports.router,
    item.router,
    curations.router,
    requirements.router,
    member.router,
    preview.router,
    deliveries.router,
    endpoints.router,
    data.router,
    keys.router,
    audit.router,
    settings.router,
    draft.router,
    glossary.router,
)
