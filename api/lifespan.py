"""Lifespan of the service: open its resources, warm its caches, warm them again at SIGHUP, close everything."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI

from api.auth.auth import Authenticator
from api.auth.oidc import TokenVerifier
from api.auth.openid_login import OpenIdLogin
from api.auth.provider import Provider
from infra.access.audit_buffer import AuditBuffer
from infra.db.engine import make_engine
from infra.errors import OutsideError
from infra.reports.prometheus import StateCollector
from infra.reports.runs.dry_runs import DryRuns
from infra.serving.list_json import ListRequest
from infra.serving.online_lists import OnlineLists
from infra.serving.push_list_service import PushListService

log = structlog.get_logger("xuelu.service")


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    """Open what the service needs, warm it up, and close everything at the end.

    It accepts no request before it is warm. It starts without its database too, and answers 503 until that is back.
    """
    settings = app.state.settings
    engine = app.state.engine = make_engine(settings.database_url, statement_seconds=settings.request_timeout_seconds)
    metrics, folder = app.state.metrics, settings.artefacts_folder
    audit_buffer = app.state.audit_buffer = AuditBuffer(
        engine, app.state.request_counts, note_pending=metrics.buffered_reads.set
    )
    provider = Provider(settings.oidc)
    app.state.openid_login = OpenIdLogin(provider)
    app.state.authenticator = Authenticator(engine, audit_buffer, TokenVerifier(provider), app.state.failure_limit)
    app.state.write_lock = asyncio.Lock() if engine.dialect.name == "sqlite" else None
    online = app.state.online = OnlineLists(engine, folder, loaded=metrics.loaded)
    served_online = online if settings.nightly.online_lists else None
    app.state.lists = PushListService(
        engine, served=metrics.listed, online=served_online, shown_times=settings.policy.fatigue_shown
    )
    dry_runs = app.state.dry_runs = DryRuns(folder)
    metrics.state = StateCollector(engine, app.state.clock)
    audit_buffer.start()
    await warm(app)
    with_signals = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGHUP")
    if with_signals:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload, app)
    yield
    if with_signals:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
    metrics.state = None
    await app.state.authenticator.close()
    await provider.close()
    await app.state.lists.close()
    await online.close()
    dry_runs.close()
    audit_buffer.close()
    engine.dispose()


def reload(app: FastAPI) -> None:
    """Warm the caches for a newly published run, which only its first requests would otherwise wait for."""
    app.state.warming = asyncio.ensure_future(warm(app))


async def warm(app: FastAPI) -> None:
    """Fill the caches that the first requests would otherwise wait for."""
    try:
        organisations = await app.state.lists.warm(ListRequest(n=1, now=app.state.clock()))
    except OutsideError as error:
        log.warning("not warm", reason=str(error))
    else:
        log.info("warm", organisations=organisations)
