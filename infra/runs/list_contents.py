"""Contents of a run: the hash of each member's entries, the entries of each hash, and similar items."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pandas as pd
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from infra.db import bulk
from infra.db.core_tables import list_entries, lists, similar_items
from infra.runs.store import ANYONE, of_run


@dataclass(frozen=True, slots=True)
class RunLists:
    """All lists of a run.

    Attributes
    ----------
    hashes : Series
        The hash of each member's entries.
    entries : Series
        The entries of each hash as JSON text.
    """

    hashes: pd.Series
    entries: pd.Series


def hash_of_entries(entries: str) -> str:
    """Return the SHA-256, in hexadecimal, under which a list's entries are stored."""
    return hashlib.sha256(entries.encode()).hexdigest()


def entries_hashes(session: Session, run: dict[str, Any]) -> pd.Series:
    """Return the hash of every member's entries in a run, by member in ascending order."""
    query = select(lists.c.member_id, lists.c.entries_hash).where(of_run(lists, run)).order_by(lists.c.member_id)
    return _series(session, query)


def members_by_strategy(session: Session, run: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the numbers of members by the strategy of their lists in a run: ``value`` and ``members``, by value."""
    of_members = of_run(lists, run) & (lists.c.member_id != ANYONE)
    query = select(lists.c.strategy, func.count()).where(of_members).group_by(lists.c.strategy)
    return [{"value": str(value), "members": int(number)} for value, number in sorted(session.execute(query).all())]


def entries_by_hash(session: Session, organisation_key: int, hashes: Sequence[str]) -> pd.Series:
    """Return the entries of some hashes as JSON text, by hash."""
    own = list_entries.c.organisation_key == organisation_key
    query = select(list_entries.c.entries_hash, list_entries.c.entries)
    return _series(session, query.where(own, bulk.any_of(list_entries.c.entries_hash, hashes)))


def lists_of(session: Session, run: dict[str, Any]) -> RunLists:
    """Return all lists of a run."""
    hashes = entries_hashes(session, run)
    return RunLists(hashes, entries_by_hash(session, run["organisation_key"], sorted(set(hashes))))


def list_rows(session: Session, run: dict[str, Any]) -> pd.DataFrame:
    """Return the lists of a run: ``member_id, strategy, entries_hash, language``."""
    columns = (lists.c[name] for name in ("member_id", "strategy", "entries_hash", "language"))
    return bulk.read_frame(session, select(*columns).where(of_run(lists, run)).order_by(lists.c.member_id))


def similar_rows(session: Session, run: dict[str, Any]) -> pd.DataFrame:
    """Return the similar items of a run: ``item_id, entries``."""
    columns = similar_items.c.item_id, similar_items.c.entries
    return bulk.read_frame(session, select(*columns).where(of_run(similar_items, run)).order_by(columns[0]))


def similar(session: Session, run: dict[str, Any], item_id: str) -> list[dict[str, Any]]:
    """Return the items most similar to an item, best first: ``item_id, similarity, basis``."""
    own = of_run(similar_items, run) & (similar_items.c.item_id == item_id)
    entries = session.scalar(select(similar_items.c.entries).where(own))
    return [] if entries is None else list(orjson.loads(entries))


def _series(session: Session, query: Select[Any]) -> pd.Series:
    """Return a query's second column, by its first."""
    key, value = query.selected_columns.keys()
    return bulk.read_frame(session, query).set_index(key)[value]
