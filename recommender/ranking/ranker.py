"""Ranking: a model of which candidate a member studies next, learned from earlier nights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier

from recommender.linalg.topk import Positions, Scores
from recommender.ranking.candidate_generation import Candidates

COUNTED_ITEMS: Final = 10
FEWEST_POSITIVES: Final = 200
"""A ranker learns from at least so many items that were studied next."""
LATEST_SHARE: Final = 0.25
WEIGHTS: Final = (0.0, 0.5, 1.0, 2.0, 4.0)
"""How often one model's scores may be added to what the trees say; 0 first, so that it wins where nothing helps."""
NEW_DAYS: Final = 7.0
NEW_ODDS: Final = 2.0


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


def estimated(score: NDArray[np.float64], night: Lessons, *, share: float) -> NDArray[np.float64]:
    """Return the NDCG at 10 of each list of a night for scores of its candidates.

    It is estimated as :func:`recommender.evaluation.comparison.judged` does.

    Examples
    --------
    A list with one item studied next, above one of the others that were kept and below the other: 1 / log2(1 + 3).

    >>> night = Lessons(
    ...     np.zeros((3, 1), dtype=np.float32),
    ...     np.array([False, True, False]),
    ...     np.ones(3, dtype=np.float32),
    ...     np.zeros(3, dtype=np.intp),
    ...     np.array([7], dtype=np.uint64),
    ...     np.array([1]),
    ... )
    >>> estimated(np.array([0.9, 0.5, 0.1]), night, share=0.5).tolist()
    [0.5]
    """
    order = np.lexsort((night.studied, -score, night.row))  # of equal scores those not studied come first
    row, studied = night.row[order], night.studied[order]
    start = np.searchsorted(row, row)
    above: NDArray[np.int64] = np.cumsum(studied) - studied
    found: NDArray[np.int64] = above - above[start]
    others = np.arange(len(row)) - start - found
    rank = 1.0 + found + others / share
    gain = np.where(studied & (rank <= COUNTED_ITEMS), 1.0 / np.log2(1.0 + rank), 0.0)
    best = np.cumsum(1.0 / np.log2(np.arange(2, COUNTED_ITEMS + 2)))
    ideal = best[np.minimum(night.n_true, COUNTED_ITEMS) - 1]
    return np.bincount(row, weights=gain, minlength=len(night.members)) / ideal


class Beside(NamedTuple):
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
    trees : int
    leaves : int
        Most leaves of a tree.
    learning_rate : float
    least_in_leaf : int
    regularization : float
    seed : int
    beside : Beside, optional
        Where the scores that are added are found.
    share : float
        Share of the candidates not studied next that lessons keep.
    """

    def __init__(
        self,
        trees: int = 80,
        leaves: int = 15,
        learning_rate: float = 0.08,
        least_in_leaf: int = 60,
        regularization: float = 5.0,
        seed: int = 0,
        *,
        beside: Beside | None = None,
        share: float = 1.0,
    ) -> None:
        self.trees = trees
        self.leaves = leaves
        self.learning_rate = learning_rate
        self.least_in_leaf = least_in_leaf
        self.regularization = regularization
        self.seed = seed
        self.beside = beside
        self.share = share

    def fit(self, nights: Sequence[Lessons]) -> Self:
        """Learn from nights, given in order of time."""
        features, studied, weight = (
            np.concatenate([getattr(night, name) for night in nights]) for name in ("features", "studied", "weight")
        )
        # scikit-learn cannot bin a column without any value.
        self._told = np.flatnonzero(~np.isnan(features).all(axis=0))
        self.lessons = len(studied)
        self.weight_beside = self._weighed(nights)
        self._usual = 0.0
        if self.beside and self.weight_beside:
            self._usual = float(np.nanmean(_logarithm(features[:, self.beside.scores])))
        self._trees = HistGradientBoostingClassifier(
            max_iter=self.trees,
            max_leaf_nodes=self.leaves,
            learning_rate=self.learning_rate,
            min_samples_leaf=self.least_in_leaf,
            l2_regularization=self.regularization,
            early_stopping=False,
            random_state=self.seed,
        )
        self._trees.fit(features[:, self._told], studied, sample_weight=weight)
        return self

    def score(self, features: Scores) -> NDArray[np.float64]:
        """Return how likely each candidate is to be studied next, where nothing is added: (n,) of 0..1."""
        odds = self._trees.decision_function(features[:, self._told])
        if self.beside:
            scores, published_days = features[:, self.beside.scores], features[:, self.beside.published_days]
            odds += self.weight_beside * np.nan_to_num(_logarithm(scores), nan=self._usual)
            odds[(published_days < NEW_DAYS) & ~np.isnan(scores)] += np.log(NEW_ODDS)
        return np.asarray(expit(odds))

    def _weighed(self, nights: Sequence[Lessons]) -> float:
        """Return how often the scores beside the trees are best added."""
        latest = max(1, round(len(nights) * LATEST_SHARE))
        before, after = nights[:-latest], nights[-latest:]
        if self.beside is None or enough(before) or enough(after):
            return 0.0
        added = [night.features[:, self.beside.scores] for night in after]
        if all(np.isnan(one).all() for one in added):
            return 0.0
        grown = Ranker(**(self.get_params() | {"beside": None})).fit(before)
        odds = [logit(grown.score(night.features)) for night in after]
        usual = float(np.nanmean(_logarithm(np.concatenate(added))))
        logs = [np.nan_to_num(_logarithm(one), nan=usual) for one in added]
        parts = list(zip(after, odds, logs, strict=True))
        quality = [
            np.mean(
                np.concatenate([estimated(odd + weight * log, night, share=self.share) for night, odd, log in parts])
            )
            for weight in WEIGHTS
        ]
        return WEIGHTS[int(np.argmax(quality))]


def _logarithm(values: Scores) -> NDArray[np.float64]:
    """Return the logarithm of normalised scores; those below a ten thousandth say no more than that."""
    return np.asarray(np.log(np.maximum(values.astype(np.float64), 1e-4)))


def enough(nights: Sequence[Lessons]) -> str:
    """Return why there is too little to learn a ranker from, or nothing where there is enough."""
    positives = sum(int(night.studied.sum()) for night in nights)
    if positives >= FEWEST_POSITIVES:
        return ""
    return f"{positives} items were studied next in {len(nights)} earlier nights; a ranker needs {FEWEST_POSITIVES}"
