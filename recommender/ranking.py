"""Ranking: a model of which candidate a member studies next, learned from earlier nights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier

from recommender.candidates import Candidates
from recommender.topk import Positions, Scores

COUNTED_ITEMS: Final = 10
FEWEST_POSITIVES: Final = 200
"""A ranker learns from at least so many items that were studied next."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """Candidates of earlier nights of whom it is known whether they were studied next.

    Attributes
    ----------
    features : array (n, n_features) of float32
    studied : array (n,) of bool
    weight : array (n,) of float32
        1 / min(items the member studied next, 10): every list counts alike.
    row : array (n,)
        The list that each candidate belongs to.
    members : array (n_lists,) of uint64
        A hash of the id of each list's member; of all lists, also those on which nothing was found.
    n_true : array (n_lists,)
        Items each member studied next.
    """

    features: Scores
    studied: NDArray[np.bool_]
    weight: Scores
    row: Positions
    members: NDArray[np.uint64]
    n_true: NDArray[np.int64]


def features_of(candidates: Candidates, context: Scores) -> Scores:
    """Return the features a ranker sees of candidates: (n, 2 · models + context) of float32.

    Normalised scores and logarithms of ranks carry over from month to month; counts do not.
    """
    return np.hstack([candidates.values, np.log(candidates.ranks), context]).astype(np.float32)


def lessons(
    features: Scores,
    row: Positions,
    studied: NDArray[np.bool_],
    n_true: NDArray[np.int64],
    *,
    members: NDArray[np.uint64],
    share: float,
    seed: int,
) -> Lessons:
    """Return what a night teaches: every candidate that was studied next, and an even share of the others.

    Others are drawn uniformly from all candidates: drawn from the top of the ranking they would teach that what looks
    best is not studied. Lists on which nothing was found teach nothing.

    Parameters
    ----------
    row : array (n,)
        The candidates' lists.
    n_true : array (n_lists,)
        Items each member studied next.
    members : array (n_lists,)
        A hash of the id of each list's member.
    share : float
        Share of the others that is kept, 0..1.
    """
    found = np.bincount(row[studied], minlength=len(n_true)) > 0
    drawn = np.random.default_rng(seed).random(len(row)) < share
    kept = found[row] & (studied | drawn)
    weight = 1.0 / np.minimum(n_true, COUNTED_ITEMS)
    weighed = weight[row[kept]].astype(np.float32)
    return Lessons(features[kept], studied[kept], weighed, row[kept], members, n_true)


class Ranker(BaseEstimator):
    """Boosted trees on the candidates of earlier nights (Friedman 2001, https://doi.org/10.1214/aos/1013203451).

    Parameters
    ----------
    trees : int
    leaves : int
        Most leaves of a tree.
    learning_rate : float
    least_in_leaf : int
    regularization : float
    seed : int
    """

    def __init__(
        self,
        trees: int = 80,
        leaves: int = 15,
        learning_rate: float = 0.08,
        least_in_leaf: int = 60,
        regularization: float = 5.0,
        seed: int = 0,
    ) -> None:
        self.trees = trees
        self.leaves = leaves
        self.learning_rate = learning_rate
        self.least_in_leaf = least_in_leaf
        self.regularization = regularization
        self.seed = seed

    def fit(self, nights: Sequence[Lessons]) -> Self:
        """Learn from nights."""
        self._trees = HistGradientBoostingClassifier(
            max_iter=self.trees,
            max_leaf_nodes=self.leaves,
            learning_rate=self.learning_rate,
            min_samples_leaf=self.least_in_leaf,
            l2_regularization=self.regularization,
            early_stopping=False,
            random_state=self.seed,
        )
        features, studied, weight = (
            np.concatenate([getattr(night, name) for night in nights]) for name in ("features", "studied", "weight")
        )
        # scikit-learn cannot bin a column without any value.
        self._told = np.flatnonzero(~np.isnan(features).all(axis=0))
        self.lessons = len(studied)
        self._trees.fit(features[:, self._told], studied, sample_weight=weight)
        return self

    def score(self, features: Scores) -> NDArray[np.float64]:
        """Return how likely each candidate is to be studied next: (n,) of 0..1."""
        likely: NDArray[np.float64] = self._trees.predict_proba(features[:, self._told])[:, 1]
        return likely


def enough(nights: Sequence[Lessons]) -> str:
    """Return why there is too little to learn a ranker from, or nothing where there is enough."""
    positives = sum(int(night.studied.sum()) for night in nights)
    if positives >= FEWEST_POSITIVES:
        return ""
    return f"{positives} items were studied next in {len(nights)} earlier nights; a ranker needs {FEWEST_POSITIVES}"
