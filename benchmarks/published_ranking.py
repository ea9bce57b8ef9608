"""Several models ranked by the product's ranker, on a published split in the order of study.

The ranker learns from the latest items of each member's training part: models that are fitted on the items before them
propose candidates, and those studied next are marked. Fitted on the whole training part, the same models then propose
what the ranker orders. Ids, attributes and the test part have no part in it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from benchmarks.published_splits import Pairs, interactions_of
from features.interactions import Interactions
from recommender.linalg.topk import Positions, Scores, best_of
from recommender.models.base import Eligibility, Model
from recommender.models.item_knn import ItemKNN
from recommender.models.next_day import NextDay
from recommender.models.popularity import Popularity
from recommender.models.precedence import Precedence
from recommender.models.transitions import Transitions
from recommender.models.trend import Trend
from recommender.models.user_knn import UserKNN
from recommender.ranking.candidate_generation import Candidates, propose
from recommender.ranking.examples import TrainingExamples, concatenated
from recommender.ranking.ranker import Ranker, features_of

SAMPLING_RATE: Final = 0.1
"""Share of the candidates not studied next that the ranker learns from."""
DEPTH: Final = 30


RANKED: Final[Mapping[str, Callable[[], Model]]] = {
    "transitions": Transitions,
    "precedence": lambda: Precedence(items=1_000),
    "next_day": lambda: NextDay(np.inf),
    "item_knn": lambda: ItemKNN(half_life_days=np.inf),
    "user_knn": lambda: UserKNN(3.0, active_days=np.inf, neighbours=200),
    "popularity": lambda: Popularity(np.inf),
    "trend_day": lambda: Trend(1.0),
    "trend_days": lambda: Trend(3.0),
}
"""Models whose candidates are ranked: of the registered ones some that need no attributes and are quickly fitted."""


@dataclass(frozen=True)
class FeatureNames:
    """Names of the ranker's features, in the place of a prior: with 2,000 own examples that has no weight."""

    names: tuple[str, ...] = (*RANKED, *(f"rank_by_{name}" for name in RANKED))


def latest_apart(pairs: Pairs, share: float) -> tuple[Pairs, Pairs]:
    """Return the pairs before each member's latest ones, and these: a share of its pairs, at least one.

    >>> pairs = np.array([0, 0, 0, 1, 1]), np.array([5, 6, 7, 8, 9])
    >>> [part[1].tolist() for part in latest_apart(pairs, 0.2)]
    [[5, 6, 8], [7, 9]]
    """
    member = pairs[0]
    end = np.searchsorted(member, member, side="right")
    size = end - np.searchsorted(member, member)
    latest = end - np.arange(len(member)) <= np.maximum(1, np.round(size * share))
    return (pairs[0][~latest], pairs[1][~latest]), (pairs[0][latest], pairs[1][latest])


def ranked_lists(train: Pairs, shape: tuple[int, int], *, share: float, k: int) -> tuple[pd.DataFrame, Interactions]:
    """Return the lists of all members, ``member_id, item_id, rank``, and the interactions they are made from."""
    earlier, latest = latest_apart(train, share)
    ranker = Ranker(FeatureNames(), max_leaf_nodes=15)  # type: ignore[arg-type]  # asked for its names alone
    ranker.fit([examples(earlier, latest, shape).sampled(SAMPLING_RATE, seed=0)])
    interactions = interactions_of(train, shape, in_order=True)
    parts = []
    for rows, candidates, features in proposals(interactions, np.arange(shape[0])):
        row, best = best_of(candidates.row, ranker.score(features), k)
        parts.append(
            pd.DataFrame(
                {
                    "member_id": interactions.members.index[rows[row]],
                    "item_id": interactions.items.index[candidates.item[best]],
                    "rank": 1 + np.arange(len(row)) - np.searchsorted(row, row),
                }
            )
        )
    return pd.concat(parts, ignore_index=True), interactions


def examples(earlier: Pairs, latest: Pairs, shape: tuple[int, int]) -> TrainingExamples:
    """Return the candidates by what members studied earlier, marked by what they studied latest."""
    interactions = interactions_of(earlier, shape, in_order=True)
    truth = csr_matrix((np.ones(len(latest[0]), dtype=bool), latest), shape=shape)
    members = np.unique(latest[0])
    ids = interactions.members.index[members].to_numpy(dtype=object)
    n_true = np.diff(truth.indptr)[members].astype(np.int64)
    parts, start = [], 0
    for rows, candidates, features in proposals(interactions, members):
        marked = np.asarray(truth[rows[candidates.row], candidates.item]).ravel()
        parts.append(TrainingExamples.of(features, start + candidates.row, marked, n_true, ids))
        start += len(rows)
    return concatenated(parts)


def proposals(interactions: Interactions, members: Positions) -> list[tuple[Positions, Candidates, Scores]]:
    """Return the candidates of members and their features, in blocks, by models fitted on the interactions."""
    models = {name: make().fit(interactions) for name, make in RANKED.items()}
    everything = Eligibility(np.zeros(len(members), dtype=np.intp), np.ones((1, interactions.shape[1]), dtype=bool))
    return [
        (rows, candidates, features_of(candidates, np.zeros((len(candidates.row), 0), dtype=np.float32)))
        for rows, candidates in propose(models, interactions, members, eligibility=everything, depth=DEPTH)
    ]
