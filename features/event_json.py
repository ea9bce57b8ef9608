"""Study events from JSON objects, as they come by HTTP: strict in types where files are not."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import pandas as pd

from content_catalog.io.files import rejects_frame
from content_catalog.io.validation import TextRows
from features.schema import EVENTS
from features.xapi.validation.json_validation import shown

_NUMBERS: Final = frozenset({int, float})
_TEXTS: Final = frozenset({str})
_FLAGS: Final = frozenset({bool})
_ABSENT: Final = frozenset({type(None)})
_TYPES: Final = {
    column.name: {"number": _NUMBERS, "flag": _FLAGS}.get(column.kind, _TEXTS) for column in EVENTS.columns
}
_MUST_BE: Final = {_NUMBERS: "must be a number", _TEXTS: "must be a text", _FLAGS: "must be true or false"}
_UNKNOWN: Final = f"unknown field; known: {', '.join(_TYPES)}"

Reject = tuple[int, str, str, str]


def text_rows(objects: Sequence[Any]) -> tuple[TextRows, pd.DataFrame]:
    """Return objects as rows of text, indexed by place from 0, and the rejects of those with values of wrong types.

    A value of null is an absent one, and so is one of a wrong type: the other values of its object can be checked.

    Examples
    --------
    >>> rows, rejects = text_rows([{"verb": "viewed", "progress": 0.5}, {"verb": 1}, "viewed"])
    >>> rows.columns, rows.index.tolist()
    ({'verb': ('viewed', None), 'progress': ['0.5', None]}, [0, 1])
    >>> rejects[["line", "field", "reason"]].to_numpy().tolist()
    [[1, 'verb', 'must be a text'], [2, '', 'must be an object']]
    """
    rejects = [
        (place, "", shown(value), "must be an object") for place, value in enumerate(objects) if type(value) is not dict
    ]
    wrong = {place for place, *_ in rejects}
    good = {place: value for place, value in enumerate(objects) if place not in wrong}
    columns = _columns(good.values())
    if ill_typed := _ill_typed(good, columns):
        rejects += ill_typed
        wrong = {place for place, *_ in ill_typed}
        good |= {place: _well_typed(good[place]) for place in wrong}
        columns = _columns(good.values())
    texts = {
        name: values if _TYPES[name] is _TEXTS else [None if value is None else repr(value) for value in values]
        for name, values in columns.items()
        if values.count(None) < len(values)
    }
    index = pd.Index(list(good), dtype="int64", name="line")
    return TextRows(texts, index), rejects_frame(sorted(rejects, key=lambda reject: reject[0]))


def _columns(good: Collection[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Return the columns that any object names, those of the schema first; absent values as None."""
    named = set[str]().union(*good)
    names = [*(name for name in _TYPES if name in named), *sorted(named - _TYPES.keys())]
    # Row by row: each object is fetched from memory once.
    rows = [[event.get(name) for name in names] for event in good]
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def _well_typed(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if type(value) in _TYPES.get(name, ())}


def _ill_typed(good: dict[int, dict[str, Any]], columns: dict[str, tuple[Any, ...]]) -> list[Reject]:
    """Return the values that are not of the type of their column, and those of no column.

    By type and not by isinstance: true is no number. Whole columns first, for mostly all is well.
    """
    rejects: list[Reject] = []
    near = EVENTS.similar([name for name in columns if name not in _TYPES], EVENTS.names)
    for name, values in columns.items():
        allowed = _TYPES[name] | _ABSENT if name in _TYPES else frozenset[type]()
        if not allowed.issuperset(map(type, values)):
            unknown = f"unknown field; known and nearest: {near[name]}" if name in near else _UNKNOWN
            reason = unknown if name not in _TYPES else _MUST_BE[_TYPES[name]]
            field = name if name in _TYPES else shown(name)
            rejects += [
                (place, field, shown(event[name]), reason)
                for place, event in good.items()
                if name in event and type(event[name]) not in allowed
            ]
    return rejects
