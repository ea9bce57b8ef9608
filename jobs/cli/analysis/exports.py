"""Commands that give analysts data: features, export, views."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.terminal import (
    ACTOR,
    ConfigOption,
    JsonOption,
    NowOption,
    OrganisationOption,
    clock,
    in_utc,
    print_figures,
    print_json,
    settings_for,
)


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("features", epilog="Example: xuelu features matrices --as-of 2021-03-22")(features_command)
    app.command("export", epilog="Example: xuelu export lists outcomes --format parquet -o bi")(export_command)
    group = typer.Typer(help="Views of lists, events and outcomes in PostgreSQL.", no_args_is_help=True)
    group.command("create", epilog="Example: xuelu views create bi --role analyst")(create_command)
    group.command("drop", epilog="Example: xuelu views drop bi")(drop_command)
    app.add_typer(group, name="views")


SchemaArgument = Annotated[str, typer.Argument(help="Schema of the database that holds the views, and nothing else.")]


def features_command(
    folder: Annotated[Path, typer.Argument(help="Folder for the files; created if it does not exist.")],
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    as_of: NowOption = None,
    json: JsonOption = False,
) -> None:
    """Write the feature matrices as Parquet: interactions.parquet and profiles.parquet."""
    from infra.db.engine import opened
    from jobs.ingest.export import write_matrices

    settings = settings_for(config, organisation)
    with opened(settings.database_url) as engine:
        written = write_matrices(engine, settings, folder, as_of=in_utc(as_of) or clock(), actor=ACTOR, now=clock())
    if json:
        print_json({"folder": folder, "rows": written})
    else:
        print_figures(f"Written to {folder}", written)


def export_command(
    output: Annotated[Path, typer.Option("-o", help="Folder for the files; created if it does not exist.")],
    facts: Annotated[
        list[str] | None, typer.Argument(help="lists, events, outcomes; several may be given, by default all.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="parquet, csv or jsonl.")] = "parquet",
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Write lists, events or outcomes with the members, items and runs that they name, as files for BI tools.

    Members who switched personalisation off are left out. An erasure removes the files.
    """
    from infra.db.engine import opened
    from infra.exports.export import export
    from infra.exports.star_schema import FACTS

    settings = settings_for(config, organisation)
    with opened(settings.database_url) as engine:
        written = export(engine, settings, facts or [*FACTS], output, form=form, actor=ACTOR, now=clock())
    if json:
        print_json({"folder": output, "rows": written})
    else:
        print_figures(f"Written to {output}", written)


def create_command(
    schema: SchemaArgument,
    role: Annotated[str | None, typer.Option(help="Role of the database that may read the views.")] = None,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Create read-only views of what `xuelu export` writes, or replace them; PostgreSQL alone.

    They show one organisation, without members who switched personalisation off.
    """
    from infra.db.engine import opened
    from infra.exports import views

    settings = settings_for(config, organisation)
    with opened(settings.database_url) as engine:
        views.create(engine, settings, schema, role, actor=ACTOR, now=clock())
    names = [f"{schema}.{name}" for name in views.TABLES]
    if json:
        print_json({"views": names, "role": role})
    else:
        readers = f"role {role} may read them" if role else "only their owner may read them; name one with --role"
        typer.echo(f"Created {', '.join(names)}; {readers}.")


def drop_command(
    schema: SchemaArgument,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Drop a schema of views."""
    from infra.db.engine import opened
    from infra.exports import views

    settings = settings_for(config, organisation)
    with opened(settings.database_url) as engine:
        views.drop(engine, settings, schema, actor=ACTOR, now=clock())
    if json:
        print_json({"dropped": schema})
    else:
        typer.echo(f"Dropped {schema}.")
