"""Typed values of JSON, Parquet and workbooks as the text that checks judge: one spelling in every format."""

import math
from typing import Final
from uuid import UUID

import orjson

from content_catalog.schema import LIST_SEPARATOR

LIST_MARK: Final = "\ufdd0"
"""Stands before each part of a list, so that a separator inside a part is seen. A noncharacter, no part of any text."""
STRUCTURE_MARK: Final = "\ufdd1"
"""Stands before the JSON of an object or of a nested list, which no column holds."""
EXACT: Final = 2**53
"""Up to here a float holds every whole number exactly."""


def as_text(value: object) -> str:
    """Return a value as text: lists marked, absent values and NaN empty, whole numbers without a point.

    Examples
    --------
    >>> [as_text(value) for value in (17, 17.0, 1.5, True, None, float("nan"), 2.0**60)]
    ['17', '17', '1.5', 'true', '', '', '1.152921504606847e+18']
    >>> shown(as_text(["a", "b;c"])), shown(as_text({"a": 1}))
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
        case bytes():
            text = value.decode("utf-8", "backslashreplace")
        case list() | tuple() if not any(isinstance(part, list | tuple | dict) for part in value):
            text = list_of([as_text(part) for part in value if part is not None])
        case _:
            text = STRUCTURE_MARK + orjson.dumps(value, default=str).decode()
    return text


def float_text(value: float) -> str:
    """Return a float as text, an empty one for NaN; a whole number that may have lost digits keeps its point."""
    if math.isnan(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < EXACT else repr(value)


INEXACT: Final = r"^-?(?:\d(?:\.\d+)?[eE]\+?\d{2,3}|\d{16,}\.0)$"
"""Texts of numbers that may have lost digits; as ids they are refused."""


def list_of(parts: list[str]) -> str:
    """Return a list of texts in its marked form."""
    return LIST_MARK + LIST_MARK.join(parts)


def parts_of(text: str) -> list[str]:
    """Return the parts of a list in its marked form or joined by the separator."""
    return text[1:].split(LIST_MARK) if text.startswith(LIST_MARK) else text.split(LIST_SEPARATOR)


def shown(text: str) -> str:
    """Return a text for people, its marks taken out."""
    return text.removeprefix(LIST_MARK).removeprefix(STRUCTURE_MARK).replace(LIST_MARK, LIST_SEPARATOR)


def map_parts(text: str, table: dict[str, str]) -> str:
    """Return a text, or a list part by part, with each value that a table names replaced."""
    if text.startswith(LIST_MARK):
        return list_of([table.get(part, part) for part in parts_of(text)])
    return LIST_SEPARATOR.join(table.get(part, part) for part in text.split(LIST_SEPARATOR))
