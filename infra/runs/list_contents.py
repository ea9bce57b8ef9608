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
class RunLists:
    """All lists of a run: each member's ``content``, and the ``entries`` of each content as JSON text, once."""

    hashes: pd.Series
    entries: pd.Series


def hash_of_entries(entries: str) -> str:
    """Return the SHA-256, in hexadecimal, under which a list's entries are kept."""
    return hashlib.sha256(entries.encode()).hexdigest()


def entries_hashes(session: Session, run: dict[str, Any]) -> pd.Series:
    """Return the content of every member's list in a run, by member in ascending order."""
    mine = and_(lists.c.organisation_key == run["organisation_key"], lists.c.run_key == run["run_key"])
    query = select(lists.c.member_id, lists.c.entries_hash).where(mine).order_by(lists.c.member_id)
    return _series(session, [query], "member_id", "entries_hash")


def entries_by_hash(session: Session, organisation_key: int, wanted: Sequence[str]) -> pd.Series:
    """Return the entries of some contents as JSON text, by content."""
    query = select(list_entries.c.entries_hash, list_entries.c.entries).where(
        list_entries.c.organisation_key == organisation_key
    )
    starts = range(0, len(wanted), LOOKUP_IDS)
    queries = [query.where(list_entries.c.entries_hash.in_(wanted[start : start + LOOKUP_IDS])) for start in starts]
    return _series(session, queries, "entries_hash", "entries")


def lists_of(session: Session, run: dict[str, Any]) -> RunLists:
    """Return all lists of a run."""
    hashes = entries_hashes(session, run)
    return RunLists(hashes, entries_by_hash(session, run["organisation_key"], sorted(set(hashes))))


def _series(session: Session, queries: list[Select[Any]], name: str, value: str) -> pd.Series:
    none = pd.DataFrame(columns=[name, value], dtype="str")
    parts = [part for query in queries for part in bulk.read_frames(session, query)]
    return pd.concat([none, *parts]).set_index(name)[value]
