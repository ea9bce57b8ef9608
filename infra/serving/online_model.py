"""Fold-in: a member's list made anew from the models of a run, by what the member did since, as a batch would make it.

A night that publishes keeps what this takes. A batch by the same models measures evidence as of the moment they learned
(:meth:`jobs.nightly.incremental.Kept.with_news`), and so does this; which items can be offered stays as the night
found it.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
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
"""The step of a run under which the night keeps it."""

DESCRIBED: Final = ("units", "role", "industry", "language")
"""What models and policies know of a member beside its events and its place."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A list made anew: its strategy, and its entries as JSON as a night stores them."""

    strategy: str
    entries: str


@dataclass(frozen=True)
class Folding:
    """What a list is made from, but for the member's own events.

    Attributes
    ----------
    pipeline : Pipeline
        Fitted, without what it was fitted on.
    reasons : Reasons
        What can be said by what it was fitted on.
    items : DataFrame
        The catalogue as the night used it.
    as_of : Timestamp
        The moment as of which evidence is measured.
    rules : WeightingRules
    places : dict
        Every member's place in the order of joining, which nobody's news changes; that of nobody stands for newcomers.
    traces : dict
        The trace of each member's events that the night knew, without bound of time
        (:func:`infra.events.store.traces`).
    length : int
        Items of a list.
    """

    pipeline: Pipeline
    reasons: Reasons
    items: pd.DataFrame
    as_of: pd.Timestamp
    rules: WeightingRules
    places: dict[str, float]
    traces: dict[str, str]
    length: int
    _made_of_items: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    def has_news(self, member_id: str, trace: str) -> bool:
        """Return whether a member's events are others than the night knew."""
        return self.traces.get(member_id, "") != trace

    def known(self, session: Session, organisation_key: int, member_id: str, *, now: datetime) -> Interactions:
        """Return what is known of a member now, as interactions of nobody else.

        Raises
        ------
        UnknownMemberError
            The organisation has no such member any more.
        """
        member = catalog.member(session, organisation_key, member_id)
        told: dict[str, Any] = {name: member[name] for name in DESCRIBED}
        told["personalised"] = member["personalised"] is not False
        told["position"] = self.places.get(member_id, self.places[ANYONE])
        return build_interactions(
            events.study_of(session, organisation_key, member_id, items=self._numbers, before=now),
            members=pd.DataFrame(
                {name: [value] for name, value in told.items()},
                index=pd.Index([member_id], dtype=object, name="member_id"),
                dtype=object,
            ),
            items=self.items,
            as_of=self.as_of,
            rules=self.rules,
            item_cache=self._made_of_items,
        )

    @cached_property
    def _ids(self) -> list[str]:
        """The ids of items by their row numbers."""
        return self.items.index.tolist()

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """The row numbers of items by their ids."""
        return {item_id: number for number, item_id in enumerate(self._ids)}

    def folded(self, known: Interactions) -> Folded:
        """Return the list of the one member that is known."""
        entries = [
            {"item_id": self._ids[item], "reason": reason}
            for one in self.pipeline.listed(known, known.members.index, k=self.length)
            for item, reason in zip(one.item, self.reasons.told(known, one.member, one.item, one.source), strict=True)
        ]
        return Folded(str(strategies(known).iloc[0]), orjson.dumps(entries).decode())

    def __getstate__(self) -> dict[str, Any]:
        """Return what is kept: not what was made of the items."""
        made = {"_ids", "_numbers"}
        return {name: value for name, value in self.__dict__.items() if name not in made} | {"_made_of_items": {}}


def folding_of(
    pipeline: Pipeline, *, learned: Interactions, known: Interactions, traces: pd.Series, length: int
) -> Folding:
    """Return what lists are folded in by.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted.
    learned, known : Interactions
        What it was fitted on, and what was known when the lists were made.
    traces : Series
        The trace of each member's events, by member.
    length : int
        Items of a list.
    """
    return Folding(
        pipeline=pipeline.without_members(learned),
        reasons=pipeline.reasons(learned).without_members(),
        items=known.items,
        as_of=known.as_of,
        rules=known.rules,
        places=dict(zip(known.members.index, np.asarray(places(known)).tolist(), strict=True)),
        traces=dict(traces),
        length=length,
    )
