"""State for nights that reuse fitted models: it shows which members' lists can have changed.

A list depends on its member's events and profile, on which items the member may be offered, on the settings and on the
fitted models. Where settings, code and all that the models were fitted on are unchanged but for these, a night reuses
the models for ``nightly.refit_days`` and computes the lists of changed members only, as the service does for one member
(:class:`infra.serving.online_model.OnlineModel`).
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from content_catalog.audience import AudienceMask, Mask, available
from content_catalog.taxonomy import Taxonomy
from infra.catalog import store as catalog
from infra.catalog.profiles import profiles_of
from infra.runs.store import ANYONE
from infra.serving.online_model import OnlineModel

ELIGIBILITY = ("hidden", "available_from", "available_until", "ends_at")
"""Columns of an item that may change while models are reused; models have learned from all others."""


@dataclass(frozen=True)
class IncrementalState:
    """Inputs of the lists of a run.

    Attributes
    ----------
    texts : array (n_items,) of uint64
        Hashes of the items' texts, which similar items come from.
    offered : array (n_items,) of bool
        The items that could be offered at the run.
    event_digests : Series
        The digest of each member's events until the run (:func:`infra.events.store.event_digests`).
    model : OnlineModel
        The fitted models; stored as an artefact of its own.
    run : dict
        The run, which is served.
    """

    members: pd.DataFrame
    items: pd.DataFrame
    texts: NDArray[np.uint64]
    offered: Mask
    taxonomies: dict[str, Taxonomy]
    event_digests: pd.Series
    model: OnlineModel = field(repr=False)
    run: dict[str, Any] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: neither the model nor the run."""
        return {**self.__dict__, "model": None, "run": {}}

    def is_usable(self, *, as_of: datetime, refit_days: float) -> bool:
        """Return whether the models are young enough, and not fitted as of a later moment."""
        return timedelta(0) <= pd.Timestamp(as_of) - self.model.as_of < timedelta(days=refit_days)

    def changed_members(
        self,
        members: pd.DataFrame,
        items: pd.DataFrame,
        texts: pd.DataFrame,
        taxonomies: dict[str, Taxonomy],
        event_digests: pd.Series,
        *,
        as_of: pd.Timestamp,
    ) -> pd.Index | None:
        """Return the members whose lists can have changed; None where the models have to be fitted again."""
        if self._must_refit(members, items, taxonomies, as_of=as_of) or not np.array_equal(hashed(texts), self.texts):
            return None
        digests = pd.concat({"now": event_digests, "then": self.event_digests}, axis=1)
        digests = digests.reindex(members.index).fillna("")
        new = ~members.index.isin(self.members.index)
        changed = new | (digests["now"] != digests["then"]).to_numpy()
        now, then = (self._blended(frame) for frame in (members, self.members.reindex(members.index)))
        changed |= ~_equal_rows(now, then)
        opened_or_closed = np.flatnonzero(available(items, as_of) ^ self.offered)
        if len(opened_or_closed):
            audience = AudienceMask(items, roles=taxonomies["role"], industries=taxonomies["industry"])
            groups, masks = audience.groups(members)
            changed |= np.asarray(masks[:, opened_or_closed].any(axis=1))[groups]
        return members.index[changed]

    def _blended(self, members: pd.DataFrame) -> pd.DataFrame:
        """Return members without the earlier role and industry of those whose lists no longer go by them."""
        days = max(each.pipeline.transition_days for each in (self.model, *self.model.variants.values()))
        settled = ~(members["moved_days"] < days)
        return members.assign(**{name: members[name].mask(settled) for name in catalog.MOVED})

    def _must_refit(
        self, members: pd.DataFrame, items: pd.DataFrame, taxonomies: dict[str, Taxonomy], *, as_of: pd.Timestamp
    ) -> bool:
        """Return whether anything that the models have learned from has changed, events aside."""
        learned = [name for name in items if name not in ELIGIBILITY]
        stay = self.members.index.isin(members.index)
        if not stay.all() or not (
            _same(items[learned], self.items[learned])
            and all(_same(taxonomies[kind].table, self.taxonomies[kind].table) for kind in taxonomies)
        ):
            return True
        now = members.loc[self.members.index]
        off, was_off = (
            frame["personalised"].eq(other=False).fillna(value=False).to_numpy(dtype=bool)
            for frame in (now, self.members)
        )
        published = items["published_at"]
        return bool(
            (off & ~was_off).any()
            or not _same(now[["joined_on", "deleted_topics"]], self.members[["joined_on", "deleted_topics"]])
            or ((published > self.model.as_of) & (published <= as_of)).any()
        )

    def model_as_of(
        self, members: pd.DataFrame, items: pd.DataFrame, as_of: pd.Timestamp, event_digests: pd.Series | None
    ) -> OnlineModel:
        """Return the models with the items that can be offered now, and the members' profiles and events of now."""
        hidden = pd.Series(~available(items, as_of), index=items.index, dtype="boolean")
        never = pd.Series(pd.NaT, index=items.index, dtype=items["available_from"].dtype)
        current: dict[str, Any] = {
            "items": items.assign(hidden=hidden, available_from=never, available_until=never, ends_at=never),
            "profiles": profiles_of(members),
            "event_digests": {} if event_digests is None else dict(event_digests),
        }
        variants = {name: replace(model, **current, _item_cache={}) for name, model in self.model.variants.items()}
        return replace(self.model, **current, variants=variants, _item_cache={})


def with_anyone(members: pd.Index) -> pd.Index:
    """Return members with :data:`infra.runs.store.ANYONE`, the last to join, so that places count as among all."""
    return members.union([ANYONE])


def hashed(texts: pd.DataFrame) -> NDArray[np.uint64]:
    """Return a hash of each item's texts."""
    hashes: NDArray[np.uint64] = pd.util.hash_pandas_object(texts.astype("str")).to_numpy()
    return hashes


def _same(frame: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Return whether two frames have the same index and the same values."""
    return frame.index.equals(other.index) and bool(_equal_rows(frame, other).all())


def _equal_rows(frame: pd.DataFrame, other: pd.DataFrame) -> Mask:
    """Return which rows of two frames with the same index are equal."""
    equal = (frame == other) | (frame.isna() & other.isna())
    return equal.fillna(value=False).to_numpy(dtype=bool).all(axis=1)
