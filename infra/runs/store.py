"""Runs and their push lists: written in one transaction, read by the service."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID, uuid4, uuid5

import orjson
import pandas as pd
from sqlalchemy import ColumnElement, ScalarSelect, Select, Table, and_, delete, func, insert, select, update
from sqlalchemy.orm import Session

from infra.catalog import organisations
from infra.catalog.store import NUL
from infra.db import bulk
from infra.db.core_tables import MICROSECOND, SAME_ENTRIES, list_entries, lists, run_steps, runs, similar_items
from infra.db.delivery_tables import deliveries
from infra.errors import NoPublishedRunError, RunStateError, UnknownRunError

ANYONE = ""
"""Member id of the list that serves members who joined after the run."""

MIN_ID_LENGTH = 4
IDENTITY = ("run_key", "organisation_key", "run_id", "status", "made_at", "code_version")


def start(session: Session, organisation_key: int, *, as_of: datetime, now: datetime, record: dict[str, Any]) -> int:
    """Write a new run with status ``built``, which is not served yet, and return its key.

    ``record`` makes the run reproducible: ``settings_digest, code_version, seeds``.
    """
    row = insert(runs).values(
        organisation_key=organisation_key,
        run_id=str(uuid4()),
        status="built",
        as_of=as_of,
        made_at=now,
        data_digest="",
        counts={},
        checks=[],
        **record,
    )
    return session.execute(row.returning(runs.c.run_key)).scalar_one()


def finish(
    session: Session, run_key: int, *, status: str, now: datetime, checks: list[dict[str, Any]], **outcome: Any
) -> None:
    """Set a run's status, ``published`` or ``held``, what was checked, and its outcome.

    ``outcome`` holds the columns ``counts, data_digest, models_as_of, data_quality``.

    Raises
    ------
    RunStateError
        It is not being built any more: another run took its place.
    """
    published_at = _publication_time(session, run_key, now) if status == "published" else None
    finished = session.execute(
        update(runs)
        .where(runs.c.run_key == run_key, runs.c.status == "built")
        .values(status=status, published_at=published_at, checks=checks, **outcome)
        .returning(runs.c.run_key)
    )
    if finished.first() is None:
        raise RunStateError("another night took the place of this one; its lists are not written")


def _publication_time(session: Session, run_key: int, now: datetime) -> datetime:
    """Return now, or just after the last publication where the clock ran ahead then: the last one is served."""
    organisation_key = select(runs.c.organisation_key).where(runs.c.run_key == run_key).scalar_subquery()
    last = session.scalar(
        select(func.max(runs.c.published_at)).where(
            runs.c.organisation_key == organisation_key, runs.c.status == "published", runs.c.run_key != run_key
        )
    )
    return now if last is None else max(now, last + MICROSECOND)


def get(session: Session, run_key: int) -> dict[str, Any]:
    """Return a run's row."""
    return dict(session.execute(select(runs).where(runs.c.run_key == run_key)).mappings().one())


def of_run(table: Table, run: Mapping[str, Any]) -> ColumnElement[bool]:
    """Return the condition for a run's rows of a table."""
    return and_(table.c.organisation_key == run["organisation_key"], table.c.run_key == run["run_key"])


def without_members(check: Mapping[str, Any]) -> dict[str, Any]:
    """Return a check of a run without the ids of members that its detail names as examples."""
    return {**check, "detail": check["detail"].partition(", such as")[0]}


def models_as_of(run: dict[str, Any]) -> datetime:
    """Return the moment of the models of a run's lists: its own, unless the run reused the models of another."""
    moment: datetime = run["models_as_of"] or run["as_of"]
    return moment


def _of(organisation_key: int, status: str) -> Select[Any]:
    return select(runs).where(runs.c.organisation_key == organisation_key, runs.c.status == status)


def latest(session: Session, organisation_key: int) -> dict[str, Any]:
    """Return the served run: the one published last.

    Raises
    ------
    NoPublishedRunError
        No run has published lists yet.
    """
    query = select(runs).where(runs.c.run_key == latest_key(organisation_key))
    row = session.execute(query).mappings().one_or_none()
    if row is None:
        raise NoPublishedRunError
    return dict(row)


def latest_key(organisation_key: int | ColumnElement[int]) -> ScalarSelect[int]:
    """Return the key of the served run as a subquery."""
    query = select(runs.c.run_key).where(runs.c.organisation_key == organisation_key, runs.c.status == "published")
    return query.order_by(runs.c.published_at.desc(), runs.c.run_key.desc()).limit(1).scalar_subquery()


def of_day(session: Session, organisation_key: int, day: date) -> dict[str, Any]:
    """Return the last published run up to the end of a day (UTC).

    Raises
    ------
    UnknownRunError
        There is none, or it was removed with age.
    """
    moment = datetime.combine(day, time.max, tzinfo=UTC)
    query = _of(organisation_key, "published").where(runs.c.as_of <= moment)
    last = query.order_by(runs.c.as_of.desc(), runs.c.published_at.desc(), runs.c.run_key.desc()).limit(1)
    row = session.execute(last).mappings().one_or_none()
    if row is None:
        raise UnknownRunError(
            f"no lists of a night up to {moment:%Y-%m-%d %H:%M} UTC; see `xuelu runs list` for what is kept"
        )
    return dict(row)


def unfinished(session: Session, organisation_key: int) -> dict[str, Any] | None:
    """Return the unfinished run, if there is one."""
    row = session.execute(_of(organisation_key, "built").order_by(runs.c.run_key.desc()).limit(1)).mappings().first()
    return None if row is None else dict(row)


def discard_unfinished(session: Session, organisation_key: int) -> list[str]:
    """Remove unfinished runs, except one that is being published, and return their ids; no run starts meanwhile."""
    organisations.lock(session, organisation_key)
    lock(session, organisation_key)
    unfinished_runs = session.execute(_of(organisation_key, "built")).mappings().all()
    _remove(session, organisation_key, [row["run_key"] for row in unfinished_runs])
    return [row["run_id"] for row in unfinished_runs]


def lock(session: Session, organisation_key: int) -> None:
    """Lock an organisation's runs until this transaction ends: none is published, rolled back or removed meanwhile."""
    # An UPDATE begins SQLite's transaction too; in the order of keys two callers never wait for each other.
    own = runs.c.organisation_key == organisation_key
    ordered = select(runs.c.run_key).where(own).order_by(runs.c.run_key).with_for_update(key_share=True)
    session.execute(update(runs).where(runs.c.run_key.in_(ordered)).values(status=runs.c.status))


def all_of(session: Session, organisation_key: int) -> list[dict[str, Any]]:
    """Return all runs of an organisation: the columns of :data:`IDENTITY`."""
    query = select(*(runs.c[name] for name in IDENTITY)).where(runs.c.organisation_key == organisation_key)
    return [dict(row) for row in session.execute(query).mappings()]


def newest_published(session: Session, organisation_key: int, limit: int) -> list[dict[str, Any]]:
    """Return the rows of the runs that were published last, the newest first."""
    query = _of(organisation_key, "published").order_by(runs.c.published_at.desc(), runs.c.run_key.desc())
    return [dict(row) for row in session.execute(query.limit(limit)).mappings()]


def find(session: Session, organisation_key: int, run_id: str) -> dict[str, Any]:
    """Return the run with an id, or with the prefix of one.

    Raises
    ------
    UnknownRunError
        There is none, or more than one.
    """
    own = select(runs).where(runs.c.organisation_key == organisation_key)
    short = len(run_id) < MIN_ID_LENGTH
    matching = runs.c.run_id == run_id if short else runs.c.run_id.startswith(run_id, autoescape=True)
    rows = [] if NUL in run_id else session.execute(own.where(matching).limit(2)).mappings().all()
    if len(rows) != 1:
        many = "more than one run begins with" if rows else "no run"
        raise UnknownRunError(f"{many} {run_id!r}; `xuelu runs list` shows the ids")
    return dict(rows[0])


def publish(session: Session, run: dict[str, Any], *, now: datetime) -> None:
    """Serve a finished run from now on.

    Raises
    ------
    RunStateError
        It is not finished, or has no lists.
    """
    if run["status"] == "built":
        raise RunStateError(f"run {run['run_id']} is not finished; see `xuelu nightly --resume`")
    if not run["counts"].get("lists"):
        raise RunStateError(f"run {run['run_id']} has no lists, as no item was available; run `xuelu nightly`")
    values = {"status": "published", "published_at": _publication_time(session, run["run_key"], now)}
    session.execute(update(runs).where(runs.c.run_key == run["run_key"]).values(**values))


def discount_events(session: Session, organisation_key: int, n: int) -> None:
    """Lower the runs' numbers of events by those removed on purpose, for whose loss no later run is held."""
    own = select(runs.c.run_key, runs.c.counts).where(runs.c.organisation_key == organisation_key)
    for run_key, counts in session.execute(own).all():  # any may be served by then, rolled back to or published by hand
        if n and "events" in counts:
            removed = counts.get("removed_events", 0) + n
            set_counts(session, run_key, {"events": max(0, counts["events"] - n), "removed_events": removed})


def set_counts(session: Session, run_key: int, counts: dict[str, int]) -> None:
    """Set some counts of a run."""
    counts = {**get(session, run_key)["counts"], **counts}
    session.execute(update(runs).where(runs.c.run_key == run_key).values(counts=counts))


def roll_back(session: Session, organisation_key: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Hold the served run, so that the one published before it is served; return both.

    Raises
    ------
    RunStateError
        No run is served, or there is none before it.
    """
    published = newest_published(session, organisation_key, 2)
    if not published:
        raise RunStateError("no run is served; `xuelu nightly` makes one")
    if len(published) == 1:
        raise RunStateError(f"no run was published before {published[0]['run_id']}; it stays served")
    bad, before = published
    session.execute(update(runs).where(runs.c.run_key == bad["run_key"]).values(status="held", published_at=None))
    return bad, before


def prune(session: Session, organisation_key: int, *, before: datetime, stay: Iterable[int] = ()) -> list[str]:
    """Remove finished runs made before a moment, but never the served one nor those that stay; return their ids."""
    lock(session, organisation_key)
    served_key = session.scalar(select(latest_key(organisation_key)))
    old = select(runs.c.run_key, runs.c.run_id).where(
        runs.c.organisation_key == organisation_key,
        runs.c.status != "built",
        runs.c.made_at < before,
        runs.c.run_key.not_in([served_key or -1, *stay]),
    )
    rows = session.execute(old).all()
    _remove(session, organisation_key, [row.run_key for row in rows])
    if rows:
        own = list_entries.c.organisation_key == organisation_key
        used = select(lists.c.entries_hash).where(lists.c.organisation_key == organisation_key)
        unused = select(list_entries.c.entries_hash).where(own).except_(used)
        session.execute(delete(list_entries).where(own, list_entries.c.entries_hash.in_(unused)))
    return [row.run_id for row in rows]


def _remove(session: Session, organisation_key: int, run_keys: list[int]) -> None:
    for table in (deliveries, lists, similar_items, run_steps, runs):
        own = table.c.organisation_key == organisation_key
        session.execute(delete(table).where(own, table.c.run_key.in_(run_keys)))


def store_lists(
    session: Session, organisation_key: int, run_key: int, frame: pd.DataFrame, entries: pd.DataFrame
) -> int:
    """Write lists, ``member_id, strategy, language, entries_hash``, and the entries of each hash; return their number.

    Equal entries are stored once for all members and runs.
    """
    run_id = UUID(get(session, run_key)["run_id"])
    list_ids = [str(uuid5(run_id, member_id)) for member_id in frame["member_id"]]
    bulk.insert_new(session, list_entries, entries.assign(organisation_key=organisation_key))
    rows = frame.assign(organisation_key=organisation_key, run_key=run_key, list_id=list_ids)
    return bulk.insert_new(session, lists, rows)


def store_similar(session: Session, organisation_key: int, run_key: int, frame: pd.DataFrame) -> int:
    """Write similar items: ``item_id, entries`` (entries as JSON text); return how many."""
    return bulk.insert_new(session, similar_items, frame.assign(organisation_key=organisation_key, run_key=run_key))


def push_list(session: Session, run: dict[str, Any], member_id: str) -> dict[str, Any] | None:
    """Return a member's list in a run or None: the columns of ``lists``, and ``entries``."""
    query = (
        select(lists, list_entries.c.entries)
        .join(list_entries, SAME_ENTRIES)
        .where(of_run(lists, run), lists.c.member_id == member_id)
    )
    row = session.execute(query).mappings().one_or_none()
    return None if row is None else {**row, "entries": orjson.loads(row["entries"])}
