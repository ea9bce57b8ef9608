"""Aggregated figures of study and push lists, with small groups suppressed (k-anonymity)."""

from datetime import date
from typing import Final, Literal

import pandas as pd
from sqlalchemy import BigInteger, and_, select, type_coerce
from sqlalchemy.orm import Session

from features.schema import NON_STUDY_VERBS
from infra.catalog.sharing import visible
from infra.db import bulk
from infra.db.core_tables import events, items, members
from infra.db.core_tables import runs as run_table
from infra.events.store import FINISHING, counting
from infra.reports import push_rates
from infra.reports.push_rates import Slice
from infra.reports.small_groups import Row, suppress, without_figures
from infra.runs import steps
from infra.runs import store as runs

Period = Literal["week", "month"]
PERIODS: Final = {"week": "W-SUN", "month": "M"}


def rates(
    session: Session,
    organisation_key: int,
    *,
    by: Slice,
    since: date | None = None,
    until: date | None = None,
    zone: str = "UTC",
    min_group_size: int,
) -> list[Row]:
    """Return counts and rates of the entries of push lists by a slice, summed over months.

    Small groups are suppressed month by month, so that no two periods differ by the figures of a few members; where a
    role or industry is small in a month, its entries count in the code above it.

    Parameters
    ----------
    since, until : date, optional
        Months with any day from the first one on, and before the second one.

    Returns
    -------
    list of dict
        ``value`` of the slice, ``lists``, ``members`` (the most of any month), ``shown, opened, completed, dismissed,
        liked``; ``opened_rate`` and ``completed_rate``: the shares, 0..1, of the shown entries that were opened and
        completed, None where none was shown; ``suppressed``: whether no month has enough members.
    """
    shown: dict[str | None, list[Row]] = {}
    for month, row in push_rates.rates(session, organisation_key, by=by, zone=zone, min_group_size=min_group_size):
        if _within(month, "month", since, until):
            shown.setdefault(row["value"], []).append(row)
    rows = [push_rates.summed(value, months) for value, months in shown.items()]
    return sorted(rows, key=lambda row: (row["value"] is not None, row["value"]))


def activity(
    session: Session,
    organisation_key: int,
    *,
    by: Period,
    since: date | None = None,
    until: date | None = None,
    zone: str = "UTC",
    min_group_size: int,
) -> list[Row]:
    """Return the amount of study in each week (from its Monday on) or month, in order of time.

    Periods are whole, so that no two answers differ by the figures of a few days. Unresolved events
    do not count: they would let a caller make up the members of a group.

    Parameters
    ----------
    since, until : date, optional
        Periods with any day from the first one on, and before the second one.
    zone : str
        IANA name of the zone of days.

    Returns
    -------
    list of dict
        ``value`` (the first day), ``members`` who studied, ``events``, ``items`` they studied, ``finished`` (pairs of
        member and item), ``suppressed``.
    """
    at = type_coerce(events.c.occurred_at, BigInteger).label("at")
    query = (
        select(at, events.c.date_only, events.c.member_id, events.c.item_id, FINISHING.label("done"))
        .join(members, and_(members.c.organisation_key == organisation_key, members.c.member_id == events.c.member_id))
        .where(counting(organisation_key), events.c.verb.not_in(NON_STUDY_VERBS))
    )
    # Not joined: PostgreSQL reads all items for each event of a table that it has not analysed yet.
    item_ids = list(session.scalars(select(items.c.item_id).where(visible(organisation_key))))
    parts = [
        _by_week_and_month(part[part["item_id"].isin(item_ids)], zone) for part in bulk.read_frames(session, query)
    ]
    if not any(map(len, parts)):
        return []
    cells = pd.concat(parts).groupby(level=[0, 1, 2, 3]).agg({"events": "sum", "done": "max"}).reset_index()
    rows = suppress(_periods(cells, "week"), min_group_size=min_group_size)
    if by == "month":
        weeks = {row["value"] for row in rows if not row["suppressed"]}
        hidden = _revealing(cells, weeks, min_group_size)
        rows = suppress(_periods(cells, "month"), min_group_size=min_group_size)
        rows = [without_figures(row) if row["value"] in hidden else row for row in rows]
    return [row for row in rows if _within(date.fromisoformat(row["value"]), by, since, until)]


def _periods(cells: pd.DataFrame, by: Period) -> list[Row]:
    """Return the figures of all periods."""
    each = cells.groupby([by, "member_id", "item_id"], as_index=False).agg({"events": "sum", "done": "max"})
    return [
        {
            "value": period.start_time.date().isoformat(),
            "members": int(of["member_id"].nunique()),
            "events": int(of["events"].sum()),
            "items": int(of["item_id"].nunique()),
            "finished": int(of["done"].sum()),
        }
        for period, of in each.groupby(by)
    ]


def _revealing(cells: pd.DataFrame, weeks: set[str], min_group_size: int) -> set[str]:
    """Return the months whose figures, less those of the weeks shown within them, would be of too few members.

    What remains are the days before the first whole week, those after the last one, and weeks not shown. Sums of
    months leave any of these, so each is of no member or of enough.
    """
    starts, ends = (cells["week"].dt.start_time, cells["week"].dt.end_time)
    before = starts < cells["month"].dt.start_time
    after = ends > cells["month"].dt.end_time
    whole = ~before & ~after & ~starts.dt.strftime("%Y-%m-%d").isin(weeks)
    hidden: set[str] = set()
    for part in (before, after, whole):
        sizes = cells[part].groupby("month")["member_id"].nunique()
        hidden |= {month.start_time.date().isoformat() for month, size in sizes.items() if size < min_group_size}
    return hidden


def _within(first: date, by: Period, since: date | None, until: date | None) -> bool:
    """Return whether a period that begins on a day has any day from ``since`` on and before ``until``."""
    last = pd.Period(first, PERIODS[by]).end_time.date()
    return (since is None or last >= since) and (until is None or first < until)


def clock_times(events_read: pd.DataFrame, zone: str) -> pd.Series:
    """Return the local times of events (``at, date_only``) in a zone; a date without a time is in no zone."""
    moments = pd.to_datetime(events_read["at"], unit="us", utc=True)
    local = moments.dt.tz_convert(zone).dt.tz_localize(None)
    return local.where(~events_read["date_only"].fillna(value=False).astype(bool), moments.dt.tz_localize(None))


def _by_week_and_month(part: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Return numbers of events by week, month, member and item."""
    local = clock_times(part, zone)
    periods = {name: local.dt.to_period(period) for name, period in PERIODS.items()}
    dated = part.assign(**periods, done=part["done"].fillna(value=0).astype(int))
    return dated.groupby([*PERIODS, "member_id", "item_id"]).agg(events=("at", "size"), done=("done", "max"))


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
    run = runs.find(session, organisation_key, run_id)
    run_steps = [{"name": name, **step} for name, step in steps.of_run(session, run).items()]
    return {**_without_members(run), "steps": run_steps}


def _without_members(run: Row) -> Row:
    """Return a run without the ids of members in the details of its checks."""
    return {**run, "checks": [runs.without_members(check) for check in run["checks"]]}
