"""Learned ranking: a linear model and boosted trees over candidates, started from a prior that ships."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Self

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from recommender.linalg.topk import Positions, Scores
from recommender.ranking.candidate_generation import Candidates
from recommender.ranking.examples import (
    BEGAN_ALONE,
    TrainingExamples,
    gains,
    n_positives,
    weight_of_candidates,
    weight_of_lists,
)
from recommender.ranking.linear import LinearRanking
from recommender.ranking.path_contributions import PathContributions
from recommender.ranking.prior import REPRODUCIBLE, Prior

LEARNED_POSITIVES: Final = 2_000
"""From so many positive items on, those with an outcome of the objective, the prior has no weight."""
ALL_TREES_POSITIVES: Final = 4_000
"""With fewer positive items the own trees are fewer in proportion."""
OWN_TREES_POSITIVES: Final = 12_000
"""From so many positive items on own trees rank alone."""
LINEAR_POSITIVES: Final = 2 * LEARNED_POSITIVES
"""The linear model learns from the latest cut-offs with so many positive items; more would not change it."""

State = Literal["prior", "mixed", "learned"]


def features_of(candidates: Candidates, columns: Scores) -> Scores:
    """Return the features of candidates: (n, 2 · models + columns) of float32; ``columns`` beside the models' own.

    Normalised scores and logarithms of ranks carry over from month to month; counts do not.
    """
    return np.hstack([candidates.scores, np.log(candidates.ranks), columns]).astype(np.float32)


def prior_weight(positives: int) -> float:
    """Return the weight of the prior in a ranking with so many own positives: 1 without any, falling linearly to 0.

    >>> prior_weight(0), prior_weight(500), prior_weight(5_000)
    (1.0, 0.75, 0.0)
    """
    return max(0.0, 1.0 - positives / LEARNED_POSITIVES)


def start_weight(positives: int) -> float:
    """Return the weight of the start, prior and linear model, beside the own trees: 1, falling linearly to 0.

    >>> start_weight(0), start_weight(3_000), start_weight(50_000)
    (1.0, 0.75, 0.0)
    """
    return max(0.0, 1.0 - positives / OWN_TREES_POSITIVES)


class Ranker(BaseEstimator):
    """Sum of a prior ranking and a linear model, which fade as own examples grow, and of own trees.

    The linear model corrects the prior by which models do well in this organisation, which a few lists already tell.
    The trees are boosted by the log-likelihood of which candidates are studied next (Friedman 2001,
    https://doi.org/10.1214/aos/1013203451), each list counting alike, with the weighted sum of both as their initial
    score (:func:`start_weight`); their number grows with the examples. Single-threaded and deterministic.

    Both learn the gain that the objective gives an item's outcomes (:func:`recommender.ranking.examples.gains`), and
    from each list by the outcomes it has. The prior was learned from items begun.

    Parameters
    ----------
    prior : Prior
        Ranking where there are no examples.
    objective : mapping
        Weight of each outcome (:data:`recommender.ranking.examples.OUTCOMES`).
    max_iter : int
        Most trees.
    max_leaf_nodes : int
        Most leaves of a tree.
    """

    def __init__(
        self,
        prior: Prior,
        objective: Mapping[str, float] = BEGAN_ALONE,
        max_iter: int = 100,
        max_leaf_nodes: int = 15,
        learning_rate: float = 0.08,
        min_samples_leaf: int = 60,
        l2_regularization: float = 5.0,
        seed: int = 0,
    ) -> None:
        self.prior = prior
        self.objective = objective
        self.max_iter = max_iter
        self.max_leaf_nodes = max_leaf_nodes
        self.learning_rate = learning_rate
        self.min_samples_leaf = min_samples_leaf
        self.l2_regularization = l2_regularization
        self.seed = seed

    def fit(self, nights: Sequence[TrainingExamples]) -> Self:
        """Learn from the examples of past cut-offs, in order of time; without any the prior ranks alone."""
        self.gain = gains(nights, self.objective)
        self.n_positives = n_positives(nights, self.objective)
        self.n_examples = sum(len(night.row) for night in nights)
        self.prior_weight = prior_weight(self.n_positives)
        self.start_weight = start_weight(self.n_positives)
        self._linear: LinearRanking | None = None
        self._trees: str | None = None
        self._booster: lgb.Booster | None = None
        self._paths: PathContributions | None = None
        nights = [night for night in nights if n_positives([night], self.objective)]
        if nights and self.start_weight:
            self._linear = self._linear_of(_latest(nights, LINEAR_POSITIVES, self.objective))
        n_trees = min(self.max_iter, self.n_positives * self.max_iter // ALL_TREES_POSITIVES)
        if n_trees:
            self._trees = self._boosted(nights, n_trees)
        return self

    @property
    def state(self) -> State:
        """``prior`` without own examples, ``mixed`` while the prior has weight, ``learned`` after that."""
        if not self.n_positives:
            return "prior"
        return "mixed" if self.prior_weight > 0 else "learned"

    def score(self, features: Scores) -> NDArray[np.float64]:
        """Return a score of each candidate that orders those of one list: (n,)."""
        score = self._start(features)
        booster = self._own()
        if booster is None or not len(features):
            return score
        return np.asarray(score + booster.predict(features, raw_score=True, num_threads=1))

    def contributions(self, features: Scores, groups: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what each group of features adds to the score of each candidate: (n, n_groups).

        They follow the paths of the trees, are relative to the mean in the linear model, and add up to the score.

        Parameters
        ----------
        groups : array (n_features + 1, n_groups)
            1 where a feature belongs to a group; the last row stands for the constant.
        """
        parts = np.zeros((len(features), groups.shape[1]))
        if self.start_weight and self.prior_weight:
            parts += self.prior_weight * self.prior.contributions(features, groups)
        if self.start_weight and self._linear is not None:
            parts += self._linear.contributions(features, groups)
        parts *= self.start_weight
        booster = self._own()
        if booster is not None:
            self._paths = self._paths or PathContributions(booster)
            parts += self._paths.of(features, groups)
        return parts

    def _start(self, features: Scores) -> NDArray[np.float64]:
        """Return the score before the trees: of the weighted prior and the linear model, as much as it counts."""
        if not self.start_weight:
            return np.zeros(len(features))
        score = self._weighted_prior(features)
        return self.start_weight * (score if self._linear is None else score + self._linear.score(features))

    def _weighted_prior(self, features: Scores) -> NDArray[np.float64]:
        return self.prior_weight * self.prior.score(features) if self.prior_weight else np.zeros(len(features))

    def _own(self) -> lgb.Booster | None:
        if self._booster is None and self._trees is not None:
            self._booster = lgb.Booster(model_str=self._trees)
        return self._booster

    def __getstate__(self) -> dict[str, Any]:
        """Return what is stored: the trees as text, without the booster made of them."""
        return {**super().__getstate__(), "_booster": None, "_paths": None}

    def _linear_of(self, nights: Sequence[TrainingExamples]) -> LinearRanking:
        """Return the linear model, started from the weighted prior."""
        joined = _joined(nights, self.gain)
        start, gain = self._weighted_prior(joined.features), self.gain[joined.outcomes]
        return LinearRanking(self.prior.names).fit(joined.features, gain, joined.row, start, joined.list_weight)

    def _boosted(self, nights: Sequence[TrainingExamples], n_trees: int) -> str:
        """Return the own trees as text."""
        joined = _joined(nights, self.gain)
        positive, weight = self.gain[joined.outcomes] > 0, joined.weight
        start = self._start(joined.features)
        # The constant: else the first trees would only learn how few candidates are studied.
        odds = (weight[positive].sum() + 1.0) / (weight[~positive].sum() + 1.0)
        start += np.log(odds) - np.average(start, weights=weight)
        parameters = REPRODUCIBLE | {
            "objective": "binary",
            "num_leaves": self.max_leaf_nodes,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_samples_leaf,
            "lambda_l2": self.l2_regularization,
            "seed": self.seed,
        }
        labels, weights = positive.astype(np.int8), weight.astype(np.float32)
        data = lgb.Dataset(joined.features, labels, weight=weights, init_score=start, params=parameters)
        return str(lgb.train(parameters, data, n_trees).model_to_string())


class _Joined(NamedTuple):
    """Candidates of several cut-offs, with the weights of their lists and their own."""

    features: Scores
    outcomes: NDArray[np.uint8]
    row: Positions
    list_weight: NDArray[np.float64]
    weight: NDArray[np.float64]


def _joined(nights: Sequence[TrainingExamples], gain: NDArray[np.float64]) -> _Joined:
    """Return the lists with a positive candidate, numbered through."""
    parts, n_lists = [], 0
    for night in nights:
        positive = np.bincount(night.row, weights=gain[night.outcomes], minlength=len(night.members)) > 0
        rows = positive[night.row]
        part = night if rows.all() else night.at(rows)
        weights = weight_of_lists(part, gain)[part.row], weight_of_candidates(part, gain)
        parts.append(_Joined(part.features, part.outcomes, part.row + n_lists, *weights))
        n_lists += len(night.members)
    return _Joined(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _latest(
    nights: Sequence[TrainingExamples], max_positives: int, objective: Mapping[str, float]
) -> Sequence[TrainingExamples]:
    """Return the last cut-offs that hold so many positive items, at least one."""
    positives = np.cumsum([n_positives([night], objective) for night in reversed(nights)])
    return nights[-1 - int(np.searchsorted(positives, max_positives)) :]
