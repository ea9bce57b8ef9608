"""Commands that make and show lists: nightly, show, serve.

What a command needs it imports when it runs, so that ``xuelu --help`` answers at once.
"""

import errno
import os
import re
import socket
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from infra.errors import SettingsError
from infra.settings.settings import CONFIG_VARIABLE
from jobs.cli.terminal import (
    ConfigOption,
    JsonOption,
    NowOption,
    OrganisationOption,
    clock,
    in_utc,
    print_json,
    print_table,
    settings_for,
    step_progress,
)

GRACE_SECONDS = 30
"""Time that requests under way have to end when the service is stopped."""
FAULTS = {
    "failed_lists": "members have no list",
    "failed_pushes": "members get no push",
    "failed_texts": "items have no similar items by text",
    "failed_models": "models are not fitted and propose nothing",
}
"""Counts of a run that tell what a fault left out, in words."""
WORKER_START_SECONDS = 300
"""Time that a worker has to start and warm up, and to answer a health check while it is busy."""
ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("nightly", epilog="Example: xuelu nightly --as-of 2021-03-21")(nightly_command)
    app.command("show", epilog="Example: xuelu show m000042 -n 5 --language en")(show_command)
    app.command("serve", epilog="Example: xuelu serve --port 8000")(serve_command)


def nightly_command(
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    as_of: NowOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on after the last step that a night which stopped had finished.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Make every member's push list and publish them; exit status 1 where a check holds them back.

    The lists published before stay served until all new ones are there; a night that fails changes nothing of them.
    Steps are shown on a terminal, and written as JSON Lines on standard error elsewhere.
    """
    from infra.db.engine import opened
    from jobs.nightly.night import nightly

    settings = settings_for(config, organisation)
    now, cut_off = clock(), in_utc(as_of)
    if cut_off is not None and cut_off > now:
        raise SettingsError(f"--as-of {cut_off:%Y-%m-%d %H:%M} UTC is in the future; give a moment up to now, or none")
    with step_progress() as progress, opened(settings.database_url) as engine:
        run = nightly(engine, settings, now=now, as_of=cut_off, resume=resume, progress=progress)
    failed = [check for check in run["checks"] if not check["passed"]]
    if json:
        print_json({name: run[name] for name in ("run_id", "status", "as_of", "made_at", "counts", "checks")})
    else:
        lists = max(0, run["counts"]["lists"] - 1)
        moment = f"{run['as_of']:%Y-%m-%d %H:%M} UTC"
        for check in run["checks"]:
            if check.get("state", "learned") != "learned":
                typer.echo(f"warning: the ranking is not learned yet; {check['detail']}")
        for name, description in FAULTS.items():
            if number := run["counts"].get(name):
                typer.echo(f"warning: {number:,} {description}; the log on standard error says why")
        typer.echo(f"run {run['run_id']} is {run['status']}: lists for {lists:,} members as of {moment}")
        for check in failed:
            typer.echo(f"held back because this does not hold: {check['name']} ({check['detail']})")
    if failed:
        raise typer.Exit(1)


def show_command(
    member: Annotated[str, typer.Argument(help="Id of the member.")],
    n: Annotated[int, typer.Option("-n", min=1, max=100, help="Items to show.")] = 10,
    language: Annotated[
        str | None, typer.Option(help="Language of the reasons: zh-CN or en; by default the member's.")
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="Show the list of the night of this day, as it was then."),
    ] = None,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show a member's push list with a reason for every item."""
    from infra.catalog import organisations
    from infra.db.engine import opened, transaction
    from infra.serving import push_lists

    settings = settings_for(config, organisation)
    with opened(settings.database_url) as engine, transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        day = in_utc(as_of)
        if day is None:
            shown = push_lists.shown(session, key, member, n=n, now=clock(), language=language)
        else:
            shown = push_lists.archived(session, key, member, n=n, day=day.date(), language=language)
    if json:
        print_json(shown)
        return
    rows = [
        (
            item["rank"],
            item["title"] or item["item_id"],
            item["format"],
            _minutes(item["duration_seconds"]),
            item["reason"]["text"],
        )
        for item in shown["items"]
    ]
    title = f"{member} · by {shown['strategy']} · {shown['made_at']:%Y-%m-%d}"
    print_table(title, ["rank", "item", "format", "minutes", "why"], rows)


def _minutes(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds / 60:.0f}" if seconds >= 60 else "<1"


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
    """Serve push lists over HTTP until stopped; the routes are described at /openapi.json."""
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
        # By name: the command line and the service do not know each other.
        uvicorn.run(
            "api.app:app_from_environment",
            factory=True,
            http="api.protocol.bounded_http:BoundedHttp",
            ws="none",
            host=settings.host,
            port=settings.port,
            root_path=root_path,
            workers=workers,
            log_level="info",
            access_log=False,  # it would hold the ids of members
            proxy_headers=False,  # nothing asks where a request came from, nor by which scheme
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            timeout_worker_healthcheck=WORKER_START_SECONDS,
        )
