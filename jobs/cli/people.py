"""Commands for what the database holds: erase, receipt, sharing, retain, timezone, backup, restore.

Commands import what they need when they run, so that ``xuelu --help`` is fast.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from infra.errors import ReceiptError, SettingsError
from jobs.cli.terminal import (
    ConfigOption,
    JsonOption,
    OrganisationOption,
    at_work,
    clock,
    echo_text,
    note,
    print_figures,
    print_json,
    settings_for,
)

ACTOR = "command line"
MAX_DAYS = 36_500


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("erase", epilog="Example: xuelu erase m000042 --yes")(erase_command)
    app.command("receipt", epilog="Example: xuelu receipt m000042.receipt")(receipt_command)
    app.command("sharing", epilog="Example: xuelu sharing --accept")(sharing_command)
    app.command("retain", epilog="Example: xuelu retain --days 730 --apply")(retain_command)
    app.command("timezone", epilog="Example: xuelu timezone Asia/Shanghai")(timezone_command)
    app.command("backup", epilog="Example: xuelu backup xuelu-2026-03-02.zip")(backup_command)
    app.command("restore", epilog="Example: xuelu restore xuelu-2026-03-02.zip")(restore_command)


def erase_command(
    member: Annotated[str, typer.Argument(help="Id of the member.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Erase a member for good: rows, events, statements, lists, lines of rejects; print a signed receipt.

    Exit status 1 where something is left; the command says what, and how to finish.

    The audit log names the member by a keyed hash, whose key is destroyed. It cannot be undone.
    """
    from infra.catalog import organisations
    from infra.db.engine import opened, transaction
    from infra.privacy import erasure

    settings = settings_for(config, organisation)
    if not yes:
        typer.confirm(f"Erase everything about {member!r} for good?", abort=True, err=True)
    with opened(settings.database_url) as engine, transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        result = erasure.erase(session, settings, key, member, actor=ACTOR, now=clock())
    if json:
        print_json(result)
    else:
        print_figures(f"Erased of {member!r}", result["erased"])
        for part in result["left"]:
            echo_text(f"left: {part}")
        typer.echo(result["receipt"] or "no receipt: set XUELU_RECEIPT_KEY to get one (xuelu receipt --new-key)")
    if result["left"]:
        raise typer.Exit(1)


def receipt_command(
    file: Annotated[Path | None, typer.Argument(help="File with a receipt to verify.")] = None,
    new_key: Annotated[bool, typer.Option("--new-key", help="Create a key for receipts and print it.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Print the public half of XUELU_RECEIPT_KEY.")] = False,
    config: ConfigOption = None,
) -> None:
    """Verify a receipt of an erasure by XUELU_RECEIPT_KEY, or its public half, and print its claims as JSON."""
    from infra.privacy import receipts

    if new_key:
        typer.echo(receipts.new_key())
        return
    key = settings_for(config).receipt_key
    if public:
        print_json(receipts.public_key(key))
    elif file is not None:
        print_json(receipts.verify(file.read_text(encoding="utf-8"), key))
    else:
        raise ReceiptError("nothing to do; name a file with a receipt, or give --new-key or --public")


def retain_command(
    days: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_DAYS, help="Keep events of this many days, now and from now on."),
    ] = None,
    for_ever: Annotated[bool, typer.Option("--for-ever", help="Keep all events from now on.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Delete them; without it, only count them.")] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Delete events older than the organisation keeps them; events of enough members become monthly totals.

    With --apply the number of days is stored with the organisation, so that later runs need no --days.
    """
    from infra.access import audit
    from infra.catalog import organisations
    from infra.db.engine import opened, transaction
    from infra.events import retention

    settings, now = settings_for(config, organisation), clock()
    with opened(settings.database_url) as engine, transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        keep_days = None if for_ever else days or retention.keep_days(session, key)
        if apply and (days or for_ever):
            retention.set_keep_days(session, key, keep_days)
        counts: dict[str, Any] = {}
        if keep_days:
            smallest = settings.privacy.smallest_group
            counts = retention.retain(session, key, days=keep_days, now=now, min_group_size=smallest, apply=apply)
        report = {"keep_events_days": keep_days, "applied": apply, **counts}
        if apply:
            detail = {name: value for name, value in report.items() if name != "before"}
            audit.append(session, key, actor=ACTOR, action="events.retain", subject=None, now=now, detail=detail)
    if json:
        print_json(report)
    elif not keep_days:
        typer.echo("events are kept for ever; give --days to change that")
    else:
        print_figures("Deleted events" if apply else "Events that --apply would delete", report)


def timezone_command(
    zone: Annotated[
        str | None, typer.Argument(help="Time zone such as Asia/Shanghai; by default only show the present one.")
    ] = None,
    unset: Annotated[bool, typer.Option("--unset", help="Use the zone of the settings again.")] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show or set the organisation's time zone: of members without one, and of times without an offset."""
    from content_catalog.time_zones import resolve_zone, unknown_zone
    from infra.access import audit
    from infra.catalog import organisations
    from infra.db.engine import opened, transaction

    name = resolve_zone(zone) if zone is not None else None
    if zone is not None and name is None:
        raise SettingsError(f"{zone!r} is {unknown_zone(zone)}")
    settings = settings_for(config, organisation)
    with opened(settings.database_url) as engine, transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        if name is not None or unset:
            organisations.set_timezone(session, key, name)
            detail = {"timezone": name}
            action = "organisations.set_timezone"
            audit.append(session, key, actor=ACTOR, action=action, subject=None, now=clock(), detail=detail)
        used = organisations.local_settings(session, key, settings).timezone
        own = organisations.timezone(session, key) is not None
    if json:
        print_json({"timezone": used, "own": own})
    else:
        typer.echo(f"{used}, {'set for' if own else 'from the settings; none set for'} {settings.organisation!r}")


def sharing_command(
    accept: Annotated[
        bool | None,
        typer.Option("--accept/--refuse", help="Accept items that other organisations share, or refuse them."),
    ] = None,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Accept or refuse items that other organisations of the database share; without an option, show which holds.

    An organisation refuses them until it accepts.
    """
    from infra.catalog import sharing

    with at_work(config, organisation) as (session, key, _):
        if accept is not None:
            sharing.set_accepts_shared(session, key, accepts=accept)
            note(session, key, "sharing.change", {"accepts_shared": accept})
        accepts = sharing.accepts_shared(session, key)
    if json:
        print_json({"accepts_shared": accepts})
    else:
        typer.echo(f"items that others share are {'accepted' if accepts else 'refused'}")


def backup_command(
    file: Annotated[Path, typer.Argument(help="New file to write.")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Write the database and the artefacts of its runs into a new file, while everything goes on."""
    from infra.backup.backup import backup
    from infra.db.engine import opened

    settings = settings_for(config)
    with opened(settings.database_url) as engine:
        figures = backup(engine, settings, file, actor=ACTOR, now=clock())
    if json:
        print_json(figures)
        return
    print_figures("Backed up", figures)


def restore_command(
    file: Annotated[Path, typer.Argument(help="File that `xuelu backup` wrote.")],
    erasures: Annotated[
        list[Path] | None,
        typer.Option(
            help="Copy of the record of erasures beside the one in `artefacts_folder`; may be given several times."
        ),
    ] = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Restore a backup into an empty database, and erase again who was erased since.

    Exit status 1 where something of them is left; the output says what.
    """
    from infra.backup.restore import restore
    from infra.db.engine import opened

    settings = settings_for(config)
    with opened(settings.database_url) as engine:
        figures = restore(engine, settings, file, erasures=erasures or (), actor=ACTOR, now=clock())
    if json:
        print_json(figures)
    else:
        print_figures("Restored", {name: value for name, value in figures.items() if name != "left"})
        for part in figures["left"]:
            echo_text(f"left: {part}")
    if figures["left"]:
        raise typer.Exit(1)
