"""Typed columns and rejects from rows of text: the one check of every table that comes in.

All work is done on whole Arrow columns; only values that do not convert are looked at one by one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from content_catalog.io.files import rejects_frame
from content_catalog.schema import HOURS, LIST_SEPARATOR, REJECT_COLUMNS, Column, Schema
from content_catalog.time_zones import resolve_zone, unknown_zone

EARLIEST = pd.Timestamp("1970-01-01", tz="UTC")
LATEST = pd.Timestamp("2200-01-01", tz="UTC")
TRUE_WORDS = ("true", "1", "yes", "y")
FALSE_WORDS = ("false", "0", "no", "n")

Checked = tuple[Any, dict[int, str]]
"""A typed column (an array of numpy or pandas), and the reason for each position whose value is refused."""


@dataclass(frozen=True, slots=True)
class TextRows:
    """Rows of text by column, where no frame is made of them; absent values are None."""

    columns: Mapping[str, Sequence[str | None]]
    index: pd.Index

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.index)

    def __contains__(self, name: str) -> bool:
        """Return whether there is a column."""
        return name in self.columns

    def __getitem__(self, name: str) -> Sequence[str | None]:
        """Return a column."""
        return self.columns[name]


_STR: Final = pd.StringDtype(na_value=np.nan)
_NAT: Final = np.iinfo(np.int64).min
_FIRST_MICROSECOND, _LAST_MICROSECOND = EARLIEST.value // 1_000, LATEST.value // 1_000


def check_rows(frame: pd.DataFrame | TextRows, schema: Schema) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the sound rows, typed and in canonical columns, and the rejects of all others.

    Parameters
    ----------
    frame : DataFrame or TextRows
        Rows of text, indexed by line number. Columns that the schema does not name are left out,
        columns that the file lacks come back empty.

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
            texts = _stripped(frame[column.name])
            typed[column.name], reasons = _CHECKS[column.kind](texts, column)
        for position, reason in reasons.items():
            value = texts[position].as_py() or ""
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


def _stripped(values: pd.Series | Sequence[str | None]) -> pa.Array:
    """Return a column as Arrow text without white space around it, absent where nothing is left."""
    texts = pa.array(values, pa.string(), from_pandas=True)
    texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    texts = pc.utf8_trim_whitespace(texts)
    if pc.min(pc.binary_length(texts)).as_py() != 0:
        return texts
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _absent(column: Column, rows: int) -> Any:
    match column.kind:
        case "number":
            return np.full(rows, np.nan)
        case "instant" | "date":
            return _utc(np.full(rows, _NAT))
        case "flag":
            return pd.array([None] * rows, dtype="boolean")
    return _STR.__from_arrow__(pa.nulls(rows, pa.string()))


def _utc(microseconds: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(microseconds.view("datetime64[us]"), tz="UTC")


def _positions(mask: pa.Array) -> list[int]:
    return np.flatnonzero(pc.fill_null(mask, fill_value=False).to_numpy(zero_copy_only=False)).tolist()


def _missing(texts: pa.Array, column: Column) -> dict[int, str]:
    if not column.required or not texts.null_count:
        return {}
    return dict.fromkeys(_positions(pc.is_null(texts)), "missing, and required")


def _text(texts: pa.Array, column: Column) -> Checked:
    reasons = _missing(texts, column)
    longest = pc.max(pc.binary_length(texts)).as_py() or 0
    if longest > column.longest:
        too_long = pc.greater(pc.utf8_length(texts), column.longest)
        reasons |= dict.fromkeys(_positions(too_long), f"longer than {column.longest} characters")
    reasons |= dict.fromkeys(_positions(pc.match_substring(texts, "\x00")), "holds a NUL character")
    if column.choices:
        unknown = pc.invert(pc.is_in(texts, value_set=pa.array(column.choices)))
        for position in _positions(pc.and_(unknown, pc.is_valid(texts))):
            reasons[position] = _not_a_choice(texts[position].as_py(), column.choices)
    return _STR.__from_arrow__(texts), reasons


def _not_a_choice(value: str, choices: tuple[str, ...]) -> str:
    near = get_close_matches(value.lower(), choices, n=1) or [", ".join(choices)]
    return f"unknown; known and nearest: {near[0]}"


def _number(texts: pa.Array, column: Column) -> Checked:
    try:
        numbers = pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        numbers = pd.to_numeric(texts.to_pandas(), errors="coerce").to_numpy(dtype="float64", na_value=np.nan)
    given = pc.is_valid(texts).to_numpy(zero_copy_only=False)
    unreadable = given & ~np.isfinite(numbers)
    outside = given & ((numbers < column.low) | (numbers > column.high))
    reasons = dict.fromkeys(np.flatnonzero(outside).tolist(), f"outside {column.low:g}..{column.high:g}")
    reasons |= dict.fromkeys(np.flatnonzero(unreadable).tolist(), "not a number")
    # Adding 0 makes -0 the same as 0, to the last bit.
    return numbers + 0.0, reasons | _missing(texts, column)


def _instant(texts: pa.Array, column: Column) -> Checked:
    """Return instants told in ISO 8601; a time without an offset is taken as UTC."""
    try:
        times = pc.cast(texts, pa.timestamp("us", "UTC"))
    except pa.ArrowInvalid:
        # Of anything else pandas reads "now" and "today" as the clock's time.
        dated = pc.if_else(pc.match_substring_regex(texts, "^[0-9]"), texts, pa.scalar(None, pa.string()))
        parsed = pd.to_datetime(dated.to_pandas(), errors="coerce", utc=True, format="ISO8601")
        times = pa.array(parsed.astype("datetime64[us, UTC]"), from_pandas=True)
    microseconds = pc.fill_null(times.cast(pa.int64()), _NAT).to_numpy(zero_copy_only=False)
    read = microseconds != _NAT
    unreadable = np.flatnonzero(pc.is_valid(texts).to_numpy(zero_copy_only=False) & ~read).tolist()
    outside = read & ((microseconds < _FIRST_MICROSECOND) | (microseconds >= _LAST_MICROSECOND))
    reasons = dict.fromkeys(np.flatnonzero(outside).tolist(), "outside the years 1970 to 2199")
    reasons |= dict.fromkeys(unreadable, "not a time in ISO 8601, such as 2026-03-01T08:30:00Z")
    return _utc(microseconds), reasons | _missing(texts, column)


def _date(texts: pa.Array, column: Column) -> Checked:
    times, reasons = _instant(texts, column)
    return times.normalize(), reasons


def _flag(texts: pa.Array, column: Column) -> Checked:
    words = pc.utf8_lower(texts)
    true = pc.is_in(words, value_set=pa.array(TRUE_WORDS))
    false = pc.is_in(words, value_set=pa.array(FALSE_WORDS))
    unknown = pc.and_(pc.is_valid(texts), pc.invert(pc.or_(true, false)))
    reasons = dict.fromkeys(_positions(unknown), "neither true nor false")
    values = pc.if_else(pc.is_valid(texts), true, pa.scalar(None, pa.bool_()))
    return pd.array(values.to_pylist(), dtype="boolean"), reasons | _missing(texts, column)


def _list(texts: pa.Array, column: Column) -> Checked:
    """Return lists as one text, parts stripped, empty and repeated ones dropped."""
    values, reasons = _text(texts, Column(column.name, required=column.required, longest=column.longest))
    return pd.Series(values).map(_clean_list, na_action="ignore").astype("str").array, reasons


def _hours(texts: pa.Array, column: Column) -> Checked:
    """Return hours of a day as :data:`content_catalog.schema.HOURS` writes them."""
    values, reasons = _list(pc.replace_substring(texts, " ", ""), column)
    cleaned = pa.array(values, pa.string(), from_pandas=True)
    for position in _positions(pc.invert(pc.match_substring_regex(cleaned, HOURS))):
        reasons[position] = "no hours of a day such as 07:30-09:00, several joined by ;"
    return values, reasons


def _zone(texts: pa.Array, column: Column) -> Checked:
    """Return the IANA names of time zones."""
    encoded = pc.dictionary_encode(texts)
    written = encoded.dictionary.to_pylist()
    zones = [resolve_zone(name) for name in written]
    codes = encoded.indices.to_pylist()
    reasons = {
        position: unknown_zone(written[code])
        for position, code in enumerate(codes)
        if code is not None and zones[code] is None
    }
    named = pa.DictionaryArray.from_arrays(encoded.indices, pa.array(zones, pa.string())).dictionary_decode()
    return _STR.__from_arrow__(named), reasons | _missing(texts, column)


def _clean_list(value: str) -> str | None:
    parts = dict.fromkeys(part.strip() for part in value.split(LIST_SEPARATOR))
    return LIST_SEPARATOR.join(part for part in parts if part) or None


_CHECKS: dict[str, Callable[[pa.Array, Column], Checked]] = {
    "text": _text,
    "number": _number,
    "instant": _instant,
    "date": _date,
    "flag": _flag,
    "list": _list,
    "hours": _hours,
    "zone": _zone,
}
