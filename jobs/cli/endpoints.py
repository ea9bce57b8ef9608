"""Commands on delivery endpoints.

A command imports its needs when it runs, so that ``xuelu --help`` answers at once.
"""

from datetime import timedelta
from typing import Annotated

import typer

from jobs.cli.help import add_group, command
from jobs.cli.terminal import Options, audit_command, clock, print_figures, print_json, print_rows

EndpointArgument = Annotated[str, typer.Argument(help="Id of the endpoint.")]
KEEP_IT = "keep it: it is not shown again"


app = typer.Typer()
endpoints_app = add_group(app, "endpoints", "Register the study apps that push lists are delivered to.")


@command(endpoints_app, "add", "xuelu endpoints add https://app.example/pushes")
def add_command(
    options: Options,
    target: Annotated[str, typer.Argument(help="HTTPS address that takes pushes, or a folder for batch files.")],
    kind: Annotated[str, typer.Option(help="webhook: signed pushes; jsonl or parquet: batch files.")] = "webhook",
) -> None:
    """Register an endpoint. The secret that will sign its pushes is shown this once."""
    from infra.access.secret_encryption import SecretCipher
    from infra.delivery import endpoints
    from infra.delivery.targets import KINDS, validate_target
    from infra.errors import EndpointError

    chosen = next((name for name in KINDS if name == kind), None)
    if chosen is None:
        raise EndpointError(f"kind {kind!r} is unknown; use {', '.join(KINDS)}")
    with options.session() as (session, key, settings):
        checked = validate_target(chosen, target, plain_http=settings.delivery.allow_private_addresses)
        endpoint = endpoints.add_endpoint(session, key, chosen, checked, now=clock())
        secret = None
        if chosen == "webhook":
            cipher = SecretCipher(settings.delivery.secret_key)
            secret = endpoints.rotate_secret(session, endpoint, cipher, overlap=timedelta(0), now=clock())
        audit_command(session, key, "endpoints.add", {"endpoint_id": endpoint["endpoint_id"], "kind": chosen})
    shown = {"endpoint_id": endpoint["endpoint_id"], "kind": chosen, "target": checked, "secret": secret}
    if options.json:
        print_json(shown)
        return
    print_figures("endpoint", {name: value for name, value in shown.items() if value is not None})
    if secret:
        typer.echo(f"The secret belongs to the receiver; {KEEP_IT}.")


@command(endpoints_app, "list", "xuelu endpoints list")
def list_command(options: Options) -> None:
    """List the endpoints of the organisation."""
    from infra.delivery import endpoints

    with options.session() as (session, key, _):
        rows = endpoints.list_endpoints(session, key)
    shown = [{name: row[name] for name in endpoints.SHOWN} for row in rows]
    empty = "`xuelu endpoints add ADDRESS` registers one"
    options.show(shown, lambda: print_rows("endpoints", endpoints.SHOWN, shown, empty=empty))


@command(endpoints_app, "rotate", "xuelu endpoints rotate ep_0123 --overlap-hours 48")
def rotate_command(
    options: Options,
    endpoint: EndpointArgument,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=720, help="Hours in which older secrets sign along with the new one.")
    ] = 24.0,
) -> None:
    """Give a webhook a new secret, and show it: this once."""
    from infra.access.secret_encryption import SecretCipher
    from infra.delivery import endpoints

    with options.session() as (session, key, settings):
        row = endpoints.get_endpoint(session, key, endpoint)
        cipher = SecretCipher(settings.delivery.secret_key)
        secret = endpoints.rotate_secret(session, row, cipher, overlap=timedelta(hours=overlap_hours), now=clock())
        audit_command(session, key, "endpoints.rotate_secret", {"endpoint_id": endpoint})
    if options.json:
        print_json({"endpoint_id": endpoint, "secret": secret})
        return
    print_figures("endpoint", {"endpoint_id": endpoint, "secret": secret})
    typer.echo(f"Older secrets sign along for {overlap_hours:g} hours. The new one belongs to the receiver; {KEEP_IT}.")


@command(endpoints_app, "reencrypt", "xuelu endpoints reencrypt", of_organisation=False)
def reencrypt_command(options: Options) -> None:
    """Encrypt the secrets of all endpoints with a new key.

    Those of all organisations are encrypted. XUELU_DELIVERY__SECRET_KEY holds the present key, XUELU_NEW_SECRET_KEY
    the new one. Stop `xuelu deliver` and `xuelu serve` before, and start them with the new key in
    XUELU_DELIVERY__SECRET_KEY.
    """
    import os

    from infra.access.secret_encryption import SecretCipher
    from infra.db.engine import transaction
    from infra.delivery import endpoints
    from infra.settings.settings import REENCRYPTION_VARIABLE

    old = SecretCipher(options.settings().delivery.secret_key)
    new = SecretCipher(os.environ.get(REENCRYPTION_VARIABLE, ""), variable=REENCRYPTION_VARIABLE)
    with options.engine() as (engine, _), transaction(engine) as session:
        count = endpoints.reencrypt_secrets(session, old, new)
    text = f"{count:,} secrets are encrypted with the new key; set it as XUELU_DELIVERY__SECRET_KEY now"
    options.print({"secrets": count}, text)


@command(endpoints_app, "enable", "xuelu endpoints enable ep_0123")
def enable_command(options: Options, endpoint: EndpointArgument) -> None:
    """Deliver again to an endpoint that was disabled or asked to wait."""
    from infra.delivery import endpoints

    with options.session() as (session, key, _):
        endpoints.set_status(session, endpoints.get_endpoint(session, key, endpoint)["endpoint_key"], endpoints.ACTIVE)
        audit_command(session, key, "endpoints.enable", {"endpoint_id": endpoint})
    options.print({"endpoint_id": endpoint, "status": endpoints.ACTIVE}, f"{endpoint} is active")


@command(endpoints_app, "remove", "xuelu endpoints remove ep_0123")
def remove_command(options: Options, endpoint: EndpointArgument) -> None:
    """Remove an endpoint and its secrets.

    Its pending deliveries are dropped, the others stay listed.
    """
    from infra.delivery import claims, endpoints

    with options.session() as (session, key, _):
        row = endpoints.get_endpoint(session, key, endpoint)
        endpoints.set_status(session, row["endpoint_key"], endpoints.REMOVED)
        dropped = claims.drop_pending(session, row["endpoint_key"], now=clock())
        audit_command(session, key, "endpoints.remove", {"endpoint_id": endpoint})
    text = f"{endpoint} is removed; {dropped:,} pending deliveries were dropped"
    options.print({"endpoint_id": endpoint, "dropped": dropped}, text)
