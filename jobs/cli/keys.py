"""Commands about API keys and the audit log."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import orjson
import typer

from infra.settings.settings import Settings
from jobs.cli.terminal import (
    ACTOR,
    ConfigOption,
    JsonOption,
    OrganisationOption,
    at_work,
    clock,
    in_utc,
    print_json,
    print_table,
    settings_for,
)

LONGEST_DAYS = 3_650
COLUMNS = ("sequence", "at", "actor", "action", "subject", "detail")
TIME_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
MAX_ENTRIES = 10_000
HASH_SHOWN = 12
"""First digits of a member's hash in tables; ``--json`` has all."""


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    keys_app = typer.Typer(help="Keys of the API.", no_args_is_help=True)
    example = 'Example: xuelu keys create "study app" --scope lists:read --scope events:write'
    keys_app.command("create", epilog=example)(create_command)
    keys_app.command("list", epilog="Example: xuelu keys list --json")(list_command)
    keys_app.command("revoke", epilog="Example: xuelu keys revoke 0a1b2c3d4e5f")(revoke_command)
    app.add_typer(keys_app, name="keys")
    audit_app = typer.Typer(help="The log of reads and changes.", no_args_is_help=True)
    audit_app.command("head", epilog="Example: xuelu audit head")(head_command)
    audit_example = "Example: xuelu audit list --action keys --since 2026-03-01"
    audit_app.command("list", epilog=audit_example)(list_entries_command)
    audit_app.command("verify", epilog="Example: xuelu audit verify")(verify_command)
    app.add_typer(audit_app, name="audit")


def create_command(
    name: Annotated[str, typer.Argument(help="Purpose of the key, in your own words.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="Scope of the key; may be given several times: events:write, lists:read, catalogue:write, "
            "members:write, analytics:read, runs:write or admin, which is all of them."
        ),
    ] = None,
    expires_in_days: Annotated[int, typer.Option(min=1, max=LONGEST_DAYS, help="Days after which it expires.")] = 365,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Create a key of the organisation and print it; it cannot be shown again. A new organisation is created."""
    scopes = scope or ["lists:read"]
    created = create_key(settings_for(config, organisation), name, scopes, days=expires_in_days, now=clock())
    if json:
        print_json(created)
        return
    typer.echo(created["key"])
    until = f"until {created['expires_at']:%Y-%m-%d}"
    for line in (
        f"Key {created['key_id']} of {created['organisation']!r} for {', '.join(created['scopes'])}, {until}.",
        "Keep it now: only its digest is stored. Clients send it as `Authorization: Bearer KEY`.",
    ):
        typer.echo(line, err=True)


def create_key(settings: Settings, name: str, scopes: list[str], *, days: int, now: datetime) -> dict[str, Any]:
    """Create a key of an organisation, which is created where it is new; return ``key`` and its properties."""
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
    """List the organisation's keys with their scopes, expiry and last use."""
    from infra.access import api_keys
    from infra.catalog import organisations
    from infra.db.engine import opened, transaction

    settings = settings_for(config, organisation)
    with opened(settings.database_url) as engine, transaction(engine) as session:
        keys = api_keys.list_keys(session, organisations.key_of(session, settings.organisation))
    if json:
        print_json(keys)
        return
    columns = ["key_id", "name", "scopes", "expires_at", "revoked_at", "last_used_at"]
    cells = [[", ".join(row[name]) if name == "scopes" else row[name] for name in columns] for row in keys]
    print_table(f"Keys of {settings.organisation}", [name.replace("_", " ") for name in columns], cells)


def revoke_command(
    key_id: Annotated[str, typer.Argument(help="Id of the key, as `xuelu keys list` shows it.")],
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Revoke a key: within a second no service accepts it any more."""
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
        typer.echo(f"Key {key_id} is revoked.")


def head_command(
    organisation: OrganisationOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Print number and hash of the last entry; keep them outside the database, for `xuelu audit verify --head`."""
    from infra.access import audit_log

    with at_work(config, organisation) as (session, key, settings):
        head = audit_log.head(session, key)
    if json:
        print_json({"organisation": settings.organisation, **head._asdict()})
    else:
        typer.echo(str(head))


def list_entries_command(
    n: Annotated[int, typer.Option("-n", min=1, max=MAX_ENTRIES, help="Entries to list, the newest first.")] = 20,
    actor: Annotated[str | None, typer.Option(help="Only those of a key or token, or of `command line`.")] = None,
    action: Annotated[
        str | None, typer.Option(help="Only this action, such as lists.read, or all of a resource, such as lists.")
    ] = None,
    member: Annotated[str | None, typer.Option(help="Only those that concern this member.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=TIME_FORMATS, help="First moment, in UTC.")] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=TIME_FORMATS, help="Moment from which on entries are left out, in UTC.")
    ] = None,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List entries of the audit log, the newest first."""
    from infra.access import audit_log

    where = audit_log.EntryFilter(actor, action, member, in_utc(since), in_utc(until))
    with at_work(config, organisation) as (session, key, settings):
        rows = audit_log.page(session, key, where, limit=n)
    if json:
        details = [None if row["detail"] is None else orjson.loads(row["detail"]) for row in rows]
        print_json([{**row, "detail": detail} for row, detail in zip(rows, details, strict=True)])
        return
    shown = [{**row, "subject": row["subject"] and row["subject"][:HASH_SHOWN]} for row in rows]
    print_table(f"Audit log of {settings.organisation}", COLUMNS, [[row[name] for name in COLUMNS] for row in shown])


def verify_command(
    head: Annotated[
        str | None,
        typer.Option(help="A line that `xuelu audit head` printed: the entry must still be there, unchanged."),
    ] = None,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Check the hash chain of the organisation's audit log; exit status 1 where it does not hold."""
    from infra.access import audit_log

    known_head = None if head is None else audit_log.parse_head(head)
    with at_work(config, organisation) as (session, key, settings):
        count, fault = audit_log.verify(session, key, known_head=known_head)
    if json:
        print_json({"organisation": settings.organisation, "entries": count, "fault": fault})
    elif fault:
        typer.echo(f"The chain holds for {count:,} entries, and then not: {fault}.")
    else:
        typer.echo(f"The chain holds: {count:,} entries.")
    if fault:
        raise typer.Exit(1)
