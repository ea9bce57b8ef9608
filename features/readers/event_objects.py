"""Study events from JSON objects, as they come by HTTP: strict in types where files are not."""

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from content_catalog.readers import as_text
from content_catalog.sources import rejects_frame
from features.readers.json_checks import shown
from features.schema import EVENTS

_TYPES: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    column.name: ((int, float), "must be a number") if column.kind == "number" else ((str,), "must be a text")
    for column in EVENTS.columns
}
_UNKNOWN: Final = f"unknown field; known: {', '.join(_TYPES)}"


def text_rows(objects: Sequence[object]) -> tuple[pd.DataFrame, pd.DataFrame]:
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
    rejects: list[tuple[int, str, str, str]] = []
    good: dict[int, dict[str, Any]] = {}
    for place, one in enumerate(objects):
        wrong = _wrong(place, one)
        if wrong:
            rejects += wrong
        else:
            good[place] = one  # type: ignore[assignment]  # that it is an object was the first thing to be checked
    told = {name: [one.get(name) for one in good.values()] for name in _TYPES}
    columns = {
        name: [as_text(value) for value in values]
        for name, values in told.items()
        if any(value is not None for value in values)
    }
    # Objects rather than inferred types: what is looked at next are the texts themselves.
    index = pd.Index(list(good), dtype="int64", name="line")
    return pd.DataFrame(columns, index=index, dtype=object), rejects_frame(rejects)


def _wrong(place: int, one: object) -> list[tuple[int, str, str, str]]:
    """Return what is not of its type in an object."""
    if not isinstance(one, dict):
        return [(place, "", shown(one), "must be an object")]
    found = []
    for name, value in one.items():
        types, reason = _TYPES.get(name, ((), _UNKNOWN))
        # By type and not by isinstance: true is no number.
        if type(value) not in types and (value is not None or not types):
            found.append((place, shown(name), shown(value), reason))
    return found
