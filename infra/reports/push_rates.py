"""Open and completion rates of push lists, by run, strategy, audience and format."""

from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import Session

from features.interactions import FINISHED_PROGRESS, FINISHING_VERBS
from features.schema import SHOWN
from infra.catalog.sharing import visible
from infra.db.core_tables import events, items, lists, members, runs
from infra.events.store import counting

Slice = Literal["run_id", "strategy", "role", "industry", "region", "language", "format"]
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
    "format": items.c.format,
}


def rates(
    session: Session, organisation_key: int, *, by: Slice, since: datetime | None = None, until: datetime | None = None
) -> list[dict[str, Any]]:
    """Return counts and rates of the entries of push lists by value of a slice, in order of the values.

    Counted are entries: a member, a list and an item of it, however many events they have. An event belongs to the
    list that its ``push_list_id`` names; lists that no run of the organisation made count nowhere.

    Parameters
    ----------
    by : str
        ``run_id`` or ``strategy`` of the list, ``role, industry, region, language`` of the member, or ``format`` of the
        item.
    since, until : datetime, optional
        Count events from this moment on, and before this one.

    Returns
    -------
    list of dict
        ``value`` of the slice (None: not known), ``lists`` and ``members``, and the entries ``shown, opened, completed,
        dismissed, liked``; ``opened_rate`` and ``completed_rate``: the shares, 0..1, of the shown entries that were
        opened and completed, None where none was shown.
    """
    entries = _entries(organisation_key, since, until)
    value = _SLICES[by].label("value")
    both = {f"shown_{kind}": func.sum(entries.c.shown * entries.c[kind]) for kind in ("opened", "completed")}
    query = (
        select(
            value,
            func.count(entries.c.push_list_id.distinct()).label("lists"),
            func.count(entries.c.member_id.distinct()).label("members"),
            *(func.sum(entries.c[kind]).label(kind) for kind in KINDS),
            *(total.label(name) for name, total in both.items()),
        )
        .select_from(entries)
        .join(lists, _same(organisation_key, lists, list_id=entries.c.push_list_id))
        .join(runs, runs.c.run_key == lists.c.run_key)
        .outerjoin(members, _same(organisation_key, members, member_id=entries.c.member_id))
        .outerjoin(items, and_(visible(organisation_key), items.c.item_id == entries.c.item_id))
        .group_by(value)
    )
    rows = [_rated(dict(row)) for row in session.execute(query).mappings()]
    return sorted(rows, key=lambda row: (row["value"] is not None, row["value"]))


def _entries(organisation_key: int, since: datetime | None, until: datetime | None) -> Any:
    """Return the entries of lists with any event, with 1 or 0 for each kind of event."""
    key = (events.c.push_list_id, events.c.member_id, events.c.item_id)
    period = [events.c.occurred_at >= since] if since else []
    period += [events.c.occurred_at < until] if until else []
    return (
        select(*key, *(func.max(case((condition, 1), else_=0)).label(kind) for kind, condition in KINDS.items()))
        .where(counting(organisation_key), events.c.push_list_id.is_not(None), *period)
        .group_by(*key)
        .subquery()
    )


def _same(organisation_key: int, table: Any, **ids: Any) -> ColumnElement[bool]:
    return and_(table.c.organisation_key == organisation_key, *(table.c[name] == value for name, value in ids.items()))


def _rated(row: dict[str, Any]) -> dict[str, Any]:
    for kind in ("opened", "completed"):
        of_shown = row.pop(f"shown_{kind}")
        row[f"{kind}_rate"] = of_shown / row["shown"] if row["shown"] else None
    return row
