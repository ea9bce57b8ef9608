"""What the night reads: one state of the database, and what it amounts to."""

from dataclasses import dataclass
from datetime import datetime

import pandas as pd
from sqlalchemy import Engine

from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions, build_interactions
from infra import organisations
from infra.db import snapshot
from infra.settings import Settings
from infra.study import evidence_rules, item_texts, read_study


@dataclass(frozen=True)
class Study:
    """What is known of an organisation at one moment.

    Attributes
    ----------
    events, members, items : DataFrame
        As :func:`features.interactions.build_interactions` takes them.
    texts : DataFrame
        What there is to read about every item.
    taxonomies : dict
        The organisation's roles and industries.
    as_of : Timestamp
        The moment.
    """

    events: pd.DataFrame
    members: pd.DataFrame
    items: pd.DataFrame
    texts: pd.DataFrame
    taxonomies: dict[str, Taxonomy]
    as_of: pd.Timestamp


def read(engine: Engine, organisation_key: int, *, as_of: datetime) -> Study:
    """Return what is known of an organisation up to a moment."""
    with snapshot(engine) as session:
        events, members, items = read_study(session, organisation_key, as_of=as_of)
        texts = item_texts(session, organisation_key)
        taxonomies = organisations.taxonomies(session, organisation_key)
    return Study(events, members, items, texts, taxonomies, pd.Timestamp(as_of))


def interactions(study: Study, settings: Settings) -> Interactions:
    """Return the interactions that a study amounts to."""
    return build_interactions(
        study.events, members=study.members, items=study.items, as_of=study.as_of, rules=evidence_rules(settings)
    )
