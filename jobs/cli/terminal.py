"""Options, progress, tables and JSON of all commands."""

import codecs
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from infra.errors import SettingsError
from infra.settings.settings import MAX_NAME_LENGTH, Settings, load_settings
from jobs.progress import STEPS, StepProgress

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file; by default $XUELU_CONFIG, else xuelu.toml where it exists."),
]
OrganisationOption = Annotated[
    str | None, typer.Option("--organisation", help="Organisation to work for; by default the setting `organisation`.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts instead of text for people.")]
MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"]
NowOption = Annotated[
    datetime | None,
    typer.Option(
        "--as-of", formats=MOMENTS, help="Moment to work as of, in UTC where it has no offset; by default now."
    ),
]
MemberArgument = Annotated[str, typer.Argument(help="Id of the member.")]
LengthOption = Annotated[int, typer.Option("-n", min=1, max=100, help="Items to show.")]
LanguageOption = Annotated[
    str | None, typer.Option(help="Language of the reasons: zh-CN or en; by default the member's.")
]
DayOption = Annotated[
    datetime | None,
    typer.Option("--as-of", formats=["%Y-%m-%d"], help="Show the list of the night of this day, as it was then."),
]
MinutesOption = Annotated[
    int | None, typer.Option("--minutes", min=1, max=1_440, help="Time to study: the items take no longer together.")
]
MaxMinutesOption = Annotated[
    int | None, typer.Option("--max-minutes", min=1, max=1_440, help="Most minutes of one item.")
]
TopicOption = Annotated[list[str] | None, typer.Option("--topic", help="Items of this topic, or of one of these.")]
FormatOption = Annotated[list[str] | None, typer.Option("--format", help="Items of this format, or of one of these.")]

ACTOR = "command line"
"""Actor of entries in the audit log."""
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that command a terminal, or turn the direction of what follows."""
NOT_ASCII = re.compile(r"[^ -~]")
YEARS = range(1970, 2200)
"""Those that times in files may lie in."""
MAX_DAYS = 36_500
MAX_COUNT = 1_000_000
"""Bounds of options: databases and calendars have none of their own that read well."""
MAX_SHOWN = 20
"""Values of a list that one line shows."""


def settings_for(config: Path | None, organisation: str | None = None, **changes: Any) -> Settings:
    """Return the settings of a command, with what its options change."""
    settings = load_settings(config)
    if organisation is not None and not 0 < len(organisation) <= MAX_NAME_LENGTH:
        raise SettingsError(f"organisation {organisation!r}: give a name of 1 to {MAX_NAME_LENGTH} characters")
    options = {name: value for name, value in {"organisation": organisation, **changes}.items() if value is not None}
    return settings.model_copy(update=options) if options else settings


@dataclass(frozen=True, slots=True)
class Options:
    """Options that commands have in common: the organisation, the settings file, and whether JSON is printed."""

    organisation: str | None
    config: Path | None
    json: bool
    read: tuple[str, str] | None = None
    """Action and member id of the read of a member's data that :meth:`show` is to audit."""

    def settings(self, **changes: Any) -> Settings:
        """Return the settings of the command, with what its own options change."""
        return settings_for(self.config, self.organisation, **changes)

    @contextmanager
    def engine(self) -> Iterator[tuple["Engine", Settings]]:
        """Open the database for as long as the command takes; yield it with the settings."""
        from infra.db.engine import opened

        settings = self.settings()
        with opened(settings.database_url) as engine:
            yield engine, settings

    @contextmanager
    def session(self) -> Iterator[tuple["Session", int, Settings]]:
        """Yield a session that commits at the end, the key of the organisation, and the settings."""
        from infra.catalog import organisations
        from infra.db.engine import transaction

        with self.engine() as (engine, settings), transaction(engine) as session:
            yield session, organisations.key_of(session, settings.organisation), settings

    def show(self, value: Any, print_text: Callable[[], None]) -> None:
        """Print a value as JSON, or for people what a function prints; a read of a member's data is audited before."""
        if self.read:
            self.audit_reads(self.read[0], [self.read[1]])
        if self.json:
            print_json(value)
        else:
            print_text()

    def audit_reads(self, action: str, member_ids: Iterable[str]) -> None:
        """Append a read of members' data to the audit log, before anything of it is printed."""
        from infra.access import audit

        reads = Counter(member_ids)
        if reads:
            with self.session() as (session, key, _):
                audit.append_reads(session, key, actor=ACTOR, action=action, reads=reads, now=clock())

    def print(self, value: Any, text: str) -> None:
        """Print a value as JSON, or for people a text, which may hold what others sent."""
        self.show(value, lambda: echo_text(text))


def audit_command(
    session: "Session", organisation_key: int, action: str, detail: dict[str, Any], *, subject: str | None = None
) -> None:
    """Append what a command did to the audit log, as the last write of its transaction."""
    from infra.access import audit

    audit.append(session, organisation_key, actor=ACTOR, action=action, subject=subject, now=clock(), detail=detail)


def clock() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def in_utc(moment: datetime | None, *, latest: datetime | None = None) -> datetime | None:
    """Return the moment of ``--as-of`` or another option as an aware time; without an offset it is in UTC."""
    if moment is None:
        return None
    if moment.year not in YEARS:
        raise SettingsError(f"{moment.date()} is outside the years 1970 to 2199; give another day")
    aware = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if latest is not None and aware > latest:
        raise SettingsError(f"--as-of {aware:%Y-%m-%d %H:%M} UTC is in the future; give a moment up to now, or none")
    return aware


def echo_text(text: str) -> None:
    """Print a text that may hold what others sent, with its control characters escaped."""
    typer.echo(printable(text))


def echo_warning(text: str) -> None:
    """Print a warning to standard error."""
    typer.echo(printable(f"warning: {text}"), err=True)


def print_json(value: Any) -> None:
    """Print a value as one line of JSON; where standard output is not UTF-8, in ASCII."""
    text = orjson.dumps(value, default=_plain, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS).decode()
    is_utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
    typer.echo((CONTROLS if is_utf8 else NOT_ASCII).sub(_escaped, text))


def _escaped(character: re.Match[str]) -> str:
    """Return a character as JSON escapes it: one beyond 16 bits as two (RFC 8259, 7)."""
    return re.sub("(.{4})", r"\\u\1", character[0].encode("utf-16-be").hex())


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(type(value).__name__)


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float], None]]:
    """Show a progress bar on a terminal's standard error; yields the function that takes the share done."""
    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(printable(title), total=1.0)
        yield lambda share: progress.update(task, completed=share)


@contextmanager
def step_progress() -> Iterator[Callable[[StepProgress], None]]:
    """Show the steps of a night: a bar on a terminal's standard error, else one line of JSON as each finishes."""
    console = Console(stderr=True)
    columns = (TextColumn("nightly: {task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("start", total=len(STEPS))

        def show(step: StepProgress) -> None:
            progress.update(task, description=step.step, advance=int(step.state != "started"))
            if not console.is_terminal and step.state != "started":
                typer.echo(orjson.dumps(step).decode(), err=True)

        yield show


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table under its caption, which stays on one line."""
    table = Table()
    for name, *cells in zip(columns, *rows, strict=True):
        numeric = bool(cells) and all(isinstance(cell, int | float) for cell in cells)
        whole = _is_whole(name, cells)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(_shown(value) for value in row))
    # Texts are shown as they are, whatever rich would read into their brackets and colons.
    console = Console(soft_wrap=False, markup=False, emoji=False, highlight=False)
    console.print(printable(title), style="bold", soft_wrap=True)
    console.print(table)


def print_rows(title: str, columns: Sequence[str], rows: Sequence[Mapping[str, object]], *, empty: str = "") -> None:
    """Print some columns of rows as a table; one below the other where words would break; without rows, what to do."""
    cells = [[row[name] for name in columns] for row in rows]
    if not rows:
        echo_text("; ".join(filter(None, (f"{title}: none", empty))))
    elif _words_fit(columns, cells, Console().width):
        print_table(title, columns, cells)
    else:
        echo_text(title)
        for values in cells:
            print_figures("", dict(zip(columns, values, strict=True)))


def _is_whole(name: str, cells: Sequence[object]) -> bool:
    """Return whether a column's texts stay on one line: ids, which could not be copied, numbers and times."""
    return name.endswith("_id") or all(isinstance(cell, int | float | datetime | None) for cell in cells)


def _words_fit(columns: Sequence[str], rows: Sequence[Sequence[object]], width: int) -> bool:
    """Return whether a table of so many characters can hold each word, and each time, on one line.

    >>> _words_fit(["run", "as of"], [["a-long-id", "2026-11-29"]], 26), _words_fit(["run"], [["a-long-id"]], 12)
    (True, False)
    """
    words = 0
    for name, *cells in zip(columns, *rows, strict=True):
        texts = list(map(_shown, cells))
        parts = texts if _is_whole(name, cells) else [word for text in texts for word in text.split()]
        words += max(map(cell_len, [*name.split(), *parts]))
    return words + 3 * len(columns) + 1 <= width


def print_figures(title: str, figures: Mapping[str, object]) -> None:
    """Print names and values, one to a line; names of files as they are."""
    echo_text(title)
    labels = [name if "." in name else name.replace("_", " ") for name in figures]
    width = max(24, *map(len, labels))
    for label, value in zip(labels, figures.values(), strict=True):
        typer.echo(f"  {label:<{width}} {_shown(value)}")


def _shown(value: object) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M UTC")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return printable(", ".join(map(str, value[:MAX_SHOWN]))) or "-"
    if isinstance(value, dict):
        return (
            ", ".join(f"{printable(str(name)).replace('_', ' ')} {_shown(part)}" for name, part in value.items()) or "-"
        )
    return f"{value:.4f}" if isinstance(value, float) else "-" if value is None else printable(str(value))


def printable(content: str) -> str:
    """Return a text with its control characters escaped: what others sent must not command the terminal."""
    return CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), content)
