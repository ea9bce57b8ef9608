"""What the night reads: one state of the database, and what it amounts to."""

from dataclasses import dataclass
from datetime import datetime

import pandas as pd
from sqlalchemy import Engine

from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions, build_interactions
from infra.catalog import organisations
from infra.db.engine import snapshot
from infra.events import store as event_store
from infra.settings.settings import Settings
from infra.training.data import item_texts, read_members_and_items, weighting_rules
from jobs.nightly.incremental import Kept


@dataclass(frozen=True)
class Study:
    """What is known of an organisation at one moment.

    Attributes
    ----------
    events : DataFrame
        As :func:`features.interactions.build_interactions` takes them: of all members, or of the changed ones.
    n_events : int
        How many events there are of all members.
    members, items : DataFrame
    texts : DataFrame
        What there is to read about every item.
    taxonomies : dict
        The organisation's roles and industries.
    as_of : Timestamp
        The moment.
    traces : Series or None
        What tells later nights whether a member's events changed; None where none will ask.
    changed : Index or None
        The members whose lists have to be made again; None where all have to, by models fitted again.
    marks : Series or None
        What tells the service whether a member's events changed, whatever time they tell; None where it will not ask.
    """

    events: pd.DataFrame
    n_events: int
    members: pd.DataFrame
    items: pd.DataFrame
    texts: pd.DataFrame
    taxonomies: dict[str, Taxonomy]
    as_of: pd.Timestamp
    traces: pd.Series | None = None
    changed: pd.Index | None = None
    marks: pd.Series | None = None


def read(
    engine: Engine,
    organisation_key: int,
    *,
    as_of: datetime,
    traced: bool = False,
    marked: bool = False,
    kept: Kept | None = None,
) -> Study:
    """Return what is known of an organisation up to a moment.

    Parameters
    ----------
    traced : bool
        Whether later nights will ask which members' events changed.
    marked : bool
        Whether the service will.
    kept : Kept, optional
        What an earlier night kept; of members without changes no events are read then.
    """
    moment = pd.Timestamp(as_of)
    with snapshot(engine) as session:
        members, items = read_members_and_items(session, organisation_key)
        texts = item_texts(session, organisation_key)
        taxonomies = organisations.taxonomies(session, organisation_key)
        traces = event_store.event_digests(session, organisation_key, before=as_of) if traced else None
        marks = event_store.event_digests(session, organisation_key) if marked else None
        changed = None
        if kept is not None and traces is not None:
            changed = kept.changed(members, items, taxonomies, traces, as_of=moment)
        read_of = None if changed is None else changed.tolist()
        events = event_store.study_events(
            session, organisation_key, members=members.index, items=items.index, before=as_of, only=read_of
        )
    n_events = len(events)
    if changed is not None and traces is not None:
        n_events = int(traces.str.split(" ").str[0].astype("int64").sum())
    return Study(events, n_events, members, items, texts, taxonomies, moment, traces, changed, marks)


def interactions(study: Study, settings: Settings, kept: Kept | None = None) -> Interactions:
    """Return the interactions that a study amounts to, with those that an earlier night kept."""
    fresh = build_interactions(
        study.events, members=study.members, items=study.items, as_of=study.as_of, rules=weighting_rules(settings)
    )
    if kept is None or study.changed is None:
        return fresh
    return kept.with_news(fresh, study.items, study.changed, as_of=study.as_of)
