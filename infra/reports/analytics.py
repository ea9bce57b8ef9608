"""Figures of study and of push lists, by slice and over time, from which nobody's own study can be told."""

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
from infra.events.retention import SMALLEST_GROUP
from infra.events.store import counting
from infra.reports import push_rates
from infra.reports.push_rates import Slice
from infra.runs import list_contents, steps
from infra.runs import store as runs
from infra.runs.store import ANYONE

Row = dict[str, Any]
Period = Literal["week", "month"]
PERIODS: Final = {"week": "W-SUN", "month": "M"}


def withhold(rows: list[Row], *, smallest: int = SMALLEST_GROUP) -> list[Row]:
    """Return rows with no figures where fewer than ``smallest`` members stand behind them.

    Where all withheld rows together are of fewer members still, the next smallest row is withheld as well: what is left
    out cannot be told by taking what is shown from a total. Each row says so under ``withheld``.

    Examples
    --------
    >>> rows = [{"value": name, "members": n} for name, n in (("a", 9), ("b", 2), ("c", 6))]
    >>> [row["members"] for row in withhold(rows, smallest=5)]
    [9, None, None]
    """
    ranked = sorted(range(len(rows)), key=lambda number: rows[number]["members"])
    hidden: set[int] = set()
    covered = 0
    for number in ranked:
        if rows[number]["members"] >= smallest and (not hidden or covered >= smallest):
            break
        hidden.add(number)
        covered += rows[number]["members"]
    return [
        {**(dict.fromkeys(row) | {"value": row["value"]} if number in hidden else row), "withheld": number in hidden}
        for number, row in enumerate(rows)
    ]


def rates(
    session: Session, organisation_key: int, *, by: Slice, since: datetime | None, until: datetime | None
) -> list[Row]:
    """Return what became of the items of push lists, as :func:`.push_rates.rates` has it, small groups withheld."""
    return withhold(push_rates.rates(session, organisation_key, by=by, since=since, until=until))


def activity(
    session: Session, organisation_key: int, *, by: Period, since: datetime | None, until: datetime | None
) -> list[Row]:
    """Return how much was studied in each week (from its Monday on) or month, in order of time (UTC).

    Returns
    -------
    list of dict
        ``value`` (the first day), ``members`` who studied, ``events``, ``items`` they studied, ``finished`` (pairs of
        member and item), ``withheld``.
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
    return withhold(rows)


def _by_period(part: pd.DataFrame, period: str) -> pd.DataFrame:
    named = part.assign(
        period=pd.to_datetime(part["at"], unit="us").dt.to_period(period), done=part["done"].fillna(value=0).astype(int)
    )
    return named.groupby(["period", "member_id", "item_id"]).agg(events=("at", "size"), done=("done", "max"))


def coverage(session: Session, organisation_key: int, *, now: datetime) -> dict[str, Any]:
    """Return how far the served lists reach: over members, over strategies, over what could be offered.

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
    could = set(items.index[available(items, pd.Timestamp(now))])
    members = catalog.count(session, organisation_key, "members")
    rows = [{"value": strategy, "members": number} for strategy, number in sorted(by_strategy.items())]
    return {
        "run_id": run["run_id"],
        "members": members,
        "members_with_list": min(sum(by_strategy.values()), members),
        "items_available": len(could),
        "items_listed": len(offered & could),
        "by_strategy": withhold(rows),
    }


def run_page(session: Session, organisation_key: int, *, before: int | None, limit: int) -> list[Row]:
    """Return up to ``limit`` runs begun before the one of a key, the newest first."""
    query = select(run_table).where(run_table.c.organisation_key == organisation_key)
    if before is not None:
        query = query.where(run_table.c.run_key < before)
    rows = session.execute(query.order_by(run_table.c.run_key.desc()).limit(limit)).mappings()
    return [_nameless(dict(row)) for row in rows]


def run_detail(session: Session, organisation_key: int, run_id: str) -> Row:
    """Return a run with its ``steps``.

    Raises
    ------
    UnknownRunError
    """
    run = runs.find(session, organisation_key, run_id.replace(catalog.NUL, ""))
    told = [{"name": name, **step} for name, step in steps.of_run(session, run).items()]
    return {**_nameless(run), "steps": told}


def _nameless(run: Row) -> Row:
    """Return a run whose checks name none of the members that they failed for."""
    checks = [{**check, "detail": check["detail"].partition(", such as")[0]} for check in run["checks"]]
    return {**run, "checks": checks}
