"""All lists of a run at once: which content each member has, and the entries of each content."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session

from infra.db import bulk
from infra.db.core_tables import list_entries, lists

LOOKUP_IDS = 20_000


@dataclass(frozen=True, slots=True)
class Lists:
    """All lists of a run: each member's ``content``, and the ``entries`` of each content as JSON text, once."""

    content: pd.Series
    entries: pd.Series


def content_of(entries: str) -> str:
    """Return the SHA-256, in hexadecimal, under which a list's entries are kept."""
    return hashlib.sha256(entries.encode()).hexdigest()


def contents(session: Session, run: dict[str, Any]) -> pd.Series:
    """Return the content of every member's list in a run, by member in ascending order."""
    mine = and_(lists.c.organisation_key == run["organisation_key"], lists.c.run_key == run["run_key"])
    query = select(lists.c.member_id, lists.c.content).where(mine).order_by(lists.c.member_id)
    return _series(session, [query], "member_id", "content")


def entries_of(session: Session, organisation_key: int, wanted: Sequence[str]) -> pd.Series:
    """Return the entries of some contents as JSON text, by content."""
    query = select(list_entries.c.content, list_entries.c.entries).where(
        list_entries.c.organisation_key == organisation_key
    )
    starts = range(0, len(wanted), LOOKUP_IDS)
    queries = [query.where(list_entries.c.content.in_(wanted[start : start + LOOKUP_IDS])) for start in starts]
    return _series(session, queries, "content", "entries")


def lists_of(session: Session, run: dict[str, Any]) -> Lists:
    """Return all lists of a run."""
    content = contents(session, run)
    return Lists(content, entries_of(session, run["organisation_key"], sorted(set(content))))


def _series(session: Session, queries: list[Select[Any]], name: str, value: str) -> pd.Series:
    none = pd.DataFrame(columns=[name, value], dtype="str")
    parts = [part for query in queries for part in bulk.read_frames(session, query)]
    return pd.concat([none, *parts]).set_index(name)[value]
