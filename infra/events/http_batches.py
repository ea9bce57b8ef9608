"""Batches of study events over HTTP: validated as files are, stored once, with a result for each event."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sqlalchemy import literal, select, union_all
from sqlalchemy.orm import Session

from content_catalog.io.validation import joined_rejects
from features.event_json import text_rows
from features.events import check_events, compare_content, deduplicate
from features.schema import VOIDED
from infra.catalog.sharing import readable
from infra.db import bulk
from infra.db.core_tables import events as table
from infra.db.core_tables import items, members
from infra.errors import EventConflictError, EventsRefusedError
from infra.events.store import by_id


@dataclass(frozen=True, slots=True)
class CheckedBatch:
    """A validated batch: its events, the valid ones, and the rejects of the others.

    ``columns`` are those of the distinct events as the driver binds them. Of a ``partial`` batch the good events are
    stored even if others are bad, of any other all or none.
    """

    batch: Sequence[object]
    partial: bool
    sound: pd.DataFrame
    distinct: pd.DataFrame
    columns: dict[str, list[Any]]
    rejects: pd.DataFrame
    clashes: pd.DataFrame


def checked(batch: Sequence[object], *, partial: bool, zone: str = "UTC") -> CheckedBatch:
    """Return a validated batch; this takes most of the time and no database.

    Parameters
    ----------
    batch : sequence
        Objects with the columns of ``features.schema.EVENTS``, as parsed from JSON.
    partial : bool
        Store the good events even if others are bad; otherwise all or none.
    zone : str
        IANA name of the zone of times without an offset.

    Raises
    ------
    EventsRefusedError
        An event is bad, unless ``partial``.
    """
    rows, wrong = text_rows(batch)
    sound, rejects = check_events(rows, zone=zone)
    if len(wrong):
        sound = sound.drop(index=wrong["line"].unique(), errors="ignore")
        # A value of a wrong type is not missing as well.
        rejects = joined_rejects([wrong, rejects]).drop_duplicates(["line", "field"], ignore_index=True)
    if len(rejects) and not partial:
        raise EventsRefusedError.of(_faults(rejects), len(batch))
    distinct, _, clashes = deduplicate(sound)
    return CheckedBatch(batch, partial, sound, distinct, _columns(distinct), rejects, clashes)


def _columns(distinct: pd.DataFrame) -> dict[str, list[Any]]:
    """Return the columns with any value, as a driver binds them, by id: writers in one order do not deadlock."""
    columns = {name: bulk.python_values(distinct[name]) for name in distinct.columns}
    ids = columns["event_id"]
    order = sorted(range(len(ids)), key=ids.__getitem__)
    return {
        name: [values[row] for row in order] for name, values in columns.items() if values.count(None) < len(values)
    }


def post(session: Session, organisation_key: int, events: CheckedBatch) -> list[dict[str, Any]]:
    """Store the new events of a batch; return the result of each, in order.

    Returns
    -------
    list of dict
        ``event_id`` (that of the content where none came), ``status``: ``stored``, ``unresolved`` (stored, but counts
        only once its member and item exist), ``duplicate`` (there already, or
        earlier in the batch), ``conflict`` (its id is there and says something else) or ``rejected``; and ``errors``,
        ``field, value, reason`` each, of the last two.

    Raises
    ------
    EventConflictError
        The id of an event says something else, unless the batch is partial. The transaction must not be committed.
    """
    clashes = events.clashes
    owned = {"organisation_key": [organisation_key] * len(events.distinct), **events.columns}
    new = bulk.insert_few(session, table, owned, key="event_id")
    if len(new) < len(events.distinct):
        old = events.distinct[~events.distinct["event_id"].isin(new)]
        altered, _ = compare_content(old, by_id(session, organisation_key, old["event_id"].tolist()))
        clashes = joined_rejects([clashes, altered])
    if len(clashes) and not events.partial:
        raise EventConflictError.of(_faults(clashes), len(events.batch))
    unresolved = _unresolved(session, organisation_key, events.distinct, new)
    return _results(events, new, unresolved, clashes=clashes)


def _faults(rejects: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rejects as they are sent to the caller."""
    if rejects.empty:  # mostly; pandas takes its time to find that out
        return []
    return [
        {"row": int(row), "field": field, "value": value, "reason": reason}
        for row, field, value, reason in rejects.itertuples(index=False, name=None)
    ]


def _unresolved(session: Session, organisation_key: int, distinct: pd.DataFrame, new: set[str]) -> set[str]:
    """Return the ids of new events whose member or item does not exist."""
    named = distinct[distinct["event_id"].isin(new) & (distinct["verb"] != VOIDED)]
    if named.empty:
        return set()
    member_ids, item_ids = (bulk.python_values(named[name]) for name in ("member_id", "item_id"))
    both = union_all(
        select(literal("member"), members.c.member_id).where(
            members.c.organisation_key == organisation_key, members.c.member_id.in_(set(member_ids))
        ),
        select(literal("item"), items.c.item_id).where(readable(organisation_key), items.c.item_id.in_(set(item_ids))),
    )
    existing = {(kind, name) for kind, name in session.execute(both)}
    return {
        event_id
        for event_id, member_id, item_id in zip(
            bulk.python_values(named["event_id"]), member_ids, item_ids, strict=True
        )
        if ("member", member_id) not in existing or ("item", item_id) not in existing
    }


def _results(
    events: CheckedBatch, new: set[str], unresolved: set[str], *, clashes: pd.DataFrame
) -> list[dict[str, Any]]:
    results: dict[int, dict[str, Any]] = {}
    left = set(new)  # the first of each id
    for row, event_id in zip(events.sound.index.tolist(), bulk.python_values(events.sound["event_id"]), strict=True):
        stored = "unresolved" if event_id in unresolved else "stored"
        results[row] = {"event_id": event_id, "status": stored if event_id in left else "duplicate"}
        left.discard(event_id)
    for status, faults in (("conflict", clashes), ("rejected", events.rejects)):
        for fault in _faults(faults):
            row = fault.pop("row")
            result = results.setdefault(row, {"event_id": _own_id(events.batch[row])})
            result["status"] = status
            result.setdefault("errors", []).append(fault)
    return [results[row] for row in range(len(events.batch))]


def _own_id(event: object) -> str | None:
    own = event.get("event_id") if isinstance(event, dict) else None
    return own if isinstance(own, str) else None
