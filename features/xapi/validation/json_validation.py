"""Combinators for checks of JSON values: objects, arrays, texts and numbers.

A check takes a value and returns its first fault, or None. Faults name their field from the value down; the check of
the enclosing object adds its own key on the way up, so that nothing is spent on names while all is well.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

import orjson

MAX_SHOWN: Final = 200
NULL: Final = "null is allowed nowhere but inside extensions"


@dataclass(frozen=True, slots=True)
class Fault:
    """The first fault of a JSON value.

    Attributes
    ----------
    field : str
        Dotted path, array elements by their number from 0: ``actor.account.homePage``; "" is the value itself.
    value : str
        The value there, as JSON (text without quotes), at most 200 characters.
    reason : str
        The rule that it breaks.
    """

    field: str
    value: str
    reason: str

    def inside(self, key: str) -> "Fault":
        """Return the same fault seen from the object that holds the value under ``key``."""
        key = shown(key)
        return Fault(f"{key}.{self.field}" if self.field else key, self.value, self.reason)


Check = Callable[[Any], Fault | None]


def shown(value: object) -> str:
    """Return a value for messages: as JSON, safe to write as UTF-8, at most 200 characters."""
    if isinstance(value, str):
        return value[:MAX_SHOWN].encode("utf-8", "backslashreplace").decode()[:MAX_SHOWN]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    try:
        # Dumping costs as much as the value is large, but only once for a value already found wrong.
        return orjson.dumps(value).decode()[:MAX_SHOWN]
    except TypeError:  # nested too deep, a number beyond 64 bits, half a surrogate pair
        return f"({type(value).__name__} too deep or too large to show)"


def wrong(value: object, reason: str) -> Fault:
    """Return the fault of a value that is not what it must be."""
    return Fault("", shown(value), NULL if value is None else reason)


def text(value: object) -> Fault | None:
    """Return the fault of a value that is no text."""
    return None if isinstance(value, str) else wrong(value, "must be a text")


def flag(value: object) -> Fault | None:
    """Return the fault of a value that is neither true nor false."""
    return None if value is True or value is False else wrong(value, "must be true or false")


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a value is a JSON number: true, false, NaN and the infinities are not."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def number(value: object) -> Fault | None:
    """Return the fault of a value that is no number."""
    return None if is_number(value) else wrong(value, "must be a number")


def octets(value: object) -> Fault | None:
    """Return the fault of a value that is no number of bytes: whole, not negative."""
    if is_number(value) and value % 1 == 0 and value >= 0:
        return None
    return wrong(value, "must be a whole number, not negative")


def text_like(pattern: re.Pattern[str], what: str) -> Check:
    """Return a check for text that a pattern matches completely."""
    matches = pattern.fullmatch
    reason = f"must be {what}"

    def check(value: object) -> Fault | None:
        return None if isinstance(value, str) and matches(value) else wrong(value, reason)

    return check


def text_that(holds: Callable[[str], object], what: str) -> Check:
    """Return a check for text by a predicate; None and False are failures."""
    reason = f"must be {what}"

    def check(value: object) -> Fault | None:
        if isinstance(value, str) and holds(value) not in (None, False):
            return None
        return wrong(value, reason)

    return check


def one_of(*allowed: str) -> Check:
    """Return a check for one of some texts, in exactly their case."""
    reason = f"must be exactly {' or '.join(allowed)}"

    def check(value: object) -> Fault | None:
        return None if isinstance(value, str) and value in allowed else wrong(value, reason)

    return check


def array(part: Check) -> Check:
    """Return a check for an array whose elements all pass ``part``."""

    def check(value: object) -> Fault | None:
        if not isinstance(value, list):
            return wrong(value, "must be an array")
        for index, element in enumerate(value):
            fault = part(element)
            if fault is not None:
                return fault.inside(str(index))
        return None

    return check


def mapping(holds: Callable[[str], object], what: str, part: Check | None = None) -> Check:
    """Return a check for an object whose keys satisfy a predicate and whose values pass ``part`` (None: any value)."""

    def check(value: object) -> Fault | None:
        if not isinstance(value, dict):
            return wrong(value, "must be an object")
        for key, element in value.items():
            if not holds(key):
                return Fault(shown(key), shown(element), f"its key must be {what}")
            fault = None if part is None else part(element)
            if fault is not None:
                return fault.inside(key)
        return None

    return check


def record(
    required: Mapping[str, Check], optional: Mapping[str, Check] | None = None, *, rule: Check | None = None
) -> Check:
    """Return a check for an object of known properties: all required ones, any optional ones, no others.

    Parameters
    ----------
    required, optional : Mapping
        Check of each property.
    rule : Check, optional
        Check between properties that each are well formed.
    """
    parts = {**required, **(optional or {})}
    by_lower_case = {key.lower(): key for key in parts}

    def check(value: object) -> Fault | None:
        if not isinstance(value, dict):
            return wrong(value, "must be an object")
        for key in required:
            if key not in value:
                return Fault(key, "", "is missing")
        for key, element in value.items():
            part = parts.get(key)
            if part is None:
                meant = by_lower_case.get(key.lower())
                hint = f": it is spelled {meant}" if meant else ", which xAPI does not have here"
                return Fault(shown(key), shown(element), f"unknown property{hint}")
            fault = part(element)
            if fault is not None:
                return fault.inside(key)
        return None if rule is None else rule(value)

    return check
