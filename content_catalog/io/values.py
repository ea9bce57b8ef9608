"""Typed values of JSON, Parquet and workbooks as the text that checks judge: one spelling in every format."""

import math
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final
from uuid import UUID

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from content_catalog.schema import LIST_SEPARATOR

LIST_MARK: Final = "\ufdd0"
"""Stands before each part of a list, so that a separator inside a part is seen. A noncharacter, no part of any text."""
STRUCTURE_MARK: Final = "\ufdd1"
"""Stands before the JSON of an object or of a nested list, which no column holds."""
MARKED: Final = f"[{LIST_MARK}{STRUCTURE_MARK}]"
FORMULA_START: Final = f"{STRUCTURE_MARK}="
COVERED: Final = f"{STRUCTURE_MARK}merged"
"""Stands for a cell of a workbook that is merged with the one above or before it."""
"""Begins a formula of a workbook that has no value."""
WHITE_SPACE: Final = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
    "\u200b\u2060\ufeff"
)
"""Characters that are dropped around a value: white space, and those without width that come with copied text."""
INVISIBLE: Final = "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
"""Characters that are not to be seen in ids; not the joiners, which emoji and Persian are written with."""
EXACT: Final = 2**53
"""Up to here a float holds every whole number exactly."""
TOO_LARGE: Final = "1e999"
"""Text of a number beyond all floats, which no number and no id may be."""
STR: Final = pd.StringDtype(na_value=np.nan)

NO_IDS: Final = {
    "dots alone, which addresses cannot hold; choose another id": pa.array([".", ".."]),
    "what programs write for no value, and no id; leave it empty or give the id": pa.array(
        [
            *("null", "NULL", "None", "NaN", "nan", "undefined", "[object Object]", "(null)", "\\N", "<NA>", "NaT"),
            *("#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#DIV/0!"),
        ]
    ),
}
"""Texts that are no ids, by the reason: browsers drop dots from paths (RFC 3986, 5.2.4), and what stands
for a missing value would make one member of all who have none."""


def as_text(value: object) -> str:
    """Return a value as text: lists marked, absent values and NaN empty, whole numbers without a point.

    Examples
    --------
    >>> [as_text(value) for value in (17, 17.0, 1.5, True, None, float("nan"), 2.0**60)]
    ['17', '17', '1.5', 'true', '', '', '1.152921504606847e+18']
    >>> without_marks(as_text(["a", "b;c"])), without_marks(as_text({"a": 1}))
    ('a;b;c', '{"a":1}')
    """
    match value:
        case None:
            text = ""
        case bool():
            text = "true" if value else "false"
        case float():
            text = float_text(value)
        case str() | int() | UUID():
            text = str(value)
        case Decimal() if value.is_finite():
            text = _decimal_text(value)
        case date():
            text = value.isoformat()
        case bytes():
            text = value.decode("utf-8", "backslashreplace")
        case list() | tuple() if not any(isinstance(part, list | tuple | dict) for part in value):
            text = list_of([as_text(part) for part in value if part is not None])
        case _:
            text = STRUCTURE_MARK + orjson.dumps(value, default=str).decode()
    return text


def float_text(value: float, *, exact: int = EXACT) -> str:
    """Return a float as text, an empty one for NaN; a whole number that may have lost digits in scientific notation.

    Parameters
    ----------
    exact : int
        Number up to which the type of the float holds every whole number.
    """
    if math.isnan(value):
        return ""
    if math.isinf(value):
        return TOO_LARGE if value > 0 else f"-{TOO_LARGE}"
    if not value.is_integer():
        return repr(value)
    return str(int(value)) if abs(value) < exact else np.format_float_scientific(value, trim="-")


def _decimal_text(value: Decimal) -> str:
    """Return a decimal number without zeros at its end: 17.00 is the 17 of other formats."""
    text = f"{value:f}" if value else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


INEXACT: Final = r"(?:^|;)-?(?:\d(?:[.,]\d+)?[eE]\+?\d{2,3}|\d{16,}\.0)(?:;|$)"
"""Texts of numbers that may have lost digits, alone or in a list; as ids they are refused."""


def stripped(values: pd.Series | Sequence[str | None]) -> pa.Array:
    """Return a column as Arrow text without white space around it, missing where nothing is left."""
    texts = pc.utf8_trim(_arrow(values), characters=WHITE_SPACE)
    if pc.min(pc.binary_length(texts)).as_py() != 0:
        return texts
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def trimmed(values: pd.Series) -> pd.Series:
    """Return a column of text without white space around it; missing values stay missing."""
    texts = pc.utf8_trim(_arrow(values), characters=WHITE_SPACE)
    return pd.Series(STR.__from_arrow__(texts), index=values.index)


def _arrow(values: pd.Series | Sequence[str | None]) -> pa.Array:
    texts = pa.array(values, pa.string(), from_pandas=True)
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def parse_numbers(values: pd.Series | pa.Array) -> NDArray[np.float64]:
    """Return texts as numbers, NaN where one is missing or not a number."""
    texts = values if isinstance(values, pa.Array) else stripped(values)
    try:
        numbers = pc.cast(texts, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        numbers = pd.to_numeric(texts.to_pandas(), errors="coerce").to_numpy(dtype="float64", na_value=np.nan)
    return np.asarray(numbers, dtype=np.float64)


def list_of(parts: list[str]) -> str:
    """Return a list of texts in its marked form."""
    return LIST_MARK + LIST_MARK.join(parts)


def parts_of(text: str) -> list[str]:
    """Return the parts of a list in its marked form or joined by the separator."""
    return text[1:].split(LIST_MARK) if text.startswith(LIST_MARK) else text.split(LIST_SEPARATOR)


def structure_fault(text: str) -> str:
    """Return why a marked text is no value of a column; an empty text for a list of texts."""
    if text.startswith(LIST_MARK) and STRUCTURE_MARK not in text:
        return ""
    if FORMULA_START in text:
        return "a formula without a value; open the workbook in a spreadsheet and save it"
    if text == COVERED:
        return "a part of a merged cell; unmerge it, and give each row a value of its own"
    return "an object or a nested list; give a single value"


def without_marks(text: str) -> str:
    """Return a text for people, its marks taken out."""
    return text.removeprefix(LIST_MARK).replace(STRUCTURE_MARK, "").replace(LIST_MARK, LIST_SEPARATOR)


def map_parts(text: str, table: dict[str, str]) -> str:
    """Return a text, or a list part by part, with each value that a table names replaced."""
    if text.startswith(LIST_MARK):
        return list_of([_mapped(part, table) for part in parts_of(text)])
    return LIST_SEPARATOR.join(_mapped(part, table) for part in text.split(LIST_SEPARATOR))


def _mapped(part: str, table: dict[str, str]) -> str:
    part = part.strip(WHITE_SPACE)
    return table.get(part, part)
