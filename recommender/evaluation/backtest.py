"""Replay: lists as they would have been made at past moments, judged by what members studied after them."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.histories import positions
from features.interactions import Interactions, WeightingRules, build_interactions
from features.study_time import DAY_MICROSECONDS
from features.weights import VERB_STRENGTH
from recommender.linalg.topk import Positions
from recommender.pipeline import Pipeline, best_of
from recommender.ranking.ranker import Lessons, Ranker, enough, lessons

DEFAULT: Final = "default"
Days = NDArray[np.float64]


@dataclass(frozen=True)
class Log:
    """All that is known in the end, from which every past moment can be laid out.

    Attributes
    ----------
    events : DataFrame
        As :func:`features.interactions.build_interactions` takes them, in any order.
    members, items : DataFrame
        Indexed by id in ascending order.
    rules : WeightingRules
        How evidence is bounded.
    """

    events: pd.DataFrame
    members: pd.DataFrame
    items: pd.DataFrame
    rules: WeightingRules
    _place: NDArray[np.float64] = field(init=False)
    _item_cache: dict[Hashable, Any] = field(default_factory=dict, init=False)
    _firsts: pd.DataFrame = field(init=False)

    def __post_init__(self) -> None:
        """Put the events into order of time, and find each member's first study of each item."""
        events = self.events.sort_values("occurred_at", kind="stable", ignore_index=True)
        object.__setattr__(self, "events", events)
        object.__setattr__(self, "_place", positions(self.members))
        studies = events[events["verb"].map(VERB_STRENGTH).to_numpy(dtype=float) > 0]
        firsts = studies[["member", "item", "occurred_at"]].drop_duplicates(["member", "item"])
        object.__setattr__(self, "_firsts", firsts)

    @property
    def first_at(self) -> pd.Timestamp:
        """When the first event happened."""
        first = int(self.events["occurred_at"].iloc[0]) if len(self.events) else 0
        return pd.Timestamp(first, unit="us", tz="UTC")

    @property
    def n_pairs(self) -> int:
        """How many items members studied, each counted for each member."""
        return len(self._firsts)

    def studied_next(self, cut: pd.Timestamp, horizon_days: float) -> pd.DataFrame:
        """Return ``member, item`` of what members studied within the horizon after a cut and never before it."""
        start = cut.value // 1_000
        at = self._firsts["occurred_at"].to_numpy()
        within = slice(*np.searchsorted(at, [start, start + int(horizon_days * DAY_MICROSECONDS)]))
        return self._firsts.iloc[within][["member", "item"]]

    def known_at(self, cut: pd.Timestamp, others: NDArray[np.int64]) -> Interactions:
        """Return what was known at a moment: earlier events, and items that something told of.

        Members without an earlier event are left out, except for ``others``.
        """
        before = np.searchsorted(self.events["occurred_at"].to_numpy(), cut.value // 1_000)
        past = self.events.iloc[:before]
        rows = np.union1d(past["member"].to_numpy(), others)
        number = np.full(len(self.members), -1, dtype=np.int32)
        number[rows] = np.arange(len(rows))
        members = self.members.iloc[rows].assign(position=self._place[rows])
        told = np.zeros(len(self.items), dtype=bool)
        told[past["item"].to_numpy()] = True
        told |= (self.items["published_at"] <= cut).to_numpy(dtype=bool)
        hidden = self.items["hidden"].fillna(value=False).to_numpy(dtype=bool) | ~told
        return build_interactions(
            past.assign(member=number[past["member"].to_numpy()]),
            members=members,
            items=self.items.assign(hidden=hidden),
            as_of=cut,
            rules=self.rules,
            item_cache=self._item_cache,
        )


@dataclass(frozen=True)
class Learning:
    """How rankers are learned from earlier nights.

    Attributes
    ----------
    window_days : int
        Nights older than this teach nothing.
    refit_days : int
        A ranker is learned anew after so many days.
    share : float
        Share of the candidates not studied next that is learned from.
    most_lists : int
        Lists of one night that are learned from at most.
    horizon_days : float
        What members study within so many days after a night is what it should have listed.
    """

    window_days: int = 240
    refit_days: int = 30
    share: float = 0.08
    most_lists: int = 2_000
    horizon_days: float = 1.0


@dataclass(frozen=True, slots=True)
class Judged:
    """Lists of one cut, and what became of them.

    Attributes
    ----------
    cut : Timestamp
    members : array (n_lists,)
        Row numbers of the members in the log.
    warm : array (n_lists,) of bool
        Members with an event before the cut.
    tenure_days : array (n_lists,)
        Days since the member's first event; NaN without one.
    true : array (n_lists, n_items) of bool
        Items studied next.
    n_true : array (n_lists,)
        How many these are.
    listed : dict
        For each model the items on the lists: (n_lists, k), -1 where a list is shorter.
    hits : dict
        For each model whether they were studied next: (n_lists, k).
    studied : array (n_items,)
        Members who had studied each item before the cut.
    n_known : int
        Items that could be listed.
    """

    cut: pd.Timestamp
    members: Positions
    warm: NDArray[np.bool_]
    tenure_days: Days
    true: NDArray[np.bool_]
    n_true: NDArray[np.int64]
    listed: dict[str, Positions]
    hits: dict[str, NDArray[np.bool_]]
    studied: NDArray[np.int64]
    n_known: int


def replay(
    log: Log,
    cuts: Sequence[pd.Timestamp],
    *,
    make: Callable[[Ranker | None], Pipeline],
    ranker: Ranker,
    learning: Learning,
    k: int,
    judge_from: pd.Timestamp,
    wanted: Sequence[str] = (),
) -> Iterator[Judged]:
    """Yield the judged lists of every cut from ``judge_from`` on; earlier cuts only teach the ranker.

    Parameters
    ----------
    cuts : sequence of Timestamp
        In order of time.
    make : callable
        Makes the pipeline, unfitted, with a ranker.
    ranker : Ranker
        Tells how rankers are learned.
    wanted : sequence of str
        Models whose lists are judged, ``default`` for the pipeline; by default all.
    """
    taught: list[tuple[pd.Timestamp, Lessons]] = []
    learned: Ranker | None = None
    learned_at: pd.Timestamp | None = None
    for cut in cuts:
        since = cut - pd.Timedelta(days=learning.window_days)
        usable = [lesson for at, lesson in taught if since <= at <= cut - pd.Timedelta(days=learning.horizon_days)]
        due = learned_at is None or cut - learned_at >= pd.Timedelta(days=learning.refit_days)
        if cut >= judge_from and due and not enough(usable):
            learned, learned_at = Ranker(**ranker.get_params()).fit(usable), cut
        lived = relive(log, cut, make(learned), learning=learning, k=k, wanted=wanted)
        if lived is None:
            continue
        judged, lesson = lived
        taught.append((cut, lesson))
        if cut >= judge_from:
            yield judged


def relive(
    log: Log,
    cut: pd.Timestamp,
    pipeline: Pipeline,
    *,
    learning: Learning,
    k: int = 10,
    wanted: Sequence[str] = (),
) -> tuple[Judged, Lessons] | None:
    """Return the lists of one past night with what became of them, and what it teaches; None where nobody studied."""
    truth = log.studied_next(cut, learning.horizon_days)
    if truth.empty:
        return None
    chosen = np.unique(truth["member"].to_numpy())
    if len(chosen) > learning.most_lists:
        chosen = np.sort(np.random.default_rng(seed_of(cut)).choice(chosen, learning.most_lists, replace=False))
        truth = truth[np.isin(truth["member"].to_numpy(), chosen)]
    true = np.zeros((len(chosen), len(log.items)), dtype=bool)
    true[np.searchsorted(chosen, truth["member"].to_numpy()), truth["item"].to_numpy()] = True
    known = log.known_at(cut, chosen)
    pipeline.fit(known)
    names = [name for name in (*pipeline.models, DEFAULT) if not wanted or name in wanted]
    listed, lesson = _listed(pipeline, known, log.members.index[chosen], true, names, learning=learning, k=k)
    rows = known.members.index.get_indexer(log.members.index[chosen])
    began = known.cells.groupby("member")["first_at"].min().reindex(rows).to_numpy()
    return Judged(
        cut=cut,
        members=chosen,
        warm=np.diff(known.seen.indptr)[rows] > 0,
        tenure_days=(cut.value // 1_000 - began) / DAY_MICROSECONDS,
        true=true,
        n_true=true.sum(axis=1),
        listed=listed,
        hits={name: (items >= 0) & np.take_along_axis(true, items, axis=1) for name, items in listed.items()},
        studied=np.bincount(known.cells["item"], minlength=len(log.items)),
        n_known=int((~known.items["hidden"].to_numpy(dtype=bool)).sum()),
    ), lesson


def _listed(
    pipeline: Pipeline,
    known: Interactions,
    members: pd.Index,
    true: NDArray[np.bool_],
    names: Sequence[str],
    *,
    learning: Learning,
    k: int,
) -> tuple[dict[str, Positions], Lessons]:
    """Return the lists of members by each of the named models, and what they teach."""
    listed = {name: np.full((len(members), k), -1, dtype=np.intp) for name in names}
    taught = []
    n_true = true.sum(axis=1)
    hashes = pd.util.hash_array(members.to_numpy(dtype=object))
    start = 0
    for rows, candidates in pipeline.proposals(known, members):
        features = pipeline.features(known, rows, candidates)
        scores = dict(zip(pipeline.models, np.nan_to_num(1.0 / candidates.ranks.astype(np.float64)).T, strict=True))
        scores[DEFAULT], _ = pipeline.rank(known, rows, candidates, features)
        row = start + candidates.row
        for name, items in listed.items():
            best_row, best = best_of(row, scores[name], k)
            items[best_row, np.arange(len(best)) - np.searchsorted(best_row, best_row)] = candidates.item[best]
        studied = true[row, candidates.item]
        seed = seed_of(known.as_of)
        taught.append(lessons(features, row, studied, n_true, members=hashes, share=learning.share, seed=seed))
        start += len(rows)
    return listed, joined(taught)


def seed_of(cut: pd.Timestamp) -> int:
    """Return the seed of what is drawn of a night: its day."""
    return int(cut.value // (DAY_MICROSECONDS * 1_000))


def joined(parts: Sequence[Lessons]) -> Lessons:
    """Return several lessons of the same lists as one."""
    columns = ("features", "studied", "weight", "row")
    together = {name: np.concatenate([getattr(part, name) for part in parts]) for name in columns}
    return replace(parts[0], **together)
