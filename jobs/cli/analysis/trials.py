"""Commands about trials: list, show, compare."""

from typing import Annotated, Any

import typer

from jobs.cli.terminal import (
    ConfigOption,
    JsonOption,
    OrganisationOption,
    at_work,
    print_figures,
    print_json,
    print_table,
)

COLUMNS = ("number", "kind", "subject", "created_at", "settings_digest", "data_digest", "code_version")
SHORT = 12
"""Digits of a digest that a table shows."""


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    group = typer.Typer(help="Trials: stored backtests and searches of settings.", no_args_is_help=True)
    group.command("list", epilog="Example: xuelu trials list --json")(list_command)
    group.command("show", epilog="Example: xuelu trials show 3")(show_command)
    group.command("compare", epilog="Example: xuelu trials compare 3 4")(compare_command)
    app.add_typer(group, name="trials")


def list_command(
    organisation: OrganisationOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """List the trials, the newest first, with the digests of their settings, data and code."""
    from infra.runs import trials

    with at_work(config, organisation) as (session, key, _):
        rows = trials.all_of(session, key)
    if json:
        print_json(rows)
    else:
        print_table("Trials", COLUMNS, [[_short(name, row[name]) for name in COLUMNS] for row in rows])


def show_command(
    number: Annotated[int, typer.Argument(min=1, help="Number of the trial.")],
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show a trial: its figures, and with --json its settings too."""
    from infra.runs import trials

    with at_work(config, organisation) as (session, key, _):
        trial = trials.find(session, key, number)
    if json:
        print_json(trial)
        return
    print_figures(f"Trial {number}", {name: trial[name] for name in COLUMNS[1:]} | trial["span"])
    results = trial["results"]
    if trial["kind"] == "tune":
        print_table("days held out of the search", ["settings", "recall", "ndcg"], results["held_out"])
        typer.echo(results["toml"], nl=False)
    else:
        columns = ["model", "slice", "lists", "recall", "ndcg", "hit_rate", "coverage"]
        print_table("figures", columns, [[row[name] for name in columns] for row in results])


def compare_command(
    first: Annotated[int, typer.Argument(min=1, help="Number of a trial.")],
    second: Annotated[int, typer.Argument(min=1, help="Number of the other trial.")],
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Compare two trials: the settings in which they differ, and the figures that both have.

    Figures of other data, days or code are no effect of the settings; the command names in which of these they differ.
    """
    from infra.runs import trials
    from jobs.evaluation.trials import compare

    with at_work(config, organisation) as (session, key, _):
        comparison = compare(*(trials.find(session, key, number) for number in (first, second)))
    if json:
        print_json(comparison)
        return
    labels = [f"trial {first}", f"trial {second}"]
    _print("settings that differ", ["setting", *labels], comparison["settings"])
    _print("figures", ["of", "metric", *labels, "difference"], comparison["metrics"])
    if comparison["inputs"]:
        typer.echo(
            f"they differ in {', '.join(comparison['inputs'])} too: not all of the difference is of the settings"
        )


def _print(title: str, columns: list[str], rows: list[dict[str, Any]]) -> None:
    if rows:
        print_table(title, columns, [list(row.values()) for row in rows])
    else:
        typer.echo(f"{title}: none")


def _short(name: str, value: Any) -> Any:
    return value[:SHORT] if name.endswith("_digest") else value
