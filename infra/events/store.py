"""Study events in the database: taken in once, in any order, and read back for the night.

Events of members or items that are not known yet are kept like all others; every reading joins with what is known, so
they count from the moment their member and item arrive.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    Exists,
    Numeric,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.orm import Session, aliased

from content_catalog.io.files import rejects_frame
from features.events import compare_content, without_repetition
from features.interactions import FINISHED_PROGRESS, FINISHING_VERBS, OPINIONS
from features.schema import EVENTS, SHOWN, VERBS, VOIDED
from infra.catalog.sharing import readable
from infra.db import bulk
from infra.db.core_tables import events, items, members

LOOKUP_IDS = 20_000
STUDY = ("item_id", "verb", "occurred_at", "duration_seconds", "progress", "score", "session_id")
"""What a night reads of an event, beside its member."""
TRACE_MODULUS = 86_400_000_003
AGAINST = tuple(verb for verb, opinion in OPINIONS.items() if opinion < 0)


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a chunk of sound events."""

    stored: int
    duplicates: int
    rejects: pd.DataFrame


def store(session: Session, organisation_key: int, chunk: pd.DataFrame) -> Stored:
    """Take in events that are not there yet; an id that is there with other content becomes a reject."""
    distinct, repeated, clashes = without_repetition(chunk)
    # In order of the index on ids, which random ids would otherwise fill page by page: a third less time.
    rows = distinct.sort_values("event_id").dropna(axis="columns", how="all").assign(organisation_key=organisation_key)
    stored = bulk.insert_new(session, events, rows)
    if stored == len(distinct):
        return Stored(stored, repeated, clashes)
    there = known(session, organisation_key, distinct["event_id"].tolist())
    rejects, _ = compare_content(distinct, there)
    duplicates = repeated + len(distinct) - stored - len(rejects)
    filled = [part for part in (clashes, rejects) if len(part)]
    return Stored(stored, duplicates, pd.concat(filled, ignore_index=True) if filled else rejects_frame(()))


def known(session: Session, organisation_key: int, event_ids: list[str]) -> pd.DataFrame:
    """Return stored events by id, typed as a checked chunk is."""
    columns = bulk.raw_columns(events, EVENTS.names)
    parts: list[pd.DataFrame] = []
    for start in range(0, len(event_ids), LOOKUP_IDS):
        ids = event_ids[start : start + LOOKUP_IDS]
        query = select(*columns).where(events.c.organisation_key == organisation_key, events.c.event_id.in_(ids))
        parts.extend(bulk.read_frames(session, query))
    known = pd.concat(parts, ignore_index=True)
    known["occurred_at"] = pd.to_datetime(known["occurred_at"], unit="us", utc=True).astype("datetime64[us, UTC]")
    return known


def counting(organisation_key: int | BindParameter[int]) -> ColumnElement[bool]:
    """Return the condition for events that count: an organisation's, neither voiding nor voided."""
    mine = events.c.organisation_key == organisation_key
    return and_(mine, events.c.verb != VOIDED, ~_voided(organisation_key, events.c.event_id))


def _voided(organisation_key: int | BindParameter[int], event_id: Column[str] | None = None) -> Exists:
    """Return the condition that an event is voided; by default that any is."""
    voiding = aliased(events)
    target = voiding.c.voided_event_id.is_not(None) if event_id is None else voiding.c.voided_event_id == event_id
    mine = voiding.c.organisation_key == organisation_key
    return select(literal(1)).where(mine, target, voiding.c.verb == VOIDED).exists()


def settled(
    session: Session, organisation_key: int, member_ids: Iterable[str], item_ids: Iterable[str]
) -> set[tuple[str, str]]:
    """Return which members finished which items or want no more of them: none of these belongs on their next list."""
    asked = events.c.member_id.in_(member_ids) & events.c.item_id.in_(item_ids)
    return {(row[0], row[1]) for row in session.execute(settling(organisation_key, asked))}


def settling(organisation_key: int, asked: ColumnElement[bool]) -> Select[Any]:
    """Return the query for the events by which members are done with items, as member and item."""
    return select(events.c.member_id, events.c.item_id).where(counting(organisation_key), asked, _done())


def _finishing() -> ColumnElement[bool]:
    return or_(events.c.verb.in_(FINISHING_VERBS), events.c.progress >= FINISHED_PROGRESS)


def _done() -> ColumnElement[bool]:
    return or_(_finishing(), events.c.verb.in_(AGAINST))


def study_events(
    session: Session,
    organisation_key: int,
    *,
    members: pd.Index,
    items: pd.Index,
    before: datetime,
    only: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the study that counts before a moment, as :func:`features.interactions.build_interactions` wants it.

    Parameters
    ----------
    members, items : Index
        The ids whose positions become the row numbers; events of others are left out.
    only : sequence of str, optional
        Members to read the events of; by default all.
    """
    names = ("member_id", *STUDY)
    columns = bulk.raw_columns(events, names)
    query = select(*columns).where(counting(organisation_key), events.c.verb != SHOWN, events.c.occurred_at < before)
    queries = [query] if only is None else [query.where(events.c.member_id.in_(ids)) for ids in _chunks(only)]
    parts = [_numbered(part, members, items) for one in queries for part in bulk.read_frames(session, one)]
    if not parts:
        return _numbered(pd.DataFrame(columns=list(names)), members, items)
    return pd.concat(parts, ignore_index=True)


def study_of(
    session: Session, organisation_key: int, member_id: str, *, items: Mapping[str, int], before: datetime
) -> pd.DataFrame:
    """Return one member's study as :func:`study_events` does, the member being number 0, at a small part of its cost.

    Parameters
    ----------
    items : mapping
        Row numbers by item id; events of other items are left out.
    """
    asked = {"organisation_key": organisation_key, "member_id": member_id, "before": before}
    rows = [row for row in session.execute(_study_query(), asked).all() if row[0] in items]
    item, verb, at, duration, progress, score, sessions = zip(*rows, strict=True) if rows else ((),) * len(STUDY)
    numbers = {"": 0}
    return pd.DataFrame(
        {
            "member": np.zeros(len(rows), dtype=np.int32),
            "item": np.array([items[one] for one in item], dtype=np.int32),
            "verb": pd.Categorical.from_codes([_CODES[one] for one in verb], dtype=_VERBS),
            "occurred_at": np.array(at, dtype=np.int64),
            "duration_seconds": np.array(duration, dtype=np.float64),
            "progress": np.array(progress, dtype=np.float64),
            "score": np.array(score, dtype=np.float64),
            "session": np.array([numbers.setdefault(one or "", len(numbers)) for one in sessions], dtype=np.int64),
        }
    )


@cache
def _study_query() -> Select[Any]:
    """Return the query of :func:`study_of`, whose making takes longer than its answer."""
    return select(*bulk.raw_columns(events, STUDY)).where(
        counting(bindparam("organisation_key", type_=BigInteger)),
        events.c.verb != SHOWN,
        events.c.occurred_at < bindparam("before"),
        events.c.member_id == bindparam("member_id"),
    )


_VERBS = pd.CategoricalDtype(VERBS)
_CODES = {verb: code for code, verb in enumerate(VERBS)}


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), LOOKUP_IDS):
        yield ids[start : start + LOOKUP_IDS]


def traces(session: Session, organisation_key: int, *, before: datetime | None = None) -> pd.Series:
    """Return for each member with events that count a text that tells whether any came or went.

    Parameters
    ----------
    before : datetime, optional
        Count events before this moment; by default all.
    """
    told = [events.c.verb != SHOWN] if before is None else [events.c.verb != SHOWN, events.c.occurred_at < before]
    number, total = trace(session.get_bind().dialect.name)
    query = select(events.c.member_id, number.label("n"), total.label("sum"))
    rows = session.execute(query.where(counting(organisation_key), *told).group_by(events.c.member_id)).all()
    return pd.Series({row.member_id: trace_of(row.n, row.sum) for row in rows}, dtype="str").sort_index()


def trace(dialect: str) -> tuple[ColumnElement[int], ColumnElement[str]]:
    """Return what a trace of events is made of: their number and a sum over them; no event ever changes."""
    if dialect == "postgresql":
        told: ColumnElement[Any] = cast(func.hashtextextended(events.c.event_id, 0), Numeric)
    else:
        # SQLite has no hash, but a number for every row; that of a row that is gone may come again for a later time.
        told = (
            literal_column("events.rowid", BigInteger) + type_coerce(events.c.occurred_at, BigInteger) % TRACE_MODULUS
        )
    return func.count(), cast(func.sum(told), Text)


def trace_of(number: int, total: str | None) -> str:
    """Return the trace of some events; empty where there are none."""
    return f"{number} {total}" if number else ""


def followed(organisation_key: BindParameter[int], asked: ColumnElement[bool], dialect: str) -> Select[Any]:
    """Return the query for a member's events as JSON: their number and sum, the items finished, the items dismissed.

    Number and sum are those of :func:`trace` over the events without bound of time.
    """
    postgresql = dialect == "postgresql"
    item_ids = func.json_agg(events.c.item_id) if postgresql else func.json_group_array(events.c.item_id)
    array = func.json_build_array if postgresql else func.json_array
    finished, dismissed = item_ids.filter(_finishing()), item_ids.filter(events.c.verb.in_(AGAINST))
    query = select(cast(array(*trace(dialect), finished, dismissed), Text))
    # Asked once: where nothing is voided, it is not looked up for each event.
    counts = or_(~_voided(organisation_key), ~_voided(organisation_key, events.c.event_id))
    mine = events.c.organisation_key == organisation_key
    return query.where(mine, events.c.verb != VOIDED, events.c.verb != SHOWN, counts, asked)


def _numbered(part: pd.DataFrame, members: pd.Index, items: pd.Index) -> pd.DataFrame:
    sessions = part["session_id"].fillna("").astype("str")
    frame = pd.DataFrame(
        {
            "member": members.get_indexer(part["member_id"]).astype("int32"),
            "item": items.get_indexer(part["item_id"]).astype("int32"),
            "verb": pd.Categorical(part["verb"], categories=VERBS),
            "occurred_at": part["occurred_at"].astype("int64"),
            "duration_seconds": part["duration_seconds"].astype("float64"),
            "progress": part["progress"].astype("float64"),
            "score": part["score"].astype("float64"),
            "session": np.where(sessions == "", 0, pd.util.hash_array(sessions.to_numpy(dtype=object))),
        }
    )
    return frame[(frame["member"] >= 0) & (frame["item"] >= 0)]


def create_unknown(session: Session, organisation_key: int) -> tuple[int, int]:
    """Make an undescribed member or item for every id that only events name; return how many of each."""
    return _create(session, organisation_key, members, "member_id"), _create(
        session, organisation_key, items, "item_id"
    )


def _create(session: Session, organisation_key: int, table: Table, name: str) -> int:
    there = readable(organisation_key) if table is items else table.c.organisation_key == organisation_key
    known = select(literal(1)).where(there, table.c[name] == events.c[name])
    new = (
        select(literal(organisation_key), events.c[name])
        .where(events.c.organisation_key == organisation_key, events.c.verb != VOIDED, ~known.exists())
        .distinct()
    )
    statement = insert(table).from_select(["organisation_key", name], new)
    result: Any = session.execute(statement, execution_options={"preserve_rowcount": True})
    return int(result.rowcount)


def waiting(session: Session, organisation_key: int) -> int:
    """Return how many events wait for a member or item that is not known yet."""
    member = select(literal(1)).where(
        members.c.organisation_key == organisation_key, members.c.member_id == events.c.member_id
    )
    item = select(literal(1)).where(readable(organisation_key), items.c.item_id == events.c.item_id)
    condition = and_(events.c.organisation_key == organisation_key, events.c.verb != VOIDED)
    total = session.scalar(select(func.count()).select_from(events).where(condition)) or 0
    placed = (
        session.scalar(select(func.count()).select_from(events).where(condition, member.exists(), item.exists())) or 0
    )
    return total - placed
