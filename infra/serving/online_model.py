"""Lists from the fitted models of a run and the events of members until now: of all members, of some, or of one.

The night that fits computes everybody's list by it, a night that reuses the models the lists of changed members, and
the service the list of one member. Interactions are weighted as of the moment at which the models were fitted, so all
three agree.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import orjson
import pandas as pd
from sqlalchemy.orm import Session

from features.histories import joining_order_of
from features.interactions import Interactions, build_interactions
from features.weights import WeightingRules
from infra.catalog.profiles import current_profile, profiles_of
from infra.errors import ModelsGoneError
from infra.events import store as events
from infra.policy.entry_texts import entry_with
from infra.runs import artefacts, steps
from infra.runs.code_version import code_version
from infra.runs.store import ANYONE
from recommender.evaluation.split import Split
from recommender.explanations.reasons import Reasons
from recommender.pipeline import Pipeline
from recommender.strategies import strategies

ONLINE_MODEL: Final = "online_model"
"""The step of a run, and the artefact, under which the model is stored."""
ModelSource = Callable[[Session, dict[str, Any]], "OnlineModel"]
"""Returns the models of a run, or raises :class:`infra.errors.ModelsGoneError`."""
LoadResult = Literal["loaded", "missing", "other_code", "unreadable"]
LOAD_FAULTS: Final[dict[LoadResult, str]] = {
    "missing": "are not stored; the setting `nightly.keep_models_days` says for how long they are",
    "other_code": "were stored by another version of xuelu; `xuelu nightly` stores new ones",
    "unreadable": "cannot be read: they are damaged, or `models.extra`, `models.in_pipeline` or the module of an own "
    "model are not as in the night that stored them",
}


@dataclass(frozen=True, slots=True)
class OnlineList:
    """A computed list: its member, its strategy, and its entries as JSON in the form that runs store."""

    member_id: str
    strategy: str
    entries: str


@dataclass(frozen=True)
class OnlineModel:
    """All inputs of one member's list except the member's own events and profile.

    Attributes
    ----------
    pipeline : Pipeline
        Fitted, without its training data.
    reasons : Reasons
        Explanations by the fitted models.
    items : DataFrame
        The catalogue as the run read it.
    as_of : Timestamp
        The moment as of which interactions are weighted.
    join_positions : dict
        Each member's position in the order of joining; that of ``ANYONE`` stands for members who came later.
    training_rows : dict
        The row of each member in the training data.
    profiles : DataFrame
        :data:`infra.catalog.profiles.PROFILE_COLUMNS` of each member at the run, ``ANYONE`` included.
    event_digests : dict
        The digest of each member's events at the run (:func:`infra.events.store.event_digests`).
    length : int
        Items of a list.
    split : Split, optional
        The split of the members where an experiment runs; ``variants`` are the models of its variants, of which those
        without changes have none.
    """

    pipeline: Pipeline
    reasons: Reasons
    items: pd.DataFrame
    as_of: pd.Timestamp
    rules: WeightingRules
    join_positions: dict[str, float]
    training_rows: dict[str, int]
    profiles: pd.DataFrame
    event_digests: dict[str, str]
    length: int
    split: Split | None = None
    variants: dict[str, "OnlineModel"] = field(default_factory=dict)
    _item_cache: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    def is_outdated(self, member_id: str, event_digest: str, deleted_topics: str) -> bool:
        """Return whether a member's events, or the topics that it deleted, differ from those at the run."""
        if self.event_digests.get(member_id, "") != event_digest:
            return True
        return self._deleted_topics.get(member_id, "") != deleted_topics

    def interactions(self, session: Session, organisation_key: int, member_id: str, *, now: datetime) -> Interactions:
        """Return the interactions of one member until now.

        Raises
        ------
        UnknownMemberError
            The organisation has no such member any more.
        """
        profile = current_profile(session, organisation_key, member_id, now=now)
        return self.interactions_with(session, organisation_key, profile, before=now)

    def interactions_with(
        self, session: Session, organisation_key: int, profile: pd.DataFrame, *, before: datetime
    ) -> Interactions:
        """Return the interactions of the one member of a profile, such as a row of :attr:`profiles`."""
        [member_id] = profile.index
        study = events.study_events_of(session, organisation_key, member_id, items=self._item_rows, before=before)
        return self.interactions_of(profile, study)

    def interactions_of(self, members: pd.DataFrame, study: pd.DataFrame) -> Interactions:
        """Return the interactions of members by their profiles, indexed by id, and events, members by row number."""
        late = self.join_positions[ANYONE]
        positions = [self.join_positions.get(member_id, late) for member_id in members.index]
        return build_interactions(
            study,
            members=members.assign(position=positions),
            items=self.items,
            as_of=self.as_of,
            rules=self.rules,
            item_cache=self._item_cache,
        )

    def knows(self, member_id: str) -> bool:
        """Return whether the model holds data of a member."""
        return any(member_id in names for names in (self.join_positions, self.event_digests, self.profiles.index))

    def without_member(self, member_id: str) -> "OnlineModel":
        """Return the model without the data of one member; parameters learned from all members stay."""
        row = self.training_rows.get(member_id)
        return replace(
            self,
            variants={name: model.without_member(member_id) for name, model in self.variants.items()},
            pipeline=self.pipeline if row is None else self.pipeline.without_member(row),
            join_positions={name: position for name, position in self.join_positions.items() if name != member_id},
            training_rows={name: row for name, row in self.training_rows.items() if name != member_id},
            profiles=self.profiles.drop(index=member_id, errors="ignore"),
            event_digests={name: digest for name, digest in self.event_digests.items() if name != member_id},
        )

    @cached_property
    def item_ids(self) -> list[str]:
        """The ids of items by their row numbers."""
        return self.items.index.tolist()

    @cached_property
    def _deleted_topics(self) -> dict[str, str]:
        """The topics that members deleted until the run, by member."""
        return dict(self.profiles["deleted_topics"].dropna())

    @cached_property
    def _item_rows(self) -> dict[str, int]:
        """The row numbers of items by their ids."""
        return {item_id: row for row, item_id in enumerate(self.item_ids)}

    def recommend(self, interactions: Interactions) -> OnlineList:
        """Return the list of the one member of some interactions."""
        [member_id] = interactions.members.index
        empty = OnlineList(member_id, str(strategies(interactions).iloc[0]), "[]")
        return next(self.lists(interactions, interactions.members.index), empty)

    def of_member(self, member_id: str, *, personalised: bool = True) -> "OnlineModel":
        """Return the model of a member's lists: that of its variant where an experiment runs."""
        if self.split is None or member_id == ANYONE or not personalised:
            return self
        return self.variants.get(self.split.variant_of(member_id), self)

    def representatives(self, interactions: Interactions) -> pd.Series:
        """Return for every member the member whose list it shares, of the same variant."""
        if not self.variants:
            return self.pipeline.representatives(interactions)
        every, own = (self, *self.variants.values()), interactions.members.index.to_series()
        by_model = {id(each): each.pipeline.representatives(interactions).tolist() for each in every}
        model = [id(each) for each in self._models_of(interactions, own.index)]
        shared = [by_model[number][row] for row, number in enumerate(model)]
        return own.groupby([shared, model], sort=False).transform("first")

    def _models_of(self, interactions: Interactions, members: pd.Index) -> list["OnlineModel"]:
        personalised = interactions.personalised[interactions.members.index.get_indexer(members)]
        return [self.of_member(name, personalised=own) for name, own in zip(members, personalised, strict=True)]

    def lists(self, interactions: Interactions, members: pd.Index) -> Iterator[OnlineList]:
        """Yield the lists of some members; none of a member to whom nothing can be offered."""
        if not self.variants:
            yield from self._lists(interactions, members)
            return
        models = self._models_of(interactions, members)
        yield from self._lists(interactions, members[[model is self for model in models]])
        for variant in self.variants.values():
            yield from variant.lists(interactions, members[[model is variant for model in models]])

    def _lists(self, interactions: Interactions, members: pd.Index) -> Iterator[OnlineList]:
        strategy, member_ids = strategies(interactions).to_numpy(), interactions.members.index
        for block in self.pipeline.listed(interactions, members, k=self.length):
            causes = self.pipeline.causes(interactions, block)
            reasons = self.reasons.of(interactions, block.member, block.item, block.source, causes)
            columns = block.item.tolist(), block.reason, reasons, block.propensity.tolist()
            entries = [
                entry_with(self.item_ids[item], of_rule or reason, propensity)
                for item, of_rule, reason, propensity in zip(*columns, strict=True)
            ]
            starts = np.flatnonzero(block.rank == 1).tolist()
            for start, end in pairwise([*starts, len(entries)]):
                row, json = block.member[start], orjson.dumps(entries[start:end]).decode()
                yield OnlineList(str(member_ids[row]), str(strategy[row]), json)

    def without_members(self, training: Interactions) -> "OnlineModel":
        """Return the model without its training data, so that it is small to store and to load."""
        pipeline, reasons = self.pipeline.without_members(training), self.reasons.without_members()
        variants = {name: model.without_members(training) for name, model in self.variants.items()}
        return replace(self, pipeline=pipeline, reasons=reasons, variants=variants)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle, without derived values."""
        derived = {"item_ids", "_item_rows", "_deleted_topics"}
        return {name: value for name, value in self.__dict__.items() if name not in derived} | {"_item_cache": {}}


def online_model_of(
    pipeline: Pipeline,
    interactions: Interactions,
    members: pd.DataFrame,
    *,
    event_digests: pd.Series | None,
    length: int,
) -> OnlineModel:
    """Return the model of lists by a pipeline.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted.
    interactions : Interactions
        Its training data.
    members : DataFrame
        Members of the training data, in its order.
    event_digests : Series, optional
        The digest of each member's events, by member.
    length : int
        Items of a list.
    """
    return OnlineModel(
        pipeline=pipeline,
        reasons=pipeline.reasons(interactions),
        items=interactions.items,
        as_of=interactions.as_of,
        rules=interactions.rules,
        join_positions=dict(zip(interactions.members.index, joining_order_of(interactions).tolist(), strict=True)),
        training_rows={member_id: row for row, member_id in enumerate(interactions.members.index)},
        profiles=profiles_of(members),
        event_digests={} if event_digests is None else dict(event_digests),
        length=length,
    )


def path_of(folder: Path, run_id: str) -> Path:
    """Return the file of a run's models in the folder of artefacts."""
    return artefacts.path_of(folder / run_id, ONLINE_MODEL)


def load(session: Session, folder: Path, run: dict[str, Any]) -> tuple[LoadResult, OnlineModel | None]:
    """Return the models of a run, and whether they could be loaded."""
    recorded = steps.of_run(session, run).get(ONLINE_MODEL)
    if recorded is None:
        return "missing", None
    if run["code_version"] != code_version():
        return "other_code", None
    try:
        model = artefacts.load(folder / run["run_id"], ONLINE_MODEL, recorded["artefact_digest"])
    except Exception:  # noqa: BLE001 - whatever a library of another version raises
        return "unreadable", None
    return ("missing", None) if model is None else ("loaded", model)


def models_of(session: Session, folder: Path, run: dict[str, Any]) -> OnlineModel:
    """Return the models of a run.

    Raises
    ------
    ModelsGoneError
    """
    result, model = load(session, folder, run)
    if model is None:
        raise ModelsGoneError(f"the models of the run of {run['as_of']:%Y-%m-%d} {LOAD_FAULTS[result]}")
    return model
