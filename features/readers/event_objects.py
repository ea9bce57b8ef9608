"""Study events from JSON objects, as they come by HTTP: strict in types where files are not."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import pandas as pd

from content_catalog.sources import rejects_frame
from features.readers.json_checks import shown
from features.schema import EVENTS

_NUMBERS: Final = frozenset({int, float})
_TEXTS: Final = frozenset({str})
_ABSENT: Final = frozenset({type(None)})
_TYPES: Final = {column.name: _NUMBERS if column.kind == "number" else _TEXTS for column in EVENTS.columns}
_UNKNOWN: Final = f"unknown field; known: {', '.join(_TYPES)}"

Reject = tuple[int, str, str, str]


def text_rows(objects: Sequence[Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return objects as rows of text, indexed by place from 0, ready for their check; and the rejects of all others.

    A value of null is an absent one.

    Examples
    --------
    >>> rows, rejects = text_rows([{"verb": "viewed", "progress": 0.5}, {"verb": 1}, "viewed"])
    >>> rows.to_dict("index")
    {0: {'verb': 'viewed', 'progress': '0.5'}}
    >>> rejects[["line", "field", "reason"]].to_numpy().tolist()
    [[1, 'verb', 'must be a text'], [2, '', 'must be an object']]
    """
    rejects = [
        (place, "", shown(one), "must be an object") for place, one in enumerate(objects) if type(one) is not dict
    ]
    wrong = {place for place, *_ in rejects}
    good = {place: one for place, one in enumerate(objects) if place not in wrong}
    found = _ill_typed(good)
    if found:
        rejects += found
        wrong = {place for place, *_ in found}
        good = {place: one for place, one in good.items() if place not in wrong}
    index = pd.Index(list(good), dtype="int64", name="line")
    # Objects rather than inferred types: what is looked at next are the texts themselves.
    return pd.DataFrame(_columns(good.values()), index=index, dtype=object), rejects_frame(
        sorted(rejects, key=lambda reject: reject[0])
    )


def _columns(good: Iterable[dict[str, Any]]) -> dict[str, list[str | None]]:
    """Return the columns that have any value, as text."""
    columns = {}
    for name, types in _TYPES.items():
        values = [one.get(name) for one in good]
        if values.count(None) < len(values):
            columns[name] = (
                [None if value is None else repr(value) for value in values] if types is _NUMBERS else values
            )
    return columns


def _ill_typed(good: dict[int, dict[str, Any]]) -> list[Reject]:
    """Return the values that are not of the type of their column, and those of no column.

    By type and not by isinstance: true is no number. Whole columns first, for mostly all is well.
    """
    found: list[Reject] = []
    for name, types in _TYPES.items():
        allowed = types | _ABSENT
        if not allowed.issuperset(map(type, [one.get(name) for one in good.values()])):
            reason = "must be a number" if types is _NUMBERS else "must be a text"
            found += [
                (place, name, shown(one[name]), reason)
                for place, one in good.items()
                if type(one.get(name)) not in allowed
            ]
    for place, one in good.items():
        if not one.keys() <= _TYPES.keys():
            found += [(place, shown(name), shown(value), _UNKNOWN) for name, value in one.items() if name not in _TYPES]
    return found
