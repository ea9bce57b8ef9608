"""Coverage: the reach of the served lists, the state of required study, and topics in demand that lack content."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import orjson
import pandas as pd
from sqlalchemy import ColumnElement, Text, and_, case, cast, literal, select
from sqlalchemy.orm import Session

from content_catalog.audience import RESTRICTED, available
from content_catalog.schema import split_list
from content_catalog.taxonomy import Taxonomy
from features.schema import NON_STUDY_VERBS
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.db import bulk
from infra.db.core_tables import Instant, events, members
from infra.events.store import counting
from infra.reports.requirement_counts import requirement_counts
from infra.reports.small_groups import Row, folded, suppress
from infra.runs import list_contents
from infra.runs import store as runs
from infra.settings.settings import Settings

GROUPS: Final = {"role": "target_roles", "industry": "target_industries"}
"""Column of items that names the audience of each kind of group."""
MAX_TOPICS: Final = 10
"""Topics of a group."""
STUDY: Final = ["member_id", "item_id", *GROUPS]


def coverage(session: Session, organisation_key: int, settings: Settings, *, now: datetime) -> dict[str, Any]:
    """Return the coverage of the served lists, of requirements by unit, and of topics by role and by industry.

    Parameters
    ----------
    settings : Settings
        ``timezone`` and ``privacy.smallest_group``; the organisation's own zone goes first.

    Raises
    ------
    NoPublishedRunError
    """
    settings = organisations.local_settings(session, organisation_key, settings)
    return {
        **reach(session, organisation_key, now=now, min_group_size=settings.privacy.smallest_group),
        "requirements": requirement_counts(session, organisation_key, settings, now=now),
        **gaps(session, organisation_key, settings, now=now),
    }


def gaps(session: Session, organisation_key: int, settings: Settings, *, now: datetime) -> dict[str, Any]:
    """Return ``month``, the first day of the last whole one, and its ``topics``: those of :func:`topic_demand`."""
    settings = organisations.local_settings(session, organisation_key, settings)
    items = catalog.read(session, organisation_key, "items", without=("text", "summary"))
    month = pd.Timestamp(now).tz_convert(settings.timezone).tz_localize(None).to_period("M") - 1
    taxonomies = organisations.taxonomies(session, organisation_key)
    study = _study(session, organisation_key, month, settings.timezone)
    study["topics"] = study["item_id"].map(items["topics"])
    offerable = items[available(items, pd.Timestamp(now))]
    topics = topic_demand(study, offerable, taxonomies, month=month, min_group_size=settings.privacy.smallest_group)
    return {"month": month.start_time.date(), "topics": topics}


def reach(session: Session, organisation_key: int, *, now: datetime, min_group_size: int) -> dict[str, Any]:
    """Return members by the strategy of their served lists, and how many of the items on offer are on any list.

    Raises
    ------
    NoPublishedRunError
    """
    run = runs.latest(session, organisation_key)
    items = catalog.read(session, organisation_key, "items", without=("text", "summary"))
    n_offerable = int(available(items, pd.Timestamp(now)).sum())
    by_strategy = list_contents.members_by_strategy(session, run)
    n_members = catalog.count(session, organisation_key, "members")
    return {
        "run_id": run["run_id"],
        "members": n_members,
        "members_with_list": min(sum(row["members"] for row in by_strategy), n_members),
        "items_available": n_offerable,
        "items_listed": min(run["counts"].get("listed_items", 0), n_offerable),
        "by_strategy": suppress(by_strategy, min_group_size=min_group_size),
    }


def topic_demand(
    study: pd.DataFrame,
    items: pd.DataFrame,
    taxonomies: dict[str, Taxonomy],
    *,
    month: pd.Period,
    min_group_size: int,
) -> list[Row]:
    """Return the topics of each role and industry by demand: most members for each item first.

    Members are counted in whole months and in multiples of ``min_group_size``, rounded down: differences between
    topics, groups or days single no member out. Roles and industries of fewer members count in the code above.

    Parameters
    ----------
    study : DataFrame
        ``month`` (period), ``member_id``, ``role``, ``industry`` and ``topics`` of studied items; that of the month
        and of the one before.
    items : DataFrame
        Items that can be offered now, with ``topics``, ``audience`` and targets.
    month : Period
        The month whose study counts.

    Returns
    -------
    list of dict
        ``by`` (``role`` or ``industry``), ``value``, ``topic``, ``members`` who studied the topic, ``items`` on offer
        to the group, ``members_per_item`` (None without any item), ``rising``: more members than in the month before.

    Examples
    --------
    Three members study one item on knots, and on first aid there are two items for two members:

    >>> month = pd.Period("2026-02", "M")
    >>> studied = [("a", "knots"), ("b", "knots"), ("c", "knots"), ("a", "aid"), ("b", "aid")]
    >>> study = pd.DataFrame(studied, columns=["member_id", "topics"]).assign(month=month, role="83", industry="")
    >>> items = pd.DataFrame({"topics": ["knots", "aid", "aid"]}).assign(
    ...     audience="open", target_roles=None, target_industries=None
    ... )
    >>> from content_catalog.taxonomy import shipped
    >>> taxonomies = {"role": shipped("isco08"), "industry": shipped("gbt4754_2017")}
    >>> rows = topic_demand(study, items, taxonomies, month=month, min_group_size=1)
    >>> [(row["value"], row["topic"], row["members_per_item"], row["rising"]) for row in rows]
    [('83', 'knots', 3.0, True), ('83', 'aid', 1.0, True)]
    """
    topics_of = study["topics"].map({topics: split_list(topics) for topics in study["topics"].dropna().unique()})
    # Numbers are counted faster than texts.
    by_topic = study.assign(topic=topics_of, member_id=pd.factorize(study["member_id"])[0]).explode("topic")
    by_topic = by_topic.reset_index(drop=True)
    rows: list[Row] = []
    for kind, targets in GROUPS.items():
        taxonomy = taxonomies[kind]
        of_kind = by_topic[by_topic[kind].isin(taxonomy.table.index)]
        groups = folded(of_kind[kind], of_kind["member_id"], taxonomy, min_group_size=min_group_size)
        members_of = of_kind.groupby(["month", groups.rename("group"), "topic"])["member_id"].nunique()
        members_of = members_of // min_group_size * min_group_size
        items_by_topic = _items_by_topic(items, targets)
        for value in sorted(groups.unique()):
            demand, before = (_of_group(members_of, value, each) for each in (month, month - 1))
            offered = items_by_topic(set(taxonomy.path(value))) if demand else {}
            topics = [
                {
                    "by": kind,
                    "value": value,
                    "topic": topic,
                    "members": number,
                    "items": offered.get(topic, 0),
                    "members_per_item": number / offered[topic] if topic in offered else None,
                    "rising": number > before.get(topic, 0),
                }
                for topic, number in demand.items()
            ]
            rows += sorted(topics, key=_most_wanted)[:MAX_TOPICS]
    return rows


def _most_wanted(row: Row) -> tuple[bool, float, int, str]:
    """Return the sort key of a topic: without any item first, then by members for each item."""
    return row["items"] > 0, -(row["members_per_item"] or 0), -row["members"], row["topic"]


def _of_group(members_of: pd.Series, value: str, month: pd.Period) -> dict[str, int]:
    """Return the members of a group by the topics that enough of them studied in a month."""
    index = members_of.index
    mine = (index.get_level_values("month") == month) & (index.get_level_values("group") == value) & (members_of > 0)
    return {str(topic): int(number) for (_, _, topic), number in members_of[mine].items()}


def _items_by_topic(items: pd.DataFrame, targets: str) -> Callable[[set[str]], Counter[str]]:
    """Return the function that counts the items of each topic which a group of some codes may be offered."""
    wanted = [frozenset(split_list(codes)) for codes in items[targets]]
    rows = [*zip(items["audience"] == RESTRICTED, wanted, items["topics"].map(split_list), strict=True)]
    of_all = Counter(topic for restricted, codes, topics in rows if not (restricted and codes) for topic in topics)
    of_some = [(codes, topics) for restricted, codes, topics in rows if restricted and codes]

    def offered_to(path: set[str]) -> Counter[str]:
        return of_all + Counter(topic for codes, topics in of_some if codes & path for topic in topics)

    return offered_to


def _study(session: Session, organisation_key: int, month: pd.Period, zone: str) -> pd.DataFrame:
    """Return the items that members studied in a month of a zone and in the one before.

    Dates without a time are in no zone.
    """
    before, begin, end = (_start(each, zone) for each in (month - 1, month, month + 1))
    _, group = bulk.json_functions(session.get_bind().dialect.name)
    # A row for each member, not for each event: rows cost more than the reading of all events.
    later, ids = events.c.occurred_at >= begin, group(events.c.item_id)
    studied = (
        select(
            events.c.member_id,
            *(cast(ids.filter(each), Text).label(name) for name, each in (("before", ~later), ("later", later))),
        )
        .where(
            counting(organisation_key),
            events.c.verb.not_in(NON_STUDY_VERBS),
            events.c.occurred_at >= before,
            events.c.occurred_at < end,
        )
        .group_by(events.c.member_id)
        .subquery()
    )
    own = and_(members.c.organisation_key == organisation_key, members.c.member_id == studied.c.member_id)
    query = select(studied, *(members.c[name] for name in GROUPS)).join(members, own)
    parts = [pd.DataFrame(columns=[*STUDY, "is_later"])]
    for frame in bulk.read_frames(session, query):
        for name, is_later in (("before", False), ("later", True)):
            items = [orjson.loads(ids or "[]") for ids in frame[name].tolist()]
            parts.append(frame[["member_id", *GROUPS]].assign(item_id=items, is_later=is_later).explode("item_id"))
    study = pd.concat(parts[1:] or parts, ignore_index=True).dropna(subset="item_id")
    months = pd.PeriodIndex([month - 1, month]).take(study.pop("is_later").astype(int))
    return study.assign(month=months)


def _start(month: pd.Period, zone: str) -> ColumnElement[Any]:
    """Return the moment at which a month begins, for an event with a time or for one with a date alone."""
    naive = month.start_time
    # Some zones put their clocks forward at midnight.
    local = naive.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
    moments = (each.to_pydatetime() for each in (naive.tz_localize("UTC"), local))
    of_date, of_time = (literal(moment, Instant()) for moment in moments)
    return case((events.c.date_only.is_(True), of_date), else_=of_time)
