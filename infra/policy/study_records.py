"""Study records: what open requirements depend on of members, as a column of a query and of many members at once."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import BigInteger, BindParameter, ColumnElement, Text, case, cast, func, select, type_coerce
from sqlalchemy.orm import Session

from content_catalog.requirements import within_of
from content_catalog.taxonomy import Taxonomy
from content_catalog.time_zones import zone_of
from infra.db import bulk
from infra.db.core_tables import EPOCH, MICROSECOND, events, lists, members
from infra.db.policy_tables import completions, requirements, waivers
from infra.events.store import FINISHING, counting
from recommender.policy.required import DEFAULT_PACE_SECONDS, StudyRecord


def column(organisation_key: BindParameter[int], dialect: str) -> ColumnElement[str | None]:
    """Return the study record of the member of a row as JSON, for a query over ``members`` joined with ``lists``.

    Null where the organisation has no requirements, which costs one look at an index.
    """
    array, group = bulk.json_functions(dialect)

    def listed(query: Any) -> Any:
        # SQLite forgets that the value of a subquery is JSON.
        return query.scalar_subquery() if dialect == "postgresql" else func.json(query.scalar_subquery())

    def of_member(table: Any) -> ColumnElement[bool]:
        return (table.c.organisation_key == organisation_key) & (table.c.member_id == members.c.member_id)

    waived = select(group(waivers.c.requirement_id)).where(of_member(waivers))
    at, kept_at = (type_coerce(moment, BigInteger) for moment in (events.c.occurred_at, completions.c.finished_at))
    finished = select(group(array(events.c.item_id, at))).where(
        counting(organisation_key), events.c.member_id == members.c.member_id, FINISHING
    )
    earlier = select(group(array(completions.c.item_id, kept_at))).where(of_member(completions))
    record = array(
        members.c.region,
        members.c.timezone,
        *(type_coerce(moment, BigInteger) for moment in (members.c.joined_on, members.c.role_since)),
        lists.c.pace_seconds,
        *(listed(query.correlate(members)) for query in (waived, finished, earlier)),
    )
    any_required = select(requirements.c.requirement_id).where(requirements.c.organisation_key == organisation_key)
    return case((any_required.exists(), cast(record, Text)))


def record_of(
    text: str, profile: Mapping[str, str | None], taxonomies: Mapping[str, Taxonomy], *, timezone: str
) -> tuple[StudyRecord, ZoneInfo]:
    """Return the record of a row's :func:`column`, and the zone of the member's days.

    Parameters
    ----------
    profile : mapping
        ``role, industry, units`` of the member.
    timezone : str
        IANA name of the zone of members without one of their own.
    """
    region, own_zone, joined_on, role_since, pace, waived, finished, earlier = orjson.loads(text)
    zone = zone_of(own_zone, timezone)
    within = within_of(taxonomies, **profile, region=region)
    return StudyRecord(
        within,
        joined_on=_day(joined_on),
        role_since=_day(role_since),
        finished=days_of([*(finished or ()), *(earlier or ())], zone),
        waived=frozenset(waived or ()),
        pace_seconds=pace or DEFAULT_PACE_SECONDS,
    ), zone


def days_of(finished: Iterable[tuple[str, int]], zone: ZoneInfo) -> dict[str, date]:
    """Return the local day on which each item was last finished, from items and microseconds since 1970."""
    last: dict[str, int] = {}
    for item_id, moment in finished:
        if item_id is not None and moment > last.get(item_id, -1):
            last[item_id] = moment
    return {item_id: (EPOCH + moment * MICROSECOND).astimezone(zone).date() for item_id, moment in last.items()}


def finished_by_member(
    session: Session, organisation_key: int, *, before: datetime
) -> dict[str, list[tuple[str, int]]]:
    """Return the items that each member has finished before a moment, with the last time of each."""
    at = type_coerce(func.max(events.c.occurred_at), BigInteger)
    query = select(events.c.member_id, events.c.item_id, at).where(
        counting(organisation_key), FINISHING, events.c.occurred_at < before, events.c.item_id.is_not(None)
    )
    own = completions.c.organisation_key == organisation_key
    earlier = select(
        completions.c.member_id, completions.c.item_id, type_coerce(completions.c.finished_at, BigInteger)
    ).where(own, completions.c.finished_at < before)
    by_member: dict[str, list[tuple[str, int]]] = {}
    for each in (query.group_by(events.c.member_id, events.c.item_id), earlier):
        for columns in bulk.read_columns(session, each):
            for member_id, item_id, moment in zip(*columns.values(), strict=True):
                by_member.setdefault(member_id, []).append((item_id, moment))
    return by_member


def _day(microseconds: int | None) -> date | None:
    return None if microseconds is None else (EPOCH + microseconds * MICROSECOND).date()
