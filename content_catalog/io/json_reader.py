"""Strict JSON (RFC 8259 and I-JSON, RFC 7493): a repeated key, a lone surrogate or deep nesting is an error.

Readers disagree about what a repeated key means, so it is refused rather than resolved.
"""

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NoReturn

from content_catalog.errors import StrictJsonError

MAX_DEPTH: Final = 100
"""Levels of nesting; serialisers fail at about 255."""
MAX_VALUES: Final = 1_000_000
"""Values of a text, counted by its commas: each takes some 200 bytes of memory and a microsecond, however short."""


def refuse_constant(name: str) -> NoReturn:
    """Refuse a number that is not finite, which is not JSON.

    Raises
    ------
    StrictJsonError
    """
    raise StrictJsonError(f"not JSON: {name} is not a JSON number")


def parse_json(
    text: str,
    *,
    parse_int: Callable[[str], Any] | None = None,
    parse_float: Callable[[str], Any] | None = None,
    parse_constant: Callable[[str], Any] = refuse_constant,
) -> Any:
    """Return the value of a JSON text.

    Parameters
    ----------
    parse_int, parse_float, parse_constant : callable
        As of :func:`json.loads`; the constants are NaN and the infinities, which are refused by default.

    Raises
    ------
    StrictJsonError

    Examples
    --------
    >>> parse_json('{"a": [1, 2]}')
    {'a': [1, 2]}
    >>> parse_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ...
    content_catalog.errors.StrictJsonError: the key 'a' comes twice in one object; send it once
    """
    if text.count(",") >= MAX_VALUES:
        raise StrictJsonError(f"more than {MAX_VALUES:,} values; send fewer at once")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique_keys,
            parse_int=parse_int,
            parse_float=parse_float,
            parse_constant=parse_constant,
        )
    except StrictJsonError:
        raise
    except ValueError as error:
        raise StrictJsonError(f"not JSON: {error}") from error
    except RecursionError:
        raise StrictJsonError(f"nested deeper than {MAX_DEPTH} levels; send it flatter") from None
    _check(value, text)
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        [(repeated, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise StrictJsonError(f"the key {repeated[:100]!r} comes twice in one object; send it once")
    return result


def _check(value: Any, text: str) -> None:
    """Refuse deep nesting and lone surrogates, which no UTF-8 can carry."""
    if text.count("[") + text.count("{") > MAX_DEPTH:
        level = [value]
        for _ in range(MAX_DEPTH):
            level = [part for container in level for part in _parts(container)]
            if not level:
                break
        else:
            raise StrictJsonError(f"nested deeper than {MAX_DEPTH} levels; send it flatter")
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise StrictJsonError("not JSON: a lone surrogate is not a character") from error


def _parts(container: Any) -> list[Any]:
    """Return the lists and objects directly inside a list or object."""
    values = container.values() if isinstance(container, dict) else container if isinstance(container, list) else ()
    return [part for part in values if isinstance(part, dict | list)]


_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
