"""Routers of the console, in the order of its navigation."""

from typing import Final

from api.console import login, member, overview, runs

ROUTERS: Final = (login.router, overview.router, runs.router, member.router)
