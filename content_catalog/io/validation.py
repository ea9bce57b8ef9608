"""Typed columns and rejects from rows of text: the one check of every input.

The work is done on whole Arrow columns; only values that do not convert are handled one by one.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from content_catalog.io.files import rejects_frame
from content_catalog.io.times import NAT, parse_times
from content_catalog.io.values import (
    INEXACT,
    INVISIBLE,
    MARKED,
    NO_IDS,
    STR,
    WHITE_SPACE,
    parse_numbers,
    parts_of,
    stripped,
    structure_fault,
    without_marks,
)
from content_catalog.schema import HOURS, LIST_SEPARATOR, MAX_KEY_BYTES, REJECT_COLUMNS, WIDE_SEPARATOR, Column, Schema
from content_catalog.time_zones import resolve_zone, unknown_zone

EARLIEST = pd.Timestamp("1970-01-01", tz="UTC")
LATEST = pd.Timestamp("2200-01-01", tz="UTC")
CONTROL: Final = r"[\x00-\x1f\x7f-\x{9f}\x{2028}\x{2029}]"
MAX_HINTS: Final = 100
"""Wrong values of a chunk's column whose reject says what is nearest: to look takes milliseconds for each."""
TRUE_WORDS = ("true", "1", "1.0", "yes", "y", "t", "是")
FALSE_WORDS = ("false", "0", "0.0", "no", "n", "f", "否")

CheckedColumn = tuple[Any, dict[int, str]]
"""A typed column (an array of numpy or pandas), and the reason of each refused value by position."""


@dataclass(frozen=True, slots=True)
class TextRows:
    """Rows of text by column without a frame; missing values are None."""

    columns: Mapping[str, Sequence[str | None]]
    index: pd.Index

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.index)

    def __contains__(self, name: str) -> bool:
        """Return whether the rows have a column."""
        return name in self.columns

    def __getitem__(self, name: str) -> Sequence[str | None]:
        """Return a column."""
        return self.columns[name]


_FIRST_MICROSECOND, _LAST_MICROSECOND = EARLIEST.value // 1_000, LATEST.value // 1_000


def check_rows(
    frame: pd.DataFrame | TextRows, schema: Schema, *, zone: str = "UTC"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the sound rows, typed and in canonical columns, and the rejects of all others.

    Parameters
    ----------
    frame : DataFrame or TextRows
        Rows of text, indexed by line number. Columns that the schema does not name are left out,
        columns that the file lacks come back empty.
    zone : str
        IANA name of the zone of instants without an offset.

    Returns
    -------
    (DataFrame, DataFrame)
        Texts and lists as ``str`` (absent: missing), numbers as ``float64`` (absent: NaN), instants and dates as
        ``datetime64[us, UTC]`` (absent: NaT), flags as nullable ``boolean``; and ``line, field, value, reason``.
    """
    typed: dict[str, Any] = {}
    rejects: list[tuple[int, str, str, str]] = []
    refused: set[int] = set()
    for column in schema.columns:
        if column.name not in frame:
            typed[column.name] = _absent(column, len(frame))
            reasons = dict.fromkeys(range(len(frame)), "missing, and required") if column.required else {}
            texts = pa.nulls(len(frame), pa.string())
        else:
            texts = stripped(frame[column.name])
            plain, structure = _unmarked(texts, column)
            check = partial(_instant, zone=zone) if column.kind == "instant" else _CHECKS[column.kind]
            typed[column.name], reasons = check(plain, column)
            reasons |= structure
        for position, reason in reasons.items():
            value = without_marks(texts[position].as_py() or "")
            rejects.append((int(frame.index[position]), column.name, value, reason))
        refused.update(reasons)
    good = pd.DataFrame(typed, index=frame.index)
    if refused:
        keep = np.ones(len(frame), dtype=bool)
        keep[list(refused)] = False
        good = good[keep]
    rejects.sort(key=lambda row: row[0])
    return good, rejects_frame(rejects)


def joined_rejects(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Return several frames of rejects as one, by line."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return pd.DataFrame(columns=REJECT_COLUMNS)
    return pd.concat(filled, ignore_index=True).sort_values("line", kind="stable", ignore_index=True)


def _absent(column: Column, rows: int) -> Any:
    match column.kind:
        case "number":
            return np.full(rows, np.nan)
        case "instant" | "date":
            return _utc(np.full(rows, NAT))
        case "flag":
            return pd.array([None] * rows, dtype="boolean")
    return STR.__from_arrow__(pa.nulls(rows, pa.string()))


def _utc(microseconds: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(microseconds.view("datetime64[us]"), tz="UTC")


def _positions(mask: pa.Array) -> list[int]:
    return np.flatnonzero(pc.fill_null(mask, fill_value=False).to_numpy(zero_copy_only=False)).tolist()


def _faults(mask: pa.Array, reason: str) -> dict[int, str]:
    """Return the reason by position of each value that a mask is true of."""
    return dict.fromkeys(_positions(mask), reason)


def _missing(texts: pa.Array, column: Column) -> dict[int, str]:
    return _faults(pc.is_null(texts), "missing, and required") if column.required and texts.null_count else {}


def _unmarked(texts: pa.Array, column: Column) -> tuple[pa.Array, dict[int, str]]:
    """Return texts with their lists joined, and the reasons of values of a wrong structure."""
    marked = pc.match_substring_regex(texts, MARKED)
    reasons: dict[int, str] = {}
    if column.kind == "list":
        wide = pc.and_not(pc.match_substring(texts, WIDE_SEPARATOR), marked)
        reasons = _faults(wide, f"holds {WIDE_SEPARATOR}; separate the parts of a list by ;")
    if not pc.any(marked).as_py():
        return texts, reasons
    values = texts.to_pylist()
    for position in _positions(marked):
        text = values[position]
        values[position] = None
        if fault := structure_fault(text):
            reasons[position] = fault
        elif column.kind not in _LIST_KINDS:
            reasons[position] = "a list; give a single value"
        elif any(LIST_SEPARATOR in part for part in parts_of(text)):
            reasons[position] = f"a part holds {LIST_SEPARATOR}, which separates the parts of a list"
        else:
            values[position] = LIST_SEPARATOR.join(parts_of(text)).strip(WHITE_SPACE) or None
    return pa.array(values, pa.string()), reasons


def _text(texts: pa.Array, column: Column) -> CheckedColumn:
    reasons = _missing(texts, column)
    matches = partial(pc.match_substring_regex, texts)
    most_bytes = pc.max(pc.binary_length(texts)).as_py() or 0
    if column.key:
        if most_bytes > MAX_KEY_BYTES:
            reasons |= _faults(pc.greater(pc.binary_length(texts), MAX_KEY_BYTES), f"longer than {MAX_KEY_BYTES} bytes")
        for reason, values in NO_IDS.items():
            reasons |= _faults(pc.is_in(texts, value_set=values), reason)
    if most_bytes > (limit := column.longest):
        reasons |= _faults(pc.greater(pc.utf8_length(texts), limit), f"longer than {limit} characters")
    pattern, held = (r"\x00", "a NUL") if column.multiline else (CONTROL, "a control")
    reasons |= _faults(matches(pattern), f"holds {held} character")
    for pattern, reason in column.refused:
        reasons |= _faults(matches(pattern), reason)
    if column.key or column.kind == "list":
        reasons |= _faults(matches(INEXACT), "a number that may have lost digits; write ids as text")
        for position in _positions(matches(INVISIBLE)):
            letter = re.search(INVISIBLE, texts[position].as_py())
            reasons[position] = f"holds an invisible character (U+{ord(letter[0]):04X}); remove it" if letter else ""
    if column.choices:
        choice, repeats = "|".join(column.choices), "*" if column.kind == "list" else "{0}"
        for position in _positions(pc.invert(matches(f"^({choice})(;({choice})){repeats}$"))):
            reasons[position] = _not_a_choice(texts[position].as_py(), column.choices)
    return STR.__from_arrow__(texts), reasons


def _not_a_choice(value: str, choices: tuple[str, ...]) -> str:
    near = get_close_matches(value.lower(), choices, n=1, cutoff=0.75)
    return f"unknown; known and nearest: {near[0]}" if near else f"unknown; known: {', '.join(choices)}"


def _number(texts: pa.Array, column: Column) -> CheckedColumn:
    numbers = parse_numbers(texts)
    present = pc.is_valid(texts).to_numpy(zero_copy_only=False)
    unreadable = present & ~np.isfinite(numbers)
    outside = present & ((numbers < column.low) | (numbers > column.high))
    reasons = dict.fromkeys(np.flatnonzero(outside).tolist(), f"outside {column.low:g}..{column.high:g}")
    unread = "not a number; write digits, and a point before decimals"
    reasons |= dict.fromkeys(np.flatnonzero(unreadable).tolist(), unread)
    # Adding 0 makes -0 the same as 0, to the last bit.
    return numbers + 0.0, reasons | _missing(texts, column)


def _instant(texts: pa.Array, column: Column, *, zone: str = "UTC") -> CheckedColumn:
    """Return instants in ISO 8601; a time without an offset is in ``zone``."""
    microseconds = parse_times(texts, zone=zone)
    fault = "not a time in ISO 8601, such as 2026-03-01T08:30:00Z"
    return _utc(microseconds), _time_faults(microseconds, texts, fault) | _missing(texts, column)


def _date(texts: pa.Array, column: Column) -> CheckedColumn:
    """Return days; a time with an offset counts on its own local day."""
    day = parse_times(pc.utf8_slice_codeunits(texts, 0, 10))  # YYYY-MM-DD
    basic = parse_times(pc.utf8_slice_codeunits(texts, 0, 8))  # YYYYMMDD
    days = np.where(parse_times(texts) == NAT, NAT, np.where(day == NAT, basic, day))
    return _utc(days), _time_faults(days, texts, "not a day in ISO 8601, such as 2026-03-01") | _missing(texts, column)


def _time_faults(microseconds: NDArray[np.int64], texts: pa.Array, fault: str) -> dict[int, str]:
    """Return the reasons of texts that were not read, and of times out of bounds."""
    read = microseconds != NAT
    unreadable = np.flatnonzero(pc.is_valid(texts).to_numpy(zero_copy_only=False) & ~read).tolist()
    outside = read & ((microseconds < _FIRST_MICROSECOND) | (microseconds >= _LAST_MICROSECOND))
    reasons = dict.fromkeys(np.flatnonzero(outside).tolist(), "outside the years 1970 to 2199")
    return reasons | dict.fromkeys(unreadable, fault)


def _flag(texts: pa.Array, column: Column) -> CheckedColumn:
    words = pc.utf8_lower(texts)
    true, false = (pc.is_in(words, value_set=pa.array(spelled)) for spelled in (TRUE_WORDS, FALSE_WORDS))
    unread = pc.and_not(pc.is_valid(texts), pc.or_(true, false))
    reasons = _faults(unread, "neither true nor false; write one of them")
    values = pc.if_else(pc.is_valid(texts), true, pa.scalar(None, pa.bool_()))
    return pd.array(values.to_pylist(), dtype="boolean"), reasons | _missing(texts, column)


def _list(texts: pa.Array, column: Column) -> CheckedColumn:
    """Return lists as one text, parts stripped, empty and repeated ones dropped."""
    return _text(pa.array([text and _clean_list(text) for text in texts.to_pylist()], pa.string()), column)


def _hours(texts: pa.Array, column: Column) -> CheckedColumn:
    """Return hours of a day in the form of :data:`content_catalog.schema.HOURS`."""
    values, reasons = _list(pc.replace_substring_regex(texts, f"[{WHITE_SPACE}]", ""), column)
    cleaned = pa.array(values, pa.string(), from_pandas=True)
    for position in _positions(pc.invert(pc.match_substring_regex(cleaned, HOURS))):
        reasons[position] = "no hours of a day such as 07:30-09:00, several joined by ;"
    return values, reasons


def _zone(texts: pa.Array, column: Column) -> CheckedColumn:
    """Return the IANA names of time zones."""
    encoded = pc.dictionary_encode(texts)
    names = encoded.dictionary.to_pylist()
    zones = [resolve_zone(name) for name in names]
    codes = encoded.indices.to_pylist()
    unknown = [code for code, zone in enumerate(zones) if zone is None]
    faults = {code: unknown_zone(names[code], hint=place < MAX_HINTS) for place, code in enumerate(unknown)}
    reasons = {position: faults[code] for position, code in enumerate(codes) if code in faults}
    named = pa.DictionaryArray.from_arrays(encoded.indices, pa.array(zones, pa.string())).dictionary_decode()
    return STR.__from_arrow__(named), reasons | _missing(texts, column)


def _clean_list(value: str) -> str | None:
    parts = dict.fromkeys(part.strip(WHITE_SPACE) for part in value.split(LIST_SEPARATOR))
    return LIST_SEPARATOR.join(part for part in parts if part) or None


_LIST_KINDS: Final = {"list", "hours"}
_CHECKS: dict[str, Callable[[pa.Array, Column], CheckedColumn]] = {
    "text": _text,
    "number": _number,
    "instant": _instant,
    "date": _date,
    "flag": _flag,
    "list": _list,
    "hours": _hours,
    "zone": _zone,
}
