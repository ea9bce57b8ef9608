"""Figures on the quality of an organisation's data."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, literal, select
from sqlalchemy.orm import Session

from features.quality import findings
from features.schema import NON_STUDY_VERBS, VOIDED
from infra.catalog import store as catalog
from infra.catalog import taxonomies
from infra.db.core_tables import events as table
from infra.db.core_tables import items, members, runs
from infra.events import unresolved
from infra.ingest import import_log


def report(
    session: Session, organisation_key: int, thresholds: Mapping[str, float], *, now: datetime
) -> dict[str, Any]:
    """Return the data-quality report: ``figures``, ``findings`` beyond the thresholds, and whether it is ``sound``."""
    figures = measure(session, organisation_key, now=now)
    failed = findings(figures, thresholds)
    return {"figures": figures, "findings": failed, "sound": not failed}


def measure(session: Session, organisation_key: int, *, now: datetime) -> dict[str, Any]:
    """Return the figures ``xuelu doctor`` reports, by name."""
    mine = table.c.organisation_key == organisation_key
    studied = mine & table.c.verb.not_in(NON_STUDY_VERBS)
    head = select(
        func.count(),
        func.min(table.c.occurred_at),
        func.max(table.c.occurred_at),
        func.count().filter(table.c.verb == VOIDED),
        func.count().filter(table.c.occurred_at > now),
    ).where(mine)
    n_events, first, last, voids, future = session.execute(head).one()
    per_time = select(func.count().label("n")).where(studied).group_by(table.c.occurred_at).subquery()
    most_at_once = session.scalar(select(func.max(per_time.c.n))) or 0
    n_members = catalog.count(session, organisation_key, "members")
    n_items = catalog.count(session, organisation_key, "items")
    at_least_two = (
        select(table.c.member_id)
        .where(studied)
        .group_by(table.c.member_id)
        .having(func.count() >= literal(2))
        .subquery()
    )
    busy = (
        select(func.count())
        .select_from(members.join(at_least_two, members.c.member_id == at_least_two.c.member_id))
        .where(members.c.organisation_key == organisation_key)
    )
    met = select(table.c.item_id).where(studied).distinct().subquery()
    known_met = select(func.count()).select_from(items.join(met, items.c.item_id == met.c.item_id))
    missing = select(
        func.coalesce(func.sum(case((members.c.role.is_(None), 1), else_=0)), 0),
        func.coalesce(func.sum(case((members.c.industry.is_(None), 1), else_=0)), 0),
        func.coalesce(func.sum(case((members.c.timezone.is_(None), 1), else_=0)), 0),
    ).where(members.c.organisation_key == organisation_key)
    no_role, no_industry, no_timezone = session.execute(missing).one()
    unknown_codes = [taxonomies.unknown_in_use(session, organisation_key, kind) for kind in taxonomies.USED_IN]
    imported = import_log.totals(session, organisation_key)
    return {
        "members": n_members,
        "items": n_items,
        "events": n_events,
        "first_event": first,
        "last_event": last,
        "voids": voids,
        "future_events": future,
        "future_share": _share(future, n_events),
        "unresolved_events": (waiting := unresolved.count(session, organisation_key)),
        "unresolved_share": _share(waiting, n_events),
        "one_timestamp_share": _share(most_at_once, n_events - voids) if most_at_once > 1 else 0.0,
        "thin_members": (thin := n_members - (session.scalar(busy) or 0)),
        "thin_member_share": _share(thin, n_members),
        "items_never_studied": n_items
        - (session.scalar(known_met.where(items.c.organisation_key == organisation_key)) or 0),
        "missing_role_share": _share(int(no_role), n_members),
        "missing_industry_share": _share(int(no_industry), n_members),
        "missing_timezone_share": _share(int(no_timezone), n_members),
        **{
            name: sum(unknown[name] for unknown in unknown_codes)
            for name in (f"{kind}_with_unknown_codes" for kind in ("members", "items", "requirements", "curations"))
        },
        "unknown_codes": sorted({code for unknown in unknown_codes for code in unknown["unknown_codes"]}),
        "imported_lines": imported["rows"],
        "duplicates": imported["duplicates"],
        "rejects": imported["rejected"],
        "reject_share": _share(imported["rejected"], imported["rows"]),
        "rejects_by_reason": imported["reasons"],
    }


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
