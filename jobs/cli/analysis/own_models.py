"""Command that checks an analyst's own model: check-model."""

from typing import Annotated

import typer

from jobs.cli.terminal import JsonOption, print_json, printable

app = typer.Typer()


@app.command("check-model", epilog="\b\nExample: xuelu check-model my_models:Recency")
def check_command(
    model: Annotated[
        str, typer.Argument(help="The model as MODULE:CLASS; the module is installed or in the working folder.")
    ],
    json: JsonOption = False,
) -> None:
    """Check a model of your own by the contract of models.

    A line is printed for each check, and how many hold. Exit status 1 where one does not hold.
    """
    from recommender.model_contract.checks import results
    from recommender.own_models import import_own
    from recommender.registry import own_models

    own_models([model])
    faults = results(import_own(model))
    if json:
        checks = [{"check": sentence, "fault": fault} for sentence, fault in faults.items()]
        print_json({"model": model, "passed": not any(faults.values()), "checks": checks})
    else:
        for sentence, fault in faults.items():
            typer.echo(f"ok     {sentence}" if fault is None else f"fails  {sentence}: {printable(fault)}")
        n_failed = sum(fault is not None for fault in faults.values())
        typer.echo(f"checks: {len(faults) - n_failed} hold, {n_failed} do not")
    if any(faults.values()):
        raise typer.Exit(1)
