"""Figures on the quality of an organisation's data."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, func, literal, select
from sqlalchemy.orm import Session

from features.schema import NON_STUDY_VERBS, VOIDED
from infra.catalog import organisations, taxonomies
from infra.catalog import store as catalog
from infra.db.core_tables import events as table
from infra.db.core_tables import items, members, runs
from infra.events import unresolved
from infra.ingest import import_log

ADVICE: Final = {
    "reject_share": "look into the rejects files and mend the export",
    "unresolved_share": "ingest the missing members and items, or ingest with --auto-create",
    "future_share": "check the clock and the time zone of the export",
    "thin_member_share": "ingest a longer stretch of the log",
    "one_timestamp_share": "the log lacks real times; map the column that has them",
}
"""Advice on each share beyond its threshold."""
LABELS: Final = {
    "voids": "events that void others",
    "future_events": "events in the future",
    "future_share": "share of events in the future",
    "unresolved_events": "events of unknown members or items",
    "unresolved_share": "share of events of unknown members or items",
    "one_timestamp_share": "share of events at the same moment",
    "thin_members": "members with fewer than two events",
    "thin_member_share": "share of members with fewer than two events",
    "missing_role_share": "share of members without a role",
    "missing_industry_share": "share of members without an industry",
    "missing_timezone_share": "share of members without a time zone",
    "duplicates": "lines imported before",
    "rejects": "bad lines",
    "reject_share": "share of bad lines",
    "stray_artefact_folders": "folders of artefacts without a run",
}
"""Figures of the report that need more than their name, in words."""


def report(
    session: Session, organisation_key: int, thresholds: Mapping[str, float], *, now: datetime
) -> dict[str, Any]:
    """Return the data-quality report: ``figures``, ``findings`` beyond the thresholds, and whether it is ``sound``."""
    return assessed(measure(session, organisation_key, now=now), thresholds)


def assessed(figures: dict[str, Any], thresholds: Mapping[str, float]) -> dict[str, Any]:
    """Return the data-quality report of figures."""
    failed = findings(figures, thresholds)
    return {"figures": figures, "findings": failed, "sound": not failed}


def findings(figures: Mapping[str, Any], thresholds: Mapping[str, float]) -> list[str]:
    """Return a message for each figure beyond its threshold: figure, threshold and advice.

    Parameters
    ----------
    figures : mapping
        Figures by name; shares are 0..1.
    thresholds : mapping
        ``max_<figure>`` and ``min_events``.

    Examples
    --------
    >>> [finding] = findings({"events": 10, "future_share": 0.2}, {"max_future_share": 0.01, "min_events": 1})
    >>> finding.partition(":")[0]
    'share of events in the future is 20.0%, at most 1.0% is sound (doctor.max_future_share)'
    """
    return [
        f"{LABELS[name]} is {value:.1%}, at most {bound:.1%} is sound (doctor.max_{name}): {ADVICE[name]}"
        if name in ADVICE
        else f"{value} events, at least {bound:g} are sound: ingest study logs"
        for name, value, bound in beyond_thresholds(figures, thresholds)
    ]


def beyond_thresholds(figures: Mapping[str, Any], thresholds: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """Return name, value and bound of each figure beyond its threshold: of ``events``, the least, and of shares."""
    few = [("events", figures["events"], thresholds["min_events"])]
    bounds = [(name, thresholds.get(f"max_{name}")) for name in ADVICE]
    shares = [(name, figures[name], bound) for name, bound in bounds if bound is not None]
    return [row for row in few if row[1] < row[2]] + [row for row in shares if row[1] > row[2]]


def measure(session: Session, organisation_key: int, *, now: datetime) -> dict[str, Any]:
    """Return the figures ``xuelu doctor`` reports, by name."""
    n_members, n_items = (catalog.count(session, organisation_key, kind) for kind in ("members", "items"))
    return {
        "members": n_members,
        "items": n_items,
        **_of_events(session, organisation_key, now),
        **_of_study(session, organisation_key, n_members, n_items),
        **_of_members(session, organisation_key, n_members),
        **taxonomies.unknown_in_use(session, organisation_key, *organisations.SHIPPED),
        **_of_imports(session, organisation_key),
    }


def _of_events(session: Session, organisation_key: int, now: datetime) -> dict[str, Any]:
    head = select(
        func.count(),
        func.min(table.c.occurred_at),
        func.max(table.c.occurred_at),
        func.count().filter(table.c.verb == VOIDED),
        func.count().filter(table.c.occurred_at > now),
    )
    n_events, first, last, voids, future = session.execute(head.where(_own(organisation_key))).one()
    per_time = select(func.count().label("n")).where(_studied(organisation_key)).group_by(table.c.occurred_at)
    most_at_once = session.scalar(select(func.max(per_time.subquery().c.n))) or 0
    n_unresolved = unresolved.count(session, organisation_key)
    return {
        "events": n_events,
        "first_event": first,
        "last_event": last,
        "voids": voids,
        "future_events": future,
        "future_share": _share(future, n_events),
        "unresolved_events": n_unresolved,
        "unresolved_share": _share(n_unresolved, n_events),
        "one_timestamp_share": _share(most_at_once, n_events - voids) if most_at_once > 1 else 0.0,
    }


def _of_study(session: Session, organisation_key: int, n_members: int, n_items: int) -> dict[str, Any]:
    studied = _studied(organisation_key)
    busy = select(table.c.member_id).where(studied).group_by(table.c.member_id).having(func.count() >= literal(2))
    begun = select(table.c.item_id).where(studied)
    n_busy = _count_of(session, members, organisation_key, members.c.member_id.in_(busy))
    n_thin = n_members - n_busy
    return {
        "thin_members": n_thin,
        "thin_member_share": _share(n_thin, n_members),
        "items_never_studied": n_items - _count_of(session, items, organisation_key, items.c.item_id.in_(begun)),
    }


def _of_members(session: Session, organisation_key: int, n_members: int) -> dict[str, float]:
    return {
        f"missing_{name}_share": _share(
            _count_of(session, members, organisation_key, members.c[name].is_(None)), n_members
        )
        for name in ("role", "industry", "timezone")
    }


def _of_imports(session: Session, organisation_key: int) -> dict[str, Any]:
    imported = import_log.totals(session, organisation_key)
    return {
        "imported_lines": imported["rows"],
        "duplicates": imported["duplicates"],
        "rejects": imported["rejected"],
        "reject_share": _share(imported["rejected"], imported["rows"]),
        "rejects_by_reason": imported["reasons"],
    }


def _own(organisation_key: int) -> ColumnElement[bool]:
    return table.c.organisation_key == organisation_key


def _studied(organisation_key: int) -> ColumnElement[bool]:
    return _own(organisation_key) & table.c.verb.not_in(NON_STUDY_VERBS)


def _count_of(session: Session, records: Table, organisation_key: int, condition: ColumnElement[bool]) -> int:
    own = records.c.organisation_key == organisation_key
    return session.scalar(select(func.count()).select_from(records).where(own, condition)) or 0


def numbers(figures: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures that are numbers, as a run keeps them."""
    return {name: value for name, value in figures.items() if isinstance(value, int | float)}


def history(session: Session, organisation_key: int, *, limit: int) -> list[dict[str, Any]]:
    """Return the figures that the latest runs kept, the oldest first: ``made_at, run_id`` and the figures by name."""
    stored = select(runs.c.made_at, runs.c.run_id, runs.c.data_quality)
    mine = (runs.c.organisation_key == organisation_key) & runs.c.data_quality.is_not(None)
    rows = session.execute(stored.where(mine).order_by(runs.c.run_key.desc()).limit(limit)).all()
    return [
        {"made_at": row.made_at, "run_id": row.run_id, **row.data_quality} for row in reversed(rows) if row.data_quality
    ]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
