"""The command line: ``xuelu``."""

import errno
import io
import re
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version as version_of
from typing import Annotated, ClassVar

import typer

from content_catalog.errors import XueluError
from infra.errors import ImportRefusedError
from infra.runs.memory import collect_rarely
from jobs.cli import data, delivery, endpoints, keys, lists, people, runs
from jobs.cli.analysis import coverage, experiments, exports, own_models, quality, reports, trials
from jobs.cli.help import CommandGroup
from jobs.cli.terminal import printable

GOOD, UNSOUND, BAD_USE, STOPPED = 0, 1, 2, 130
UNDECODED = re.compile("[\ud800-\udfff]")
"""Bytes of an argument that are no UTF-8, as Python reads them; no database stores such a text."""


class Xuelu(CommandGroup):
    """The command ``xuelu``."""

    sections: ClassVar = {
        "Start": ("init", "simulate", "serve"),
        "Data in": ("ingest", "doctor", "requirements", "timezone", "sharing"),
        "Nights": ("nightly", "runs", "policy"),
        "Lists": ("show", "why", "coverage"),
        "Delivery": ("endpoints", "deliver", "deliveries"),
        "Analysis": (
            "backtest", "tune", "trials", "report", "experiment", "check-model", "features", "export", "views",
        ),
        "People's rights": ("choices", "erase", "receipt", "retain"),
        "Operation": ("keys", "audit", "backup", "restore"),
    }  # fmt: skip


app = typer.Typer(
    name="xuelu",
    cls=Xuelu,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_command_of = cache(typer.main.get_command)
"""Options of all commands, read from their signatures once in a process: that takes 24 ms."""


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback of an option
    if wanted:
        typer.echo(version_of("xuelu"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """From study logs to explained push lists.

    Start with: xuelu init, xuelu ingest, xuelu nightly, xuelu show. `xuelu COMMAND --help` explains a command.
    """


for module in (
    data,
    lists,
    keys,
    runs,
    endpoints,
    delivery,
    people,
    quality,
    experiments,
    coverage,
    reports,
    own_models,
    exports,
    trials,
):
    app.add_typer(module.app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 good, 1 the data or lists are not sound, 2 bad use."""
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if undecoded := next((word for word in words if UNDECODED.search(word)), None):
        return _complain(f"the argument {undecoded!r} is not UTF-8; check the encoding of the terminal", BAD_USE)
    try:
        status = _command_of(app).main(args=words, prog_name="xuelu", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        return _complain("stopped", STOPPED)
    except typer.TyperException as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        message = message.replace(": Value error, ", ": ")  # pydantic's words for an option's value
        # A group without a command answers with its help, which is no error of one line.
        show = _help if type(error).__name__ == "NoArgsIsHelpError" else _complain
        return show(message, BAD_USE)
    except XueluError as error:
        return _complain(str(error), UNSOUND if isinstance(error, ImportRefusedError) else BAD_USE)
    except OSError as error:
        full = error.errno == errno.ENOSPC
        hint = "free some space and run the command again" if full else "check the path and its permissions"
        fault = ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
        return _complain(f"{fault}; {hint}", BAD_USE)
    return int(status or GOOD)


def _help(message: str, status: int) -> int:
    typer.echo(message)
    return status


def _complain(message: str, status: int) -> int:
    typer.echo("error: " + printable(" ".join(message.split())), err=True)
    return status


def run() -> None:
    """Entry point of the installed command."""
    collect_rarely()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that has ASCII alone shows other characters escaped.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(main())
