"""Cut-offs: models fitted on the log up to a past moment, with lists and labelled candidates."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from features.interactions import Interactions
from features.study_time import DAY_MICROSECONDS
from recommender.evaluation.log import Log, label_days
from recommender.linalg.ranges import places_within
from recommender.linalg.topk import Positions, Scores, best_of
from recommender.pipeline import Pipeline
from recommender.ranking.candidate_generation import Candidates
from recommender.ranking.examples import OUTCOMES, TrainingExamples, concatenated, counts_by_outcomes
from recommender.ranking.ranker import Ranker

DEFAULT: Final = "default"
"""Name of the pipeline among the models of a backtest."""
Days = NDArray[np.float64]
NO_FEATURES: Final = np.zeros((0, 0), dtype=np.float32)


def of_pipeline(name: str) -> bool:
    """Return whether a name of lists is the pipeline's, or that of the pipeline with another ranker: ``default, …``."""
    return name.partition(",")[0] == DEFAULT


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
    outcomes : tuple of str
        Outcomes of items studied next that the examples tell beside that one was begun.
    """

    window_days: int = 240
    refit_days: int = 30
    sampling_rate: float = 0.08
    max_lists: int = 2_000
    horizon_days: float = 1.0
    outcomes: tuple[str, ...] = ()

    @property
    def label_days(self) -> float:
        """Days after a cut-off from which on all outcomes of its examples have happened."""
        return label_days(self.horizon_days, self.outcomes)


@dataclass(frozen=True, slots=True)
class EvaluatedCut:
    """Lists of one cut-off and what their members studied next.

    Attributes
    ----------
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
    seen : csr_matrix (n_lists, n_items)
        Items that each member had studied before the cut-off.
    outcomes : dict of csr_matrix (n_lists, n_items)
        Items studied next that led to each outcome (:meth:`recommender.evaluation.log.Log.outcomes`).
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
    seen: csr_matrix
    outcomes: dict[str, csr_matrix] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PreparedCut:
    """A cut-off with everything that does not depend on the ranker.

    Attributes
    ----------
    members : array (n_lists,)
        Row numbers of the members in the log.
    outcomes : array (n_lists, n_items) of uint8
        Outcomes of the items studied next as bits, in the order of :data:`recommender.ranking.examples.OUTCOMES`.
    interactions : Interactions
        State at the cut-off.
    rows : array (n_lists,)
        Positions of the members in ``interactions``.
    pipeline : Pipeline
        Fitted at the cut-off.
    blocks : list of (rows, candidates, features)
        Candidates, block by block of members; features are empty where no ranker is evaluated.
    outside : Pipeline, optional
        Fitted models outside the pipeline, evaluated beside it.
    """

    cut: pd.Timestamp
    members: Positions
    outcomes: NDArray[np.uint8]
    interactions: Interactions
    rows: Positions
    pipeline: Pipeline
    blocks: list[tuple[Positions, Candidates, Scores]]
    outside: Pipeline | None = None

    def examples(self) -> TrainingExamples:
        """Return all candidates of the cut-off, labelled."""
        return concatenated(list(self._labelled()))

    def sampled(self, sampling_rate: float) -> TrainingExamples:
        """Return a sample of :meth:`examples`, as :meth:`TrainingExamples.sampled` draws it, never holding all."""
        rng = np.random.default_rng(seed_of(self.cut))
        return concatenated([part.sampled(sampling_rate, seed=rng) for part in self._labelled()])

    def of_lists(self, max_lists: int) -> TrainingExamples:
        """Return :meth:`examples` of some lists, as :meth:`TrainingExamples.of_lists` draws them."""
        return concatenated([part.of_lists(max_lists, seed=seed_of(self.cut)) for part in self._labelled()])

    def _labelled(self) -> Iterator[TrainingExamples]:
        """Yield the candidates of each block, labelled; lists are numbered through."""
        ids = self.interactions.members.index[self.rows].to_numpy(dtype=object)
        n_true = counts_by_outcomes(self.outcomes)
        start = 0
        for rows, candidates, features in self.blocks:
            row = start + candidates.row
            yield TrainingExamples.of(features, row, self.outcomes[row, candidates.item], n_true, ids)
            start += len(rows)

    def evaluated(self, names: Sequence[str], *, rankers: Mapping[str, Ranker], k: int) -> EvaluatedCut:
        """Return the lists of the named models, or of the pipeline with a ranker for the names of rankers."""
        interactions, listed = self.interactions, self._lists(names, rankers, k)
        first_at = interactions.memo("first event", interactions.cells.groupby("member")["first_at"].min)
        began = first_at.reindex(self.rows).to_numpy()
        true = self.outcomes > 0
        return EvaluatedCut(
            cut=self.cut,
            members=self.members,
            warm=np.diff(interactions.seen.indptr)[self.rows] > 0,
            tenure_days=(self.cut.value // 1_000 - began) / DAY_MICROSECONDS,
            true=true,
            n_true=true.sum(axis=1),
            listed=listed,
            hits={name: (items >= 0) & np.take_along_axis(true, items, axis=1) for name, items in listed.items()},
            studied=np.bincount(interactions.cells["item"], minlength=interactions.shape[1]),
            n_open=int((~interactions.items["hidden"].to_numpy(dtype=bool)).sum()),
            seen=interactions.seen[self.rows],
        )

    def _lists(self, names: Sequence[str], rankers: Mapping[str, Ranker], k: int) -> dict[str, Positions]:
        """Return for each name the items on the lists: (n_lists, k), -1 where a list is shorter."""
        interactions = self.interactions
        listed = {name: np.full((len(self.members), k), -1, dtype=np.intp) for name in names}
        start = 0
        for rows, candidates, features in self.blocks:
            for name in listed.keys() & rankers.keys():
                pipeline = replace(self.pipeline, ranker=rankers[name])
                score = pipeline.rank(interactions, rows, candidates, features)
                items = pipeline.ranked(interactions, rows, candidates, score, k=k).item
                listed[name][start : start + len(rows), : items.shape[1]] = items
            _fill(listed, self.pipeline, candidates, start)
            start += len(rows)
        if self.outside is not None:
            start = 0
            for rows, candidates in self.outside.proposals(interactions, interactions.members.index[self.rows]):
                _fill(listed, self.outside, candidates, start)
                start += len(rows)
        return listed


def _fill(listed: dict[str, Positions], pipeline: Pipeline, candidates: Candidates, start: int) -> None:
    """Write what each model proposes first to a block of members, the first at ``start``, into its lists."""
    for name, rank in zip(pipeline.models, candidates.ranks.T, strict=True):
        if name in listed:
            score = np.nan_to_num(1.0 / rank.astype(np.float64))  # 0 for what it does not propose
            row, best = best_of(start + candidates.row, score, listed[name].shape[1])
            listed[name][row, places_within(row)] = candidates.item[best]


def prepare_cut(
    log: Log,
    cut: pd.Timestamp,
    pipeline: Pipeline,
    *,
    rules: ExampleRules,
    with_features: bool = True,
    outside: Pipeline | None = None,
) -> PreparedCut | None:
    """Return a cut-off with the pipeline fitted at it; None where no member studied anything new after it."""
    members, outcomes = _outcomes_after(cut, log, rules, rules.outcomes if with_features else ())
    if not len(members):
        return None
    interactions = log.interactions_at(cut, members)
    fit = pipeline.fit if with_features else pipeline.fit_models
    fit(interactions)
    if outside is not None:
        outside.fit_models(interactions)
    ids = log.members.index[members]
    blocks = [
        (rows, candidates, pipeline.features(interactions, rows, candidates) if with_features else NO_FEATURES)
        for rows, candidates in pipeline.proposals(interactions, ids)
    ]
    rows = interactions.members.index.get_indexer(ids)
    return PreparedCut(cut, members, outcomes, interactions, rows, pipeline, blocks, outside)


def _outcomes_after(
    cut: pd.Timestamp, log: Log, rules: ExampleRules, names: Sequence[str]
) -> tuple[Positions, NDArray[np.uint8]]:
    """Return the members who studied anything new after a cut-off, and the outcomes of each item as bits.

    Where there are more members than the rules allow, they are a sample. The first bit is that an item was begun.
    """
    studied = log.studied_next(cut, rules.horizon_days)
    members = np.unique(studied["member"].to_numpy())
    if len(members) > rules.max_lists:
        members = np.sort(np.random.default_rng(seed_of(cut)).choice(members, rules.max_lists, replace=False))
        studied = studied[studied["member"].isin(members)]
    outcomes = np.zeros((len(members), len(log.items)), dtype=np.uint8)
    outcomes[np.searchsorted(members, studied["member"]), studied["item"]] = 1
    for name in names:
        outcomes[log.led_to(name, cut, members, outcomes > 0).nonzero()] |= 1 << OUTCOMES.index(name)
    return members, outcomes


def seed_of(cut: pd.Timestamp) -> int:
    """Return the seed of the samples drawn at a cut-off: its day."""
    return int(cut.value // (DAY_MICROSECONDS * 1_000))
