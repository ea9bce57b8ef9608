"""The command line: ``xuelu``."""

import sys
from collections.abc import Sequence

import typer

from content_catalog.errors import XueluError
from infra.errors import ImportRefusedError
from jobs.cli import data, delivery, endpoints, keys, lists, people, quality, runs

GOOD, UNSOUND, BAD_USE, STOPPED = 0, 1, 2, 130

app = typer.Typer(
    name="xuelu",
    help="From study logs to explained push lists. Start with: xuelu init, xuelu ingest, xuelu nightly, xuelu show.",
    add_completion=False,
    rich_markup_mode=None,
)
data.register(app)
lists.register(app)
keys.register(app)
runs.register(app)
endpoints.register(app)
delivery.register(app)
people.register(app)
quality.register(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 good, 1 the data or lists are not sound, 2 bad use."""
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        status = typer.main.get_command(app).main(args=given, prog_name="xuelu", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        return _complain("stopped", STOPPED)
    except typer.TyperException as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        return _complain(message, BAD_USE)
    except XueluError as error:
        return _complain(str(error), UNSOUND if isinstance(error, ImportRefusedError) else BAD_USE)
    except OSError as error:
        where = error.filename or "file"
        return _complain(f"{where}: {error.strerror or error}; check the path and its permissions", BAD_USE)
    return int(status or GOOD)


def _complain(message: str, status: int) -> int:
    typer.echo("error: " + " ".join(message.split()), err=True)
    return status


def run() -> None:
    """Entry point of the installed command."""
    sys.exit(main())
