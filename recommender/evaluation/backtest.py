"""Backtest: lists as they would have been made at past cut-offs, evaluated by what members studied after them."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.histories import positions
from features.interactions import Interactions, WeightingRules, build_interactions
from features.study_time import DAY_MICROSECONDS
from features.weights import VERB_STRENGTH
from recommender.linalg.topk import Positions, Scores
from recommender.pipeline import Pipeline, best_of
from recommender.ranking.candidate_generation import Candidates
from recommender.ranking.ranker import Ranker, TrainingExamples, concatenated, why_too_few

DEFAULT: Final = "default"
NO_FEATURES: Final = np.zeros((0, 0), dtype=np.float32)
MAX_KEPT_CELLS: Final = 20_000_000
"""Interactions kept of all cut-offs together: about 1 GB."""
Days = NDArray[np.float64]


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
        Keep the interactions of cut-offs, for several backtests over the same ones.
    """

    events: pd.DataFrame
    members: pd.DataFrame
    items: pd.DataFrame
    rules: WeightingRules
    _place: NDArray[np.float64] = field(init=False)
    keep_cuts: bool = field(default=False, compare=False)
    _item_cache: dict[Hashable, Any] = field(default_factory=dict, init=False)
    _cuts: dict[tuple[pd.Timestamp, bytes], Interactions] = field(default_factory=dict, init=False)
    _firsts: pd.DataFrame = field(init=False)

    def __post_init__(self) -> None:
        """Sort the events by time and find each member's first study of each item.

        Events of members who switched personalisation off are dropped: nothing is learned from them.
        """
        personalised = self.members["personalised"].fillna(value=True).to_numpy(dtype=bool)
        events = self.events[personalised[self.events["member"].to_numpy()]]
        events = events.sort_values("occurred_at", kind="stable", ignore_index=True)
        object.__setattr__(self, "events", events)
        object.__setattr__(self, "_place", positions(self.members))
        studies = events[events["verb"].map(VERB_STRENGTH).to_numpy(dtype=float) > 0]
        firsts = studies[["member", "item", "occurred_at"]].drop_duplicates(["member", "item"])
        object.__setattr__(self, "_firsts", firsts)

    @property
    def first_at(self) -> pd.Timestamp:
        """Time of the first event."""
        first = int(self.events["occurred_at"].iloc[0]) if len(self.events) else 0
        return pd.Timestamp(first, unit="us", tz="UTC")

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

    def interactions_at(self, cut: pd.Timestamp, listed: NDArray[np.int64]) -> Interactions:
        """Return the interactions at a cut-off: earlier events; items without an event or publication are hidden.

        Members without an earlier event are left out, except for those ``listed``.
        """
        key = (cut, listed.tobytes())
        if key in self._cuts:
            return self._cuts[key]
        interactions = self._interactions_at(cut, listed)
        if self.keep_cuts and sum(len(kept.cells) for kept in self._cuts.values()) < MAX_KEPT_CELLS:
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


@dataclass(frozen=True)
class ExampleRules:
    """Settings of the training examples of a ranker.

    Attributes
    ----------
    window_days : int
        Older cut-offs give no examples.
    refit_days : int
        Days after which a backtest refits its ranker.
    sampling_rate : float
        Share of the candidates not studied next that become examples.
    max_lists : int
        Most lists of one cut-off.
    horizon_days : float
        Days after a cut-off within which an item counts as studied next.
    """

    window_days: int = 240
    refit_days: int = 30
    sampling_rate: float = 0.08
    max_lists: int = 2_000
    horizon_days: float = 1.0


@dataclass(frozen=True, slots=True)
class EvaluatedCut:
    """Lists of one cut-off and what their members studied next.

    Attributes
    ----------
    cut : Timestamp
    members : array (n_lists,)
        Row numbers of the members in the log.
    warm : array (n_lists,) of bool
        Members with an event before the cut-off.
    tenure_days : array (n_lists,)
        Days since the member's first event; NaN without one.
    true : array (n_lists, n_items) of bool
        Items studied next.
    n_true : array (n_lists,)
        Number of these.
    listed : dict
        For each model the items on the lists: (n_lists, k), -1 where a list is shorter.
    hits : dict
        For each model whether they were studied next: (n_lists, k).
    studied : array (n_items,)
        Members who had studied each item before the cut-off.
    n_open : int
        Items in the catalogue at the cut-off.
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
    n_open: int


@dataclass(frozen=True, slots=True)
class PreparedCut:
    """A cut-off with everything that does not depend on the ranker.

    Attributes
    ----------
    cut : Timestamp
    members : array (n_lists,)
        Row numbers of the members in the log.
    true : array (n_lists, n_items) of bool
        Items studied next.
    interactions : Interactions
        State at the cut-off.
    rows : array (n_lists,)
        Positions of the members in ``interactions``.
    pipeline : Pipeline
        Fitted at the cut-off.
    blocks : list of (rows, candidates, features)
        Candidates, block by block of members; features are empty where no ranker is evaluated.
    others : Pipeline, optional
        Fitted models outside the pipeline, evaluated beside it.
    """

    cut: pd.Timestamp
    members: Positions
    true: NDArray[np.bool_]
    interactions: Interactions
    rows: Positions
    pipeline: Pipeline
    blocks: list[tuple[Positions, Candidates, Scores]]
    others: Pipeline | None = None

    def examples(self) -> TrainingExamples:
        """Return all candidates of the cut-off, labelled."""
        ids = self.interactions.members.index[self.rows].to_numpy(dtype=object)
        parts, start = [], 0
        for rows, candidates, features in self.blocks:
            row = start + candidates.row
            parts.append(
                TrainingExamples.of(features, row, self.true[row, candidates.item], self.true.sum(axis=1), ids)
            )
            start += len(rows)
        return concatenated(parts)

    def evaluated(self, names: Sequence[str], *, ranker: Ranker | None, k: int) -> EvaluatedCut:
        """Return the lists of the named models, ``default`` for the pipeline with a ranker."""
        known = self.interactions
        listed = {name: np.full((len(self.members), k), -1, dtype=np.intp) for name in names}
        pipeline, start = replace(self.pipeline, ranker=ranker), 0
        for rows, candidates, features in self.blocks:
            scores = _scores_by_model(pipeline, candidates)
            if DEFAULT in listed:
                scores[DEFAULT], _ = pipeline.rank(known, rows, candidates, features)
            _fill(listed, scores, start, candidates, k)
            start += len(rows)
        if self.others is not None:
            start = 0
            for rows, candidates in self.others.proposals(known, known.members.index[self.rows]):
                _fill(listed, _scores_by_model(self.others, candidates), start, candidates, k)
                start += len(rows)
        began = known.cells.groupby("member")["first_at"].min().reindex(self.rows).to_numpy()
        return EvaluatedCut(
            cut=self.cut,
            members=self.members,
            warm=np.diff(known.seen.indptr)[self.rows] > 0,
            tenure_days=(self.cut.value // 1_000 - began) / DAY_MICROSECONDS,
            true=self.true,
            n_true=self.true.sum(axis=1),
            listed=listed,
            hits={name: (items >= 0) & np.take_along_axis(self.true, items, axis=1) for name, items in listed.items()},
            studied=np.bincount(known.cells["item"], minlength=known.shape[1]),
            n_open=int((~known.items["hidden"].to_numpy(dtype=bool)).sum()),
        )


def _scores_by_model(pipeline: Pipeline, candidates: Candidates) -> dict[str, NDArray[np.float64]]:
    """Return for each model scores in the order of its own proposals, 0 for what it does not propose."""
    return dict(zip(pipeline.models, np.nan_to_num(1.0 / candidates.ranks.astype(np.float64)).T, strict=True))


def _fill(
    listed: dict[str, Positions], scores: dict[str, NDArray[np.float64]], start: int, candidates: Candidates, k: int
) -> None:
    """Write the best candidates of a block of members, the first at ``start``, into the lists of those scored."""
    for name in listed.keys() & scores.keys():
        row, best = best_of(start + candidates.row, scores[name], k)
        listed[name][row, np.arange(len(best)) - np.searchsorted(row, row)] = candidates.item[best]


def prepare_cut(
    log: Log,
    cut: pd.Timestamp,
    pipeline: Pipeline,
    *,
    rules: ExampleRules,
    with_features: bool = True,
    others: Pipeline | None = None,
) -> PreparedCut | None:
    """Return a cut-off with the pipeline fitted at it; None where no member studied anything new after it."""
    truth = log.studied_next(cut, rules.horizon_days)
    if truth.empty:
        return None
    members = np.unique(truth["member"].to_numpy())
    if len(members) > rules.max_lists:
        members = np.sort(np.random.default_rng(seed_of(cut)).choice(members, rules.max_lists, replace=False))
        truth = truth[np.isin(truth["member"].to_numpy(), members)]
    true = np.zeros((len(members), len(log.items)), dtype=bool)
    true[np.searchsorted(members, truth["member"].to_numpy()), truth["item"].to_numpy()] = True
    interactions = log.interactions_at(cut, members)
    if with_features:
        pipeline.fit(interactions)
    else:
        pipeline.fit_models(interactions)
    if others is not None:
        others.fit_models(interactions)
    ids = log.members.index[members]
    blocks = [
        (rows, candidates, pipeline.features(interactions, rows, candidates) if with_features else NO_FEATURES)
        for rows, candidates in pipeline.proposals(interactions, ids)
    ]
    rows = interactions.members.index.get_indexer(ids)
    return PreparedCut(cut, members, true, interactions, rows, pipeline, blocks, others)


@dataclass(frozen=True)
class Backtest:
    """Past cut-offs at which models and the pipeline are evaluated.

    Attributes
    ----------
    log : Log
    cuts : sequence of Timestamp
        In order of time; those before ``evaluate_from`` only give training examples.
    make : callable
        Returns an unfitted pipeline.
    make_others : callable, optional
        Returns an unfitted pipeline of models evaluated beside it.
    rules : ExampleRules
    k : int
        Length of the lists.
    evaluate_from : Timestamp
    models : sequence of str
        Names of the models evaluated, ``default`` for the pipeline; none: all of the pipeline and itself. Without
        ``default`` the pipeline needs no other models, no features and no earlier cut-offs.
    """

    log: Log
    cuts: Sequence[pd.Timestamp]
    make: Callable[[], Pipeline]
    rules: ExampleRules
    k: int
    evaluate_from: pd.Timestamp
    models: Sequence[str] = ()
    make_others: Callable[[], Pipeline] | None = None

    def prepared(self) -> Iterator[tuple[PreparedCut, TrainingExamples | None]]:
        """Yield the cut-offs with their training examples, none where no ranker is evaluated."""
        ranked = not self.models or DEFAULT in self.models
        for cut in self.cuts:
            if not ranked and cut < self.evaluate_from:
                continue
            others = self.make_others() if self.make_others and cut >= self.evaluate_from else None
            prepared = prepare_cut(self.log, cut, self.make(), rules=self.rules, with_features=ranked, others=others)
            if prepared is not None:
                yield prepared, self._examples(prepared) if ranked else None

    def _examples(self, prepared: PreparedCut) -> TrainingExamples:
        return prepared.examples().sampled(self.rules.sampling_rate, seed=seed_of(prepared.cut))

    def run(
        self, ranker: Ranker, prepared: Iterable[tuple[PreparedCut, TrainingExamples | None]] | None = None
    ) -> Iterator[EvaluatedCut]:
        """Yield the evaluated cut-offs, the ranker being refitted on the examples before each.

        Parameters
        ----------
        ranker : Ranker
            Unfitted, with its parameters.
        prepared : iterable, optional
            Those of :meth:`prepared`, where several rankers are evaluated on the same.
        """
        past: list[tuple[pd.Timestamp, TrainingExamples]] = []
        fitted: Ranker | None = None
        fitted_at: pd.Timestamp | None = None
        horizon, window = (pd.Timedelta(days=days) for days in (self.rules.horizon_days, self.rules.window_days))
        for state, examples in self.prepared() if prepared is None else prepared:
            cut = state.cut
            if cut >= self.evaluate_from:
                usable = [part for at, part in past if cut - window <= at <= cut - horizon]
                due = fitted_at is None or cut - fitted_at >= pd.Timedelta(days=self.rules.refit_days)
                if due and not why_too_few(usable):
                    fitted, fitted_at = Ranker(**ranker.get_params()).fit(usable), cut
                names = self.models or (*state.pipeline.models, DEFAULT)
                yield state.evaluated(names, ranker=fitted, k=self.k)
            if examples is not None:
                past.append((cut, examples))


def seed_of(cut: pd.Timestamp) -> int:
    """Return the seed of the samples drawn at a cut-off: its day."""
    return int(cut.value // (DAY_MICROSECONDS * 1_000))
