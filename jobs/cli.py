"""The command line: ``xuelu``."""

import sys
from collections.abc import Sequence

import click
import typer

from content_catalog.errors import XueluError
from infra.errors import ImportRefusedError
from jobs import cli_data, cli_lists

GOOD, UNSOUND, BAD_USE = 0, 1, 2

app = typer.Typer(
    name="xuelu",
    help="From study logs to explained push lists. Start with: xuelu init, xuelu ingest, xuelu nightly, xuelu show.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
cli_data.register(app)
cli_lists.register(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 good, 1 the data or lists are not sound, 2 bad use."""
    try:
        status = typer.main.get_command(app).main(args=arguments, prog_name="xuelu", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        typer.echo(error.ctx.get_help() if error.ctx else "")
        return BAD_USE
    except click.ClickException as error:
        return _complain(error.format_message(), BAD_USE)
    except ImportRefusedError as error:
        return _complain(str(error), UNSOUND)
    except XueluError as error:
        return _complain(str(error), BAD_USE)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _complain("stopped", 130)
    return int(status or GOOD)


def _complain(message: str, status: int) -> int:
    typer.echo("error: " + " ".join(message.split()), err=True)
    return status


def run() -> None:
    """Entry point of the installed command."""
    sys.exit(main())
