"""Commands on the endpoints of study apps.

What a command needs it imports when it runs, so that ``xuelu --help`` answers at once.
"""

from datetime import timedelta
from typing import Annotated

import typer

from jobs.cli.terminal import (
    ConfigOption,
    JsonOption,
    OrganisationOption,
    at_work,
    clock,
    note,
    print_figures,
    print_json,
    print_table,
)

EndpointArgument = Annotated[str, typer.Argument(help="Id of the endpoint.")]
KEEP_IT = "keep it: it is not shown again"


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    desk = typer.Typer(help="Register where push lists are delivered to.", no_args_is_help=True)
    desk.command("add", epilog="Example: xuelu endpoints add https://app.example/pushes")(add_command)
    desk.command("list", epilog="Example: xuelu endpoints list")(list_command)
    desk.command("rotate", epilog="Example: xuelu endpoints rotate ep_0123 --overlap-hours 48")(rotate_command)
    desk.command("enable", epilog="Example: xuelu endpoints enable ep_0123")(enable_command)
    desk.command("remove", epilog="Example: xuelu endpoints remove ep_0123")(remove_command)
    app.add_typer(desk, name="endpoints")


def add_command(
    target: Annotated[str, typer.Argument(help="HTTPS address that takes pushes, or a folder for batch files.")],
    kind: Annotated[str, typer.Option(help="webhook: signed pushes; jsonl or parquet: batch files.")] = "webhook",
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Register an endpoint, and show the secret that will sign its pushes: this once."""
    from infra.delivery import endpoints
    from infra.delivery.sealed_secrets import Sealer
    from infra.errors import EndpointError

    chosen = next((one for one in endpoints.KINDS if one == kind), None)
    if chosen is None:
        raise EndpointError(f"kind {kind!r} is unknown; use {', '.join(endpoints.KINDS)}")
    with at_work(config, organisation) as (session, key, settings):
        where = endpoints.checked_target(chosen, target, plain_http=settings.delivery.allow_private_addresses)
        made = endpoints.add(session, key, chosen, where, now=clock())
        secret = None
        if chosen == "webhook":
            sealer = Sealer(settings.delivery.secret_key)
            secret = endpoints.rotate(session, made, sealer, overlap=timedelta(0), now=clock())
        note(session, key, "endpoints.add", {"endpoint_id": made["endpoint_id"], "kind": chosen})
    shown = {"endpoint_id": made["endpoint_id"], "kind": chosen, "target": where, "secret": secret}
    if json:
        print_json(shown)
        return
    print_figures("endpoint", {name: value for name, value in shown.items() if value is not None})
    if secret:
        typer.echo(f"The secret belongs to the receiver; {KEEP_IT}.")


def list_command(
    organisation: OrganisationOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """List the endpoints of the organisation."""
    from infra.delivery import endpoints

    with at_work(config, organisation) as (session, key, _):
        rows = endpoints.listing(session, key)
    columns = endpoints.SHOWN
    if json:
        print_json([{name: row[name] for name in columns} for row in rows])
    else:
        print_table("endpoints", columns, [[row[name] for name in columns] for row in rows])


def rotate_command(
    endpoint: EndpointArgument,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=720, help="Hours in which older secrets sign along with the new one.")
    ] = 24.0,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Give a webhook a new secret, and show it: this once."""
    from infra.delivery import endpoints
    from infra.delivery.sealed_secrets import Sealer

    with at_work(config, organisation) as (session, key, settings):
        found = endpoints.find(session, key, endpoint)
        sealer = Sealer(settings.delivery.secret_key)
        secret = endpoints.rotate(session, found, sealer, overlap=timedelta(hours=overlap_hours), now=clock())
        note(session, key, "endpoints.rotate", {"endpoint_id": endpoint})
    if json:
        print_json({"endpoint_id": endpoint, "secret": secret})
        return
    print_figures("endpoint", {"endpoint_id": endpoint, "secret": secret})
    typer.echo(f"Older secrets sign along for {overlap_hours:g} hours. The new one belongs to the receiver; {KEEP_IT}.")


def enable_command(
    endpoint: EndpointArgument,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Deliver again to an endpoint that was disabled or asked to wait."""
    from infra.delivery import endpoints

    with at_work(config, organisation) as (session, key, _):
        endpoints.set_status(session, endpoints.find(session, key, endpoint)["endpoint_key"], endpoints.ACTIVE)
        note(session, key, "endpoints.enable", {"endpoint_id": endpoint})
    if json:
        print_json({"endpoint_id": endpoint, "status": endpoints.ACTIVE})
    else:
        typer.echo(f"{endpoint} is active")


def remove_command(
    endpoint: EndpointArgument,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Remove an endpoint and its secrets; what it would still get is dropped, what it got stays in the ledger."""
    from infra.delivery import claims, endpoints

    with at_work(config, organisation) as (session, key, _):
        found = endpoints.find(session, key, endpoint)
        endpoints.set_status(session, found["endpoint_key"], endpoints.REMOVED)
        dropped = claims.drop_pending(session, found["endpoint_key"], now=clock())
        note(session, key, "endpoints.remove", {"endpoint_id": endpoint})
    if json:
        print_json({"endpoint_id": endpoint, "dropped": dropped})
    else:
        typer.echo(f"{endpoint} is removed; {dropped:,} pending deliveries were dropped")
