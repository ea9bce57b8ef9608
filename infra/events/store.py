"""Study events in the database: stored once, in any order, and read for training and serving.

Unresolved events, whose member or item is unknown so far, are stored like all others; every query joins with members
and items, so they count from the moment both arrive.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import orjson
import pandas as pd
from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    Exists,
    Numeric,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.orm import Session, aliased

from content_catalog.io.validation import joined_rejects
from features.events import compare_content, deduplicate
from features.interactions import FINISHED_PROGRESS, FINISHING_VERBS, OPINIONS
from features.schema import EVENTS, SHOWN, VERBS, VOIDED
from infra.db import bulk
from infra.db.core_tables import events, study_totals

STUDY = ("item_id", "verb", "occurred_at", "duration_seconds", "progress", "score", "session_id", "date_only")
"""Columns that models learn from, beside the member."""
DIGEST_MODULUS = 86_400_000_003
FINISHING = or_(events.c.verb.in_(FINISHING_VERBS), events.c.progress >= FINISHED_PROGRESS)
"""Condition for events by which a member finished an item."""
NEGATIVE_VERBS = tuple(verb for verb, opinion in OPINIONS.items() if opinion < 0)
"""Verbs by which a member wants no more of an item."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Counts and rejects of a stored chunk of valid events."""

    stored: int
    duplicates: int
    rejects: pd.DataFrame


def without_stored(
    session: Session, organisation_key: int, chunk: pd.DataFrame
) -> tuple[pd.DataFrame, int, pd.DataFrame]:
    """Return the events of a chunk that are not stored yet, the number of duplicates, and the rejects.

    An id that comes, or is stored, with other content is a reject.
    """
    distinct, repeated, clashes = deduplicate(chunk)
    same_id = bulk.any_of(events.c.event_id, distinct["event_id"].tolist())
    query = select(events.c.event_id).where(events.c.organisation_key == organisation_key, same_id)
    stored_ids = [*session.scalars(query)]
    if not stored_ids:
        return distinct, repeated, clashes
    rejects, same = compare_content(distinct, by_id(session, organisation_key, stored_ids))
    new = distinct[~distinct["event_id"].isin(stored_ids)]
    return new, repeated + same, joined_rejects([clashes, rejects])


def store(session: Session, organisation_key: int, chunk: pd.DataFrame) -> Stored:
    """Store new events; an id that is stored with other content becomes a reject."""
    distinct, repeated, clashes = deduplicate(chunk)
    # In order of the index on ids, which random ids would otherwise fill page by page: a third less time.
    rows = distinct.sort_values("event_id").dropna(axis="columns", how="all").assign(organisation_key=organisation_key)
    stored = bulk.insert_new(session, events, rows)
    if stored == len(distinct):
        return Stored(stored, repeated, clashes)
    existing = by_id(session, organisation_key, distinct["event_id"].tolist())
    rejects, _ = compare_content(distinct, existing)
    duplicates = repeated + len(distinct) - stored - len(rejects)
    return Stored(stored, duplicates, joined_rejects([clashes, rejects]))


def by_id(session: Session, organisation_key: int, event_ids: list[str]) -> pd.DataFrame:
    """Return stored events by id, typed as a checked chunk is."""
    own = (events.c.organisation_key == organisation_key) & bulk.any_of(events.c.event_id, event_ids)
    query = select(*bulk.raw_columns(events, EVENTS.names)).where(own)
    rows = bulk.read_frame(session, query)
    rows["date_only"] = rows["date_only"].astype("boolean")
    rows["occurred_at"] = pd.to_datetime(rows["occurred_at"], unit="us", utc=True).astype("datetime64[us, UTC]")
    return rows


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


def study_events(
    session: Session,
    organisation_key: int,
    *,
    members: pd.Index,
    items: pd.Index,
    before: datetime,
    only: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return the study events before a moment, as :func:`features.interactions.build_interactions` takes them.

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
    if only is not None:
        query = query.where(bulk.any_of(events.c.member_id, only))
    parts = [_numbered(part, members, items) for part in bulk.read_frames(session, query)]
    if not parts:
        return _numbered(pd.DataFrame(columns=list(names)), members, items)
    return pd.concat(parts, ignore_index=True)


def study_events_of(
    session: Session, organisation_key: int, member_id: str, *, items: Mapping[str, int], before: datetime
) -> pd.DataFrame:
    """Return one member's events as :func:`study_events` does, the member being row 0, at a small part of its cost.

    Parameters
    ----------
    items : mapping
        Row numbers by item id; events of other items are left out.
    """
    parameters = {"organisation_key": organisation_key, "member_id": member_id, "before": before}
    rows = [row for row in session.execute(_study_query(), parameters).all() if row[0] in items]
    item, verb, at, duration, progress, score, sessions, date_only = (
        zip(*rows, strict=True) if rows else ((),) * len(STUDY)
    )
    numbers = {"": 0}
    return pd.DataFrame(
        {
            "member": np.zeros(len(rows), dtype=np.int32),
            "item": np.array([items[item_id] for item_id in item], dtype=np.int32),
            "verb": pd.Categorical.from_codes([_CODES[name] for name in verb], dtype=_VERBS),
            "occurred_at": np.array(at, dtype=np.int64),
            "duration_seconds": np.array(duration, dtype=np.float64),
            "progress": np.array(progress, dtype=np.float64),
            "score": np.array(score, dtype=np.float64),
            "session": np.array([numbers.setdefault(name or "", len(numbers)) for name in sessions], dtype=np.int64),
            "date_only": np.array(date_only, dtype=bool),
        }
    )


@cache
def _study_query() -> Select[Any]:
    """Return the query of :func:`study_events_of`; cached, as building it takes longer than running it."""
    return select(*bulk.raw_columns(events, STUDY)).where(
        counting(bindparam("organisation_key", type_=BigInteger)),
        events.c.verb != SHOWN,
        events.c.occurred_at < bindparam("before"),
        events.c.member_id == bindparam("member_id"),
    )


_VERBS = pd.CategoricalDtype(VERBS)
_CODES = {verb: code for code, verb in enumerate(VERBS)}


def event_digests(session: Session, organisation_key: int, *, before: datetime) -> pd.DataFrame:
    """Return digests of each member's study events, which change where any is added, voided or removed.

    By ``member_id``: ``before``, of the events before the moment, empty where there are none; ``all``, of all.
    """
    dialect = session.get_bind().dialect.name
    columns = [*event_digest(dialect, events.c.occurred_at < before), *event_digest(dialect)]
    query = select(events.c.member_id, *columns).where(counting(organisation_key), events.c.verb != SHOWN)
    rows = [
        (member_id, digest_text(n_before, sum_before), digest_text(n, total))
        for member_id, n_before, sum_before, n, total in session.execute(query.group_by(events.c.member_id))
    ]
    return pd.DataFrame(rows, columns=["member_id", "before", "all"], dtype="str").set_index("member_id").sort_index()


def count_study_events(session: Session, organisation_key: int, *, before: datetime) -> int:
    """Return how many study events were stored until a moment, with the voided ones and those that became totals.

    Only an erasure, a retention that left no total, and a fault make it smaller.
    """
    own = events.c.organisation_key == organisation_key
    query = select(func.count()).where(own, events.c.verb.not_in((SHOWN, VOIDED)), events.c.occurred_at < before)
    totals = select(func.coalesce(func.sum(study_totals.c.events), 0)).where(
        study_totals.c.organisation_key == organisation_key, study_totals.c.verb.not_in((SHOWN, VOIDED))
    )
    return int(session.scalar(query) or 0) + int(session.scalar(totals) or 0)


def event_digest(dialect: str, condition: ColumnElement[bool] | None = None) -> tuple[ColumnElement[Any], ...]:
    """Return the columns of a digest of events: their number, and a sum over them; events never change."""
    if dialect == "postgresql":
        hashed: ColumnElement[Any] = cast(func.hashtextextended(events.c.event_id, 0), Numeric)
    else:
        # SQLite has no hash, but a number for every row; that of a row that is gone may come again for a later time.
        hashed = (
            literal_column("events.rowid", BigInteger) + type_coerce(events.c.occurred_at, BigInteger) % DIGEST_MODULUS
        )
    if condition is None:
        return func.count(), cast(func.sum(hashed), Text)
    return func.count().filter(condition), cast(func.sum(hashed).filter(condition), Text)


def digest_text(number: int, total: str | None) -> str:
    """Return a digest of events as text; empty where there are none."""
    return f"{number} {total}" if number else ""


class MemberActivity(NamedTuple):
    """Activity of a member: the digest of its events, and ids of items."""

    digest: str
    finished: Sequence[str]
    dismissed: Sequence[str]
    finished_since_run: Sequence[str]


def activity_of(text: str) -> MemberActivity:
    """Return the activity in the JSON that :func:`activity_since` reads.

    >>> activity_of('[2,"17",["i1"],null,null]')
    MemberActivity(digest='2 17', finished=['i1'], dismissed=(), finished_since_run=())
    """
    number, total, finished, dismissed, since_run = orjson.loads(text)
    return MemberActivity(digest_text(number, total), finished or (), dismissed or (), since_run or ())


def activity_since(
    organisation_key: BindParameter[int], condition: ColumnElement[bool], dialect: str, *, run_as_of: Column[Any]
) -> Select[Any]:
    """Return the query for a member's activity as JSON (:func:`activity_of`), since a run as of some moment."""
    array, group = bulk.json_functions(dialect)
    item_ids = group(events.c.item_id)
    finished, dismissed = item_ids.filter(FINISHING), item_ids.filter(events.c.verb.in_(NEGATIVE_VERBS))
    again = item_ids.filter(FINISHING, events.c.occurred_at >= run_as_of)
    query = select(cast(array(*event_digest(dialect), finished, dismissed, again), Text))
    # The first condition is evaluated once: where nothing is voided, no event is looked up.
    counts = or_(~_voided(organisation_key), ~_voided(organisation_key, events.c.event_id))
    mine = events.c.organisation_key == organisation_key
    return query.where(mine, events.c.verb != VOIDED, events.c.verb != SHOWN, counts, condition)


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
            "date_only": part["date_only"].astype(bool),
        }
    )
    return frame[(frame["member"] >= 0) & (frame["item"] >= 0)]
