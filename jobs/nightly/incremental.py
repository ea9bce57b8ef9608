"""What a night keeps for the nights after it, so that they remake only the lists that can have changed.

A list depends on its member's own events and profile, on which items the member may be offered, on the settings and on
the fitted models. Where settings, code, members and catalogue are those the models were fitted with, a night keeps the
models for ``nightly.refit_days`` and remakes the lists of those members only of whom something changed.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from content_catalog.audience import AudienceMask, Mask, available
from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions
from recommender.pipeline import Pipeline

ELIGIBILITY = ("hidden", "available_from", "available_until")
"""What may change of an item while the models stay: all else, they have learned."""

JOINED = "joined_on"
"""What may not change of a member while the models stay: its place among all others is learned."""


@dataclass(frozen=True)
class Kept:
    """What the run that is served was made from, and what it made.

    Attributes
    ----------
    learned, known : Interactions
        What the models were fitted on, and what was known when the lists were made.
    items : DataFrame
        The catalogue as it was read then.
    offered : array (n_items,) of bool
        The items that could be offered then.
    taxonomies : dict
    traces : Series
        What tells whether a member's events changed, by member (:func:`infra.events.store.traces`).
    pipeline : Pipeline
        Fitted.
    shared : Series
        For every member the one whose list it has.
    lists, listed, similar : DataFrame
        As :class:`jobs.nightly.lists.Made` has them.
    """

    learned: Interactions
    known: Interactions
    items: pd.DataFrame
    offered: Mask
    taxonomies: dict[str, Taxonomy]
    traces: pd.Series
    pipeline: Pipeline
    shared: pd.Series
    lists: pd.DataFrame
    listed: pd.DataFrame
    similar: pd.DataFrame

    def is_of_use(self, *, as_of: datetime, refit_days: float) -> bool:
        """Return whether the models are young enough, and not of a later moment."""
        age = pd.Timestamp(as_of) - self.learned.as_of
        return pd.Timedelta(0) <= age < timedelta(days=refit_days)

    def changed(
        self,
        members: pd.DataFrame,
        items: pd.DataFrame,
        taxonomies: dict[str, Taxonomy],
        traces: pd.Series,
        *,
        as_of: pd.Timestamp,
    ) -> pd.Index | None:
        """Return the members whose lists have to be made again; None where the models have to be fitted again."""
        if not (
            _same(members[[JOINED]], self.known.members[[JOINED]])
            and _same(items.drop(columns=list(ELIGIBILITY)), self.items.drop(columns=list(ELIGIBILITY)))
            and all(_same(taxonomies[kind].table, self.taxonomies[kind].table) for kind in taxonomies)
        ):
            return None
        published = items["published_at"]
        if ((published > self.learned.as_of) & (published <= as_of)).any():
            return None
        both = pd.concat({"now": traces, "then": self.traces}, axis=1).reindex(members.index).fillna("")
        changed = (both["now"] != both["then"]).to_numpy() | ~_equal(members, self.known.members)
        opened_or_closed = np.flatnonzero(available(items, as_of) ^ self.offered)
        if len(opened_or_closed):
            audience = AudienceMask(items, roles=taxonomies["role"], industries=taxonomies["industry"])
            groups, masks = audience.groups(members)
            may_be_offered = np.asarray(masks[:, opened_or_closed].any(axis=1))
            changed = changed | may_be_offered[groups]
        # Whoever has the list of a member whose list is remade: it may not be the same any more.
        changed = changed | self.shared.isin(members.index[changed]).reindex(members.index).to_numpy(dtype=bool)
        return members.index[changed]

    def with_news(
        self, fresh: Interactions, items: pd.DataFrame, changed: pd.Index, *, as_of: pd.Timestamp
    ) -> Interactions:
        """Return what is known now: as before, but of changed members what ``fresh`` has.

        Evidence is measured as of the moment the models learned, so that it is the same for members without news; which
        items can be offered is told as of now.
        """
        rows = fresh.members.index.get_indexer(changed)
        stays = self.known.cells[~np.isin(self.known.cells["member"].to_numpy(), rows)]
        cells = pd.concat([stays, fresh.cells], ignore_index=True).sort_values(["member", "item"], ignore_index=True)
        none = pd.Series(pd.NaT, index=items.index, dtype=items["available_from"].dtype)
        hidden = pd.Series(~available(items, as_of), index=items.index, dtype="boolean")
        now = items.assign(hidden=hidden, available_from=none, available_until=none)
        return replace(fresh, items=now, cells=cells, as_of=self.learned.as_of, item_cache={})


def _same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Return whether two frames have the same rows and columns and say the same."""
    return one.index.equals(other.index) and bool(_equal(one, other).all())


def _equal(one: pd.DataFrame, other: pd.DataFrame) -> Mask:
    """Return which rows of two frames with the same index say the same."""
    equal = (one == other) | (one.isna() & other.isna())
    return equal.fillna(value=False).to_numpy(dtype=bool).all(axis=1)
