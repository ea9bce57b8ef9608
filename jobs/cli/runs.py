"""Commands about runs: list, show, publish, rollback, diff, prune; and a dry run of other settings.

What a command needs it imports when it runs, so that ``xuelu --help`` answers at once.
"""

from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.cli.terminal import (
    ACTOR,
    ConfigOption,
    JsonOption,
    OrganisationOption,
    clock,
    note,
    print_figures,
    print_json,
    print_table,
    settings_for,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session

    from infra.settings.settings import Settings

RunArgument = Annotated[str, typer.Argument(help="Id of the run, or how it begins.")]
LISTED = ("run_id", "served", "status", "as_of", "made_at", "published_at", "lists")
SHOWN = (
    "run_id",
    "status",
    "as_of",
    "made_at",
    "published_at",
    "settings_digest",
    "data_digest",
    "code_version",
    "seeds",
    "counts",
)

policy = typer.Typer(help="Look at what other settings would do.", no_args_is_help=True)
app = typer.Typer(help="Look at the runs of past nights, and choose which one is served.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("list", epilog="Example: xuelu runs list -n 5")(list_command)
    app.command("show", epilog="Example: xuelu runs show 5f0a6f5e")(show_command)
    app.command("publish", epilog="Example: xuelu runs publish 5f0a6f5e")(publish_command)
    app.command("rollback", epilog="Example: xuelu runs rollback")(rollback_command)
    app.command("diff", epilog="Example: xuelu runs diff 5f0a6f5e 9a44d05e")(diff_command)
    app.command("prune", epilog="Example: xuelu runs prune --keep-days 30")(prune_command)
    policy.command("diff", epilog="Example: xuelu policy diff --settings new.toml")(policy_diff_command)
    parent.add_typer(app, name="runs")
    parent.add_typer(policy, name="policy")


@contextmanager
def _organisation(
    config: "Path | None", organisation: str | None, **changes: Any
) -> "Iterator[tuple[Settings, Session, int]]":
    from infra.catalog import organisations
    from infra.db.engine import opened, transaction

    settings = settings_for(config, organisation, **changes)
    with opened(settings.database_url) as engine, transaction(engine) as session:
        yield settings, session, organisations.key_of(session, settings.organisation)


def list_command(
    n: Annotated[int, typer.Option("-n", min=1, help="Runs to list, the newest first.")] = 20,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List the stored runs, the newest first, and which one is served."""
    from sqlalchemy import select

    from infra.runs import store as runs

    with _organisation(config, organisation) as (_, session, key):
        served = session.scalar(select(runs.latest_key(key)))
        rows = [
            {**run, "served": run["run_key"] == served, "lists": run["counts"].get("lists", 0)}
            for run in runs.newest(session, key, n=n)
        ]
    if json:
        print_json([{name: run[name] for name in LISTED} for run in rows])
    else:
        print_table("Runs, the newest first", LISTED, [[run[name] for name in LISTED] for run in rows])


def show_command(
    run: RunArgument, organisation: OrganisationOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Show what a run was made from, how long its steps took, and what was checked."""
    from infra.runs import steps
    from infra.runs import store as runs

    with _organisation(config, organisation) as (_, session, key):
        row = runs.find(session, key, run)
        finished = list(steps.of_run(session, row).values())
    if json:
        print_json({**{name: row[name] for name in SHOWN}, "steps": finished, "checks": row["checks"]})
        return
    print_figures(f"Run {row['run_id']}", {name: row[name] for name in SHOWN})
    columns = ("name", "seconds", "rows", "peak_bytes")
    print_table("Steps", columns, [[step[name] for name in columns] for step in finished])
    checks = [
        [check["name"], "warning" if check["passed"] is None else check["passed"], check["detail"]]
        for check in row["checks"]
    ]
    print_table("Checks", ("check", "holds", "detail"), checks)


def publish_command(
    run: RunArgument,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why a run that was held is served all the same; for the audit log.")
    ] = None,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Serve a finished run from now on; one that was held for a reason that the audit log keeps."""
    from infra.delivery import outbox

    with _organisation(config, organisation) as (settings, session, key):
        row = outbox.publish_run(session, key, run, settings, actor=ACTOR, reason=reason or "", now=clock())
    _print_served(row["run_id"], json=json)


def rollback_command(
    organisation: OrganisationOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Hold the run that is served, and serve the one published before it: every member gets the same bytes as then."""
    from infra.delivery import outbox

    with _organisation(config, organisation) as (settings, session, key):
        before = outbox.roll_back(session, key, settings, actor=ACTOR, now=clock())
    _print_served(before["run_id"], json=json)


def _print_served(run_id: str, *, json: bool) -> None:
    if json:
        print_json({"served": run_id})
    else:
        typer.echo(f"run {run_id} is served now")


def diff_command(
    before: RunArgument,
    after: RunArgument,
    n: Annotated[int, typer.Option("-n", min=1, help="Rows to show; --json has all.")] = 20,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show which members gain and lose which items from one run to another."""
    from infra.runs import list_contents
    from infra.runs import store as runs
    from jobs.evaluation.diff import between

    with _organisation(config, organisation) as (_, session, key):
        rows = between(*(list_contents.lists_of(session, runs.find(session, key, run)) for run in (before, after)))
    _print_differences(rows, n=n, json=json)


def policy_diff_command(
    settings: Annotated[Path, typer.Option("--settings", help="Settings file with the new rules.")],
    n: Annotated[int, typer.Option("-n", min=1, help="Rows to show; --json has all.")] = 20,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show which members would gain and lose which items under other settings; nothing is written.

    Lists are compared as they are shown at the moment of the run that is served, so that only the settings differ. Of
    the new settings, those count that lists are made from or shown by.
    """
    from rich.console import Console

    from infra.db.engine import opened
    from jobs.evaluation.preview import preview

    own, changed = settings_for(config, organisation), settings_for(settings)
    with Console(stderr=True).status("policy diff"), opened(own.database_url) as engine:
        rows = preview(engine, own, changed)
    _print_differences(rows, n=n, json=json)


def _print_differences(rows: list[dict[str, Any]], *, n: int, json: bool) -> None:
    """Print who gains and loses what."""
    if json:
        print_json(rows)
        return
    members, gained = len({row["member_id"] for row in rows}), sum(row["change"] == "gains" for row in rows)
    typer.echo(f"{members:,} members: {gained:,} items gained, {len(rows) - gained:,} lost")
    if rows:
        columns = list(rows[0])
        print_table("The first of them", columns, [[row[name] for name in columns] for row in rows[:n]])


def prune_command(
    keep_days: Annotated[
        int | None,
        typer.Option(min=1, help="Keep runs of so many days; by default the setting nightly.keep_days."),
    ] = None,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Remove runs and lists that are older than what is kept; the run that is served always stays."""
    from infra.runs import store as runs

    with _organisation(config, organisation) as (settings, session, key):
        max_age = timedelta(days=keep_days or settings.nightly.keep_days)
        removed = runs.prune(session, key, before=clock() - max_age)
        note(session, key, "runs.prune", {"run_ids": removed})
    if json:
        print_json({"removed": removed})
    else:
        typer.echo(f"{len(removed):,} runs removed")
