"""Commands about runs: list, show, publish, rollback, diff, prune; and a dry run of other settings.

What a command needs it imports when it runs, so that ``xuelu --help`` answers at once.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from jobs.cli.help import add_group, command
from jobs.cli.terminal import (
    ACTOR,
    MAX_COUNT,
    MAX_DAYS,
    Options,
    audit_command,
    clock,
    print_figures,
    print_json,
    print_rows,
    print_table,
    settings_for,
)

RunArgument = Annotated[str, typer.Argument(help="Id of the run, or how it begins.")]
RowsOption = Annotated[int, typer.Option("-n", min=1, max=MAX_COUNT, help="Rows to show; --json has all.")]
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

app = typer.Typer()
runs_app = add_group(app, "runs", "Look at the runs of past nights; choose which one is served.")
policy_app = add_group(app, "policy", "Look at what other settings would do.")


@command(runs_app, "list", "xuelu runs list -n 5")
def list_command(
    options: Options,
    n: Annotated[int, typer.Option("-n", min=1, max=MAX_COUNT, help="Runs to list, the newest first.")] = 20,
) -> None:
    """List the stored runs, the newest first, and which one is served."""
    from sqlalchemy import select

    from infra.reports import analytics
    from infra.runs import store as runs

    with options.session() as (session, key, _):
        served = session.scalar(select(runs.latest_key(key)))
        rows = [
            {**run, "served": run["run_key"] == served, "lists": run["counts"].get("lists", 0)}
            for run in analytics.run_page(session, key, before=None, limit=n)
        ]
    if options.json:
        print_json([{name: run[name] for name in LISTED} for run in rows])
    else:
        print_rows("Runs, the newest first", LISTED, rows, empty="`xuelu nightly` makes one")


@command(runs_app, "show", "xuelu runs show 5f0a6f5e")
def show_command(options: Options, run: RunArgument) -> None:
    """Show what a run was made from, its steps and its checks."""
    from infra.runs import steps
    from infra.runs import store as runs

    with options.session() as (session, key, _):
        row = runs.find(session, key, run)
        finished = list(steps.of_run(session, row).values())
    if options.json:
        print_json({**{name: row[name] for name in SHOWN}, "steps": finished, "checks": row["checks"]})
        return
    print_figures(f"Run {row['run_id']}", {name: row[name] for name in SHOWN})
    print_rows(
        "Steps", ("name", "seconds", "rows", "peak_bytes"), finished, empty="it was made before steps were recorded"
    )
    checks = [
        [check["name"], "warning" if check["passed"] is None else check["passed"], check["detail"]]
        for check in row["checks"]
    ]
    print_table("Checks", ("check", "holds", "detail"), checks)


@command(runs_app, "publish", "xuelu runs publish 5f0a6f5e")
def publish_command(
    options: Options,
    run: RunArgument,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Why a run that was held is served all the same; for the audit log.")
    ] = None,
) -> None:
    """Serve a finished run from now on.

    One that was held needs a reason, which the audit log keeps.
    """
    from infra.delivery import outbox

    with options.session() as (session, key, settings):
        row = outbox.publish_run(session, key, run, settings, actor=ACTOR, reason=reason or "", now=clock())
    options.print({"served": row["run_id"]}, f"run {row['run_id']} is served now")


@command(runs_app, "rollback", "xuelu runs rollback")
def rollback_command(options: Options) -> None:
    """Hold the run that is served, and serve the one before it.

    Every member gets the same bytes as then.
    """
    from infra.delivery import outbox

    with options.session() as (session, key, settings):
        before = outbox.roll_back(session, key, settings, actor=ACTOR, now=clock())
    options.print({"served": before["run_id"]}, f"run {before['run_id']} is served now")


@command(runs_app, "diff", "xuelu runs diff 5f0a6f5e 9a44d05e")
def diff_command(
    options: Options,
    before: RunArgument,
    after: RunArgument,
    n: RowsOption = 20,
) -> None:
    """Show which members gain and lose items between two runs."""
    from infra.runs import list_contents
    from infra.runs import store as runs
    from jobs.evaluation.diff import between

    with options.session() as (session, key, _):
        rows = between(*(list_contents.lists_of(session, runs.find(session, key, run)) for run in (before, after)))
    _print_differences(rows, n=n, json=options.json)


@command(policy_app, "diff", "xuelu policy diff --settings new.toml")
def policy_diff_command(
    options: Options,
    settings: Annotated[Path, typer.Option("--settings", help="Settings file with the new rules.")],
    n: RowsOption = 20,
) -> None:
    """Show what lists would gain and lose under other settings.

    Nothing is written. Lists are compared as they are shown at the moment of the run that is served, so that only
    the settings differ. Of the new settings, those count that lists are made from or shown by.
    """
    from rich.console import Console

    from jobs.evaluation.preview import preview

    with Console(stderr=True).status("policy diff"), options.engine() as (engine, own):
        rows = preview(engine, own, settings_for(settings))
    _print_differences(rows, n=n, json=options.json)


def _print_differences(rows: list[dict[str, Any]], *, n: int, json: bool) -> None:
    """Print who gains and loses what."""
    if json:
        print_json(rows)
        return
    members, gained = len({row["member_id"] for row in rows}), sum(row["change"] == "gains" for row in rows)
    typer.echo(f"{members:,} members: {gained:,} items gained, {len(rows) - gained:,} lost")
    if rows:
        print_rows("The first of them", list(rows[0]), rows[:n])


@command(runs_app, "prune", "xuelu runs prune --keep-days 30")
def prune_command(
    options: Options,
    keep_days: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_DAYS, help="Keep runs of so many days; by default the setting nightly.keep_days."),
    ] = None,
) -> None:
    """Remove runs and lists that are older than what is kept.

    The run that is served always stays, and so do those of the last week's pushes, which count under its caps,
    and of the last `fatigue_days`' where fatigue is on, which count as showings.
    """
    from infra.delivery.admin import counted_runs
    from infra.runs import artefacts
    from infra.runs import store as runs

    with options.session() as (session, key, settings):
        max_age = timedelta(days=keep_days or settings.nightly.keep_days)
        now = clock()
        counted = counted_runs(session, key, settings.policy, now=now)
        removed = runs.prune(session, key, before=now - max_age, stay=counted)
        audit_command(session, key, "runs.prune", {"run_ids": removed})
    for run_id in removed:
        artefacts.remove(settings.artefacts_folder / run_id)
    options.print({"removed": removed}, f"{len(removed):,} runs removed")
