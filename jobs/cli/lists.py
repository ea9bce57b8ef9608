"""Commands that make, show and explain lists: nightly, show, why."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.errors import SettingsError
from infra.explanations.codes import about, name_of
from jobs.cli.help import command
from jobs.cli.terminal import (
    DayOption,
    FormatOption,
    LanguageOption,
    LengthOption,
    MaxMinutesOption,
    MemberArgument,
    MinutesOption,
    NowOption,
    Options,
    TopicOption,
    clock,
    echo_text,
    in_utc,
    print_json,
    print_table,
    step_progress,
)

if TYPE_CHECKING:
    from infra.serving.online_model import ModelSource
    from recommender.policy.selection import Selection

FAULTS = {
    "failed_lists": "members have no list",
    "failed_pushes": "members get no push",
    "failed_texts": "items have no similar items by text",
    "failed_models": "models are not fitted and propose nothing",
    "failed_artefacts": "file of models cannot be saved: until a later run no list follows new events",
}
"""Counts of a run that tell what a fault left out, in words."""
NOT_GONE_BY = {"history": (), "segment": ("history", "order"), "popular": ("history", "order", "segment")}
"""Parts of scores by strategy for which nothing is known of a member, or personalisation is off."""


app = typer.Typer()


@command(app, "nightly", "xuelu nightly --as-of 2021-03-21")
def nightly_command(
    options: Options,
    as_of: NowOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on after the last step that a night which stopped had finished.")
    ] = False,
) -> None:
    """Make and publish every member's push list.

    Exit status 1 where a check holds them back, or the models of published lists cannot be saved. The lists
    published before stay served until all new ones are there; a night that fails changes nothing of them. Steps are
    shown on a terminal, and written as JSON Lines on standard error elsewhere.
    """
    from jobs.nightly.night import nightly

    now = clock()
    cut_off = in_utc(as_of, latest=now)
    with step_progress() as progress, options.engine() as (engine, settings):
        run = nightly(engine, settings, now=now, as_of=cut_off, resume=resume, progress=progress)
    failed = [check for check in run["checks"] if check["passed"] is False]
    if options.json:
        print_json({name: run[name] for name in ("run_id", "status", "as_of", "made_at", "counts", "checks")})
    else:
        lists, anyone = max(0, run["counts"]["lists"] - 1), " and for anyone new" * (run["counts"]["lists"] > 0)
        moment = f"{run['as_of']:%Y-%m-%d %H:%M} UTC"
        for check in (row for row in run["checks"] if row["passed"] is None):
            echo_text(f"warning of the check {check['name']!r}: {check['detail']}")
        for name, description in FAULTS.items():
            if number := run["counts"].get(name):
                typer.echo(f"warning: {number:,} {description}; the log on standard error says why")
        typer.echo(f"run {run['run_id']} is {run['status']}: lists for {lists:,} members{anyone} as of {moment}")
        for check in failed:
            echo_text(f"held back because this does not hold: {check['name']} ({check['detail']})")
        if failed and run["counts"]["lists"]:
            echo_text(f"to serve it all the same: `xuelu runs publish {run['run_id']} --reason WHY`")
    if failed or "failed_artefacts" in run["counts"]:
        raise typer.Exit(1)


@command(app, "show", "xuelu show m000042 -n 5 --language en", reads="lists.read")
def show_command(
    options: Options,
    member: MemberArgument,
    n: LengthOption = 10,
    language: LanguageOption = None,
    as_of: DayOption = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what each score is made of, as `xuelu why` does.")
    ] = False,
    minutes: MinutesOption = None,
    max_minutes: MaxMinutesOption = None,
    topic: TopicOption = None,
    format: FormatOption = None,  # noqa: A002 - the name of the option
) -> None:
    """Show a member's push list with a reason for every item.

    It is the list that the service answers: after new events the one that is computed online.
    """
    from infra.policy.required_entries import list_rules
    from infra.serving import push_lists
    from infra.serving.list_json import ListRequest
    from recommender.policy.selection import EVERYTHING

    selection = _selection_of(minutes, max_minutes, topic, format)
    if (explain or as_of is not None) and selection != EVERYTHING:
        raise SettingsError("--explain and --as-of show a whole list; leave out what selects items, such as --minutes")
    if explain:
        why_command(options, member, None, n, language, as_of)
        return
    with options.session() as (session, key, settings):
        day = in_utc(as_of)
        if day is None:
            request = ListRequest(n, clock(), language, selection=selection, rules=list_rules(settings))
            shown = push_lists.shown(session, key, member, request, _models_in(settings.artefacts_folder))
        else:
            shown = push_lists.archived(session, key, member, n=n, day=day.date(), language=language)
    options.show(shown, lambda: _print_list(shown))


def _models_in(folder: Path) -> "ModelSource":
    from infra.serving.online_model import models_of

    return lambda session, run: models_of(session, folder, run)


def _title_of(shown: dict[str, Any]) -> str:
    by = {"batch": "", "online": " · computed after new events"}[shown["generated_by"]]
    return f"{shown['member_id']} · by {shown['strategy']}{by} · {shown['made_at']:%Y-%m-%d}"


def _print_list(shown: dict[str, Any]) -> None:
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
    if rows:
        print_table(_title_of(shown), ["rank", "item", "format", "minutes", "why"], rows)
    else:
        echo_text(shown["empty"]["text"])
    for item in shown.get("due_left_out", ()):
        name, length = item["title"] or item["item_id"], _minutes(item["duration_seconds"])
        echo_text(f"left out by the options: {name} ({length} minutes) · {item['reason']['text']}")


@command(app, "why", "xuelu why m000042 i00012", reads="lists.read")
def why_command(
    options: Options,
    member: MemberArgument,
    item: Annotated[str | None, typer.Argument(help="Id of an item; by default all of the list.")] = None,
    n: LengthOption = 10,
    language: LanguageOption = None,
    as_of: DayOption = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            "--since", formats=["%Y-%m-%d"], help="Show what changed since the list of the night of this day, and why."
        ),
    ] = None,
) -> None:
    """Show what each score of a member's list is made of.

    It shows too what keeps the next best items off the list. It is the list that the service answers: after new
    events the one that is computed online.
    """
    if since is not None and (item is not None or as_of is not None):
        raise SettingsError("--since compares whole lists with the one of now; leave out the item and --as-of")
    from infra.catalog import organisations
    from infra.db.engine import snapshot
    from infra.explanations import explained_lists, list_changes
    from infra.serving.list_json import ListRequest

    day, start = in_utc(as_of), in_utc(since)
    request = ListRequest(n, clock(), language)
    with options.engine() as (engine, settings), snapshot(engine) as session:
        key = organisations.key_of(session, settings.organisation)
        models = _models_in(settings.artefacts_folder)
        if start is not None:
            compared = list_changes.changes_since(session, models, key, member, request, start.date())
            options.show(compared, lambda: _print_changes(compared))
            return
        listed = explained_lists.listed(session, models, key, member, request, day and day.date())
        if item is None:
            shown = explained_lists.explained(session, key, listed, request)
        else:
            shown = explained_lists.explained_item(session, key, listed, request, item)
    options.show(shown, lambda: _print_explained(shown) if item is None else _print_explained_item(shown, n))


def _print_explained(shown: dict[str, Any]) -> None:
    rows = [
        (
            item["rank"],
            item["title"] or item["item_id"],
            f"{item['breakdown']['score']:.3f}" if item["breakdown"] else "-",
            _largest_parts(item["breakdown"]),
            item["reason"]["text"],
        )
        for item in shown["items"]
    ]
    if not rows:
        echo_text(shown["empty"]["text"])
        return
    print_table(_title_of(shown), ["rank", "item", "score", "made of", "why"], rows)
    typer.echo(
        "Small parts are left out; --json has all. Rules may place an item wherever its score is; its reason says so."
    )
    parts = [item["breakdown"]["contributions"] for item in shown["items"] if item["breakdown"]]
    if idle := [f"`{name}`" for name in NOT_GONE_BY[shown["strategy"]] if any(part[name] for part in parts)]:
        typer.echo(f"There is nothing of the member to go by for {', '.join(idle)}: these parts count just that.")
    if not shown["reproduced"]:
        typer.echo("The events of today do not give this list any more: the scores are those by today's events.")
    if shown["filtered"]:
        left_out = [
            (item["rank"], item["title"] or item["item_id"], about("left_out", item["cause"], "en"))
            for item in shown["filtered"]
        ]
        print_table("not on the list", ["rank if allowed", "item", "because"], left_out)


def _largest_parts(breakdown: dict[str, Any] | None) -> str:
    """Return the contributions of at least a tenth of the largest one, the largest first."""
    if breakdown is None:
        return "-"
    parts = sorted(breakdown["contributions"].items(), key=lambda part: -abs(part[1]))
    shown = [(name, value) for name, value in parts if abs(value) >= abs(parts[0][1]) / 10]
    return ", ".join(f"{name} {value:+.3f}" for name, value in shown)


def _print_explained_item(shown: dict[str, Any], n: int) -> None:
    missing = "not on the list" if shown["cause"] else f"not among the first {n}"
    place = missing if shown["rank"] is None else f"rank {shown['rank']}: {shown['reason']['text']}"
    cause = f". {about('left_out', shown['cause'], 'en')}" if shown["cause"] else ""
    title = f"{shown['title'] or shown['item_id']} for {shown['member_id']} · {place}{cause}"
    breakdown = shown["breakdown"]
    if breakdown is None:
        echo_text(title)
        typer.echo("No model proposes it for this member.")
        return
    parts = [(name, f"{value:+.5f}") for name, value in breakdown["contributions"].items()]
    print_table(title, ["part", "adds"], [*parts, ("score", f"{breakdown['score']:+.5f}")])
    models = [
        (row["model"], "-" if row["score"] is None else f"{row['score']:.3f}", row["rank"] or "-")
        for row in breakdown["models"]
    ]
    print_table("models", ["model", "score, of its best", "rank"], models)


def _print_changes(compared: dict[str, Any]) -> None:
    names = ("change", "before", "after")
    rows = [
        (each["title"] or each["item_id"], *map(each.get, names), name_of("cause", each["cause"], "en"))
        for each in compared["changes"]
    ]
    before, after = (f"{compared[name]['as_of']:%Y-%m-%d %H:%M} UTC" for name in ("before", "after"))
    until = f"until {before}" if before == after else f"until {before} and until {after}"
    title = f"{compared['member_id']} · list by events {until}"
    if rows:
        print_table(title, ["item", "change", "rank", "rank now", "because of"], rows)
    else:
        echo_text(f"{title}: no item came, went or moved more than two places")


def _minutes(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds / 60:.0f}" if seconds >= 60 else "<1"


def _selection_of(
    minutes: int | None, max_minutes: int | None, topics: list[str] | None, formats: list[str] | None
) -> "Selection":
    """Return the conditions on the items of a list.

    Raises
    ------
    SettingsError
        A format is unknown.
    """
    from content_catalog.schema import FORMATS
    from recommender.policy.selection import Selection

    if unknown := sorted(set(formats or ()) - set(FORMATS)):
        raise SettingsError(f"unknown format {unknown[0]!r}; choose of {', '.join(FORMATS)}")
    return Selection(minutes, max_minutes, frozenset(topics or ()), frozenset(formats or ()))
