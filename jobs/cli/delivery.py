"""Commands that bring lists out: serve, deliver, deliveries.

A command imports its needs when it runs, so that ``xuelu --help`` answers at once.
"""

import errno
import os
import re
import signal
import socket
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.errors import SettingsError
from infra.settings.settings import CONFIG_VARIABLE
from jobs.cli.help import add_group, command
from jobs.cli.terminal import (
    ConfigOption,
    Options,
    audit_command,
    clock,
    echo_text,
    print_figures,
    print_json,
    print_rows,
    settings_for,
)

GRACE_SECONDS = 30
"""Time that requests under way have to end when the service is stopped."""
WORKER_START_SECONDS = 300
"""Time that a worker has to start and warm up, and to answer a health check while it is busy."""
IDLE_SECONDS = 75
"""Time that a connection stays open between requests: longer than at proxies and clients, so that these end it."""
ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
MetricsPortOption = Annotated[
    int | None,
    typer.Option(min=1, max=65_535, help="Serve metrics for Prometheus at this port of 127.0.0.1 while it runs."),
]
MetricsFileOption = Annotated[
    Path | None, typer.Option(help="Write metrics to this file at the end, for the textfile collector.")
]
DeliveryArgument = Annotated[str, typer.Argument(help="Id of the delivery.")]
ATTEMPTS = "Attempts made now, by the status of their delivery afterwards; one that is pending will be tried again"
SHOWN = ("delivery_id", "member_id", "endpoint_id", "period", "status", "attempts", "due_at", "reason")


app = typer.Typer()
deliveries_app = add_group(app, "deliveries", "Look at deliveries, try them again or drop them.")


def _check_free(host: str, port: int) -> None:
    """Raise where the service could not listen on an address: the server's own message has an errno alone."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            attempt.bind(address)
    except OSError as error:
        reason = "something listens there already" if error.errno == errno.EADDRINUSE else error.strerror
        raise SettingsError(
            f"cannot listen on {host}, port {port}: {reason}; choose another --host or --port"
        ) from error


@app.command("serve", epilog="\b\nExample: xuelu serve --port 8000")
def serve_command(
    host: Annotated[str | None, typer.Option(help="Address to listen on; by default the setting `host`.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Port to listen on; by default the setting `port`.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that serve.")] = 1,
    root_path: Annotated[
        str, typer.Option("--root-path", help="Path prefix that a proxy strips before it passes requests on: /xuelu.")
    ] = "",
    config: ConfigOption = None,
) -> None:
    """Serve lists and the console over HTTP. The API is described at /docs; stop it with Ctrl-C."""
    import tempfile

    import uvicorn

    from infra.db.engine import check_migrated, opened

    settings = settings_for(config, host=host, port=port)
    with opened(settings.database_url) as engine:
        check_migrated(engine)
    _check_free(settings.host, settings.port)
    if config:
        os.environ[CONFIG_VARIABLE] = str(Path(config).resolve())
    if root_path and not ROOT_PATH.fullmatch(root_path):
        raise SettingsError(f"--root-path {root_path!r}: begin it with a slash and end it without one, such as /xuelu")
    with tempfile.TemporaryDirectory(prefix="xuelu-metrics-") as folder:
        if workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # each worker answers for all of them
        service: dict[str, Any] = {
            "app": "api.app:app_from_environment",  # by name: the command line and the service do not know each other
            "factory": True,
            "http": "api.protocol.bounded_http:BoundedHttp",
            "ws": "none",
            "host": settings.host,
            "port": settings.port,
            "root_path": root_path,
            "workers": workers,
            "log_level": "info",
            "access_log": False,  # it would hold the ids of members
            # Of proxies on this machine: cookies of the console are for HTTPS alone where the browser speaks it.
            "proxy_headers": True,
            "server_header": False,
            "timeout_keep_alive": IDLE_SECONDS,
            "timeout_graceful_shutdown": GRACE_SECONDS,
            "timeout_worker_healthcheck": WORKER_START_SECONDS,
        }
        if workers > 1:
            _run_workers(service)
        else:
            uvicorn.run(**service)


def _run_workers(service: dict[str, Any]) -> None:
    """Run the service in several processes until stopped."""
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    server = uvicorn.Config(**service)
    supervisor = Multiprocess(server, sockets=[server.bind_socket()])
    # While it replaces workers (SIGHUP), uvicorn 0.54 looks at this event between two of them, and at signals not at
    # all. A handler that sets it itself would wait for ever where the supervisor holds its lock.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: threading.Thread(target=supervisor.should_exit.set).start())
    supervisor.run()


@command(app, "deliver", "xuelu deliver --watch --metrics-port 9108", of_organisation=False)
def deliver_command(
    options: Options,
    watch: Annotated[
        bool, typer.Option("--watch/--once", help="Go on until stopped, or deliver what is due now and end.")
    ] = False,
    metrics_port: MetricsPortOption = None,
    metrics_file: MetricsFileOption = None,
) -> None:
    """Deliver what is due to the endpoints of all organisations.

    Exit status 1 where a delivery failed for good (dead). Any number of these may run at a time on PostgreSQL; on
    SQLite one is as fast as many.
    """
    import asyncio
    import signal

    from prometheus_client import CollectorRegistry, start_http_server, write_to_textfile

    from infra import log_setup
    from infra.db.engine import check_migrated
    from infra.delivery.metrics import DeliveryMetrics, QueueCollector
    from infra.delivery.outbox import DEAD, STATUSES
    from jobs.delivery.worker import WorkerContext, deliver

    log_setup.configure()
    registry = CollectorRegistry()
    with options.engine() as (engine, settings):
        check_migrated(engine)
        registry.register(QueueCollector(engine, clock))
        context = WorkerContext(engine, settings, clock, DeliveryMetrics(registry))
        if metrics_port:
            start_http_server(metrics_port, addr="127.0.0.1", registry=registry)

        async def run() -> None:
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, context.stop.set)
            await deliver(context, watch=watch)

        asyncio.run(run())
        if metrics_file:
            write_to_textfile(str(metrics_file), registry)
    attempts = {status: context.attempts[status] for status in STATUSES}
    options.show(attempts, lambda: print_figures(ATTEMPTS, attempts))
    if attempts[DEAD] and not watch:
        raise typer.Exit(1)


@command(deliveries_app, "list", "xuelu deliveries list --status dead")
def list_command(
    options: Options,
    status: Annotated[str | None, typer.Option(help="Only these: pending, delivered, dead or dropped.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Only those of this endpoint.")] = None,
    limit: Annotated[int, typer.Option("-n", min=1, max=100_000, help="Most deliveries to list.")] = 50,
) -> None:
    """List deliveries, the latest first; dead ones with the reason."""
    from infra.delivery import admin
    from infra.delivery.outbox import STATUSES

    if status is not None and status not in STATUSES:
        raise SettingsError(f"status {status!r} is unknown; use {', '.join(STATUSES)}")
    with options.session() as (session, key, _):
        rows = admin.list_deliveries(session, key, status=status, endpoint_id=endpoint, limit=limit)
    options.audit_reads("deliveries.read", (row["member_id"] for row in rows))
    if options.json:
        print_json([{name: row[name] for name in SHOWN} for row in rows])
    else:
        makes = "a night makes them where `xuelu endpoints add` was run"
        empty = makes if status is endpoint is None else "without options all are listed"
        print_rows("deliveries", [name for name in SHOWN if name != "attempts"], rows, empty=empty)


@command(deliveries_app, "show", "xuelu deliveries show dl_0123")
def show_command(options: Options, delivery: DeliveryArgument) -> None:
    """Show a delivery and every attempt of it.

    An attempt without an outcome is under way, or its worker died.
    """
    from infra.delivery import admin

    with options.session() as (session, key, _):
        row = admin.get_delivery(session, key, delivery)
    options.audit_reads("deliveries.read", [row["member_id"]])
    shown = {name: row[name] for name in (*SHOWN, "run_id", "push_at", "expires_at")}
    if options.json:
        print_json({**shown, "tries": row["tries"]})
        return
    print_figures(f"delivery {delivery}", shown)
    columns = ("number", "started_at", "finished_at", "outcome")
    print_rows("attempts", columns, row["tries"], empty="`xuelu deliver` sends it when it is due")


@command(deliveries_app, "retry", "xuelu deliveries retry --all-dead")
def retry_command(
    options: Options,
    deliveries: Annotated[list[str] | None, typer.Argument(metavar="[DELIVERY...]", help="Ids of deliveries.")] = None,
    all_dead: Annotated[bool, typer.Option("--all-dead", help="All dead ones that may still be sent.")] = False,
) -> None:
    """Send dead or dropped deliveries again.

    Each is sent at its member's next open time and within the caps.
    """
    from infra.delivery import admin
    from infra.delivery.outbox import DEAD, DELIVERED
    from infra.errors import DeliveryError

    if bool(deliveries) is all_dead:
        raise SettingsError("name deliveries to retry, or give --all-dead; `xuelu deliveries list --status dead`")
    with options.session() as (session, key, settings):
        if deliveries:
            chosen = [admin.get_delivery(session, key, delivery_id) for delivery_id in deliveries]
        else:
            chosen = admin.list_deliveries(session, key, status=DEAD, limit=1_000_000)
        for delivery in chosen:
            if delivery["status"] == DELIVERED:
                name = delivery["delivery_id"]
                raise DeliveryError(f"{name} was delivered; `xuelu deliveries redeliver` sends it again")
        results = admin.redeliver(session, key, chosen, settings, now=clock())
        faults = {name: result for name, result in results.items() if isinstance(result, DeliveryError)}
        if faults and not all_dead:
            raise next(iter(faults.values()))
        pending = [{"delivery_id": name, "due_at": at} for name, at in results.items() if name not in faults]
        audit_command(session, key, "deliveries.retry", {"deliveries": len(pending)})
    if options.json:
        left = [{"delivery_id": name, "reason": str(fault)} for name, fault in faults.items()]
        print_json({"pending": pending, "left": left})
        return
    typer.echo(f"{len(pending):,} will be sent again, {len(faults):,} stay as they are")
    for fault in faults.values():
        echo_text(f"  {fault}")


@command(deliveries_app, "redeliver", "xuelu deliveries redeliver dl_0123")
def redeliver_command(options: Options, delivery: DeliveryArgument) -> None:
    """Send a delivery again under its old id, whatever its status.

    It is sent at its member's next open time.
    """
    from infra.delivery import admin

    with options.session() as (session, key, settings):
        row = admin.get_delivery(session, key, delivery)
        due_at = admin.redeliver_one(session, key, row, settings, now=clock())
        audit_command(session, key, "deliveries.redeliver", {"delivery_id": delivery}, subject=row["member_id"])
    text = f"{delivery} will be sent again at {due_at:%Y-%m-%d %H:%M} UTC"
    options.print({"delivery_id": delivery, "due_at": due_at}, text)


@command(deliveries_app, "drop", "xuelu deliveries drop dl_0123 dl_4567")
def drop_command(
    options: Options, deliveries: Annotated[list[str], typer.Argument(metavar="DELIVERY...", help="Ids of deliveries.")]
) -> None:
    """Drop pending or dead deliveries: they are not sent."""
    from infra.delivery import admin

    with options.session() as (session, key, _):
        for delivery_id in deliveries:
            admin.drop(session, admin.get_delivery(session, key, delivery_id), now=clock())
        audit_command(session, key, "deliveries.drop", {"deliveries": deliveries})
    options.print({"dropped": deliveries}, f"{len(deliveries):,} dropped")
