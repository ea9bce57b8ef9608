"""Open and completion rates of push lists by month, and by run, strategy, audience, item or format."""

from typing import Any, Final, Literal

import pandas as pd
from sqlalchemy import BigInteger, ColumnElement, and_, case, func, or_, select, type_coerce
from sqlalchemy.orm import Session

from content_catalog.schema import split_list
from features.interactions import FINISHED_PROGRESS, FINISHING_VERBS
from features.schema import SHOWN
from infra.catalog.sharing import visible
from infra.db import bulk
from infra.db.core_tables import events, items, lists, members, runs
from infra.events.store import counting
from infra.runs.store import ANYONE

Slice = Literal["run_id", "strategy", "role", "industry", "region", "language", "unit", "item", "format"]
OPENING: Final = ("viewed", "started", "progressed", "answered", "failed", *FINISHING_VERBS)
"""Verbs that imply that the item was opened."""

KINDS: Final[dict[str, ColumnElement[bool]]] = {
    "shown": events.c.verb == SHOWN,
    "opened": events.c.verb.in_(OPENING),
    "completed": or_(events.c.verb.in_(FINISHING_VERBS), events.c.progress >= FINISHED_PROGRESS),
    "dismissed": events.c.verb == "dismissed",
    "liked": events.c.verb == "liked",
}
_SLICES: Final[dict[str, ColumnElement[Any]]] = {
    "run_id": runs.c.run_id,
    "strategy": lists.c.strategy,
    **{name: members.c[name] for name in ("role", "industry", "region", "language")},
    "unit": members.c.units,
    "format": items.c.format,
}
ID_COLUMNS: Final = ["push_list_id", "member_id", "item_id"]


def rates(session: Session, organisation_key: int, *, by: Slice, zone: str = "UTC") -> pd.DataFrame:
    """Return counts of the entries of push lists, one row for each month and value of a slice.

    Counted are entries: a member, a list and an item of it, however many events they have. An entry belongs to the
    month of its first event, and to the list that ``push_list_id`` names. Only a list of the member itself counts, or
    the one that serves members who joined after the run: events cannot make up members of a group.

    Parameters
    ----------
    by : str
        ``run_id`` or ``strategy`` of the list, ``role, industry, region, language`` or ``unit`` of the member,
        ``format`` of the item or the ``item`` itself. A member of several units counts in each.
    zone : str
        IANA name of the zone of months.

    Returns
    -------
    DataFrame
        ``month`` (its first day), ``value`` (None: unknown), ``lists, members``, the entries ``shown, opened,
        completed, dismissed, liked``, and of the shown ones those ``opened_of_shown`` and ``completed_of_shown``.
    """
    entries = _entries(organisation_key)
    value = entries.c.item_id if by == "item" else _SLICES[by]
    query = (
        select(entries, value.label("value"))
        .join(lists, _same(organisation_key, lists, list_id=entries.c.push_list_id))
        .join(runs, runs.c.run_key == lists.c.run_key)
        .join(members, _same(organisation_key, members, member_id=entries.c.member_id))
        .outerjoin(items, and_(visible(organisation_key), items.c.item_id == entries.c.item_id))
        .where(or_(lists.c.member_id == entries.c.member_id, lists.c.member_id == ANYONE))
    )
    parts = [_by_month(part, by, zone) for part in bulk.read_frames(session, query)]
    columns = ["month", "value", "lists", "members", *KINDS, "opened_of_shown", "completed_of_shown"]
    rows = pd.concat(parts) if parts else pd.DataFrame(columns=[*ID_COLUMNS, *columns])
    grouped = rows.groupby(["month", "value"], dropna=False)
    totals = grouped[[*KINDS, "opened_of_shown", "completed_of_shown"]].sum()
    distinct = grouped[["push_list_id", "member_id"]].nunique()
    distinct.columns = ["lists", "members"]
    return distinct.join(totals).reset_index()[columns]


def _by_month(part: pd.DataFrame, by: Slice, zone: str) -> pd.DataFrame:
    local = pd.to_datetime(part["first_at"], unit="us", utc=True).dt.tz_convert(zone).dt.tz_localize(None)
    rows = part.assign(
        month=local.dt.strftime("%Y-%m-01"),
        value=part["value"].map(split_list) if by == "unit" else part["value"],
        opened_of_shown=part["shown"] * part["opened"],
        completed_of_shown=part["shown"] * part["completed"],
    )
    return rows.explode("value") if by == "unit" else rows


def _entries(organisation_key: int) -> Any:
    """Return the entries of lists with any event, with 1 or 0 for each kind of event."""
    key = [events.c[name] for name in ID_COLUMNS]
    first_at = func.min(type_coerce(events.c.occurred_at, BigInteger)).label("first_at")
    kinds = (func.max(case((condition, 1), else_=0)).label(kind) for kind, condition in KINDS.items())
    condition = and_(counting(organisation_key), events.c.push_list_id.is_not(None))
    return select(*key, first_at, *kinds).where(condition).group_by(*key).subquery()


def _same(organisation_key: int, table: Any, **ids: Any) -> ColumnElement[bool]:
    return and_(table.c.organisation_key == organisation_key, *(table.c[name] == value for name, value in ids.items()))
