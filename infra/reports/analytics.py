"""Aggregated figures of study and push lists, with small groups suppressed (k-anonymity)."""

from datetime import datetime
from typing import Any, Final, Literal

import orjson
import pandas as pd
from sqlalchemy import BigInteger, func, or_, select, type_coerce
from sqlalchemy.orm import Session

from content_catalog.audience import available
from features.interactions import FINISHED_PROGRESS, FINISHING_VERBS
from features.schema import NON_STUDY_VERBS
from infra.catalog import store as catalog
from infra.db import bulk
from infra.db.core_tables import events
from infra.db.core_tables import lists as list_table
from infra.db.core_tables import runs as run_table
from infra.events.retention import MIN_GROUP_SIZE
from infra.events.store import counting
from infra.reports import push_rates
from infra.reports.push_rates import Slice
from infra.runs import list_contents, steps
from infra.runs import store as runs
from infra.runs.store import ANYONE

Row = dict[str, Any]
Period = Literal["week", "month"]
PERIODS: Final = {"week": "W-SUN", "month": "M"}


def suppress(rows: list[Row], *, min_group_size: int = MIN_GROUP_SIZE) -> list[Row]:
    """Return rows without figures where they are of fewer than ``min_group_size`` members.

    Where all suppressed rows together are of fewer members, the next smallest row is suppressed as well: otherwise a
    total would reveal them. The flag ``suppressed`` is in each row.

    Examples
    --------
    >>> rows = [{"value": name, "members": n} for name, n in (("a", 9), ("b", 2), ("c", 6))]
    >>> [row["members"] for row in suppress(rows, min_group_size=5)]
    [9, None, None]
    """
    ranked = sorted(range(len(rows)), key=lambda number: rows[number]["members"])
    hidden: set[int] = set()
    covered = 0
    for number in ranked:
        if rows[number]["members"] >= min_group_size and (not hidden or covered >= min_group_size):
            break
        hidden.add(number)
        covered += rows[number]["members"]
    return [
        {**(dict.fromkeys(row) | {"value": row["value"]} if number in hidden else row), "suppressed": number in hidden}
        for number, row in enumerate(rows)
    ]


def rates(
    session: Session, organisation_key: int, *, by: Slice, since: datetime | None, until: datetime | None
) -> list[Row]:
    """Return :func:`.push_rates.rates` with small groups suppressed."""
    return suppress(push_rates.rates(session, organisation_key, by=by, since=since, until=until))


def activity(
    session: Session, organisation_key: int, *, by: Period, since: datetime | None, until: datetime | None
) -> list[Row]:
    """Return the amount of study in each week (from its Monday on) or month, in order of time (UTC).

    Returns
    -------
    list of dict
        ``value`` (the first day), ``members`` who studied, ``events``, ``items`` they studied, ``finished`` (pairs of
        member and item), ``suppressed``.
    """
    at = type_coerce(events.c.occurred_at, BigInteger).label("at")
    done = or_(events.c.verb.in_(FINISHING_VERBS), events.c.progress >= FINISHED_PROGRESS).label("done")
    query = select(at, events.c.member_id, events.c.item_id, done).where(
        counting(organisation_key),
        events.c.verb.not_in(NON_STUDY_VERBS),
        *([events.c.occurred_at >= since] if since else []),
        *([events.c.occurred_at < until] if until else []),
    )
    parts = [_by_period(part, PERIODS[by]) for part in bulk.read_frames(session, query)]
    if not parts:
        return []
    cells = pd.concat(parts).groupby(level=[0, 1, 2]).agg({"events": "sum", "done": "max"}).reset_index()
    rows = [
        {
            "value": period.start_time.date().isoformat(),
            "members": int(of["member_id"].nunique()),
            "events": int(of["events"].sum()),
            "items": int(of["item_id"].nunique()),
            "finished": int(of["done"].sum()),
        }
        for period, of in cells.groupby("period")
    ]
    return suppress(rows)


def _by_period(part: pd.DataFrame, period: str) -> pd.DataFrame:
    named = part.assign(
        period=pd.to_datetime(part["at"], unit="us").dt.to_period(period), done=part["done"].fillna(value=0).astype(int)
    )
    return named.groupby(["period", "member_id", "item_id"]).agg(events=("at", "size"), done=("done", "max"))


def coverage(session: Session, organisation_key: int, *, now: datetime) -> dict[str, Any]:
    """Return the coverage of the served lists: members, strategies and items on offer.

    Raises
    ------
    NoPublishedRunError
    """
    run = runs.latest(session, organisation_key)
    mine = (list_table.c.organisation_key == organisation_key) & (list_table.c.run_key == run["run_key"])
    mine &= list_table.c.member_id != ANYONE
    query = select(list_table.c.strategy, func.count()).where(mine).group_by(list_table.c.strategy)
    by_strategy = {str(strategy): int(number) for strategy, number in session.execute(query)}
    listed = list_contents.lists_of(session, run)
    offered = {entry["item_id"] for text in listed.entries for entry in orjson.loads(text)}
    items = catalog.read(session, organisation_key, "items", without=("text", "summary"))
    offerable = set(items.index[available(items, pd.Timestamp(now))])
    members = catalog.count(session, organisation_key, "members")
    rows = [{"value": strategy, "members": number} for strategy, number in sorted(by_strategy.items())]
    return {
        "run_id": run["run_id"],
        "members": members,
        "members_with_list": min(sum(by_strategy.values()), members),
        "items_available": len(offerable),
        "items_listed": len(offered & offerable),
        "by_strategy": suppress(rows),
    }


def run_page(session: Session, organisation_key: int, *, before: int | None, limit: int) -> list[Row]:
    """Return up to ``limit`` runs begun before the one of a key, the newest first."""
    query = select(run_table).where(run_table.c.organisation_key == organisation_key)
    if before is not None:
        query = query.where(run_table.c.run_key < before)
    rows = session.execute(query.order_by(run_table.c.run_key.desc()).limit(limit)).mappings()
    return [_without_members(dict(row)) for row in rows]


def run_detail(session: Session, organisation_key: int, run_id: str) -> Row:
    """Return a run with its ``steps``.

    Raises
    ------
    UnknownRunError
    """
    run = runs.find(session, organisation_key, run_id.replace(catalog.NUL, ""))
    run_steps = [{"name": name, **step} for name, step in steps.of_run(session, run).items()]
    return {**_without_members(run), "steps": run_steps}


def _without_members(run: Row) -> Row:
    """Return a run without the ids of members in the details of its checks."""
    checks = [{**check, "detail": check["detail"].partition(", such as")[0]} for check in run["checks"]]
    return {**run, "checks": checks}
