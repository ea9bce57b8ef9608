"""Commands about API keys and the audit log."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import orjson
import typer

from infra.settings.settings import MAX_KEY_DAYS, Settings
from jobs.cli.help import add_group, command
from jobs.cli.terminal import ACTOR, MOMENTS, Options, audit_command, clock, in_utc, print_json, print_rows

COLUMNS = ("sequence", "at", "actor", "action", "subject", "detail")
MAX_ENTRIES = 10_000
HASH_SHOWN = 12
"""First digits of a member's hash in tables; ``--json`` has all."""


app = typer.Typer()
keys_app = add_group(app, "keys", "Create, list and revoke keys of the API.")
audit_app = add_group(app, "audit", "Read and verify the log of reads and changes.")


@command(keys_app, "create", 'xuelu keys create "study app" --scope lists:read --scope events:write')
def create_command(
    options: Options,
    name: Annotated[str, typer.Argument(help="Purpose of the key, in your own words.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="Scope of the key; may be given several times: events:write, lists:read, catalogue:write, "
            "members:write, analytics:read, runs:write or admin, which is all of them."
        ),
    ] = None,
    expires_in_days: Annotated[int, typer.Option(min=1, max=MAX_KEY_DAYS, help="Days after which it expires.")] = 365,
) -> None:
    """Create a key of the organisation and print it.

    It cannot be shown again. An organisation that is new is created.
    """
    scopes = scope or ["lists:read"]
    created = create_key(options.settings(), name, scopes, days=expires_in_days, now=clock())
    if options.json:
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
        audit.append(session, owner, actor=ACTOR, action="keys.create", now=now, detail=detail)
    return {**detail, "organisation": settings.organisation, "expires_at": expires_at, "key": token}


@command(keys_app, "list", "xuelu keys list --json")
def list_command(options: Options) -> None:
    """List the keys with their scopes, expiry and last use."""
    from infra.access import api_keys

    with options.session() as (session, key, settings):
        keys = api_keys.list_keys(session, key)
    columns = ("key_id", "name", "scopes", "expires_at", "revoked_at", "last_used_at")
    title, empty = f"Keys of {settings.organisation}", "`xuelu keys create NAME` makes one"
    options.show(keys, lambda: print_rows(title, columns, keys, empty=empty))


@command(keys_app, "revoke", "xuelu keys revoke 0a1b2c3d4e5f")
def revoke_command(
    options: Options, key_id: Annotated[str, typer.Argument(help="Id of the key, as `xuelu keys list` shows it.")]
) -> None:
    """Revoke a key: within a second no service accepts it any more."""
    from infra.access import api_keys

    with options.session() as (session, key, _):
        api_keys.revoke(session, key, key_id, now=clock())
        audit_command(session, key, "keys.revoke", {"key_id": key_id})
    options.print({"key_id": key_id, "revoked": True}, f"Key {key_id} is revoked.")


@command(audit_app, "head", "xuelu audit head")
def head_command(options: Options) -> None:
    """Print number and hash of the last entry.

    Keep them outside the database, for `xuelu audit verify --head`.
    """
    from infra.access import audit_log

    with options.session() as (session, key, settings):
        head = audit_log.head(session, key)
    options.print({"organisation": settings.organisation, **head._asdict()}, str(head))


@command(audit_app, "list", "xuelu audit list --action keys --since 2026-03-01")
def list_entries_command(
    options: Options,
    n: Annotated[int, typer.Option("-n", min=1, max=MAX_ENTRIES, help="Entries to list, the newest first.")] = 20,
    actor: Annotated[str | None, typer.Option(help="Only those of a key or token, or of `command line`.")] = None,
    action: Annotated[
        str | None, typer.Option(help="Only this action, such as lists.read, or all of a resource, such as lists.")
    ] = None,
    member: Annotated[str | None, typer.Option(help="Only those that concern this member.")] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=MOMENTS, help="First moment, in UTC where it has no offset.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=MOMENTS, help="Moment from which on entries are left out.")
    ] = None,
) -> None:
    """List entries of the audit log, the newest first."""
    from infra.access import audit_log

    where = audit_log.EntryFilter(actor, action, member, in_utc(since), in_utc(until))
    with options.session() as (session, key, settings):
        rows = audit_log.page(session, key, where, limit=n)
        audit_command(session, key, "audit.read", {"entries": len(rows)}, subject=member)
    if options.json:
        details = [None if row["detail"] is None else orjson.loads(row["detail"]) for row in rows]
        print_json([{**row, "detail": detail} for row, detail in zip(rows, details, strict=True)])
        return
    shown = [{**row, "subject": row["subject"] and row["subject"][:HASH_SHOWN]} for row in rows]
    print_rows(f"Audit log of {settings.organisation}", COLUMNS, shown, empty="no entry fits the options")


@command(audit_app, "verify", "xuelu audit verify")
def verify_command(
    options: Options,
    head: Annotated[
        str | None,
        typer.Option(help="A line that `xuelu audit head` printed: the entry must still be there, unchanged."),
    ] = None,
) -> None:
    """Check the hash chain of the audit log. Exit status 1 where it does not hold."""
    from infra.access import audit_log

    known_head = None if head is None else audit_log.parse_head(head)
    with options.session() as (session, key, settings):
        count, fault = audit_log.verify(session, key, known_head=known_head)
    text = (
        f"The chain holds for {count:,} entries, and then not: {fault}."
        if fault
        else f"The chain holds: {count:,} entries."
    )
    options.print({"organisation": settings.organisation, "entries": count, "fault": fault}, text)
    if fault:
        raise typer.Exit(1)
