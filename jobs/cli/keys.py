"""Commands about who may do what and who did what: keys, audit."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from infra.settings.settings import Settings
from jobs.cli.terminal import ConfigOption, JsonOption, OrganisationOption, clock, print_json, print_table, settings_for

ACTOR = "command line"
LONGEST_DAYS = 3_650


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    keys_app = typer.Typer(help="Keys of the API.", no_args_is_help=True)
    example = 'Example: xuelu keys create "study app" --scope lists:read --scope events:write'
    keys_app.command("create", epilog=example)(create_command)
    keys_app.command("list", epilog="Example: xuelu keys list --json")(list_command)
    keys_app.command("revoke", epilog="Example: xuelu keys revoke 0a1b2c3d4e5f")(revoke_command)
    app.add_typer(keys_app, name="keys")
    audit_app = typer.Typer(help="The log of who did what.", no_args_is_help=True)
    audit_app.command("verify", epilog="Example: xuelu audit verify")(verify_command)
    app.add_typer(audit_app, name="audit")


def create_command(
    name: Annotated[str, typer.Argument(help="What the key is for, in your own words.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may do; may be given several times: events:write, lists:read, catalogue:write, "
            "members:write, analytics:read, runs:write or admin, which is all of them."
        ),
    ] = None,
    expires_in_days: Annotated[
        int, typer.Option(min=1, max=LONGEST_DAYS, help="Days after which it opens nothing any more.")
    ] = 365,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Make a key of the organisation and print it; it cannot be shown again. A new organisation is made."""
    scopes = scope or ["lists:read"]
    made = create_key(settings_for(config, organisation), name, scopes, days=expires_in_days, now=clock())
    if json:
        print_json(made)
        return
    typer.echo(made["key"])
    until = f"until {made['expires_at']:%Y-%m-%d}"
    for line in (
        f"Key {made['key_id']} of {made['organisation']!r} for {', '.join(made['scopes'])}, {until}.",
        "Keep it now: only its digest is stored. Clients send it as `Authorization: Bearer KEY`.",
    ):
        typer.echo(line, err=True)


def create_key(settings: Settings, name: str, scopes: list[str], *, days: int, now: datetime) -> dict[str, Any]:
    """Make a key of an organisation, which is made where it is new; return ``key`` and what is known of it."""
    from infra.access import api_keys, audit
    from infra.catalog import organisations
    from infra.db.engine import opened, transaction

    expires_at = now + timedelta(days=days)
    with opened(settings.database_url) as engine, transaction(engine) as session:
        owner = organisations.ensure(session, settings.organisation, now=now)
        key_id, token = api_keys.create(session, owner, name=name, scopes=scopes, now=now, expires_at=expires_at)
        detail = {"key_id": key_id, "name": name, "scopes": sorted(set(scopes))}
        audit.append(session, owner, actor=ACTOR, action="keys.create", subject=None, now=now, detail=detail)
    return {**detail, "organisation": settings.organisation, "expires_at": expires_at, "key": token}


def list_command(
    organisation: OrganisationOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """List the organisation's keys: what each may do, until when, and when it was last used."""
    from infra.access import api_keys
    from infra.catalog import organisations
    from infra.db.engine import opened, transaction

    settings = settings_for(config, organisation)
    with opened(settings.database_url) as engine, transaction(engine) as session:
        found = api_keys.list_keys(session, organisations.key_of(session, settings.organisation))
    if json:
        print_json(found)
        return
    columns = ["key_id", "name", "scopes", "expires_at", "revoked_at", "last_used_at"]
    cells = [[", ".join(row[name]) if name == "scopes" else row[name] for name in columns] for row in found]
    print_table(f"Keys of {settings.organisation}", [name.replace("_", " ") for name in columns], cells)


def revoke_command(
    key_id: Annotated[str, typer.Argument(help="Id of the key, as `xuelu keys list` shows it.")],
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """End a key: within a second no service lets it in any more."""
    from infra.access import api_keys, audit
    from infra.catalog import organisations
    from infra.db.engine import opened, transaction

    settings, now = settings_for(config, organisation), clock()
    with opened(settings.database_url) as engine, transaction(engine) as session:
        owner = organisations.key_of(session, settings.organisation)
        api_keys.revoke(session, owner, key_id, now=now)
        detail = {"key_id": key_id}
        audit.append(session, owner, actor=ACTOR, action="keys.revoke", subject=None, now=now, detail=detail)
    if json:
        print_json({"key_id": key_id, "revoked": True})
    else:
        typer.echo(f"Key {key_id} opens nothing any more.")


def verify_command(
    organisation: OrganisationOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Check the chain of hashes of the organisation's audit log; exit status 1 where it does not hold."""
    from infra.access import audit
    from infra.catalog import organisations
    from infra.db.engine import opened, transaction

    settings = settings_for(config, organisation)
    with opened(settings.database_url) as engine, transaction(engine) as session:
        count, fault = audit.verify(session, organisations.key_of(session, settings.organisation))
    if json:
        print_json({"organisation": settings.organisation, "entries": count, "fault": fault})
    elif fault:
        typer.echo(f"The chain holds for {count:,} entries, and then not: {fault}.")
    else:
        typer.echo(f"The chain holds: {count:,} entries.")
    if fault:
        raise typer.Exit(1)
