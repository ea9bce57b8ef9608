"""Training data of a night: one state of the database, and the interactions in it."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from content_catalog.audience import available
from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions, build_interactions
from infra.catalog import organisations
from infra.db.engine import snapshot
from infra.events import event_copy
from infra.events import store as event_store
from infra.settings.settings import Settings
from infra.training.data import item_texts, read_members_and_items, weighting_rules
from jobs.nightly.incremental import IncrementalState, with_anyone
from jobs.nightly.steps import RunInProgress


@dataclass(frozen=True)
class TrainingData:
    """An organisation's data as of one moment.

    Attributes
    ----------
    events : DataFrame
        As :func:`features.interactions.build_interactions` takes them: of all members, or of the changed ones.
    n_events : int
        Stored study events of all members, the voided and the aggregated ones included.
    texts : DataFrame
        Text columns of every item.
    taxonomies : dict
        The organisation's roles and industries.
    event_digests : Series or None
        The digest of each member's events until the moment, for later nights; None where models are not reused.
    all_event_digests : Series or None
        The digest of each member's events whatever their time, for the service; None where it computes no lists.
    changed : Index or None
        The members whose lists are computed; None where the models are fitted again and all lists are.
    """

    events: pd.DataFrame
    n_events: int
    members: pd.DataFrame
    items: pd.DataFrame
    texts: pd.DataFrame
    taxonomies: dict[str, Taxonomy]
    as_of: pd.Timestamp
    event_digests: pd.Series | None = None
    all_event_digests: pd.Series | None = None
    changed: pd.Index | None = None

    @property
    def n_offered(self) -> int:
        """Number of items that can be offered at the moment."""
        return int(available(self.items, self.as_of).sum())

    def without_events(self) -> "TrainingData":
        """Return the data without the events, for when all is learned from them."""
        return replace(self, events=self.events.iloc[:0].copy())


def read(
    engine: Engine,
    organisation_key: int,
    *,
    as_of: datetime,
    reused: bool = False,
    online: bool = False,
    state: IncrementalState | None = None,
    copy: Path | None = None,
) -> TrainingData:
    """Return the data of an organisation until a moment.

    Parameters
    ----------
    reused : bool
        Whether later nights may reuse the models.
    online : bool
        Whether the service computes lists.
    state : IncrementalState, optional
        That of the served run; of members without changes no events are read then.
    copy : Path, optional
        Folder of the copy of the events. It is brought up to date, and all members' events are read from it.
    """
    moment = pd.Timestamp(as_of)
    with snapshot(engine) as session:
        members, items = read_members_and_items(session, organisation_key, as_of=as_of)
        texts = item_texts(session, organisation_key)
        taxonomies = organisations.taxonomies(session, organisation_key)
        digests = all_digests = None
        if reused or online:
            both = event_store.event_digests(session, organisation_key, before=as_of)
            digests, all_digests = both["before"] if reused else None, both["all"] if online else None
        changed = None
        if state is not None and digests is not None:
            changed = state.changed_members(members, items, texts, taxonomies, digests, as_of=moment)
        studying = members.index if changed is None else with_anyone(changed)
        wanted: dict[str, Any] = {"members": studying, "items": items.index, "before": as_of}
        if copy is not None and changed is None:
            events = event_copy.study_events(session, organisation_key, copy, **wanted)
        else:
            only = None if changed is None else changed.tolist()
            events = event_store.study_events(session, organisation_key, **wanted, only=only)
        n_events = event_store.count_study_events(session, organisation_key, before=as_of)
    return TrainingData(events, n_events, members, items, texts, taxonomies, moment, digests, all_digests, changed)


def read_for(run: RunInProgress, state: IncrementalState | None) -> TrainingData:
    """Return the data of a run."""
    rules = run.settings.nightly
    return read(
        run.engine,
        run.organisation_key,
        as_of=run.as_of,
        reused=rules.refit_days > 0,
        online=rules.stores_models,
        state=state,
        copy=run.event_copy_folder if rules.event_copy else None,
    )


def interactions(data: TrainingData, settings: Settings, reused: IncrementalState | None = None) -> Interactions:
    """Return the interactions of all members, or of the changed ones as the reused models weight them."""
    if reused is not None and data.changed is not None:
        model = reused.model_as_of(data.members, data.items, data.as_of, data.all_event_digests)
        return model.interactions_of(data.members.loc[with_anyone(data.changed)], data.events)
    rules = weighting_rules(settings)
    return build_interactions(data.events, members=data.members, items=data.items, as_of=data.as_of, rules=rules)


def data_digest(data: TrainingData, interactions: Interactions, before: str) -> str:
    """Return the SHA-256 of all that lists are computed from, in hexadecimal.

    Parameters
    ----------
    before : str
        The digest of the run whose models and lists are reused; empty where none are.
    """
    sha = hashlib.sha256(f"{before} {data.as_of.value} {interactions.digest()}".encode())
    for frame in (data.texts, *(data.taxonomies[kind].table for kind in sorted(data.taxonomies))):
        sha.update(pd.util.hash_pandas_object(frame.astype("str")).to_numpy().tobytes())
    return sha.hexdigest()
