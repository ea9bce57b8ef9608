"""Interests: the topics held about a member, with the items that they come from."""

from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from content_catalog.schema import split_list
from features.interactions import Interactions, build_interactions
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.catalog.profiles import current_profile, delete_topic, deleted_topics_of, restore_topic
from infra.catalog.sharing import visible
from infra.db.core_tables import EPOCH, MICROSECOND, items
from infra.db.core_tables import events as event_table
from infra.errors import NotFoundError
from infra.events import store as events
from infra.settings.settings import Settings
from infra.training.data import weighting_rules

MAX_ITEMS: Final = 20
"""Items that are named for a topic, those that count most first."""


def interests_of(
    session: Session, organisation_key: int, member_id: str, settings: Settings, *, now: datetime
) -> dict[str, Any]:
    """Return the topics held about a member, the largest share first, and those that it deleted.

    A topic's ``share`` is that of the weight of the member's study, ``items`` are what it was studied by,
    ``last_studied_at`` is when. Nothing is held about members who switched personalisation off.

    Raises
    ------
    UnknownMemberError
    """
    profile = current_profile(session, organisation_key, member_id, now=now)
    interactions = _interactions(session, organisation_key, profile, settings, now)
    deleted = deleted_topics_of(session, organisation_key, member_id)
    rows = [{"topic": topic, "deleted_at": moment} for topic, moment in deleted.items()]
    return {"interests": topics_held(interactions), "deleted": rows}


def topics_held(interactions: Interactions) -> list[dict[str, Any]]:
    """Return the topics of the one member of some interactions: ``topic, share, items, last_studied_at``."""
    weight = interactions.cell("weight") * interactions.personalised[interactions.cell("member")]
    total = float(weight.sum())
    counted = np.flatnonzero(weight > 0)
    cells_by_topic: dict[str, list[int]] = {}
    for cell in counted[np.argsort(-weight[counted], kind="stable")].tolist():
        for topic in dict.fromkeys(split_list(interactions.items["topics"].iloc[interactions.cell("item")[cell]])):
            cells_by_topic.setdefault(topic, []).append(cell)
    held = [
        {
            "topic": topic,
            "share": float(weight[cells].sum()) / total,
            "items": interactions.items.index[interactions.cell("item")[cells[:MAX_ITEMS]]].tolist(),
            "last_studied_at": EPOCH + int(interactions.cell("last_at")[cells].max()) * MICROSECOND,
        }
        for topic, cells in cells_by_topic.items()
    ]
    return sorted(held, key=lambda interest: (-interest["share"], interest["topic"]))


def delete_interest(session: Session, organisation_key: int, member_id: str, topic: str, *, now: datetime) -> None:
    """Delete a topic from what is held about a member: study of it counts no more for the member's lists.

    Raises
    ------
    UnknownMemberError, NotFoundError
    """
    catalog.member(session, organisation_key, member_id)
    _check_topic(session, organisation_key, topic)
    delete_topic(session, organisation_key, member_id, topic, now=now)


def restore_interest(session: Session, organisation_key: int, member_id: str, topic: str) -> None:
    """Let study of a deleted topic count again; one that was not deleted counts anyway.

    Raises
    ------
    UnknownMemberError, NotFoundError
    """
    catalog.member(session, organisation_key, member_id)
    if catalog.NUL in topic or not restore_topic(session, organisation_key, member_id, topic):
        _check_topic(session, organisation_key, topic)


def _check_topic(session: Session, organisation_key: int, topic: str) -> None:
    """Refuse a topic that no item has."""
    texts = session.scalars(
        select(items.c.topics).where(visible(organisation_key), items.c.topics.is_not(None)).distinct()
    )
    if not any(topic in split_list(text) for text in texts):
        raise NotFoundError(f"no item has the topic {topic!r}; check its spelling")


def _interactions(
    session: Session, organisation_key: int, profile: pd.DataFrame, settings: Settings, now: datetime
) -> Interactions:
    """Return the interactions of the one member of a profile with the items that it studied."""
    [member_id] = profile.index
    own = (event_table.c.organisation_key == organisation_key) & (event_table.c.member_id == member_id)
    item_ids = session.scalars(select(event_table.c.item_id).where(own, event_table.c.item_id.is_not(None)).distinct())
    rows = catalog.display_items(session, organisation_key, sorted(item_ids))
    studied = pd.DataFrame(
        {name: [row[name] for row in rows.values()] for name in ("topics", "duration_seconds")},
        index=pd.Index([*rows], dtype="str", name="item_id"),
    ).sort_index()
    studied["duration_seconds"] = studied["duration_seconds"].astype("float64")
    numbers = {item_id: row for row, item_id in enumerate(studied.index)}
    study = events.study_events_of(session, organisation_key, member_id, items=numbers, before=now)
    rules = weighting_rules(organisations.local_settings(session, organisation_key, settings))
    return build_interactions(study, members=profile, items=studied, as_of=pd.Timestamp(now), rules=rules)
