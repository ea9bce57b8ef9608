"""Commands that judge and tune how lists are made: replay, tune."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.cli.terminal import ConfigOption, OrganisationOption, print_table, settings_for

if TYPE_CHECKING:
    from jobs.evaluation.backtest import Span

FromOption = Annotated[
    str, typer.Option("--from", help="First day at whose start, in UTC, lists are made: 2021-03-01.")
]
ToOption = Annotated[str, typer.Option("--to", help="Last such day; it counts too.")]
StepOption = Annotated[int, typer.Option(min=1, help="Days between lists.")]
HorizonOption = Annotated[int, typer.Option(min=1, help="Days after each that tell what was studied next.")]
LengthOption = Annotated[int, typer.Option("--k", min=1, max=60, help="Length of the lists.")]
METRICS = ("recall", "ndcg", "hit_rate", "coverage")


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    app.command("replay", epilog="Example: xuelu replay --from 2021-03-01 --to 2021-03-07 --models default,ease")(
        replay_command
    )
    app.command(
        "tune", epilog="Example: xuelu tune ease --from 2020-12-01 --to 2020-12-31 --trials 20 --out ease.toml"
    )(tune_command)


def replay_command(
    first: FromOption,
    last: ToOption,
    step_days: StepOption = 1,
    horizon_days: HorizonOption = 1,
    k: LengthOption = 10,
    models: Annotated[
        str | None,
        typer.Option(help="Models to judge, separated by commas; `default` is the pipeline; all by default."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="File for all rows as JSON: every model and slice, with intervals.")
    ] = None,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Judge models on past days: lists from what was known before each, against what members first studied after it."""
    import orjson

    from infra.db.engine import opened
    from jobs.evaluation.backtest import replayed

    settings = settings_for(config, organisation)
    span = _span(first, last, step_days, horizon_days, k)
    with opened(settings.database_url) as engine:
        rows = replayed(
            engine, settings, span, models=[name for name in (models or "").split(",") if name], watch=_watched
        )
    if json:
        json.write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2))
    for part in ("warm", "cold"):
        shown = [row for row in rows if row["slice"] == part]
        if shown:
            title = f"{part}: {shown[0]['lists']:,} lists of {k}, {first} to {last}, judged on {horizon_days} days each"
            print_table(title, ["model", *METRICS, "NDCG, 95 %"], [_cells(row) for row in shown])


def _cells(row: dict[str, Any]) -> list[object]:
    low, high = row["ndcg_interval"]
    return [row["model"], *(row[name] for name in METRICS), f"{low:.3f} to {high:.3f}"]


def _span(first: str, last: str, step_days: int, horizon_days: int, k: int) -> "Span":
    from jobs.evaluation.backtest import Span, moment

    start, end = (moment(day, horizon_days=horizon_days) for day in (first, last))
    return Span(start, end, step_days=step_days, horizon_days=horizon_days, k=k)


def _watched(judged: Any, total: int) -> Any:
    from rich.console import Console
    from rich.progress import track

    return track(judged, description="replay", total=total, console=Console(stderr=True), transient=True)


def tune_command(
    what: Annotated[str, typer.Argument(help="A model's name, or `blend` for the learned ranking.")],
    first: FromOption,
    last: ToOption,
    trials: Annotated[int, typer.Option(min=1, help="Trials altogether, those of an earlier search included.")] = 30,
    timeout: Annotated[float | None, typer.Option(min=1, help="Seconds after which no new trial begins.")] = None,
    step_days: StepOption = 1,
    horizon_days: HorizonOption = 1,
    held_out: Annotated[int, typer.Option(min=1, help="Last days that are kept out of the search and reported.")] = 7,
    out: Annotated[Path | None, typer.Option(help="File for the winner as a fragment of xuelu.toml.")] = None,
    study: Annotated[
        Path | None, typer.Option(help="SQLite file that keeps the trials: the same one goes on with them.")
    ] = None,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Search settings of a model or of the blend on past days; the last days judge the winner, not the search."""
    from infra.db.engine import opened
    from jobs.cli.terminal import progress_bar
    from jobs.evaluation.tune import Search, tuned

    settings = settings_for(config, organisation)
    span = _span(first, last, step_days, horizon_days, 10)
    with opened(settings.database_url) as engine, progress_bar("tune") as advance:
        found = tuned(
            engine,
            settings,
            what,
            span,
            Search(trials, held_out, timeout_seconds=timeout, storage=study),
            tell=advance,
        )
    columns = list(found.trials[0])
    print_table(f"trials of {what}, best first", columns, [list(row.values()) for row in found.trials])
    print_table("what mattered", ["setting", "importance"], [list(pair) for pair in found.importances.items()])
    print_table("days kept out of the search", ["settings", "recall", "ndcg"], found.held_out)
    typer.echo(found.toml, nl=False)
    if out:
        out.write_text(found.toml, encoding="utf-8")
