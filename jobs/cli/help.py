"""Help of groups of commands: the first sentence of each command whole, under headings where there are many."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup

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
