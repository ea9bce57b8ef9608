"""Registration of commands and groups, whose help has the first sentence of each command whole."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from inspect import Signature, signature
from typing import Any, ClassVar, TypeVar

import typer
from typer.core import TyperGroup

from jobs.cli.terminal import ConfigOption, JsonOption, Options, OrganisationOption

Command = TypeVar("Command", bound=Callable[..., None])
UNCUT = 1_000
"""Characters of a summary, more than any has: none is cut."""


class CommandGroup(TyperGroup):
    """Group whose help has the first sentence of every command."""

    sections: ClassVar[Mapping[str, Sequence[str]]] = {}
    """Names of commands by heading, in their order; those left out stand under "Commands"."""

    def _by_heading(self) -> dict[str, Sequence[str]]:
        listed = {name for names in self.sections.values() for name in names}
        return {**self.sections, "Commands": [name for name in self.commands if name not in listed]}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - as the class above calls it
        """Return the names of the commands in the order of the help."""
        return [name for names in self._by_heading().values() for name in names]

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - as the class above calls it
        """Write the summaries of the commands, in columns that are the same for all headings."""
        width = max(map(len, self.commands))
        for heading, names in self._by_heading().items():
            rows = [(name.ljust(width), self.commands[name].get_short_help_str(UNCUT)) for name in names]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


def add_group(app: typer.Typer, name: str, summary: str) -> typer.Typer:
    """Add a group of commands to others and return it."""
    group = typer.Typer(help=summary, no_args_is_help=True, cls=CommandGroup)
    app.add_typer(group, name=name)
    return group


def command(
    group: typer.Typer, name: str, example: str, *, of_organisation: bool = True, reads: str | None = None
) -> Callable[[Command], Command]:
    """Register a command, which gets the options that commands have in common as its first argument.

    Where it reads its ``member``, ``reads`` is the action that the audit log gets.
    """

    def register(function: Command) -> Command:
        def run(
            organisation: OrganisationOption = None, config: ConfigOption = None, json: JsonOption = False, **own: Any
        ) -> None:
            function(Options(organisation, config, json, read=(reads, own["member"]) if reads else None), **own)

        common = [*signature(run).parameters.values()][0 if of_organisation else 1 : -1]
        _, *particular = signature(function).parameters.values()
        registered: Any = wraps(function)(run)
        registered.__signature__ = Signature([*particular, *common])  # typer makes the options of it
        group.command(name, epilog=f"\b\nExample: {example}")(registered)
        return function

    return register
