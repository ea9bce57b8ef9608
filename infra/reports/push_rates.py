"""Open and completion rates of push lists by month, and by run, strategy, audience, item or format."""

from collections.abc import Iterator
from datetime import date
from typing import Any, Final, Literal

import pandas as pd
from sqlalchemy import BigInteger, ColumnElement, and_, case, func, or_, select, type_coerce
from sqlalchemy.orm import Session

from content_catalog.schema import split_list
from content_catalog.taxonomy import Taxonomy
from features.interactions import FINISHING_VERBS
from features.schema import SHOWN
from infra.catalog import organisations
from infra.catalog.sharing import visible
from infra.db import bulk
from infra.db.core_tables import events, items, lists, members, runs
from infra.events.store import FINISHING, counting
from infra.reports.small_groups import Row, folded, published, without_figures
from infra.runs.store import ANYONE

Slice = Literal["run_id", "strategy", "role", "industry", "region", "language", "unit", "item", "format"]
OPENING: Final = ("viewed", "started", "progressed", "answered", "failed", *FINISHING_VERBS)
"""Verbs that imply that the item was opened."""

KINDS: Final[dict[str, ColumnElement[bool]]] = {
    "shown": events.c.verb == SHOWN,
    "opened": events.c.verb.in_(OPENING),
    "completed": FINISHING,
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
COUNTS: Final = [*KINDS, "opened_of_shown", "completed_of_shown"]
UNKNOWN: Final = ""
"""Value of entries without one; no stored value is empty."""


def rates(
    session: Session, organisation_key: int, *, by: Slice, zone: str, min_group_size: int
) -> list[tuple[date, Row]]:
    """Return counts of the entries of push lists, one row for each month and value of a slice.

    Counted are entries: a member, a list and an item of it, however many events they have. An entry belongs to the
    month of its first event, and to the list that ``push_list_id`` names. Only a list of the member itself counts, or
    the one that serves members who joined after the run: events cannot make up members of a group. Roles and industries
    of too few members count in the code above them.

    Parameters
    ----------
    by : str
        ``run_id`` or ``strategy`` of the list, ``role, industry, region, language`` or ``unit`` of the member,
        ``format`` of the item or the ``item`` itself. A member of several units counts in each.
    zone : str
        IANA name of the zone of months.
    min_group_size : int
        Fewest members that figures are of.

    Returns
    -------
    list of (date, dict)
        First day of the month, and ``value`` (None: unknown), ``lists, members``, the entries ``shown, opened,
        completed, dismissed, liked``, of the shown ones those ``opened_of_shown`` and ``completed_of_shown``, and
        ``suppressed`` (:func:`infra.reports.small_groups.published`).
    """
    entries = entries_with_events(organisation_key)
    query = (
        select(entries, *(column.label(name) for name, column in _SLICES.items()))
        .join(lists, _same(organisation_key, lists, list_id=entries.c.push_list_id))
        .join(runs, runs.c.run_key == lists.c.run_key)
        .join(members, _same(organisation_key, members, member_id=entries.c.member_id))
        .outerjoin(items, and_(visible(organisation_key), items.c.item_id == entries.c.item_id))
        .where(or_(lists.c.member_id == entries.c.member_id, lists.c.member_id == ANYONE))
    )
    parts = [_with_month(part, zone) for part in bulk.read_frames(session, query)]
    if not parts:
        return []
    taxonomies = organisations.taxonomies(session, organisation_key)
    months = pd.concat(parts, ignore_index=True).groupby("month")
    return [
        (date.fromisoformat(str(month)), row)
        for month, group in months
        for row in _rows(group, by, taxonomies, min_group_size)
    ]


def summed(value: str | None, months: list[Row]) -> Row:
    """Return the sums of the rows of :func:`rates` that are not suppressed, with the rates of the shown entries."""
    months_shown = [row for row in months if not row["suppressed"]]
    names = [name for name in months[0] if name not in {"value", "suppressed"}]
    if not months_shown:
        total: Row = dict.fromkeys(names)
    else:
        total = {name: int(sum(row[name] for row in months_shown)) for name in names}
        total["members"] = int(max(row["members"] for row in months_shown))
    for kind in ("opened", "completed"):
        of_shown = total.pop(f"{kind}_of_shown")
        total[f"{kind}_rate"] = of_shown / total["shown"] if total["shown"] else None
    return {"value": value, **total, "suppressed": not months_shown}


def _rows(entries: pd.DataFrame, by: Slice, taxonomies: dict[str, Taxonomy], min_group_size: int) -> Iterator[Row]:
    """Yield the rows of one month."""
    slices = {name: entries[name] for name in _SLICES} | {"item": entries["item_id"]}
    slices = {name: values.astype("object").fillna(UNKNOWN) for name, values in slices.items()}
    slices["unit"] = slices["unit"].map(split_list).explode().fillna(UNKNOWN)
    for kind, taxonomy in taxonomies.items():
        slices[kind] = folded(slices[kind], entries["member_id"], taxonomy, min_group_size=min_group_size)
    shown = published(slices, by, entries["member_id"], min_group_size=min_group_size)
    columns = entries[["push_list_id", "member_id", *COUNTS]]
    grouped = slices[by].rename("value").to_frame().join(columns).groupby("value")
    totals = grouped[COUNTS].sum()
    distinct = grouped[["push_list_id", "member_id"]].nunique().set_axis(["lists", "members"], axis="columns")
    for row in distinct.join(totals).reset_index().to_dict("records"):
        figures: Row = {str(name): figure for name, figure in row.items()} | {"value": row["value"] or None}
        yield {**figures, "suppressed": False} if row["value"] in shown else without_figures(figures)


def _with_month(part: pd.DataFrame, zone: str) -> pd.DataFrame:
    """Return entries with the first day of their month, and with those shown that were opened and completed."""
    local = pd.to_datetime(part["first_at"], unit="us", utc=True).dt.tz_convert(zone).dt.tz_localize(None)
    return part.assign(
        month=local.dt.strftime("%Y-%m-01"),
        opened_of_shown=part["shown"] * part["opened"],
        completed_of_shown=part["shown"] * part["completed"],
    )


def entries_with_events(organisation_key: int) -> Any:
    """Return the entries of lists with any event, with 1 or 0 for each kind of event."""
    key = [events.c[name] for name in ID_COLUMNS]
    first_at = func.min(type_coerce(events.c.occurred_at, BigInteger)).label("first_at")
    kinds = (func.max(case((condition, 1), else_=0)).label(kind) for kind, condition in KINDS.items())
    condition = and_(counting(organisation_key), events.c.push_list_id.is_not(None))
    return select(*key, first_at, *kinds).where(condition).group_by(*key).subquery()


def _same(organisation_key: int, table: Any, **ids: Any) -> ColumnElement[bool]:
    return and_(table.c.organisation_key == organisation_key, *(table.c[name] == value for name, value in ids.items()))
