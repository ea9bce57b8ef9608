"""Commands about trials: list, show, compare, export."""

import os
from contextlib import closing
from typing import Annotated, Any

import typer

from jobs.cli.help import add_group, command
from jobs.cli.terminal import MAX_COUNT, Options, print_figures, print_json, print_rows, print_table

COLUMNS = ("number", "kind", "subject", "days", "created_at", "settings_digest", "data_digest", "code_version")
SHORT = 12
"""Digits of a digest that a table shows."""

app = typer.Typer()
group = add_group(app, "trials", "List, show and compare stored backtests and searches.")


@command(group, "list", "xuelu trials list --json")
def list_command(options: Options) -> None:
    """List the trials, the newest first."""
    from infra.runs import trials

    with options.session() as (session, key, _):
        rows = trials.all_of(session, key)
    days = [{"days": f"{row['span']['first']} to {row['span']['last']}"} for row in rows]
    shown = [{name: _short(name, (row | span)[name]) for name in COLUMNS} for row, span in zip(rows, days, strict=True)]
    empty = "`xuelu backtest` and `xuelu tune` store one each"
    options.show(rows, lambda: print_rows("Trials", COLUMNS, shown, empty=empty))


@command(group, "show", "xuelu trials show 3")
def show_command(
    options: Options, number: Annotated[int, typer.Argument(min=1, max=MAX_COUNT, help="Number of the trial.")]
) -> None:
    """Show the figures of a trial; with --json its settings too."""
    from infra.runs import trials

    with options.session() as (session, key, _):
        trial = trials.find(session, key, number)
    if options.json:
        print_json(trial)
        return
    print_figures(f"Trial {number}", {name: trial[name] for name in COLUMNS if name in trial} | trial["span"])
    results = trial["results"]
    if trial["kind"] == "tune":
        print_held_out(results["held_out"], results.get("held_out_lists"))
        typer.echo(results["toml"], nl=False)
    else:
        print_rows(
            "figures",
            ("model", "slice", "lists", "recall", "ndcg", "hit_rate", "coverage"),
            results,
            empty="it evaluated no list",
        )


@command(group, "compare", "xuelu trials compare 3 4")
def compare_command(
    options: Options,
    first: Annotated[int, typer.Argument(min=1, max=MAX_COUNT, help="Number of a trial.")],
    second: Annotated[int, typer.Argument(min=1, max=MAX_COUNT, help="Number of the other trial.")],
) -> None:
    """Compare the settings and the figures of two trials.

    Figures of other data, days or code are no effect of the settings; the command names in which of these they differ.
    """
    from infra.runs import trials
    from jobs.evaluation.trials import compare

    with options.session() as (session, key, _):
        comparison = compare(*(trials.find(session, key, number) for number in (first, second)))
    if options.json:
        print_json(comparison)
        return
    labels = [f"trial {first}", f"trial {second}"]
    _print("settings that differ", ["setting", *labels], comparison["settings"])
    _print("figures of both", ["of", "metric", *labels, "difference"], comparison["metrics"])
    inputs = ", ".join(name.replace("_", " ") for name in comparison["inputs"])
    if inputs and comparison["settings"]:
        typer.echo(f"they differ in {inputs} too: not all of the difference is of the settings")
    elif inputs:
        typer.echo(f"they differ in {inputs}: no difference is of the settings")


@command(group, "export", "xuelu trials export http://mlflow:5000 3 4")
def export_command(
    options: Options,
    server: Annotated[str, typer.Argument(help="Address of an MLflow tracking server.")],
    numbers: Annotated[
        list[int] | None,
        typer.Argument(min=1, max=MAX_COUNT, help="Numbers of trials; by default all.", show_default=False),
    ] = None,
    experiment: Annotated[str, typer.Option(help="Experiment of MLflow; created if it does not exist.")] = "xuelu",
    no_pages: Annotated[bool, typer.Option("--no-pages", help="Store no report as an artefact.")] = False,
) -> None:
    """Write trials to an MLflow tracking server.

    Settings, digests, figures and the report are written. A trial that is there already is not written again.
    MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, name the user.
    """
    from infra.exports.mlflow import TrackingServer
    from infra.runs import trials
    from jobs.evaluation.tracking import as_tracked_run

    with options.session() as (session, key, settings):
        chosen = numbers or [row["number"] for row in reversed(trials.all_of(session, key))]
        runs = [
            as_tracked_run(trials.find(session, key, number), organisation=settings.organisation, pages=not no_pages)
            for number in chosen
        ]
    names = ("USERNAME", "PASSWORD", "TOKEN")
    user, password, token = (os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in names)
    with closing(TrackingServer(server, user=user, password=password, token=token)) as target:
        experiment_id = target.experiment(experiment)
        written = [number for number, run in zip(chosen, runs, strict=True) if target.record(experiment_id, run)]
    figures = {"experiment": experiment, "written": len(written), "present": len(chosen) - len(written)}
    options.print(figures, f"{experiment}: {len(written)} trials written, {figures['present']} there already")


def print_held_out(rows: list[list[Any]], n_lists: int | None) -> None:
    """Print the figures of the days held out; trials stored by early versions do not say of how many lists."""
    title = "days held out of the search"
    print_table(title if n_lists is None else f"{title}, lists: {n_lists:,}", ["settings", "recall", "ndcg"], rows)


def _print(title: str, columns: list[str], rows: list[dict[str, Any]]) -> None:
    if rows:
        print_table(title, columns, [list(row.values()) for row in rows])
    else:
        typer.echo(f"{title}: none")


def _short(name: str, value: Any) -> Any:
    return value[:SHORT] if name.endswith("_digest") else value
