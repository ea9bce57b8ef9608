"""Mappings from the columns of a foreign file to canonical ones, shipped by name or as files of your own.

A mapping is a TOML file::

    kind = "events"                       # events, members or items
    description = "what the file is"
    missing = ["N/A"]                     # values that count as empty
    timezone = "UTC"                      # of times without an offset; by default the organisation's

    [columns]                             # canonical column = source column, "{template}" or a list of columns to join
    member_id = "user_id"
    item_id = "quiz-{quiz_id}"
    [constants]                           # canonical column = value
    verb = "progressed"
    [scale]                               # canonical column = factor, for units
    duration_seconds = 60
    [times]                               # canonical column = strptime format or "seconds since …", if not ISO 8601
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
from collections.abc import Collection
from datetime import datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from content_catalog.errors import MappingError
from content_catalog.io.times import NAT, localised, parse_times
from content_catalog.io.validation import parse_numbers
from content_catalog.io.values import list_of, map_parts, parts_of, trimmed
from content_catalog.schema import Schema
from content_catalog.time_zones import resolve_zone, unknown_zone

DAY = r"\d{4}-\d{2}-\d{2}"
"""An event's date without a time stays one: it is the same day in every zone."""
PLACEHOLDER = re.compile(r"{([^{}]+)}")
RELATIVE = re.compile(r"(?P<unit>milliseconds|seconds|minutes|hours|days) since (?P<start>\d{4}-\d{2}-\d{2}\S*)")
UNIT_MICROSECONDS = {
    "milliseconds": 1_000,
    "seconds": 1_000_000,
    "minutes": 60_000_000,
    "hours": 3_600_000_000,
    "days": 86_400_000_000,
}
MAX_MICROSECONDS = 86_400_000_000 * 366_000
"""A thousand years, beyond which no time is in bounds."""


class Threshold(BaseModel):
    """A value chosen by comparing a number with a bound."""

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
    timezone: str | None = None
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
            relative = RELATIVE.fullmatch(form)
            if relative is None:
                pd.to_datetime("2026", format=form, errors="coerce")
            elif parse_times(pa.array([relative["start"]]))[0] == NAT:
                raise ValueError(f"{relative['start']!r} is not a time in ISO 8601; write one such as 2026-03-01")
        return forms

    def check_header(self, names: Collection[str], required: Collection[str]) -> list[str]:
        """Return the source columns of optional columns that a file's header lacks.

        Raises
        ------
        MappingError
            The header lacks a source of a required column.
        """
        lacking = {column: [name for name in self._sources(column) if name not in names] for column in self.targets()}
        needed = sorted({name for column in required for name in lacking.get(column, [])})
        if needed:
            columns = ", ".join(map(repr, needed))
            raise MappingError(f"the file has no column {columns}, which the mapping reads; it has: {', '.join(names)}")
        return sorted({name for missing in lacking.values() for name in missing})

    def apply(self, frame: pd.DataFrame, schema: Schema, *, zone: str = "UTC") -> pd.DataFrame:
        """Return a chunk of a foreign file in canonical columns, still as text.

        A value is absent (NaN) where the line names none of its source columns.
        """
        source = frame.reindex(columns=sorted({*frame.columns, *(n for c in self.targets() for n in self._sources(c))}))
        source = source.apply(trimmed)
        absent = source.isna()
        source = source.fillna("")
        if self.missing:
            source = source.replace(dict.fromkeys(self.missing, ""))
        kinds = {column.name: column.kind for column in schema.columns}
        mapped = pd.DataFrame(
            {name: self._column(source, name, kinds.get(name, "text"), zone) for name in self.columns},
            index=frame.index,
        )
        for name, rule in self.threshold.items():
            reached = parse_numbers(source[rule.column]) >= rule.at_least
            mapped[name] = np.where(reached, rule.then, rule.otherwise)
        for name in self.targets():
            mapped[name] = mapped[name].astype("str").mask(absent[self._sources(name)].all(axis="columns"))
        for name, constant in self.constants.items():
            mapped[name] = pd.Series(constant, index=frame.index, dtype="str")
        return mapped

    def targets(self) -> list[str]:
        """Return the canonical columns that depend on the file; ``constants`` do not."""
        return [*self.columns, *(name for name in self.threshold if name not in self.columns)]

    def sources(self) -> set[str]:
        """Return the source columns that the mapping reads."""
        return {source for name in self.targets() for source in self._sources(name)}

    def _sources(self, name: str) -> list[str]:
        """Return the source columns of a canonical column."""
        origin = self.columns.get(name, [])
        names = origin if isinstance(origin, list) else PLACEHOLDER.findall(origin) or [origin]
        return [*names, self.threshold[name].column] if name in self.threshold else names

    def _column(self, source: pd.DataFrame, name: str, kind: str, zone: str) -> pd.Series:
        origin = self.columns[name]
        if isinstance(origin, list):
            lists = [source[column].map(_python_list) for column in origin]
            rows = ([part for text in row for part in parts_of(text) if part] for row in zip(*lists, strict=True))
            values = pd.Series([list_of(parts) if parts else "" for parts in rows], index=source.index)
        elif PLACEHOLDER.search(origin):
            columns = [source[column] for column in PLACEHOLDER.findall(origin)]
            template = PLACEHOLDER.sub("{}", origin)
            # An id with an empty part is missing: "course-" would be one item for all of them.
            texts = [template.format(*row) if all(row) else "" for row in zip(*columns, strict=True)]
            values = pd.Series(texts, index=source.index)
        else:
            values = source[origin].map(_python_list) if kind in {"list", "hours"} else source[origin]
        if name in self.values:
            values = values.map(partial(map_parts, table=self.values[name]))
        if name in self.scale:
            values = _scaled(values, self.scale[name])
        if name in self.times or (kind == "instant" and self.timezone):
            times = _iso_times(values, self.times.get(name), kind=kind, zone=self.timezone or zone)
            values = values.where(values.str.fullmatch(DAY), times) if name == "occurred_at" else times
        return values


def _python_list(text: str) -> str:
    """Return a list as Python or JSON writes it in its marked form; any other text as it is.

    >>> parts_of(_python_list("['Word', 'To Do']"))
    ['Word', 'To Do']
    """
    if not (text.startswith("[") and text.endswith("]")):
        return text
    try:
        parts = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text
    return list_of([str(part) for part in parts])


def _scaled(values: pd.Series, factor: float) -> pd.Series:
    numbers = pd.Series(parse_numbers(values), index=values.index)
    return (numbers * factor).round(9).astype("str").where(numbers.notna(), values)


def _iso_times(values: pd.Series, form: str | None, *, kind: str, zone: str) -> pd.Series:
    """Return times of a format, or else in ISO 8601, as ISO 8601 in UTC; days as days, other texts as they are."""
    texts = pa.array(values.mask(values == ""), pa.string(), from_pandas=True)
    if form is None:
        microseconds = parse_times(texts, zone=zone)
    elif relative := RELATIVE.fullmatch(form):
        microseconds = _relative(values, relative, zone="UTC" if kind == "date" else zone)
    elif kind == "date":
        days = [_strptime(text, form) for text in values]
        return pd.Series(
            [day.date().isoformat() if day else text for day, text in zip(days, values, strict=True)], values.index
        )
    else:
        clean = values.where(~values.isin(["now", "today"]), "")  # pandas would read the clock
        moments = pd.to_datetime(clean, format=form, errors="coerce", utc="%z" in form)
        moments = moments if "%z" in form else localised(moments.astype("datetime64[us]"), zone)
        microseconds = moments.astype("datetime64[us, UTC]").astype("int64").to_numpy()
    if form is not None:
        microseconds = np.where(microseconds == NAT, parse_times(texts, zone=zone), microseconds)
    moments = pd.Series(microseconds.view("datetime64[us]"), index=values.index)
    return moments.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ").where(moments.notna(), values)


def _relative(values: pd.Series, form: re.Match[str], *, zone: str) -> NDArray[np.int64]:
    """Return times counted from a start; days are local days where the start has no offset."""
    local_days = form["unit"] == "days" and len(form["start"]) == len("2026-03-01")
    start = int(parse_times(pa.array([form["start"]]), zone="UTC" if local_days else zone)[0])
    numbers, unit = parse_numbers(values), UNIT_MICROSECONDS[form["unit"]]
    near = np.abs(numbers) < MAX_MICROSECONDS / unit
    microseconds = np.where(near, start + (np.where(near, numbers, 0) * unit).round().astype(np.int64), NAT)
    if not local_days:
        return microseconds
    naive = pd.Series(microseconds.view("datetime64[us]"))
    return localised(naive, zone).astype("datetime64[us, UTC]").astype("int64").to_numpy()


def _strptime(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007 - a day is the same day everywhere
    except ValueError:
        return None


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
    names = shipped_mappings()
    try:
        if name in names:
            text = files("content_catalog").joinpath("mappings", f"{name}.toml").read_text(encoding="utf-8")
        elif name.endswith(".toml"):
            text = Path(name).read_text(encoding="utf-8")
        else:
            raise MappingError(f"no mapping {name!r}; shipped: {', '.join(names)}; or give the path of a .toml file")
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
