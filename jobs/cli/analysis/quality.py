"""Commands that evaluate and tune the ranking: backtest, tune."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.cli.analysis.output_files import bytes_written, file_option
from jobs.cli.analysis.trials import print_held_out
from jobs.cli.help import command
from jobs.cli.terminal import (
    MAX_COUNT,
    MAX_DAYS,
    Options,
    clock,
    echo_warning,
    print_json,
    print_rows,
    print_table,
    progress_bar,
)

if TYPE_CHECKING:
    from jobs.evaluation.backtest import Span

FromOption = Annotated[
    str, typer.Option("--from", help="First day at whose start, in UTC, lists are made: 2021-03-01.")
]
ToOption = Annotated[str, typer.Option("--to", help="Last such day; it counts too.")]
StepOption = Annotated[int, typer.Option(min=1, max=MAX_DAYS, help="Days between lists.")]
HorizonOption = Annotated[
    int, typer.Option(min=1, max=MAX_DAYS, help="Days after each within which an item counts as studied next.")
]
LengthOption = Annotated[int, typer.Option("--k", min=1, max=60, help="Length of the lists.")]
ReportOption = Annotated[
    Path | None, file_option(text="File for a report as one HTML page; `xuelu report` writes it in Chinese too.")
]
METRICS = ("recall", "ndcg", "hit_rate", "coverage")
MIN_LISTS = 30
"""Lists of a part below which a warning says that its figures mean little."""
app = typer.Typer()


@command(app, "backtest", "xuelu backtest --from 2021-03-01 --to 2021-03-07 --models default,ease")
def backtest_command(
    options: Options,
    first: FromOption,
    last: ToOption,
    step_days: StepOption = 1,
    horizon_days: HorizonOption = 1,
    k: LengthOption = 10,
    models: Annotated[
        str | None,
        typer.Option(help="Models to evaluate, separated by commas; `default` is the pipeline; all by default."),
    ] = None,
    output: Annotated[
        Path | None, file_option("-o", text="File for all rows as JSON: every model and slice, with intervals.")
    ] = None,
    report: ReportOption = None,
    trade_off: Annotated[
        str | None,
        typer.Option(help="Two outcomes, such as `began,passed`: also rank by learning from one to the other."),
    ] = None,
) -> None:
    """Evaluate models on past days.

    Lists are made from the log before each day, and compared with what members first studied after it.
    """
    import orjson

    from jobs.evaluation.backtest import run_backtest
    from jobs.evaluation.reports.report import backtest_page

    span = _span(first, last, step_days, horizon_days, k)
    names, outcomes = (
        [name.strip() for name in (text or "").split(",") if name.strip()] for text in (models, trade_off)
    )
    with options.engine() as (engine, settings):
        rows = run_backtest(engine, settings, span, models=names, trade_off=outcomes, watch=_with_bar, now=clock())
    if output:
        output.write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2))
    if report:
        report.write_text(backtest_page(rows, f"{first} – {last}"), encoding="utf-8")
    if options.json:
        print_json(rows)
        return
    for part in ("warm", "cold"):
        shown = [row for row in rows if row["slice"] == part]
        if shown:
            lists, days = _counted(shown[0]["lists"], "list"), _counted(horizon_days, "day")
            title = f"{part}: {lists} of {k}, {first} to {last}, evaluated on the {days} after each"
            print_table(title, ["model", *METRICS, "NDCG, 95 %"], [_cells(row) for row in shown])
            for row in shown:
                if row["model"] == "default" != row["baseline"]:
                    typer.echo(_beside_best(row))
            _warn_of_few(shown[0]["lists"], part)
    _echo_written(output, report)


def _echo_written(*paths: Path | None) -> None:
    """Print what was written to files, on standard error: standard output may be the winner's settings."""
    for path in paths:
        if path:
            typer.echo(bytes_written(path), err=True)


def _warn_of_few(number: int, part: str) -> None:
    """Warn of figures of too few lists."""
    if number < MIN_LISTS:
        lists = _counted(number, "list")
        echo_warning(f"{lists} {part}: below {MIN_LISTS} neither figures nor intervals mean much; take more days")


def _counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> _counted(1, "list"), _counted(1200, "list")
    ('1 list', '1,200 lists')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _beside_best(row: dict[str, Any]) -> str:
    """Return a line on the pipeline beside the best single model.

    >>> _beside_best({"baseline": "ease", "ndcg_difference": -0.04, "ndcg_difference_interval": [-0.05, -0.03]})
    'default beside ease, the best single model: NDCG -0.0400 (95 %: -0.050 to -0.030)'
    """
    low, high = row["ndcg_difference_interval"]
    figures = f"NDCG {row['ndcg_difference']:+.4f} (95 %: {low:+.3f} to {high:+.3f})"
    return f"default beside {row['baseline']}, the best single model: {figures}"


def _cells(row: dict[str, Any]) -> list[object]:
    low, high = row["ndcg_interval"]
    return [row["model"], *(row[name] for name in METRICS), f"{low:.3f} to {high:.3f}"]


def _span(first: str, last: str, step_days: int, horizon_days: int, k: int) -> "Span":
    from jobs.evaluation.backtest import Span, moment

    start, end = (moment(day, horizon_days=horizon_days) for day in (first, last))
    return Span(start, end, step_days=step_days, horizon_days=horizon_days, k=k)


def _with_bar(evaluated: Any, total: int) -> Any:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(
        evaluated,
        description="backtest",
        total=total,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@command(app, "tune", "xuelu tune ease --from 2020-12-01 --to 2020-12-31 --trials 20 -o ease.toml")
def tune_command(
    options: Options,
    target: Annotated[str, typer.Argument(help="A model's name, or `ranker` for the learned ranking.")],
    first: FromOption,
    last: ToOption,
    trials: Annotated[
        int, typer.Option(min=1, max=MAX_COUNT, help="Trials altogether, those of an earlier search included.")
    ] = 30,
    timeout: Annotated[float | None, typer.Option(min=1, help="Seconds after which no new trial begins.")] = None,
    step_days: StepOption = 1,
    horizon_days: HorizonOption = 1,
    held_out: Annotated[
        int, typer.Option(min=1, max=MAX_DAYS, help="Last days that are held out of the search and reported.")
    ] = 7,
    output: Annotated[Path | None, file_option("-o", text="File for the winner as a fragment of xuelu.toml.")] = None,
    report: ReportOption = None,
    study: Annotated[
        Path | None, file_option(text="SQLite file of the trials: a later search with the same file continues.")
    ] = None,
) -> None:
    """Search settings of a model or of the ranker on past days.

    The last days are held out of the search, and evaluate the winner.
    """
    from dataclasses import asdict

    from jobs.evaluation.reports.report import tuning_page
    from jobs.evaluation.tune import SearchPlan, tune

    span = _span(first, last, step_days, horizon_days, 10)
    plan = SearchPlan(trials, held_out, timeout_seconds=timeout, storage=study)
    with options.engine() as (engine, settings), progress_bar("tune") as advance:
        result = tune(engine, settings, target, span, plan, progress=advance, now=clock())
    if output:
        output.write_text(result.toml, encoding="utf-8")
    if report:
        report.write_text(tuning_page(result, target), encoding="utf-8")
    if options.json:
        print_json(asdict(result))
        return
    print_rows(f"trials of {target}, best first", list(result.trials[0]), result.trials)
    print_table("importance of the settings", ["setting", "importance"], list(map(list, result.importances.items())))
    print_held_out(result.held_out, result.held_out_lists)
    _warn_of_few(result.held_out_lists or 0, "held out")
    typer.echo(result.toml, nl=False)
    _echo_written(output, report)
