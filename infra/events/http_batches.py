"""Study events that come in batches by HTTP: through the checks of files, stored once, each with what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sqlalchemy.orm import Session

from content_catalog.io.validation import joined_rejects
from features.event_json import text_rows
from features.events import check_events, compare_content, without_repetition
from infra.db import bulk
from infra.db.core_tables import events as table
from infra.errors import EventConflictError, EventsRefusedError
from infra.events.store import known


@dataclass(frozen=True, slots=True)
class Checked:
    """A batch that was checked: its events, those that are sound, and why others are not.

    ``columns`` are those of the distinct ones as they are stored.
    """

    batch: Sequence[object]
    sound: pd.DataFrame
    distinct: pd.DataFrame
    columns: dict[str, list[Any]]
    rejects: pd.DataFrame
    clashes: pd.DataFrame


def checked(batch: Sequence[object], *, partial: bool) -> Checked:
    """Return a batch checked, which takes no database and most of the time.

    Parameters
    ----------
    batch : sequence
        Objects with the columns of ``features.schema.EVENTS``, as parsed from JSON.
    partial : bool
        Take the good events where others are bad; else all or none.

    Raises
    ------
    EventsRefusedError
        An event is bad, unless ``partial``.
    """
    rows, wrong = text_rows(batch)
    sound, rejects = check_events(rows)
    if len(wrong):
        rejects = joined_rejects([wrong, rejects])
    if len(rejects) and not partial:
        raise EventsRefusedError.of(_told(rejects), len(batch))
    distinct, _, clashes = without_repetition(sound)
    return Checked(batch, sound, distinct, _columns(distinct), rejects, clashes)


def _columns(distinct: pd.DataFrame) -> dict[str, list[Any]]:
    """Return the columns that say anything, as a driver binds them, in the order of ids: writers sort theirs alike."""
    told = {name: bulk.python_values(distinct[name]) for name in distinct.columns}
    ids = told["event_id"]
    order = sorted(range(len(ids)), key=ids.__getitem__)
    return {name: [values[row] for row in order] for name, values in told.items() if values.count(None) < len(values)}


def post(session: Session, organisation_key: int, events: Checked, *, partial: bool) -> list[dict[str, Any]]:
    """Store the events of a batch that are not there yet; return what became of each, in order.

    Returns
    -------
    list of dict
        ``event_id`` (that of the content where none came), ``status``: ``stored``, ``duplicate`` (there already, or
        earlier in the batch), ``conflict`` (its id is there and says something else) or ``rejected``; and ``errors``,
        ``field, value, reason`` each, of the last two.

    Raises
    ------
    EventConflictError
        The id of an event says something else, unless ``partial``. The transaction must not be committed.
    """
    clashes = events.clashes
    owned = {"organisation_key": [organisation_key] * len(events.distinct), **events.columns}
    new = bulk.insert_few(session, table, owned, key="event_id")
    if len(new) < len(events.distinct):
        old = events.distinct[~events.distinct["event_id"].isin(new)]
        others, _ = compare_content(old, known(session, organisation_key, old["event_id"].tolist()))
        clashes = joined_rejects([clashes, others])
    if len(clashes) and not partial:
        raise EventConflictError.of(_told(clashes), len(events.batch))
    return _results(events.batch, events.sound, new, rejects=events.rejects, clashes=clashes)


def _told(rejects: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rejects as they are told to the sender."""
    if rejects.empty:  # mostly; pandas takes its time to find that out
        return []
    return [
        {"row": int(row), "field": field, "value": value, "reason": reason}
        for row, field, value, reason in rejects.itertuples(index=False, name=None)
    ]


def _results(
    batch: Sequence[object], sound: pd.DataFrame, new: set[str], *, rejects: pd.DataFrame, clashes: pd.DataFrame
) -> list[dict[str, Any]]:
    results: dict[int, dict[str, Any]] = {}
    left = set(new)  # the first of each id
    for row, event_id in zip(sound.index.tolist(), bulk.python_values(sound["event_id"]), strict=True):
        results[row] = {"event_id": event_id, "status": "stored" if event_id in left else "duplicate"}
        left.discard(event_id)
    for status, faults in (("conflict", clashes), ("rejected", rejects)):
        for fault in _told(faults):
            row = fault.pop("row")
            result = results.setdefault(row, {"event_id": _own_id(batch[row])})
            result["status"] = status
            result.setdefault("errors", []).append(fault)
    return [results[row] for row in range(len(batch))]


def _own_id(one: object) -> str | None:
    own = one.get("event_id") if isinstance(one, dict) else None
    return own if isinstance(own, str) else None
