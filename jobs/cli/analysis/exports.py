"""Command that exports lists, events and outcomes for BI tools: export."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.terminal import (
    ACTOR,
    ConfigOption,
    JsonOption,
    OrganisationOption,
    clock,
    print_figures,
    print_json,
    settings_for,
)


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("export", epilog="Example: xuelu export lists outcomes --format parquet -o bi")(export_command)


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
