"""Runs and their push lists: written in one transaction, read by the service."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

import orjson
import pandas as pd
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from infra import bulk
from infra.errors import NoPublishedRunError
from infra.tables import list_entries, lists, runs, similar_items

ANYONE = ""
"""Stands for the member of the list that serves members who came after the night."""


def start(session: Session, organisation_key: int, *, as_of: datetime, now: datetime, digests: dict[str, str]) -> int:
    """Write a new run, ``built`` and not served yet, and return its key."""
    row = insert(runs).values(
        organisation_key=organisation_key,
        run_id=str(uuid4()),
        status="built",
        as_of=as_of,
        made_at=now,
        counts={},
        checks=[],
        **digests,
    )
    return session.execute(row.returning(runs.c.run_key)).scalar_one()


def finish(
    session: Session, run_key: int, *, status: str, counts: dict[str, int], checks: list[dict[str, Any]]
) -> None:
    """Set a run's status, ``published`` or ``held``, with what it made and what was checked."""
    session.execute(update(runs).where(runs.c.run_key == run_key).values(status=status, counts=counts, checks=checks))


def get(session: Session, run_key: int) -> dict[str, Any]:
    """Return a run's row."""
    return dict(session.execute(select(runs).where(runs.c.run_key == run_key)).mappings().one())


def latest(session: Session, organisation_key: int) -> dict[str, Any]:
    """Return the published run that is served.

    Raises
    ------
    NoPublishedRunError
        No night has published lists yet.
    """
    query = (
        select(runs)
        .where(runs.c.organisation_key == organisation_key, runs.c.status == "published")
        .order_by(runs.c.run_key.desc())
        .limit(1)
    )
    row = session.execute(query).mappings().one_or_none()
    if row is None:
        raise NoPublishedRunError("no lists have been published yet; run `xuelu nightly`")
    return dict(row)


def check_published(session: Session) -> None:
    """Do nothing where some organisation has a published run.

    Raises
    ------
    NoPublishedRunError
        None has.
    """
    if session.scalar(select(runs.c.run_key).where(runs.c.status == "published").limit(1)) is None:
        raise NoPublishedRunError("no lists have been published yet; run `xuelu nightly`")


def store_lists(
    session: Session, organisation_key: int, run_key: int, made: pd.DataFrame, entries: pd.DataFrame
) -> int:
    """Write lists: ``member_id, path, number`` and the entries of each number as JSON text; return how many lists."""
    run_id = UUID(get(session, run_key)["run_id"])
    list_ids = [str(uuid5(run_id, member_id)) for member_id in made["member_id"]]
    of_run = {"organisation_key": organisation_key, "run_key": run_key}
    bulk.insert_new(session, list_entries, entries.assign(**of_run))
    return bulk.insert_new(session, lists, made.assign(**of_run, list_id=list_ids))


def store_similar(session: Session, organisation_key: int, run_key: int, made: pd.DataFrame) -> int:
    """Write similar items: ``item_id, entries`` (entries as JSON text); return how many."""
    return bulk.insert_new(session, similar_items, made.assign(organisation_key=organisation_key, run_key=run_key))


def push_list(session: Session, run: dict[str, Any], member_id: str) -> dict[str, Any] | None:
    """Return a member's list in a run: ``list_id, path, entries``; None where the run has none for the member."""
    shared = (
        (list_entries.c.organisation_key == lists.c.organisation_key)
        & (list_entries.c.run_key == lists.c.run_key)
        & (list_entries.c.number == lists.c.number)
    )
    query = (
        select(lists.c.list_id, lists.c.path, list_entries.c.entries)
        .join(list_entries, shared)
        .where(
            lists.c.organisation_key == run["organisation_key"],
            lists.c.run_key == run["run_key"],
            lists.c.member_id == member_id,
        )
    )
    row = session.execute(query).mappings().one_or_none()
    return None if row is None else {**row, "entries": orjson.loads(row["entries"])}


def similar(session: Session, run: dict[str, Any], item_id: str) -> list[dict[str, Any]]:
    """Return the items most like one, best first: ``item_id, score``."""
    query = select(similar_items.c.entries).where(
        similar_items.c.organisation_key == run["organisation_key"],
        similar_items.c.run_key == run["run_key"],
        similar_items.c.item_id == item_id,
    )
    entries = session.scalar(query)
    return [] if entries is None else list(orjson.loads(entries))
