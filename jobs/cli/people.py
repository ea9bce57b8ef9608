"""Commands for what the database holds: choices, erase, receipt, sharing, retain, timezone, backup, restore.

Commands import what they need when they run, so that ``xuelu --help`` is fast.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from infra.errors import ReceiptError, SettingsError
from jobs.cli.help import command
from jobs.cli.terminal import (
    ACTOR,
    MAX_DAYS,
    ConfigOption,
    MemberArgument,
    Options,
    audit_command,
    clock,
    echo_text,
    print_figures,
    print_json,
    settings_for,
)

app = typer.Typer()


@command(app, "choices", "xuelu choices m000042", reads="members.read")
def choices_command(options: Options, member: MemberArgument) -> None:
    """Show what a member saved, deleted and wants less of.

    Items that rest after they were shown in vain, and a change of role, are shown too.
    """
    from infra.catalog import records
    from infra.catalog.profiles import current_profile, deleted_topics_of
    from infra.catalog.store import MOVED
    from infra.policy import fatigue, member_choices

    with options.session() as (session, key, settings):
        now, policy = clock(), settings.policy
        record = records.read(session, key, "members", member)
        moved = current_profile(session, key, member, now=now).iloc[0]
        deleted = [{"topic": topic, "deleted_at": at} for topic, at in deleted_topics_of(session, key, member).items()]
        choices: dict[str, Any] = {
            "saved": member_choices.saved_of(session, key, member),
            "resting": fatigue.resting_of(
                session, key, member, times=policy.fatigue_shown, days=policy.fatigue_days, now=now
            ),
            "deleted_topics": deleted,
            "less_topics": record["less_topics"],
            "follows": record["follows"],
            **{name: moved[name] for name in MOVED},
        }
    options.show(choices, lambda: _print_choices(member, choices))


def _print_choices(member: str, choices: dict[str, Any]) -> None:
    if not any(
        choices[name] for name in ("saved", "resting", "deleted_topics", "less_topics", "follows", "moved_days")
    ):
        echo_text(f"{member} has saved and deleted nothing; study apps send what members choose")
    for item in choices["saved"]:
        echo_text(f"saved: {item['item_id']}, {item['saved_at']:%Y-%m-%d}")
    for item in choices["resting"]:
        echo_text(f"rests until {item['rests_until']:%Y-%m-%d}: {item['item_id']}, shown {item['shown_at']:%Y-%m-%d}")
    for row in choices["deleted_topics"]:
        echo_text(f"deleted topic: {row['topic']}, {row['deleted_at']:%Y-%m-%d}")
    for name in ("less_topics", "follows"):
        if choices[name]:
            echo_text(f"{name}: {', '.join(choices[name])}")
    if choices["moved_days"] is not None:
        earlier = " · ".join(filter(None, (choices["previous_role"], choices["previous_industry"])))
        echo_text(f"earlier role and industry: {earlier}, changed {choices['moved_days']:.0f} days ago")


@command(app, "erase", "xuelu erase m000042 --yes")
def erase_command(
    options: Options, member: MemberArgument, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Erase a member for good, and print a signed receipt.

    Rows, events, statements, lists and lines of rejects are erased. Exit status 1 where something is left; the command
    says what, and how to finish.

    The audit log names the member by a keyed hash, whose key is destroyed. It cannot be undone.
    """
    from infra.privacy import erasure

    if not yes:
        typer.confirm(f"Erase everything about {member!r} for good?", abort=True, err=True)
    with options.session() as (session, key, settings):
        result = erasure.erase(session, settings, key, member, actor=ACTOR, now=clock())
    if options.json:
        print_json(result)
    else:
        print_figures(f"Erased of {member!r}", result["erased"])
        for part in result["left"]:
            echo_text(f"left: {part}")
        typer.echo(result["receipt"] or "no receipt: set XUELU_RECEIPT_KEY to get one (xuelu receipt --new-key)")
    if result["left"]:
        raise typer.Exit(1)


@app.command("receipt", epilog="\b\nExample: xuelu receipt m000042.receipt")
def receipt_command(
    file: Annotated[
        Path | None, typer.Argument(help="File with a receipt to verify, such as what `xuelu erase` printed.")
    ] = None,
    new_key: Annotated[bool, typer.Option("--new-key", help="Create a key for receipts and print it.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Print the public half of XUELU_RECEIPT_KEY.")] = False,
    config: ConfigOption = None,
) -> None:
    """Verify a receipt of an erasure, or create a key for receipts.

    It is verified by XUELU_RECEIPT_KEY, or its public half, and its claims are printed as JSON.
    """
    from infra.privacy import receipts

    if new_key:
        typer.echo(receipts.new_key())
        return
    key = settings_for(config).receipt_key
    if public:
        print_json(receipts.public_key(key))
    elif file is not None:
        print_json(receipts.verify(file.read_text(encoding="utf-8", errors="replace"), key))
    else:
        raise ReceiptError("nothing to do; name a file with a receipt, or give --new-key or --public")


@command(app, "retain", "xuelu retain --days 730 --apply")
def retain_command(
    options: Options,
    days: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_DAYS, help="Keep events of this many days, now and from now on."),
    ] = None,
    for_ever: Annotated[bool, typer.Option("--for-ever", help="Keep all events from now on.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Delete them; without it, only count them.")] = False,
) -> None:
    """Delete events older than the organisation keeps them.

    Of an item that enough members studied, monthly totals are kept. With --apply the number of days is stored with
    the organisation, so that later runs need no --days.
    """
    from infra.events import retention, store
    from infra.runs.store import discount_events

    with options.session() as (session, key, settings):
        keep_days = None if for_ever else days or retention.keep_days(session, key)
        if apply and (days or for_ever):
            retention.set_keep_days(session, key, keep_days)
        counts: dict[str, Any] = {}
        if keep_days:
            smallest, now = settings.privacy.smallest_group, clock()
            before = store.count_study_events(session, key, before=now)
            counts = retention.retain(session, key, days=keep_days, now=now, min_group_size=smallest, apply=apply)
            if apply:
                discount_events(session, key, before - store.count_study_events(session, key, before=now))
        report = {"keep_events_days": keep_days, "applied": apply, **counts}
        if apply:
            audit_command(session, key, "events.retain", {name: report[name] for name in report if name != "before"})
    if options.json:
        print_json(report)
    elif not keep_days:
        typer.echo("events are kept for ever; give --days to change that")
    else:
        print_figures("Deleted events" if apply else "Events that --apply would delete", report)


@command(app, "timezone", "xuelu timezone Asia/Shanghai")
def timezone_command(
    options: Options,
    zone: Annotated[
        str | None, typer.Argument(help="Time zone such as Asia/Shanghai; by default only show the present one.")
    ] = None,
    unset: Annotated[bool, typer.Option("--unset", help="Use the zone of the settings again.")] = False,
) -> None:
    """Show or set the organisation's time zone.

    It is that of members without one, and of times without an offset.
    """
    from content_catalog.time_zones import resolve_zone, unknown_zone
    from infra.catalog import organisations

    name = resolve_zone(zone) if zone is not None else None
    if zone is not None and name is None:
        raise SettingsError(f"{zone!r} is {unknown_zone(zone)}")
    with options.session() as (session, key, settings):
        if name is not None or unset:
            organisations.set_timezone(session, key, name)
            audit_command(session, key, "organisations.set_timezone", {"timezone": name})
        used = organisations.local_settings(session, key, settings).timezone
        own = organisations.timezone(session, key) is not None
    source = "set for" if own else "from the settings; none set for"
    options.print({"timezone": used, "own": own}, f"{used}, {source} {settings.organisation!r}")


@command(app, "sharing", "xuelu sharing --accept")
def sharing_command(
    options: Options,
    accept: Annotated[
        bool | None,
        typer.Option("--accept/--refuse", help="Accept items that other organisations share, or refuse them."),
    ] = None,
) -> None:
    """Accept or refuse items that other organisations share.

    Without an option, show which holds. An organisation refuses them until it accepts.
    """
    from infra.catalog import sharing

    with options.session() as (session, key, _):
        if accept is not None:
            sharing.set_accepts_shared(session, key, accepts=accept)
            audit_command(session, key, "sharing.change", {"accepts_shared": accept})
        accepts = sharing.accepts_shared(session, key)
    text = f"items that others share are {'accepted' if accepts else 'refused'}"
    options.print({"accepts_shared": accepts}, text)


@command(app, "backup", "xuelu backup xuelu-2026-03-02.zip", of_organisation=False)
def backup_command(options: Options, file: Annotated[Path, typer.Argument(help="New file to write.")]) -> None:
    """Write the database and the artefacts of its runs to a file. Everything else goes on meanwhile."""
    from infra.backup.backup import backup

    with options.engine() as (engine, settings):
        figures = backup(engine, settings, file, actor=ACTOR, now=clock())
    options.show(figures, lambda: print_figures("Backed up", figures))


@command(app, "restore", "xuelu restore xuelu-2026-03-02.zip", of_organisation=False)
def restore_command(
    options: Options,
    file: Annotated[Path, typer.Argument(help="File that `xuelu backup` wrote.")],
    erasures: Annotated[
        list[Path] | None,
        typer.Option(
            help="Copy of the record of erasures beside the one in `artefacts_folder`; may be given several times."
        ),
    ] = None,
) -> None:
    """Restore a backup into an empty database.

    Who was erased since is erased again. Exit status 1 where something of them is left; the output says what.
    """
    from infra.backup.restore import restore

    with options.engine() as (engine, settings):
        figures = restore(engine, settings, file, erasures=erasures or (), actor=ACTOR, now=clock())
    if options.json:
        print_json(figures)
    else:
        print_figures("Restored", {name: value for name, value in figures.items() if name != "left"})
        for part in figures["left"]:
            echo_text(f"left: {part}")
    if figures["left"]:
        raise typer.Exit(1)
