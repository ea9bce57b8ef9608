"""Training data: members, items and events of an organisation as interactions."""

from datetime import datetime

import pandas as pd
from sqlalchemy.orm import Session

from content_catalog.text import TEXT_COLUMNS
from features.interactions import Interactions, build_interactions
from features.weights import WeightingRules
from infra.catalog import organisations
from infra.catalog import store as catalog
from infra.catalog.profiles import deleted_topics_by_member
from infra.events import store as events
from infra.runs.store import ANYONE
from infra.settings.settings import Settings


def read_training_frames(
    session: Session, organisation_key: int, *, as_of: datetime
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return the events before a cut-off, and all members and items, as interactions are built from them."""
    members, items = read_members_and_items(session, organisation_key, as_of=as_of)
    studied = events.study_events(session, organisation_key, members=members.index, items=items.index, before=as_of)
    return studied, members, items


def read_members_and_items(
    session: Session, organisation_key: int, *, as_of: datetime
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return all members and items; of members who changed role or industry, how long before a moment that was.

    The first row, :data:`infra.runs.store.ANYONE`, is a placeholder: its list serves members who join after the run.
    """
    members = catalog.read(session, organisation_key, "members")
    members = members.reindex(pd.Index([ANYONE, *members.index], dtype="str", name="member_id"))
    deleted = deleted_topics_by_member(session, organisation_key)
    members["deleted_topics"] = pd.Series(members.index.map(deleted), index=members.index, dtype="str")
    moved = catalog.moves(session, organisation_key, as_of=as_of)
    members = members.join(moved.astype(dict.fromkeys(catalog.PREVIOUS, "str") | {"moved_days": "float64"}))
    return members, catalog.read(session, organisation_key, "items", without=("text", "summary"))


def load_events_and_interactions(
    session: Session, organisation_key: int, settings: Settings, *, as_of: datetime
) -> tuple[pd.DataFrame, Interactions]:
    """Return the events before a cut-off, and their interactions."""
    settings = organisations.local_settings(session, organisation_key, settings)
    studied, members, items = read_training_frames(session, organisation_key, as_of=as_of)
    rules = weighting_rules(settings)
    return studied, build_interactions(studied, members=members, items=items, as_of=pd.Timestamp(as_of), rules=rules)


def load_interactions(session: Session, organisation_key: int, settings: Settings, *, as_of: datetime) -> Interactions:
    """Return the interactions of an organisation before a cut-off."""
    return load_events_and_interactions(session, organisation_key, settings, as_of=as_of)[1]


def item_texts(session: Session, organisation_key: int) -> pd.DataFrame:
    """Return the texts of every item, in the order of the interactions' items."""
    return catalog.read(session, organisation_key, "items")[list(TEXT_COLUMNS)]


def weighting_rules(settings: Settings) -> WeightingRules:
    """Return the bounds of interaction weights in the settings."""
    weights = settings.weights
    return WeightingRules(
        item_time_cap=weights.item_time_cap,
        unknown_item_cap_seconds=weights.unknown_item_cap_seconds,
        member_cap=weights.member_cap,
        timezone=settings.timezone,
    )
