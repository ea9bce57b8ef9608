"""Column declarations, and the columns of items and rejects: declared once, checked where data enters.

Lists (topics, targets, prerequisites) are one text in frames, files and tables, parts separated by ``;``.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Final, Literal

ValueKind = Literal["text", "number", "instant", "date", "flag", "list", "hours", "zone"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of an input: its name and the constraints of its values.

    ``low`` and ``high`` bound a number (both included), ``choices`` a text, ``longest`` its characters. A ``key``
    identifies a record and has at most :data:`MAX_KEY_BYTES`. Only a ``multiline`` text may have control characters.
    ``refused`` holds patterns that no text may match, each with the reason.
    An empty value is missing and passes unless the column is ``required``.
    """

    name: str
    kind: ValueKind = "text"
    required: bool = False
    low: float = float("-inf")
    high: float = float("inf")
    choices: tuple[str, ...] = ()
    longest: int = 1_000
    key: bool = False
    multiline: bool = False
    refused: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of one kind of input, in canonical order; the first one is its key."""

    name: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """Column names, in canonical order."""
        return [column.name for column in self.columns]

    @property
    def required(self) -> list[str]:
        """Names of the columns that no file may lack."""
        return [column.name for column in self.columns if column.required]

    def similar(self, columns: Iterable[str], names: list[str], *, without: Collection[str] = ()) -> dict[str, str]:
        """Return those of a file's columns that look like one of the names, with that name.

        Also those that are the beginning or the end of only one name, unless it is a flag or among ``without``.
        Only the first hundred columns are looked at: comparing takes time.

        >>> schema = Schema("lessons", (Column("occurred_at"), Column("duration_seconds"), Column("date_only", "flag")))
        >>> schema.similar(["occured_at", "duration", "date"], schema.names)
        {'occured_at': 'occurred_at', 'duration': 'duration_seconds'}
        """
        flags = {column.name for column in self.columns if column.kind == "flag"}
        absent = set(names) - flags - set(without)
        near = {}
        for column in islice(columns, 100):
            written = column.strip().lower()
            parts = [name for name in absent if name.startswith(f"{written}_") or name.endswith(f"_{written}")]
            near[column] = get_close_matches(written, names, n=1, cutoff=0.8) or (parts if len(parts) == 1 else [])
        return {column: matches[0] for column, matches in near.items() if matches}


LIST_SEPARATOR: Final = ";"
WIDE_SEPARATOR: Final = "\uff1b"
"""Full-width semicolon, which Chinese keyboards give for the separator."""
SEPARATORS: Final = f"[{LIST_SEPARATOR}{WIDE_SEPARATOR}]"
SEVERAL: Final = (SEPARATORS, "a list; give a single value")
SCRIPT: Final = ("^(?i:javascript|vbscript|data):", "a script where it is linked; give an address such as https://…")
MAX_KEY_BYTES: Final = 2_000
"""Bytes of UTF-8: an entry of PostgreSQL's indexes has at most 2,704, for all its columns together."""
HOURS: Final = r"^(?:(?:[01]\d|2[0-3]):[0-5]\d-(?:(?:[01]\d|2[0-3]):[0-5]\d|24:00)(?:;|$))+$"
"""Time ranges of a local day, joined as a list: ``07:30-09:00;22:00-01:00``."""

FORMATS: Final = ("article", "video", "short_video", "live", "quiz", "discussion", "course", "vr", "ar")
DEVICE_FORMATS: Final = ("vr", "ar")
"""Formats that need a device, which members register or have used."""
DIFFICULTIES: Final = ("beginner", "intermediate", "advanced")
AUDIENCES: Final = ("open", "restricted")

ITEMS: Final = Schema(
    "items",
    (
        Column("item_id", required=True, longest=2_000, key=True),
        Column("title", multiline=True),
        Column("summary", longest=10_000, multiline=True),
        Column("text", longest=1_000_000, multiline=True),
        Column("language", longest=35, refused=(SEVERAL,)),
        Column("format", choices=FORMATS),
        Column("duration_seconds", "number", low=0, high=10_000_000),
        Column("difficulty", choices=DIFFICULTIES),
        Column("topics", "list"),
        Column("target_roles", "list"),
        Column("target_industries", "list"),
        Column("target_units", "list"),
        Column("audience", choices=AUDIENCES),
        Column("prerequisites", "list", longest=10_000),
        Column("advised_prerequisites", "list", longest=10_000),
        Column("series", longest=100),
        Column("series_position", "number", low=1, high=10_000),
        Column("starts_at", "instant"),
        Column("ends_at", "instant"),
        Column("published_at", "instant"),
        Column("available_from", "instant"),
        Column("available_until", "instant"),
        Column("hidden", "flag"),
        Column("provider"),
        Column("url", longest=4_000, refused=(SCRIPT,)),
        Column("shared", "flag"),
    ),
)

RECURRENCES: Final = ("yearly", "quarterly")
MAX_DAYS: Final = 36_500

REQUIREMENTS: Final = Schema(
    "requirements",
    (
        Column("requirement_id", required=True, longest=100, key=True),
        Column("items", "list", required=True, longest=10_000),
        Column("target_roles", "list"),
        Column("target_industries", "list"),
        Column("target_units", "list"),
        Column("target_regions", "list"),
        Column("due_on", "date"),
        Column("days_after_joining", "number", low=0, high=MAX_DAYS),
        Column("days_after_role", "number", low=0, high=MAX_DAYS),
        Column("recurrence", choices=RECURRENCES),
        Column("open_days", "number", low=1, high=365),
        Column("starts_on", "date"),
    ),
)
"""Items that the members of an audience have to finish, in order, by a day."""

CURATIONS: Final = Schema(
    "curations",
    (
        Column("curation_id", required=True, longest=100, key=True),
        Column("action", required=True, choices=("pin", "boost", "ban")),
        Column("items", "list", required=True, longest=10_000),
        Column("target_roles", "list"),
        Column("target_industries", "list"),
        Column("target_units", "list"),
        Column("target_regions", "list"),
        Column("starts_at", "instant"),
        Column("ends_at", "instant", required=True),
        Column("places", "number", low=1, high=100),
    ),
)
"""Items that editors pin, boost or ban for an audience, until a set time."""

REJECT_COLUMNS: Final = ["line", "field", "value", "reason"]


def split_list(value: object) -> tuple[str, ...]:
    """Return the parts of a list in a frame; an empty tuple for a missing value.

    >>> split_list("theory;history")
    ('theory', 'history')
    """
    return tuple(value.split(LIST_SEPARATOR)) if isinstance(value, str) and value else ()


def split_lists(values: Iterable[object]) -> dict[int, tuple[str, ...]]:
    """Return the parts of each list in a column that is not empty, by its place.

    >>> split_lists(["theory;history", None])
    {0: ('theory', 'history')}
    """
    return {place: parts for place, value in enumerate(values) if (parts := split_list(value))}
