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
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator, model_validator

from content_catalog.errors import MappingError, why_unreadable
from content_catalog.io.times import BASIC_DAY, DAY, NAT, RELATIVE, days_of, iso_times, parse_times
from content_catalog.io.values import INEXACT, as_text, list_of, map_parts, parse_numbers, parts_of, trimmed
from content_catalog.schema import Schema
from content_catalog.time_zones import resolve_zone, unknown_zone

PLACEHOLDER = re.compile(r"{([^{}]+)}")


class Threshold(BaseModel):
    """A value chosen by comparing a number with a bound."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str
    at_least: FiniteFloat
    then: str
    otherwise: str


class Mapping(BaseModel):
    """A checked mapping file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["events", "members", "items"]
    description: str = ""
    missing: list[str] = []
    timezone: str | None = None
    columns: dict[str, str | Annotated[list[str], Field(min_length=1)]]
    constants: dict[str, str] = {}
    scale: dict[str, Annotated[FiniteFloat, Field(gt=0)]] = {}
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
            if relative is None and "%" not in form:
                raise ValueError(f"{form!r} is no format; write one such as %d/%m/%Y or seconds since 1970-01-01")
            if relative is None:
                try:
                    pd.to_datetime("2026", format=form, errors="coerce")
                except re.error as error:
                    raise ValueError(f"{form!r} names a directive twice; write it once") from error
            elif parse_times(pa.array([relative["start"]]))[0] == NAT:
                raise ValueError(f"{relative['start']!r} is not a time in ISO 8601; write one such as 2026-03-01")
        return forms

    @model_validator(mode="after")
    def _known_columns(self) -> Self:
        for section in ("scale", "times", "values"):
            for name in getattr(self, section):
                if name not in self.columns:
                    raise ValueError(f"{section} names {name!r}, which is not under columns; correct one of them")
        return self

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
            numbers = parse_numbers(source[rule.column])
            chosen = np.where(numbers >= rule.at_least, rule.then, rule.otherwise)
            # A text that is no number is left for the check to refuse.
            mapped[name] = source[rule.column].where(np.isnan(numbers) & (source[rule.column] != ""), chosen)
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
            literals = PLACEHOLDER.split(origin)[::2]  # other braces stand for themselves
            template = "{}".join(text.replace("{", "{{").replace("}", "}}") for text in literals)
            # An id with an empty part is missing: "course-" would be one item for all of them.
            texts = [_filled(template, row) for row in zip(*columns, strict=True)]
            values = pd.Series(texts, index=source.index)
        else:
            values = source[origin].map(_python_list) if kind in {"list", "hours"} else source[origin]
        if name in self.values:
            values = values.map(partial(map_parts, table=self.values[name]))
        if name in self.scale:
            values = _scaled(values, self.scale[name])
        if name in self.times or (kind == "instant" and self.timezone):
            form, zone = self.times.get(name), self.timezone or zone
            if form and (kind == "date" or name == "occurred_at"):
                values = days_of(values, form, zone=zone, alone=kind != "date")
            if kind != "date":
                times, day = iso_times(values, form, zone=zone), DAY if form else BASIC_DAY
                values = values.where(values.str.fullmatch(day), times) if name == "occurred_at" else times
        return values


def _filled(template: str, parts: tuple[str, ...]) -> str:
    """Return a template with its parts; a part that is empty, or has lost digits, is left for the check to refuse."""
    if not all(parts):
        return ""
    return next((part for part in parts if re.search(INEXACT, part)), template.format(*parts))


def _python_list(text: str) -> str:
    """Return a list as Python or JSON writes it in its marked form; any other text as it is.

    >>> parts_of(_python_list("['Word', 'To Do']"))
    ['Word', 'To Do']
    """
    if not (text.startswith("[") and text.endswith("]")):
        return text
    try:
        marked = as_text(ast.literal_eval(text))
        marked.encode()
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text
    return marked


def _scaled(values: pd.Series, factor: float) -> pd.Series:
    numbers = pd.Series(parse_numbers(values), index=values.index)
    return (numbers * factor).round(9).astype("str").where(np.isfinite(numbers), values)


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
            text = Path(name).read_text(encoding="utf-8-sig")
        else:
            raise MappingError(f"no mapping {name!r}; shipped: {', '.join(names)}; or give the path of a .toml file")
        content: dict[str, Any] = tomllib.loads(text)
        mapping = Mapping(**content)
    except ValidationError as error:
        faults = "; ".join(
            ": ".join(filter(None, (".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, "))))
            for fault in error.errors()
        )
        raise MappingError(f"mapping {name!r} cannot be used: {faults}; see docs/reference/mappings.md") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = why_unreadable(error)
        raise MappingError(f"mapping {name!r} cannot be used: {reason}; see docs/reference/mappings.md") from error
    if mapping.kind != kind:
        raise MappingError(f"mapping {name!r} is for {mapping.kind}, not for {kind}")
    return mapping
