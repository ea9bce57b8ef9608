"""Commands that give analysts data: features, export, views."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.help import add_group, command
from jobs.cli.terminal import ACTOR, NowOption, Options, clock, in_utc, print_figures

SchemaArgument = Annotated[str, typer.Argument(help="Schema of the database that holds the views, and nothing else.")]

app = typer.Typer()
views_app = add_group(app, "views", "Create or drop views for BI tools in PostgreSQL.")


@command(app, "features", "xuelu features matrices --as-of 2021-03-22")
def features_command(
    options: Options,
    folder: Annotated[Path, typer.Argument(help="Folder for the files; created if it does not exist.")],
    as_of: NowOption = None,
) -> None:
    """Write the feature matrices as Parquet files.

    These are interactions.parquet, profiles.parquet and mastery.parquet. Members who switched personalisation off
    are left out. An erasure removes the files.
    """
    from infra.exports.matrices import export_matrices

    now = clock()
    moment = in_utc(as_of, latest=now) or now
    with options.engine() as (engine, settings):
        written = export_matrices(engine, settings, folder, as_of=moment, actor=ACTOR, now=now)
    _print_written(options, folder, written)


@command(app, "export", "xuelu export lists outcomes --format parquet -o bi")
def export_command(
    options: Options,
    output: Annotated[Path, typer.Option("-o", help="Folder for the files; created if it does not exist.")],
    facts: Annotated[
        list[str] | None, typer.Argument(help="lists, events, outcomes; several may be given, by default all.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="parquet, csv or jsonl.")] = "parquet",
) -> None:
    """Write lists, events or outcomes as files for BI tools.

    The members, items and runs that they name are written too. Members who switched personalisation off are left
    out. An erasure removes the files.
    """
    from infra.exports.export import export
    from infra.exports.star_schema import FACTS

    with options.engine() as (engine, settings):
        written = export(engine, settings, facts or [*FACTS], output, form=form, actor=ACTOR, now=clock())
    _print_written(options, output, written)


def _print_written(options: Options, folder: Path, rows: dict[str, int]) -> None:
    options.show({"folder": folder, "rows": rows}, lambda: print_figures(f"Written to {folder}", rows))


@command(views_app, "create", "xuelu views create bi --role analyst")
def create_command(
    options: Options,
    schema: SchemaArgument,
    role: Annotated[str | None, typer.Option(help="Role of the database that may read the views.")] = None,
) -> None:
    """Create or replace read-only views of what is exported.

    They have the columns of what `xuelu export` writes, on PostgreSQL alone. They show one organisation, without
    members who switched personalisation off.
    """
    from infra.exports import views

    with options.engine() as (engine, settings):
        views.create(engine, settings, schema, role, actor=ACTOR, now=clock())
    names = [f"{schema}.{name}" for name in views.TABLES]
    readers = f"role {role} may read them" if role else "only their owner may read them; name one with --role"
    options.print({"views": names, "role": role}, f"Created {', '.join(names)}; {readers}.")


@command(views_app, "drop", "xuelu views drop bi")
def drop_command(options: Options, schema: SchemaArgument) -> None:
    """Drop a schema of views."""
    from infra.exports import views

    with options.engine() as (engine, settings):
        views.drop(engine, settings, schema, actor=ACTOR, now=clock())
    options.print({"dropped": schema}, f"Dropped {schema}.")
