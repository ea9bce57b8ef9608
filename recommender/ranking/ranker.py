"""Learned ranking: a model of which candidate a member studies next, fitted on candidates of past cut-offs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier

from recommender.linalg.topk import Positions, Scores
from recommender.ranking.candidate_generation import Candidates

COUNTED_ITEMS: Final = 10
MIN_POSITIVES: Final = 200
"""A ranker learns from at least so many items that were studied next."""
LATEST_SHARE: Final = 0.25
WEIGHTS: Final = (0.0, 0.5, 1.0, 2.0, 4.0)
"""How often one model's scores may be added to what the trees say; 0 first, so that it wins where nothing helps."""
NEW_DAYS: Final = 7.0
NEW_ODDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class TrainingExamples:
    """Labelled candidates of a past cut-off.

    Attributes
    ----------
    features : array (n, n_features) of float32
    studied : array (n,) of bool
        Whether the member studied the item next.
    weight : array (n,) of float32
        1 / min(items the member studied next, 10): every list counts alike.
    row : array (n,)
        List of each candidate.
    members : array (n_lists,) of uint64
        Hash of the id of each list's member; of all lists, also those without a candidate studied next.
    n_true : array (n_lists,)
        Items each member studied next.
    """

    features: Scores
    studied: NDArray[np.bool_]
    weight: Scores
    row: Positions
    members: NDArray[np.uint64]
    n_true: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        features: Scores,
        row: Positions,
        studied: NDArray[np.bool_],
        n_true: NDArray[np.int64],
        member_ids: NDArray[np.object_],
    ) -> Self:
        """Return all candidates of some lists as examples; ``member_ids`` names the member of each list."""
        weight = (1.0 / np.minimum(n_true, COUNTED_ITEMS))[row].astype(np.float32)
        return cls(features, studied, weight, row, pd.util.hash_array(member_ids), n_true)

    def sampled(self, sampling_rate: float, *, seed: int) -> Self:
        """Return every candidate studied next and a share of the others, of lists with any studied next.

        The others are drawn uniformly from all candidates: drawn from the top of the ranking they would teach that what
        ranks high is not studied.
        """
        has_positive = np.bincount(self.row[self.studied], minlength=len(self.n_true)) > 0
        drawn = np.random.default_rng(seed).random(len(self.row)) < sampling_rate
        return self._at(has_positive[self.row] & (self.studied | drawn))

    def of_lists(self, max_lists: int, *, seed: int) -> Self:
        """Return all candidates of at most so many lists, drawn uniformly; the lists keep their numbers."""
        if len(self.members) <= max_lists:
            return self
        drawn = np.zeros(len(self.members), dtype=bool)
        drawn[np.random.default_rng(seed).choice(len(drawn), max_lists, replace=False)] = True
        number = np.cumsum(drawn) - 1
        part = self._at(drawn[self.row])
        return replace(part, row=number[part.row], members=self.members[drawn], n_true=self.n_true[drawn])

    def _at(self, rows: NDArray[np.bool_]) -> Self:
        columns = {name: getattr(self, name)[rows] for name in ("features", "studied", "weight", "row")}
        return replace(self, **columns)


def concatenated(parts: Sequence[TrainingExamples]) -> TrainingExamples:
    """Return several parts of the same lists as one."""
    columns = ("features", "studied", "weight", "row")
    return replace(parts[0], **{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns})


def ndcg_of_lists(score: NDArray[np.float64], examples: TrainingExamples) -> NDArray[np.float64]:
    """Return the NDCG at 10 of each list when its candidates are ranked by a score; the first of equal ones wins.

    ``examples`` must hold all candidates of its lists: NDCG over a sample of the negatives is inflated and orders
    rankers otherwise (Krichene and Rendle 2020, https://doi.org/10.1145/3394486.3403226).

    Examples
    --------
    A list with one item studied next at rank 3: 1 / log2(1 + 3).

    >>> examples = TrainingExamples.of(
    ...     np.zeros((3, 1), dtype=np.float32),
    ...     np.zeros(3, dtype=np.intp),
    ...     np.array([False, True, False]),
    ...     np.array([1]),
    ...     np.array(["a"], dtype=object),
    ... )
    >>> ndcg_of_lists(np.array([0.9, 0.1, 0.5]), examples).tolist()
    [0.5]
    """
    order = np.lexsort((np.arange(len(score)), -score, examples.row))
    row, studied = examples.row[order], examples.studied[order]
    rank = 1 + np.arange(len(row)) - np.searchsorted(row, row)
    gain = np.where(studied & (rank <= COUNTED_ITEMS), 1.0 / np.log2(1.0 + rank), 0.0)
    ideal = np.cumsum(1.0 / np.log2(np.arange(2, COUNTED_ITEMS + 2)))[np.minimum(examples.n_true, COUNTED_ITEMS) - 1]
    return np.bincount(row, weights=gain, minlength=len(examples.members)) / ideal


def features_of(candidates: Candidates, others: Scores) -> Scores:
    """Return the features of candidates: (n, 2 · models + others) of float32; ``others`` beside the models' own.

    Normalised scores and logarithms of ranks carry over from month to month; counts do not.
    """
    return np.hstack([candidates.scores, np.log(candidates.ranks), others]).astype(np.float32)


def estimated(score: NDArray[np.float64], night: TrainingExamples, *, sampling_rate: float) -> NDArray[np.float64]:
    """Return the NDCG at 10 of each list of a night for scores of its candidates.

    An unsampled candidate not studied next stands for ``1 / sampling_rate`` of them.

    Examples
    --------
    A list with one item studied next, above one of the others that were kept and below the other: 1 / log2(1 + 3).

    >>> night = TrainingExamples(
    ...     np.zeros((3, 1), dtype=np.float32),
    ...     np.array([False, True, False]),
    ...     np.ones(3, dtype=np.float32),
    ...     np.zeros(3, dtype=np.intp),
    ...     np.array([7], dtype=np.uint64),
    ...     np.array([1]),
    ... )
    >>> estimated(np.array([0.9, 0.5, 0.1]), night, sampling_rate=0.5).tolist()
    [0.5]
    """
    order = np.lexsort((night.studied, -score, night.row))  # of equal scores those not studied come first
    row, studied = night.row[order], night.studied[order]
    start = np.searchsorted(row, row)
    above: NDArray[np.int64] = np.cumsum(studied) - studied
    found: NDArray[np.int64] = above - above[start]
    others = np.arange(len(row)) - start - found
    rank = 1.0 + found + others / sampling_rate
    gain = np.where(studied & (rank <= COUNTED_ITEMS), 1.0 / np.log2(1.0 + rank), 0.0)
    best = np.cumsum(1.0 / np.log2(np.arange(2, COUNTED_ITEMS + 2)))
    ideal = best[np.minimum(night.n_true, COUNTED_ITEMS) - 1]
    return np.bincount(row, weights=gain, minlength=len(night.members)) / ideal


class BaseScore(NamedTuple):
    """Places among the features: of one model's scores, and of the days since an item was published."""

    scores: int
    published_days: int


class Ranker(BaseEstimator):
    """Boosted trees on the candidates of earlier nights (Friedman 2001, https://doi.org/10.1214/aos/1013203451).

    Trees cut a score into steps, and few nights teach them few. So the logarithm of one model's score is added to their
    log-odds, as often as is best for lists of the latest quarter of the nights by trees grown on those before; not at
    all where either are too few.

    Of items published in the last week of which that model has an opinion, the odds are doubled:
    earlier nights cannot tell who wants an item, until it has stood on lists.

    Parameters
    ----------
    max_iter : int
    max_leaf_nodes : int
        Most leaves of a tree.
    learning_rate : float
    min_samples_leaf : int
    l2_regularization : float
    seed : int
    base_score : BaseScore, optional
        Where the scores that are added are found.
    sampling_rate : float
        Share of the candidates not studied next that lessons keep.
    """

    def __init__(
        self,
        max_iter: int = 80,
        max_leaf_nodes: int = 15,
        learning_rate: float = 0.08,
        min_samples_leaf: int = 60,
        l2_regularization: float = 5.0,
        seed: int = 0,
        *,
        base_score: BaseScore | None = None,
        sampling_rate: float = 1.0,
    ) -> None:
        self.max_iter = max_iter
        self.max_leaf_nodes = max_leaf_nodes
        self.learning_rate = learning_rate
        self.min_samples_leaf = min_samples_leaf
        self.l2_regularization = l2_regularization
        self.seed = seed
        self.base_score = base_score
        self.sampling_rate = sampling_rate

    def fit(self, nights: Sequence[TrainingExamples]) -> Self:
        """Learn from nights, given in order of time."""
        features, studied, weight = (
            np.concatenate([getattr(night, name) for night in nights]) for name in ("features", "studied", "weight")
        )
        # scikit-learn cannot bin a column without any value.
        self._told = np.flatnonzero(~np.isnan(features).all(axis=0))
        self.n_examples = len(studied)
        self.stacking_weight = self._weighed(nights)
        self._usual = 0.0
        if self.base_score and self.stacking_weight:
            self._usual = float(np.nanmean(_logarithm(features[:, self.base_score.scores])))
        self._trees = HistGradientBoostingClassifier(
            max_iter=self.max_iter,
            max_leaf_nodes=self.max_leaf_nodes,
            learning_rate=self.learning_rate,
            min_samples_leaf=self.min_samples_leaf,
            l2_regularization=self.l2_regularization,
            early_stopping=False,
            random_state=self.seed,
        )
        self._trees.fit(features[:, self._told], studied, sample_weight=weight)
        return self

    def score(self, features: Scores) -> NDArray[np.float64]:
        """Return how likely each candidate is to be studied next, where nothing is added: (n,) of 0..1."""
        odds = self._trees.decision_function(features[:, self._told])
        if self.base_score:
            scores, published_days = features[:, self.base_score.scores], features[:, self.base_score.published_days]
            odds += self.stacking_weight * np.nan_to_num(_logarithm(scores), nan=self._usual)
            odds[(published_days < NEW_DAYS) & ~np.isnan(scores)] += np.log(NEW_ODDS)
        return np.asarray(expit(odds))

    def _weighed(self, nights: Sequence[TrainingExamples]) -> float:
        """Return how often the scores beside the trees are best added."""
        latest = max(1, round(len(nights) * LATEST_SHARE))
        before, after = nights[:-latest], nights[-latest:]
        if self.base_score is None or why_too_few(before) or why_too_few(after):
            return 0.0
        added = [night.features[:, self.base_score.scores] for night in after]
        if all(np.isnan(one).all() for one in added):
            return 0.0
        grown = Ranker(**(self.get_params() | {"base_score": None})).fit(before)
        odds = [logit(grown.score(night.features)) for night in after]
        usual = float(np.nanmean(_logarithm(np.concatenate(added))))
        logs = [np.nan_to_num(_logarithm(one), nan=usual) for one in added]
        parts = list(zip(after, odds, logs, strict=True))
        quality = [
            np.mean(
                np.concatenate(
                    [
                        estimated(odd + weight * log, night, sampling_rate=self.sampling_rate)
                        for night, odd, log in parts
                    ]
                )
            )
            for weight in WEIGHTS
        ]
        return WEIGHTS[int(np.argmax(quality))]


def _logarithm(values: Scores) -> NDArray[np.float64]:
    """Return the logarithm of normalised scores; those below a ten thousandth say no more than that."""
    return np.asarray(np.log(np.maximum(values.astype(np.float64), 1e-4)))


def why_too_few(nights: Sequence[TrainingExamples]) -> str:
    """Return why there are too few examples to fit a ranker, or nothing where there are enough."""
    positives = sum(int(night.studied.sum()) for night in nights)
    if positives >= MIN_POSITIVES:
        return ""
    return f"{positives} items were studied next in {len(nights)} earlier nights; a ranker needs {MIN_POSITIVES}"
