"""Star schema of exports: facts of lists, events and outcomes, and the members, items and runs they name."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
import pandas as pd
import pyarrow as pa
from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session

from infra.catalog.sharing import visible
from infra.db import bulk
from infra.db.core_tables import SAME_ENTRIES, events, items, list_entries, lists, members, runs
from infra.events.store import counting
from infra.reports.push_rates import KINDS, entries_with_events
from infra.runs.store import ANYONE

FETCH_LISTS: Final = 2_000
"""Lists expanded to rows at once."""
TEXT, NUMBER, WHOLE, MOMENT = pa.string(), pa.float64(), pa.int64(), pa.timestamp("us", "UTC")


@dataclass(frozen=True, slots=True)
class ExportTable:
    """A table of the export.

    Attributes
    ----------
    query : callable
        Returns the query of an organisation's rows.
    rows : callable
        Returns rows of the table from a frame of the query's.
    fetch_rows : int
        Rows of the query in one frame.
    """

    schema: pa.Schema
    query: Callable[[int], Select[Any]]
    rows: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame
    fetch_rows: int = bulk.FETCH_ROWS

    def tables(self, session: Session, organisation_key: int) -> Iterator[pa.Table]:
        """Yield the rows in parts of bounded size, at least one part."""
        yield self.schema.empty_table()
        for frame in bulk.read_frames(session, self.query(organisation_key), fetch_rows=self.fetch_rows):
            rows = self.rows(frame).reindex(columns=self.schema.names)
            yield pa.Table.from_pandas(rows, self.schema, preserve_index=False)


def _included(organisation_key: int) -> ColumnElement[bool]:
    """Return the condition for members of an organisation who did not switch personalisation off."""
    own = and_(members.c.organisation_key == organisation_key, members.c.member_id != ANYONE)
    return and_(own, or_(members.c.personalised.is_(None), members.c.personalised.is_(True)))


def _same_member(table: Any) -> ColumnElement[bool]:
    return and_(members.c.organisation_key == table.c.organisation_key, members.c.member_id == table.c.member_id)


def _columns(table: Any, schema: pa.Schema) -> list[Any]:
    return [table.c[name] for name in schema.names]


MEMBERS: Final = pa.schema(
    [
        *((name, TEXT) for name in ("member_id", "units", "role", "industry", "region", "language")),
        ("joined_on", MOMENT),
    ]
)
ITEMS: Final = pa.schema(
    [
        *((name, TEXT) for name in ("item_id", "title", "language", "format")),
        ("duration_seconds", NUMBER),
        *((name, TEXT) for name in ("difficulty", "topics", "series", "provider")),
        ("published_at", MOMENT),
    ]
)
RUNS: Final = pa.schema([("run_id", TEXT), *((name, MOMENT) for name in ("as_of", "made_at", "published_at"))])
LISTS: Final = pa.schema(
    [
        *((name, TEXT) for name in ("list_id", "run_id", "member_id", "item_id")),
        ("rank", WHOLE),
        *((name, TEXT) for name in ("reason_code", "strategy", "language", "experiment", "variant")),
        ("propensity", NUMBER),
    ]
)
EVENTS: Final = pa.schema(
    [
        *((name, TEXT) for name in ("event_id", "member_id", "item_id", "verb")),
        ("occurred_at", MOMENT),
        *((name, NUMBER) for name in ("duration_seconds", "progress", "score", "rating")),
        *((name, TEXT) for name in ("device", "push_list_id", "session_id")),
    ]
)
OUTCOMES: Final = pa.schema(
    [
        *((name, TEXT) for name in ("list_id", "member_id", "item_id")),
        ("first_at", MOMENT),
        *((k, WHOLE) for k in KINDS),
    ]
)


def _members(organisation_key: int) -> Select[Any]:
    return select(*_columns(members, MEMBERS)).where(_included(organisation_key)).order_by(members.c.member_id)


def _items(organisation_key: int) -> Select[Any]:
    return select(*_columns(items, ITEMS)).where(visible(organisation_key)).order_by(items.c.item_id)


def _runs(organisation_key: int) -> Select[Any]:
    published = and_(runs.c.organisation_key == organisation_key, runs.c.published_at.is_not(None))
    return select(*_columns(runs, RUNS)).where(published).order_by(runs.c.run_key)


def _lists(organisation_key: int) -> Select[Any]:
    own = [lists.c[name] for name in ("list_id", "member_id", "strategy", "language", "experiment", "variant")]
    return (
        select(runs.c.run_id, *own, list_entries.c.entries)
        .join(runs, runs.c.run_key == lists.c.run_key)
        .join(members, _same_member(lists))
        .join(list_entries, SAME_ENTRIES)
        .where(lists.c.organisation_key == organisation_key, runs.c.published_at.is_not(None))
        .where(_included(organisation_key))
        .order_by(lists.c.run_key, lists.c.member_id)
    )


def _entries(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row per entry of lists, ranks from 1."""
    entries = frame["entries"].map(orjson.loads)
    rows = frame.drop(columns="entries").assign(entry=entries).explode("entry").dropna(subset="entry")
    rows["rank"] = rows.groupby(level=0).cumcount() + 1
    rows["item_id"] = [entry["item_id"] for entry in rows["entry"]]
    rows["reason_code"] = [entry["reason"]["code"] for entry in rows["entry"]]
    rows["propensity"] = [entry.get("propensity", 1.0) for entry in rows["entry"]]
    return rows


def _events(organisation_key: int) -> Select[Any]:
    return (
        select(*_columns(events, EVENTS))
        .join(members, _same_member(events))
        .where(counting(organisation_key), _included(organisation_key))
        .order_by(events.c.occurred_at, events.c.event_id)
    )


def _outcomes(organisation_key: int) -> Select[Any]:
    entries = entries_with_events(organisation_key)
    own_list = and_(lists.c.organisation_key == organisation_key, lists.c.list_id == entries.c.push_list_id)
    return (
        select(entries.c.push_list_id.label("list_id"), *(entries.c[name] for name in OUTCOMES.names[1:]))
        .join(lists, own_list)
        .join(members, and_(members.c.member_id == entries.c.member_id, _included(organisation_key)))
        .where(or_(lists.c.member_id == entries.c.member_id, lists.c.member_id == ANYONE))
        .order_by(entries.c.first_at, *(entries.c[name] for name in ("push_list_id", "member_id", "item_id")))
    )


def _with_times(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(first_at=pd.to_datetime(frame["first_at"], unit="us", utc=True))


DIMENSIONS: Final = {
    "members": ExportTable(MEMBERS, _members),
    "items": ExportTable(ITEMS, _items),
    "runs": ExportTable(RUNS, _runs),
}
FACTS: Final = {
    "lists": ExportTable(LISTS, _lists, _entries, FETCH_LISTS),
    "events": ExportTable(EVENTS, _events),
    "outcomes": ExportTable(OUTCOMES, _outcomes, _with_times),
}
