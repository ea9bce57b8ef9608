"""Online inference: a member's list from the fitted models of a run and the member's events until now.

A run that publishes stores the model (:mod:`jobs.nightly.artefacts`). Interactions are weighted as of the moment at
which the models were fitted, as a run that reuses its models does, so the list equals that of a batch.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import numpy as np
import orjson
import pandas as pd
from sqlalchemy.orm import Session

from features.histories import places
from features.interactions import Interactions, WeightingRules, build_interactions
from infra.catalog import store as catalog
from infra.events import store as events
from infra.runs.store import ANYONE
from recommender.explanations.reasons import Reasons
from recommender.pipeline import Pipeline, strategies

ONLINE_MODEL: Final = "online_model"
"""The step of a run, and the artefact, under which the model is stored."""

PROFILE: Final = ("units", "role", "industry", "language", "timezone")
"""Columns of a member that models and policies use."""


@dataclass(frozen=True, slots=True)
class OnlineList:
    """A list computed online: its strategy, and its entries as JSON in the form that runs store."""

    strategy: str
    entries: str


@dataclass(frozen=True)
class OnlineModel:
    """All that one member's list depends on, but for the member's own events and profile.

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
    rules : WeightingRules
    join_positions : dict
        Each member's position in the order of joining; that of ``ANYONE`` stands for members who came later.
    event_digests : dict
        The digest of each member's events at the run (:func:`infra.events.store.traces`).
    length : int
        Items of a list.
    """

    pipeline: Pipeline
    reasons: Reasons
    items: pd.DataFrame
    as_of: pd.Timestamp
    rules: WeightingRules
    join_positions: dict[str, float]
    event_digests: dict[str, str]
    length: int
    _item_cache: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    def has_new_events(self, member_id: str, event_digest: str) -> bool:
        """Return whether a member's events differ from those at the run."""
        return self.event_digests.get(member_id, "") != event_digest

    def interactions(self, session: Session, organisation_key: int, member_id: str, *, now: datetime) -> Interactions:
        """Return the interactions of one member until now.

        Raises
        ------
        UnknownMemberError
            The organisation has no such member any more.
        """
        member = catalog.member(session, organisation_key, member_id)
        profile: dict[str, Any] = {name: member[name] for name in PROFILE}
        profile["personalised"] = member["personalised"] is not False
        profile["position"] = self.join_positions.get(member_id, self.join_positions[ANYONE])
        return build_interactions(
            events.study_events_of(session, organisation_key, member_id, items=self._item_rows, before=now),
            members=pd.DataFrame(
                {name: [value] for name, value in profile.items()},
                index=pd.Index([member_id], dtype=object, name="member_id"),
                dtype=object,
            ),
            items=self.items,
            as_of=self.as_of,
            rules=self.rules,
            item_cache=self._item_cache,
        )

    def knows(self, member_id: str) -> bool:
        """Return whether there is anything of a member alone."""
        return member_id in self.join_positions or member_id in self.event_digests

    def without_member(self, member_id: str) -> "OnlineModel":
        """Return the same without what is of one member alone; what models learned from all stays."""
        row = list(self.join_positions).index(member_id) if member_id in self.join_positions else None
        return replace(
            self,
            pipeline=self.pipeline if row is None else self.pipeline.without_member(row),
            join_positions={name: position for name, position in self.join_positions.items() if name != member_id},
            event_digests={name: digest for name, digest in self.event_digests.items() if name != member_id},
        )

    @cached_property
    def _item_ids(self) -> list[str]:
        """The ids of items by their row numbers."""
        return self.items.index.tolist()

    @cached_property
    def _item_rows(self) -> dict[str, int]:
        """The row numbers of items by their ids."""
        return {item_id: row for row, item_id in enumerate(self._item_ids)}

    def recommend(self, interactions: Interactions) -> OnlineList:
        """Return the list of the one member of some interactions."""
        entries = [
            {"item_id": self._item_ids[item], "reason": reason}
            for block in self.pipeline.listed(interactions, interactions.members.index, k=self.length)
            for item, reason in zip(
                block.item,
                self.reasons.told(interactions, block.member, block.item, block.source),
                strict=True,
            )
        ]
        return OnlineList(str(strategies(interactions).iloc[0]), orjson.dumps(entries).decode())

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: without derived values."""
        derived = {"_item_ids", "_item_rows"}
        return {name: value for name, value in self.__dict__.items() if name not in derived} | {"_item_cache": {}}


def online_model_of(
    pipeline: Pipeline, *, learned: Interactions, known: Interactions, traces: pd.Series, length: int
) -> OnlineModel:
    """Return the online model of a run.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted.
    learned, known : Interactions
        The training data, and the interactions that the lists were made from.
    traces : Series
        The digest of each member's events, by member.
    length : int
        Items of a list.
    """
    return OnlineModel(
        pipeline=pipeline.without_members(learned),
        reasons=pipeline.reasons(learned).without_members(),
        items=known.items,
        as_of=known.as_of,
        rules=known.rules,
        join_positions=dict(zip(known.members.index, np.asarray(places(known)).tolist(), strict=True)),
        event_digests=dict(traces),
        length=length,
    )
