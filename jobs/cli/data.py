"""Commands for data, which import what they need when they run, so that ``xuelu --help`` is fast."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from content_catalog.errors import MappingError
from infra.errors import SettingsError
from infra.settings.settings import Settings
from jobs.cli.help import command
from jobs.cli.terminal import (
    ACTOR,
    MAX_COUNT,
    MAX_DAYS,
    JsonOption,
    NowOption,
    Options,
    clock,
    echo_text,
    echo_warning,
    in_utc,
    print_figures,
    print_json,
    print_table,
    progress_bar,
)

if TYPE_CHECKING:
    from content_catalog.taxonomy import Taxonomy
    from jobs.ingest.ingest import ImportResult

app = typer.Typer()


class Kind(StrEnum):
    """Kind of an input file."""

    EVENTS = "events"
    MEMBERS = "members"
    ITEMS = "items"
    UNITS = "units"
    XAPI = "xapi"
    REQUIREMENTS = "requirements"
    CURATIONS = "curations"
    ROLES = "roles"
    INDUSTRIES = "industries"


TAXONOMIES = {Kind.ROLES: "role", Kind.INDUSTRIES: "industry"}


@command(app, "init", "xuelu init", of_organisation=False)
def init_command(options: Options) -> None:
    """Create the tables of the database, or bring them up to date."""
    from infra.db.engine import address_of
    from infra.db.migrate import migrate
    from infra.exports import views

    with options.engine() as (engine, _), views.suspended(engine):
        migrate(engine)
    address = address_of(engine)
    options.print({"database": address}, f"The database {address} is ready. Next: xuelu ingest.")


@command(app, "ingest", "xuelu ingest events watches.csv.gz --mapping mars-watch --auto-create")
def ingest_command(
    options: Options,
    kind: Annotated[Kind, typer.Argument(help="Kind of the file's content.")],
    file: Annotated[
        Path | None,
        typer.Argument(help="CSV, JSON Lines or Parquet, plain or gzipped, or .xlsx; xapi: JSON Lines of statements."),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--from", help="xapi: address of a record store to pull statements from, instead of a file."),
    ] = None,
    mapping: Annotated[
        str | None,
        typer.Option(
            help="Mapping of foreign columns: a shipped one by name, such as mars-watch, or your own .toml file."
        ),
    ] = None,
    auto_create: Annotated[
        bool | None,
        typer.Option("--auto-create/--no-auto-create", help="Create members and items for unknown ids."),
    ] = None,
    encoding: Annotated[str, typer.Option(help="Encoding of CSV and JSON Lines, such as gbk or utf-16.")] = "utf-8",
    sheet: Annotated[str | None, typer.Option(help="Sheet of an Excel workbook; by default the first one.")] = None,
) -> None:
    """Import a file: study events, members, items, units and more.

    Bad lines go to a file of rejects with line, field, value and reason. Where more than max_reject_share of the lines
    are bad, nothing is imported and the exit status is 1. Importing the same file again changes nothing.
    """
    settings = options.settings(auto_create=auto_create)
    if url is not None:
        if kind is not Kind.XAPI or file is not None or mapping is not None:
            raise SettingsError("--from pulls xAPI statements: give no file and no mapping; see `xuelu ingest --help`")
        _pull(settings, url, json=options.json)
        return
    if file is None:
        raise SettingsError(f"give a file of {kind.value}; see `xuelu ingest --help`")
    if kind in TAXONOMIES:
        from content_catalog.taxonomy_file import read_taxonomy

        if mapping:
            raise MappingError(
                f"a mapping cannot be used for {kind.value}; give a CSV with code, parent, name_en, name_zh"
            )
        _ingest_taxonomy(settings, read_taxonomy(file, encoding=encoding, sheet=sheet), kind, json=options.json)
        return
    from infra.db.engine import opened
    from jobs.ingest.ingest import FileOptions, audit_import, ingest

    reading, now = FileOptions(mapping, encoding, sheet), clock()
    at_end = partial(audit_import, actor=ACTOR, now=now)
    with progress_bar(f"ingest {kind.value} {file.name}") as progress, opened(settings.database_url) as engine:
        result = ingest(engine, settings, file, kind.value, now=now, options=reading, at_end=at_end, progress=progress)
    _print_import(result, json=options.json)


def _pull(settings: Settings, url: str, *, json: bool) -> None:
    from infra.db.engine import opened
    from jobs.ingest.ingest import COUNTED
    from jobs.ingest.pull import pull

    with opened(settings.database_url) as engine:
        result = pull(engine, settings, url, now=clock(), actor=ACTOR)
    statements, figures = result.figures["lines"], {name: result.figures[name] for name in COUNTED}
    if json:
        print_json({"url": result.url, "statements": statements, **figures, "pulled_until": result.pulled_until})
        return
    typer.echo(f"{result.url}: {statements:,} statements pulled")
    _print_counts(figures, result.rejects_files)


def _print_counts(figures: dict[str, int], rejects_files: list[Path]) -> None:
    """Print the figures that are not 0, and where the rejects are."""
    for name, number in figures.items():
        if number:
            typer.echo(f"  {name.replace('_', ' ')}: {number:,}")
    for path in rejects_files:
        echo_text(f"  every reject with its line and reason: {path}")


def _ingest_taxonomy(settings: Settings, taxonomy: "Taxonomy", kind: Kind, *, json: bool) -> None:
    from infra.db.engine import opened
    from jobs.ingest.taxonomies import import_taxonomy

    with opened(settings.database_url) as engine:
        done = import_taxonomy(engine, settings, TAXONOMIES[kind], taxonomy, now=clock(), actor=ACTOR)
    if json:
        print_json({"kind": kind.value, **done})
        return
    typer.echo(f"{done['codes']} codes of {kind.value} stored")
    if done["unknown_codes"]:
        uses = [f"{done[name]:,} {name.split('_')[0]}" for name in done if name.endswith("_with_unknown_codes")]
        echo_warning(
            f"{', '.join(uses)} have codes that this taxonomy lacks, such as {done['unknown_codes'][0]}; "
            "import them again with its codes"
        )


def _print_import(result: "ImportResult", *, json: bool) -> None:
    from jobs.ingest.ingest import COUNTED

    counts, figures = result.counts, result.figures
    if json:
        print_json({"kind": counts.kind, "file": counts.file_name, **figures})
        return
    echo_text(f"{counts.file_name}: {counts.stored:,} of {counts.rows:,} lines of {counts.kind} stored")
    _print_counts(
        {name: figures[name] for name in COUNTED if name != "stored"},
        [result.rejects_file] if result.rejects_file else [],
    )
    if result.unused_columns:
        echo_text(f"  columns not used: {', '.join(result.unused_columns)}")
    if result.missing_columns:
        echo_text(f"  columns of the mapping that the file lacks: {', '.join(result.missing_columns)}")
    for column, near in result.similar_columns.items():
        echo_warning(f"column {column!r} was not used; if it is {near!r}, rename it and import again")
    for warning in result.warnings:
        echo_warning(warning)


@command(app, "doctor", "xuelu doctor --json")
def doctor_command(options: Options, as_of: NowOption = None) -> None:
    """Report on the quality of the data. Exit status 1 where it is not sound by the settings under [doctor]."""
    from infra.reports.data_quality import LABELS
    from jobs.ingest.doctor import examine

    now = clock()
    moment = in_utc(as_of, latest=now) or now
    with options.engine() as (engine, settings):
        report = examine(engine, settings, now=moment)
    if options.json:
        print_json(report)
    else:
        reasons = report["figures"].pop("rejects_by_reason")
        figures = {LABELS.get(name, name): value for name, value in report["figures"].items()}
        print_figures(f"Data of organisation {settings.organisation!r}", figures)
        if reasons:
            print_table("Rejects by reason", ["lines", "field: reason"], [(n, reason) for reason, n in reasons.items()])
        for finding in report["findings"]:
            echo_text(f"not sound: {finding}")
        if report["sound"]:
            typer.echo("sound")
    if not report["sound"]:
        raise typer.Exit(1)


@app.command("simulate", epilog="\b\nExample: xuelu simulate demo --members 600 --items 400 --days 90 --seed 7")
def simulate_command(
    folder: Annotated[Path, typer.Argument(help="Folder for the files; created if it does not exist.")],
    members: Annotated[int, typer.Option(min=1, max=MAX_COUNT, help="Members of the organisation.")] = 600,
    items: Annotated[int, typer.Option(min=1, max=MAX_COUNT, help="Items of its catalogue.")] = 400,
    days: Annotated[int, typer.Option(min=1, max=MAX_DAYS, help="Days the log covers.")] = 90,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same files.")] = 0,
    bad_lines_share: Annotated[
        float, typer.Option(min=0, max=0.5, help="Share of lines that are bad on purpose.")
    ] = 0.02,
    study_rules: Annotated[bool, typer.Option("--study-rules", help="With series, requirements and the like.")] = False,
    until: NowOption = None,
    json: JsonOption = False,
) -> None:
    """Write the files of a simulated organisation. They hold items, members, study events, and true interests."""
    from simulator.simulate import simulate

    end = in_utc(until) or clock().replace(hour=0, minute=0, second=0, microsecond=0)
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{folder} is a file; name a folder")
    with progress_bar("simulate") as progress:
        summary = simulate(
            folder,
            members=members,
            items=items,
            days=days,
            seed=seed,
            until=end,
            bad_lines_share=bad_lines_share,
            study_rules=study_rules,
            progress=progress,
        )
    if json:
        print_json({"folder": folder, "rows": summary.rows})
    else:
        print_figures(f"Written to {folder}", summary.rows)
