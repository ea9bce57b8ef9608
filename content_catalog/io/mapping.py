"""Named mappings: how the columns of a foreign file become canonical ones.

A mapping is a TOML file::

    kind = "events"                       # events, members or items
    description = "what the file is"
    missing = ["N/A"]                     # values that mean "not known"
    timezone = "UTC"                      # of times without an offset

    [columns]                             # canonical column = source column, "{template}" or a list of columns to join
    member_id = "user_id"
    item_id = "quiz-{quiz_id}"
    [constants]                           # canonical column = value
    verb = "progressed"
    [scale]                               # canonical column = factor, for units
    duration_seconds = 60
    [times]                               # canonical column = strptime format, where it is not ISO 8601
    published_at = "%Y"
    [values.role]                         # value table: source value = canonical value; others stay as they are
    "legal" = "26"
    [threshold.verb]                      # a value chosen by a number in a source column
    column = "watch_percentage"
    at_least = 100
    then = "completed"
    otherwise = "progressed"

Lists written as Python writes them (``['a', 'b']``) are read as lists.
"""

import ast
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from content_catalog.errors import MappingError
from content_catalog.schema import LIST_SEPARATOR
from content_catalog.time_zones import resolve_zone, unknown_zone

PLACEHOLDER = re.compile(r"{([^{}]+)}")
OFFSET = re.compile(r"[T ]\d{2}.*(?:Z|[+-]\d{2}(?::?\d{2})?)$")


class Threshold(BaseModel):
    """A value that depends on whether a number reaches a bound."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str
    at_least: float
    then: str
    otherwise: str


class Mapping(BaseModel):
    """A checked mapping file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["events", "members", "items"]
    description: str = ""
    missing: list[str] = []
    timezone: str = "UTC"
    columns: dict[str, str | list[str]]
    constants: dict[str, str] = {}
    scale: dict[str, float] = {}
    times: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    threshold: dict[str, Threshold] = {}

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        zone = resolve_zone(name)
        if zone is None:
            raise ValueError(f"{name!r} is {unknown_zone(name)}")
        return zone

    @field_validator("times")
    @classmethod
    def _known_directives(cls, forms: dict[str, str]) -> dict[str, str]:
        for form in forms.values():
            pd.to_datetime("2026", format=form, errors="coerce")
        return forms

    def apply(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return a chunk of a foreign file in canonical columns, still as text.

        Raises
        ------
        MappingError
            The file lacks a column the mapping reads.
        """
        self._check_columns(list(frame.columns))
        source = frame.replace(dict.fromkeys(self.missing, "")) if self.missing else frame
        mapped = pd.DataFrame({name: self._column(source, name) for name in self.columns}, index=frame.index)
        for name, rule in self.threshold.items():
            reached = pd.to_numeric(source[rule.column], errors="coerce") >= rule.at_least
            mapped[name] = reached.map({True: rule.then, False: rule.otherwise}).astype("str")
        for name, constant in self.constants.items():
            mapped[name] = pd.Series(constant, index=frame.index, dtype="str")
        return mapped

    def _column(self, source: pd.DataFrame, name: str) -> pd.Series:
        origin = self.columns[name]
        if isinstance(origin, list):
            parts = [source[column].map(_as_list) for column in origin]
            values = pd.Series(
                [LIST_SEPARATOR.join(filter(None, row)) for row in zip(*parts, strict=True)], index=source.index
            )
        elif PLACEHOLDER.search(origin):
            columns = [source[column] for column in PLACEHOLDER.findall(origin)]
            template = PLACEHOLDER.sub("{}", origin)
            # An id made of parts is not known where one of them is not: "course-" would be one item for all of them.
            texts = [template.format(*row) if all(row) else "" for row in zip(*columns, strict=True)]
            values = pd.Series(texts, index=source.index)
        else:
            values = source[origin].map(_as_list)
        if name in self.values:
            table = self.values[name]
            values = values.map(
                lambda text: LIST_SEPARATOR.join(table.get(part, part) for part in text.split(LIST_SEPARATOR))
            )
        if name in self.scale:
            values = _scaled(values, self.scale[name])
        if name in self.times or self.timezone != "UTC":
            values = _in_utc(values, name, self.times.get(name), self.timezone)
        return values.astype("str")

    def _check_columns(self, found: list[str]) -> None:
        needed: set[str] = {rule.column for rule in self.threshold.values()}
        for origin in self.columns.values():
            needed.update(origin if isinstance(origin, list) else PLACEHOLDER.findall(origin) or [origin])
        lacking = sorted(needed - set(found))
        if lacking:
            named = ", ".join(map(repr, lacking))
            raise MappingError(f"the file has no column {named}, which the mapping reads; it has: {', '.join(found)}")


def _as_list(text: str) -> str:
    """Return a list written as Python writes it in our own way; any other text as it stands.

    >>> _as_list("['Word', 'To Do']")
    'Word;To Do'
    """
    if not (text.startswith("[") and text.endswith("]")):
        return text
    try:
        parts = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text
    return LIST_SEPARATOR.join(str(part) for part in parts)


def _scaled(values: pd.Series, factor: float) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce")
    return (numbers * factor).round(9).astype("str").where(numbers.notna(), values)


def _in_utc(values: pd.Series, name: str, form: str | None, timezone: str) -> pd.Series:
    if form is None and not name.endswith(("_at", "_from", "_until")):
        return values
    told = values.where(~values.isin(["now", "today"]), "")  # pandas would read the clock
    if form and "%z" in form:
        moments = pd.to_datetime(told, format=form, errors="coerce", utc=True)
    else:
        local = told if form else told.where(~told.str.contains(OFFSET), "")
        zone = "UTC" if name.endswith("_on") else timezone  # a day is the same day everywhere
        naive = pd.to_datetime(local, format=form or "ISO8601", errors="coerce")
        moments = naive.dt.tz_localize(zone, ambiguous=True, nonexistent="shift_forward").dt.tz_convert("UTC")
    return moments.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ").where(moments.notna(), values)


def shipped_mappings() -> list[str]:
    """Return the names of the mappings that come with xuelu."""
    return sorted(path.name.removesuffix(".toml") for path in files("content_catalog").joinpath("mappings").iterdir())


def load_mapping(name: str, kind: str) -> Mapping:
    """Return a shipped mapping by name, or one of your own by the path of its file.

    Raises
    ------
    MappingError
        There is no such mapping, the file is wrong, or it is for another kind of input.
    """
    known = shipped_mappings()
    try:
        if name in known:
            text = files("content_catalog").joinpath("mappings", f"{name}.toml").read_text(encoding="utf-8")
        elif name.endswith(".toml"):
            text = Path(name).read_text(encoding="utf-8")
        else:
            raise MappingError(f"no mapping {name!r}; shipped: {', '.join(known)}; or give the path of a .toml file")
        content: dict[str, Any] = tomllib.loads(text)
        mapping = Mapping(**content)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        )
        raise MappingError(f"mapping {name!r} cannot be used: {faults}; see docs/reference/mappings.md") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MappingError(f"mapping {name!r} cannot be used: {error}; see docs/reference/mappings.md") from error
    if mapping.kind != kind:
        raise MappingError(f"mapping {name!r} is for {mapping.kind}, not for {kind}")
    return mapping
