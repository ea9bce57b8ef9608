"""Commands about what is held of members: erase, receipt, retain.

What a command needs it imports when it runs, so that ``xuelu --help`` answers at once.
"""

from pathlib import Path
from typing import Annotated

import typer

from infra.errors import ReceiptError
from jobs.cli.terminal import (
    ConfigOption,
    JsonOption,
    OrganisationOption,
    clock,
    print_figures,
    print_json,
    settings_for,
)

ACTOR = "command line"
LONGEST_DAYS = 36_500


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("erase", epilog="Example: xuelu erase m000042 --yes")(erase_command)
    app.command("receipt", epilog="Example: xuelu receipt m000042.receipt")(receipt_command)
    app.command("retain", epilog="Example: xuelu retain --days 730 --apply")(retain_command)


def erase_command(
    member: Annotated[str, typer.Argument(help="Id of the member.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Erase a member for good: rows, events, statements, lists, lines of rejects; print a signed receipt.

    In the audit log the member stands as a keyed hash, whose key is destroyed. It cannot be taken back.
    """
    from infra.catalog import organisations
    from infra.db.engine import opened, transaction
    from infra.privacy import erasure

    settings = settings_for(config, organisation)
    if not yes:
        typer.confirm(f"Erase everything about {member!r} for good?", abort=True, err=True)
    with opened(settings.database_url) as engine, transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        done = erasure.erase(session, settings, key, member, actor=ACTOR, now=clock())
    if json:
        print_json(done)
        return
    print_figures(f"Erased of {member!r}", done["erased"])
    typer.echo(done["receipt"] or "no receipt: set XUELU_RECEIPT_KEY to get one (xuelu receipt --new-key)")


def receipt_command(
    file: Annotated[Path | None, typer.Argument(help="File with a receipt to verify.")] = None,
    new_key: Annotated[bool, typer.Option("--new-key", help="Make a key for receipts and print it.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Print the public half of XUELU_RECEIPT_KEY.")] = False,
    config: ConfigOption = None,
) -> None:
    """Verify a receipt of an erasure by XUELU_RECEIPT_KEY, or its public half, and print what it says, as JSON."""
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
        typer.Option(min=1, max=LONGEST_DAYS, help="Keep events of this many days, now and from now on."),
    ] = None,
    for_ever: Annotated[bool, typer.Option("--for-ever", help="Keep all events from now on.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Let them go; without it, only tell what would.")] = False,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Let events older than the organisation's own number of days go; what enough members had becomes totals.

    The number of days is kept with the organisation where --apply stands, so that later runs need no --days.
    """
    from infra.access import audit
    from infra.catalog import organisations
    from infra.db.engine import opened, transaction
    from infra.events import retention

    settings, now = settings_for(config, organisation), clock()
    with opened(settings.database_url) as engine, transaction(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        wanted = None if for_ever else days or retention.keep_days(session, key)
        if apply and (days or for_ever):
            retention.set_keep_days(session, key, wanted)
        done = retention.retain(session, key, days=wanted, now=now, apply=apply) if wanted else {}
        told = {"keep_events_days": wanted, "applied": apply, **done}
        if apply:
            detail = {name: value for name, value in told.items() if name != "before"}
            audit.append(session, key, actor=ACTOR, action="events.retain", subject=None, now=now, detail=detail)
    if json:
        print_json(told)
    elif not wanted:
        typer.echo("events are kept for ever; give --days to change that")
    else:
        print_figures("Events that went" if apply else "Events that would go; give --apply to let them", told)
