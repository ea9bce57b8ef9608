"""History of an organisation, from which the state at any past cut-off is rebuilt."""

import hashlib
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from features.histories import joining_order
from features.interactions import (
    FINISHED_PROGRESS,
    FINISHING_VERBS,
    Interactions,
    build_interactions,
)
from features.study_time import DAY_MICROSECONDS
from features.weights import VERB_STRENGTH, WeightingRules

MAX_KEPT_CELLS: Final = 20_000_000
"""Interactions kept of all cut-offs together: about 1 GB."""

OUTCOME_DAYS: Final = {"completed": (0, 7), "passed": (0, 7), "returned": (7, 14)}
"""First and last day after a cut-off between which an item studied next is completed or passed, or its member
returns."""


def label_days(horizon_days: float, outcomes: Iterable[str]) -> float:
    """Return the days after a cut-off until it is known which of some outcomes the items studied next led to.

    >>> label_days(1, ["began"]), label_days(1, ["began", "passed"])
    (1, 7)
    """
    return max(horizon_days, *(OUTCOME_DAYS.get(name, (0, 0))[1] for name in outcomes), 0)


@dataclass(frozen=True)
class Log:
    """The whole history of an organisation, from which the state at any past cut-off is rebuilt.

    Attributes
    ----------
    events : DataFrame
        As :func:`features.interactions.build_interactions` takes them, in any order.
    members, items : DataFrame
        Indexed by id in ascending order.
    rules : WeightingRules
        How interactions are weighted.
    keep_cuts : bool
        Keep the interactions and outcomes of cut-offs, for several backtests over the same ones.
    """

    events: pd.DataFrame
    members: pd.DataFrame
    items: pd.DataFrame
    rules: WeightingRules
    _place: NDArray[np.float64] = field(init=False)
    keep_cuts: bool = field(default=False, compare=False)
    _item_cache: dict[Hashable, Any] = field(default_factory=dict, init=False)
    _cuts: dict[tuple[pd.Timestamp, bytes], Interactions] = field(default_factory=dict, init=False)
    _outcomes: dict[tuple[pd.Timestamp, bytes], dict[str, csr_matrix]] = field(default_factory=dict, init=False)
    _firsts: pd.DataFrame = field(init=False)

    def __post_init__(self) -> None:
        """Sort the events by time and find each member's first study of each item.

        Events of members who switched personalisation off are dropped: nothing is learned from them.
        """
        personalised = self.members["personalised"].fillna(value=True).to_numpy(dtype=bool)
        rows = np.flatnonzero(personalised[self.events["member"].to_numpy()])
        by_time = rows[np.argsort(self.events["occurred_at"].to_numpy()[rows], kind="stable")]
        events = self.events.iloc[by_time].reset_index(drop=True)
        object.__setattr__(self, "events", events)
        object.__setattr__(self, "_place", joining_order(self.members))
        studied = events["verb"].map(VERB_STRENGTH).to_numpy(dtype=float) > 0
        firsts = events[["member", "item", "occurred_at"]][studied].drop_duplicates(["member", "item"])
        object.__setattr__(self, "_firsts", firsts)

    @property
    def first_at(self) -> pd.Timestamp:
        """Time of the first event."""
        first = int(self.events["occurred_at"].iloc[0]) if len(self.events) else 0
        return pd.Timestamp(first, unit="us", tz="UTC")

    @property
    def last_at(self) -> pd.Timestamp:
        """Time of the last event."""
        last = int(self.events["occurred_at"].iloc[-1]) if len(self.events) else 0
        return pd.Timestamp(last, unit="us", tz="UTC")

    def digest(self) -> str:
        """Return the SHA-256 of events, members and items, in hexadecimal; their order makes no difference."""
        hashes = {
            name: pd.util.hash_pandas_object(frame.astype("str"), index=True).to_numpy()
            for name, frame in (("member", self.members), ("item", self.items))
        }
        ids = {name: hashes[name][self.events[name].to_numpy()] for name in hashes}
        rows = self.events.assign(verb=self.events["verb"].astype("str"), **ids)
        hashes["events"] = pd.util.hash_pandas_object(rows, index=False).to_numpy()
        sums = " ".join(f"{len(each)} {each.sum(dtype=np.uint64)}" for each in hashes.values())
        return hashlib.sha256(sums.encode()).hexdigest()

    @property
    def n_pairs(self) -> int:
        """Number of pairs of a member and an item it studied."""
        return len(self._firsts)

    def studied_next(self, cut: pd.Timestamp, horizon_days: float) -> pd.DataFrame:
        """Return ``member, item`` of what members studied within the horizon after a cut-off and never before it."""
        start = cut.value // 1_000
        at = self._firsts["occurred_at"].to_numpy()
        within = slice(*np.searchsorted(at, [start, start + int(horizon_days * DAY_MICROSECONDS)]))
        return self._firsts.iloc[within][["member", "item"]]

    def outcomes(self, cut: pd.Timestamp, members: NDArray[np.intp], true: NDArray[np.bool_]) -> dict[str, csr_matrix]:
        """Return which items studied next led to each of :data:`OUTCOME_DAYS`; none that the log ends too early for.

        Parameters
        ----------
        members : array (n_lists,)
            Row numbers of the members.
        true : array (n_lists, n_items) of bool
            Items studied next.

        Returns
        -------
        dict of csr_matrix (n_lists, n_items) of bool
            ``completed`` and ``passed`` within a week; ``returned``: the member studied anything in the week after it.
        """
        key = (cut, members.tobytes())
        if key in self._outcomes:
            return self._outcomes[key]
        end = self.last_at.ceil("D")
        names = [name for name, (_, last) in OUTCOME_DAYS.items() if cut + pd.Timedelta(days=last) <= end]
        outcomes = {name: self.led_to(name, cut, members, true) for name in names}
        if self.keep_cuts:
            self._outcomes[key] = outcomes
        return outcomes

    def led_to(self, outcome: str, cut: pd.Timestamp, members: NDArray[np.intp], true: NDArray[np.bool_]) -> csr_matrix:
        """Return which items studied next led to one of :data:`OUTCOME_DAYS`, as :meth:`outcomes` does."""
        row, item = np.nonzero(true)
        bounds = [cut.value // 1_000 + days * DAY_MICROSECONDS for days in OUTCOME_DAYS[outcome]]
        events = self.events.iloc[slice(*np.searchsorted(self.events["occurred_at"].to_numpy(), bounds))]
        if outcome == "returned":
            studied = events["verb"].map(VERB_STRENGTH).to_numpy(dtype=float) > 0
            led = np.isin(members[row], events["member"].to_numpy()[studied])
        else:
            verbs = FINISHING_VERBS if outcome == "completed" else ("passed",)
            counts = events["verb"].isin(verbs).to_numpy()
            if outcome == "completed":
                counts = counts | (events["progress"].to_numpy() >= FINISHED_PROGRESS)
            pairs = events["member"].to_numpy(dtype=np.int64) * len(self.items) + events["item"].to_numpy()
            led = np.isin(members[row].astype(np.int64) * len(self.items) + item, pairs[counts])
        return csr_matrix((np.ones(led.sum(), dtype=bool), (row[led], item[led])), shape=true.shape)

    def interactions_at(self, cut: pd.Timestamp, listed: NDArray[np.int64]) -> Interactions:
        """Return the interactions at a cut-off: earlier events; items without an event or publication are hidden.

        Members without an earlier event are left out, except for those ``listed``.
        """
        key = (cut, listed.tobytes())
        if key in self._cuts:
            return self._cuts[key]
        interactions = self._interactions_at(cut, listed)
        if self.keep_cuts and sum(len(state.cells) for state in self._cuts.values()) < MAX_KEPT_CELLS:
            self._cuts[key] = interactions
        return interactions

    def _interactions_at(self, cut: pd.Timestamp, listed: NDArray[np.int64]) -> Interactions:
        before = np.searchsorted(self.events["occurred_at"].to_numpy(), cut.value // 1_000)
        past = self.events.iloc[:before]
        rows = np.union1d(past["member"].to_numpy(), listed)
        number = np.full(len(self.members), -1, dtype=np.int32)
        number[rows] = np.arange(len(rows))
        members = self.members.iloc[rows].assign(position=self._place[rows])
        in_catalogue = np.zeros(len(self.items), dtype=bool)
        in_catalogue[past["item"].to_numpy()] = True
        in_catalogue |= (self.items["published_at"] <= cut).to_numpy(dtype=bool)
        hidden = self.items["hidden"].fillna(value=False).to_numpy(dtype=bool) | ~in_catalogue
        return build_interactions(
            past.assign(member=number[past["member"].to_numpy()]),
            members=members,
            items=self.items.assign(hidden=hidden),
            as_of=cut,
            rules=self.rules,
            item_cache=self._item_cache,
        )
