"""Commands on delivery endpoints.

A command imports its needs when it runs, so that ``xuelu --help`` answers at once.
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
    settings_for,
)

EndpointArgument = Annotated[str, typer.Argument(help="Id of the endpoint.")]
KEEP_IT = "keep it: it is not shown again"


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    group = typer.Typer(help="Register where push lists are delivered to.", no_args_is_help=True)
    group.command("add", epilog="Example: xuelu endpoints add https://app.example/pushes")(add_command)
    group.command("list", epilog="Example: xuelu endpoints list")(list_command)
    group.command("rotate", epilog="Example: xuelu endpoints rotate ep_0123 --overlap-hours 48")(rotate_command)
    group.command("reencrypt", epilog="Example: xuelu endpoints reencrypt")(reencrypt_command)
    group.command("enable", epilog="Example: xuelu endpoints enable ep_0123")(enable_command)
    group.command("remove", epilog="Example: xuelu endpoints remove ep_0123")(remove_command)
    app.add_typer(group, name="endpoints")


def add_command(
    target: Annotated[str, typer.Argument(help="HTTPS address that takes pushes, or a folder for batch files.")],
    kind: Annotated[str, typer.Option(help="webhook: signed pushes; jsonl or parquet: batch files.")] = "webhook",
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Register an endpoint, and show the secret that will sign its pushes: this once."""
    from infra.delivery import endpoints
    from infra.delivery.secret_encryption import SecretCipher
    from infra.delivery.targets import KINDS, validate_target
    from infra.errors import EndpointError

    chosen = next((name for name in KINDS if name == kind), None)
    if chosen is None:
        raise EndpointError(f"kind {kind!r} is unknown; use {', '.join(KINDS)}")
    with at_work(config, organisation) as (session, key, settings):
        checked = validate_target(chosen, target, plain_http=settings.delivery.allow_private_addresses)
        endpoint = endpoints.add_endpoint(session, key, chosen, checked, now=clock())
        secret = None
        if chosen == "webhook":
            cipher = SecretCipher(settings.delivery.secret_key)
            secret = endpoints.rotate_secret(session, endpoint, cipher, overlap=timedelta(0), now=clock())
        note(session, key, "endpoints.add", {"endpoint_id": endpoint["endpoint_id"], "kind": chosen})
    shown = {"endpoint_id": endpoint["endpoint_id"], "kind": chosen, "target": checked, "secret": secret}
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
        rows = endpoints.list_endpoints(session, key)
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
    from infra.delivery.secret_encryption import SecretCipher

    with at_work(config, organisation) as (session, key, settings):
        row = endpoints.get_endpoint(session, key, endpoint)
        cipher = SecretCipher(settings.delivery.secret_key)
        secret = endpoints.rotate_secret(session, row, cipher, overlap=timedelta(hours=overlap_hours), now=clock())
        note(session, key, "endpoints.rotate_secret", {"endpoint_id": endpoint})
    if json:
        print_json({"endpoint_id": endpoint, "secret": secret})
        return
    print_figures("endpoint", {"endpoint_id": endpoint, "secret": secret})
    typer.echo(f"Older secrets sign along for {overlap_hours:g} hours. The new one belongs to the receiver; {KEEP_IT}.")


def reencrypt_command(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Encrypt the secrets of all endpoints, of all organisations, with a new key.

    XUELU_DELIVERY__SECRET_KEY holds the present key, XUELU_NEW_SECRET_KEY the new one. Stop `xuelu deliver` and
    `xuelu serve` before, and start them with the new key in XUELU_DELIVERY__SECRET_KEY.
    """
    import os

    from infra.db.engine import opened, transaction
    from infra.delivery import endpoints
    from infra.delivery.secret_encryption import SecretCipher
    from infra.settings.settings import REENCRYPTION_VARIABLE

    settings = settings_for(config)
    old = SecretCipher(settings.delivery.secret_key)
    new = SecretCipher(os.environ.get(REENCRYPTION_VARIABLE, ""), variable=REENCRYPTION_VARIABLE)
    with opened(settings.database_url) as engine, transaction(engine) as session:
        count = endpoints.reencrypt_secrets(session, old, new)
    if json:
        print_json({"secrets": count})
    else:
        typer.echo(f"{count:,} secrets are encrypted with the new key; set it as XUELU_DELIVERY__SECRET_KEY now")


def enable_command(
    endpoint: EndpointArgument,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Deliver again to an endpoint that was disabled or asked to wait."""
    from infra.delivery import endpoints

    with at_work(config, organisation) as (session, key, _):
        endpoints.set_status(session, endpoints.get_endpoint(session, key, endpoint)["endpoint_key"], endpoints.ACTIVE)
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
    """Remove an endpoint and its secrets; its pending deliveries are dropped, the others stay listed."""
    from infra.delivery import claims, endpoints

    with at_work(config, organisation) as (session, key, _):
        row = endpoints.get_endpoint(session, key, endpoint)
        endpoints.set_status(session, row["endpoint_key"], endpoints.REMOVED)
        dropped = claims.drop_pending(session, row["endpoint_key"], now=clock())
        note(session, key, "endpoints.remove", {"endpoint_id": endpoint})
    if json:
        print_json({"endpoint_id": endpoint, "dropped": dropped})
    else:
        typer.echo(f"{endpoint} is removed; {dropped:,} pending deliveries were dropped")
