"""Commands about experiments: start, stop, list, report."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from content_catalog.errors import why_unreadable
from infra.errors import SettingsError
from jobs.cli.help import add_group, command
from jobs.cli.terminal import MAX_COUNT, Options, audit_command, clock, print_json, print_rows

if TYPE_CHECKING:
    from infra.runs.experiments import Experiment

EXPERIMENT = ("name", "variants", "started", "stopped")
NameArgument = Annotated[str, typer.Argument(help="Name of the experiment.")]

app = typer.Typer()
group = add_group(app, "experiment", "Try variants of the settings on some members each.")


@command(group, "start", "xuelu experiment start spring --variant tuned=ease.toml --share 0.5")
def start_command(
    options: Options,
    name: NameArgument,
    variant: Annotated[
        list[str],
        typer.Option(
            help="Variant as NAME=FILE, a fragment of xuelu.toml as `xuelu tune -o` writes; NAME alone changes "
            "nothing: an A/A test. May be given several times."
        ),
    ],
    share: Annotated[
        float | None,
        typer.Option(help="Share of the members in each variant; the control has the rest. Default: equal shares."),
    ] = None,
) -> None:
    """Start an experiment with the next night.

    Members are split by a hash of their ids, and lists are made by variant. A variant may change settings of the
    sections models, ranker, objective and policy.
    """
    from infra.runs import experiments

    variants: dict[str, dict[str, Any]] = {}
    for text in variant:
        label, _, file = text.partition("=")
        if label.endswith(".toml"):
            raise SettingsError(f"--variant {text!r} is a file without the name of its variant; write NAME={label}")
        if label in variants:
            raise SettingsError(f"variant {label!r} is given twice; give each a name of its own")
        changes = _read_changes(Path(file)) if file else {}
        experiments.changed(options.settings(), changes)
        variants[label] = {"share": share or 1 / (len(variant) + 1), "settings": changes}
    with options.session() as (session, key, _):
        started = experiments.start(session, key, name, variants, now=clock())
        audit_command(session, key, "experiment.start", {"experiment": name})
    options.print(_plain(started), f"experiment {name} begins with the next night: {_shares(started)}")


@command(group, "stop", "xuelu experiment stop spring")
def stop_command(options: Options, name: NameArgument) -> None:
    """Stop an experiment with the next night.

    All members then get the lists of the settings.
    """
    from infra.runs import experiments

    with options.session() as (session, key, _):
        stopped = experiments.stop(session, key, name, now=clock())
        audit_command(session, key, "experiment.stop", {"experiment": name})
    text = f"experiment {name} ends with the next night; `xuelu experiment report {name}` shows its effects"
    options.print(_plain(stopped), text)


@command(group, "list", "xuelu experiment list --json")
def list_command(options: Options) -> None:
    """List the experiments, the newest first."""
    from infra.runs import experiments

    with options.session() as (session, key, _):
        present = experiments.all_of(session, key)
    if options.json:
        print_json([_plain(experiment) for experiment in present])
        return
    values = ((each.name, _shares(each), each.started_at, each.stopped_at) for each in present)
    rows = [dict(zip(EXPERIMENT, row, strict=True)) for row in values]
    print_rows("Experiments", EXPERIMENT, rows, empty="`xuelu experiment start NAME --variant VARIANT=FILE` begins one")


@command(group, "report", "xuelu experiment report spring")
def report_command(options: Options, name: NameArgument) -> None:
    """Show what the lists of each variant led to.

    Exit status 1 where the split of the members is not what it should be. Intervals hold however often one looks. A
    group of too few members is shown without figures.
    """
    from infra.reports.experiment_effects import effects
    from infra.runs import experiments

    with options.session() as (session, key, settings):
        experiment = experiments.find(session, key, name)
        report = effects(session, key, experiment, min_group_size=settings.privacy.smallest_group)
    options.show(report, lambda: _print_report(report))
    if not report["split_holds"]:
        raise typer.Exit(1)


@command(group, "estimate", "xuelu experiment estimate ease.toml --runs 14")
def estimate_command(
    options: Options,
    file: Annotated[Path, typer.Argument(help="Variant: a fragment of xuelu.toml, as `xuelu tune -o` writes.")],
    n_runs: Annotated[
        int, typer.Option("--runs", min=1, max=MAX_COUNT, help="Published runs, the newest, of which lists count.")
    ] = 7,
    places: Annotated[int, typer.Option(min=1, max=100, help="Places from the top whose entries count.")] = 5,
    outcome: Annotated[str, typer.Option(help="opened, completed or passed.")] = "opened",
) -> None:
    """Estimate what lists by other settings would have led to.

    It counts lists of past runs that explored. The variant is fitted as of each run. Lists explore where the
    setting `policy.exploration_share` is above 0.
    """
    from infra.runs import experiments
    from jobs.evaluation.estimate import ESTIMATED, estimate

    if outcome not in ESTIMATED:
        raise SettingsError(f"no outcome {outcome!r}; choose {', '.join(ESTIMATED)}")
    with options.engine() as (engine, settings):
        changed = experiments.changed(settings, _read_changes(file))
        figures = estimate(engine, settings, changed, n_runs=n_runs, places=places, outcome=outcome)
    options.show(figures, lambda: _print_estimate(figures))


def _print_estimate(figures: dict[str, Any]) -> None:
    typer.echo(
        f"{figures['outcome']} of the first {figures['places']} entries: {figures['logged']:.4f} as logged, on"
        f" {figures['lists']:,} lists of {figures['members']:,} members in {figures['runs']} runs"
    )
    if "dr" not in figures:
        typer.echo(f"no estimate yet: none of these entries was {figures['outcome']}")
        return
    for name in ("ips", "snips", "dr"):
        if name in figures:
            typer.echo(f"variant, {name}: {_interval(figures[name])}")
    typer.echo(f"variant, difference by dr: {_interval(figures['difference'])}")
    typer.echo(
        f"mean weight {figures['weight']:.2f}, which is near 1 where all that the variant lists was possible by chance;"
        f" {figures['effective_entries']:,.0f} effective entries"
    )


def _interval(figures: dict[str, float]) -> str:
    return "{value:.4f} ({low:.4f} to {high:.4f})".format(**figures)


def _print_report(report: dict[str, Any]) -> None:
    basis = "lists shown" if report["basis"] == "shown" else "lists made, as no app reports which were shown"
    columns = ("variant", "share", "members", "opened", "completed", "passed")
    print_rows(f"{report['experiment']}: outcomes per member, of {basis}", columns, report["variants"])
    for row in report["effects"]:
        verdict = "not decided yet" if not row["decided"] else "better" if row["difference"] > 0 else "worse"
        between = "no interval yet" if row["low"] is None else f"{row['low']:+.4f} to {row['high']:+.4f}"
        typer.echo(f"{row['variant']}, {row['outcome']}: {row['difference']:+.4f} ({between}): {verdict}")
    if not report["split_holds"]:
        typer.echo(
            f"the split does not fit the shares (p = {report['split_p_value']:.2g}): do not trust the effects; check"
            " whether apps report all that is shown"
        )


def _read_changes(path: Path) -> dict[str, Any]:
    """Return the sections of a fragment of the settings.

    Raises
    ------
    SettingsError
        The file cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"variant file {path} cannot be read: {why_unreadable(error)}; `xuelu tune -o` writes one"
        ) from error


def _shares(experiment: "Experiment") -> str:
    split = experiment.split
    shares = [("control", split.control_share), *split.shares]
    return ", ".join(f"{name} {share:.0%}" for name, share in shares)


def _plain(experiment: "Experiment") -> dict[str, Any]:
    names = ("name", "variants", "started_at", "stopped_at")
    return {name: getattr(experiment, name) for name in names}
