"""Learned ranking: a linear model and boosted trees over candidates, started from a prior that ships."""

from collections.abc import Sequence
from typing import Any, Final, Literal, Self

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from recommender.linalg.topk import Positions, Scores
from recommender.ranking.candidate_generation import Candidates
from recommender.ranking.examples import TrainingExamples, n_positives
from recommender.ranking.linear import LinearRanking
from recommender.ranking.path_contributions import PathContributions
from recommender.ranking.prior import LAMBDARANK, Prior

LEARNED_POSITIVES: Final = 2_000
"""From so many items studied next on, the prior has no weight."""
ALL_TREES_POSITIVES: Final = 1_000
"""With fewer items studied next the own trees are fewer in proportion."""
LINEAR_POSITIVES: Final = 2 * LEARNED_POSITIVES
"""The linear model learns from the latest cut-offs with so many items studied next; more would not change it."""

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


class Ranker(BaseEstimator):
    """Sum of a prior ranking, which fades as own examples grow, of a linear model and of own trees.

    The linear model corrects the prior by which models do well in this organisation, which a few lists already tell.
    The trees are boosted by LambdaRank (Burges 2010, https://www.microsoft.com/en-us/research/publication/
    from-ranknet-to-lambdarank-to-lambdamart-an-overview/) with the sum of both as their initial score, so that they
    learn only what these get wrong; their number grows with the examples. Single-threaded and deterministic.

    Parameters
    ----------
    prior : Prior
        Ranking where there are no examples.
    max_iter : int
        Most trees.
    max_leaf_nodes : int
        Most leaves of a tree.
    learning_rate : float
    min_samples_leaf : int
    l2_regularization : float
    seed : int
    """

    def __init__(
        self,
        prior: Prior,
        max_iter: int = 100,
        max_leaf_nodes: int = 8,
        learning_rate: float = 0.08,
        min_samples_leaf: int = 60,
        l2_regularization: float = 5.0,
        seed: int = 0,
    ) -> None:
        self.prior = prior
        self.max_iter = max_iter
        self.max_leaf_nodes = max_leaf_nodes
        self.learning_rate = learning_rate
        self.min_samples_leaf = min_samples_leaf
        self.l2_regularization = l2_regularization
        self.seed = seed

    def fit(self, nights: Sequence[TrainingExamples]) -> Self:
        """Learn from the examples of past cut-offs, in order of time; without any the prior ranks alone."""
        self.n_positives = n_positives(nights)
        self.n_examples = sum(len(night.studied) for night in nights)
        self.prior_weight = prior_weight(self.n_positives)
        self._linear: LinearRanking | None = None
        self._trees: str | None = None
        self._booster: lgb.Booster | None = None
        self._paths: PathContributions | None = None
        nights = [night for night in nights if night.studied.any()]
        if nights:
            self._linear = self._linear_of(_latest(nights, LINEAR_POSITIVES))
        n_trees = min(self.max_iter, self.n_positives * self.max_iter // ALL_TREES_POSITIVES)
        if n_trees:
            self._trees = self._boosted(nights, n_trees)
        return self

    @property
    def state(self) -> State:
        """``prior`` without own examples, ``mixed`` while the prior has weight, ``learned`` after that."""
        if self._linear is None:
            return "prior"
        return "mixed" if self.prior_weight > 0 else "learned"

    def score(self, features: Scores) -> NDArray[np.float64]:
        """Return a score of each candidate that orders those of one list: (n,)."""
        score = self._start(features)
        booster = self._own()
        return score if booster is None or not len(features) else score + booster.predict(features, num_threads=1)

    def contributions(self, features: Scores, groups: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what each group of features adds to the score of each candidate: (n, n_groups).

        They follow the paths of the trees, are relative to the mean in the linear model, and add up to the score.

        Parameters
        ----------
        groups : array (n_features + 1, n_groups)
            1 where a feature belongs to a group; the last row stands for the constant.
        """
        parts = np.zeros((len(features), groups.shape[1]))
        if self.prior_weight:
            parts += self.prior_weight * self.prior.contributions(features, groups)
        if self._linear is not None:
            parts += self._linear.contributions(features) @ groups
        booster = self._own()
        if booster is not None:
            self._paths = self._paths or PathContributions(booster)
            parts += self._paths.of(features, groups)
        return parts

    def _start(self, features: Scores) -> NDArray[np.float64]:
        """Return the score before the trees: of the weighted prior and the linear model."""
        score = self.prior_weight * self.prior.score(features) if self.prior_weight else np.zeros(len(features))
        return score if self._linear is None else score + self._linear.score(features)

    def _own(self) -> lgb.Booster | None:
        if self._booster is None and self._trees is not None:
            self._booster = lgb.Booster(model_str=self._trees)
        return self._booster

    def __getstate__(self) -> dict[str, Any]:
        """Return what is stored: the trees as text, without the booster made of them."""
        return {**super().__getstate__(), "_booster": None, "_paths": None}

    def _linear_of(self, nights: Sequence[TrainingExamples]) -> LinearRanking:
        """Return the linear model, started from the weighted prior."""
        features, studied, row = _joined(nights)
        return LinearRanking(self.prior.names).fit(features, studied, row, self._start(features))

    def _boosted(self, nights: Sequence[TrainingExamples], n_trees: int) -> str:
        """Return the own trees as text."""
        features, studied, row = _joined(nights)
        sizes = np.unique(row, return_counts=True)[1]
        weight = np.concatenate([night.weight for night in nights])
        parameters = LAMBDARANK | {
            "num_leaves": self.max_leaf_nodes,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_samples_leaf,
            "lambda_l2": self.l2_regularization,
            "seed": self.seed,
        }
        start, labels = self._start(features), studied.astype(np.int32)
        data = lgb.Dataset(features, labels, group=sizes, weight=weight, init_score=start, params=parameters)
        return str(lgb.train(parameters, data, n_trees).model_to_string())


def _latest(nights: Sequence[TrainingExamples], max_positives: int) -> Sequence[TrainingExamples]:
    """Return the last cut-offs that hold so many items studied next, at least one."""
    positives = np.cumsum([n_positives([night]) for night in reversed(nights)])
    return nights[-1 - int(np.searchsorted(positives, max_positives)) :]


def _joined(nights: Sequence[TrainingExamples]) -> tuple[Scores, NDArray[np.bool_], Positions]:
    """Return the features, labels and lists of several cut-offs, the lists numbered through."""
    offsets = np.cumsum([0, *(len(night.members) for night in nights[:-1])])
    return (
        np.concatenate([night.features for night in nights]),
        np.concatenate([night.studied for night in nights]),
        np.concatenate([night.row + offset for night, offset in zip(nights, offsets, strict=True)]),
    )
