"""Training examples of a ranker: labelled candidates of past cut-offs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recommender.linalg.ranges import places_within
from recommender.linalg.topk import Positions, Scores

COUNTED_ITEMS: Final = 10
"""Ranks that count in NDCG, and studied items of a list that count in its weight."""
MAX_SAMPLED: Final = 5_000
"""Candidates not studied next that are drawn of one list on average: LightGBM refuses lists of more than 10,000."""


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
        ranks high is not studied. Of a long list, at most :data:`MAX_SAMPLED` are expected.
        """
        has_positive = np.bincount(self.row[self.studied], minlength=len(self.n_true)) > 0
        size = np.bincount(self.row, minlength=len(self.n_true))
        rate = np.minimum(sampling_rate, MAX_SAMPLED / np.maximum(size, 1))
        drawn = np.random.default_rng(seed).random(len(self.row)) < rate[self.row]
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
    rank = 1 + places_within(row)
    gain = np.where(studied & (rank <= COUNTED_ITEMS), 1.0 / np.log2(1.0 + rank), 0.0)
    ideal = np.cumsum(1.0 / np.log2(np.arange(2, COUNTED_ITEMS + 2)))[np.minimum(examples.n_true, COUNTED_ITEMS) - 1]
    return np.bincount(row, weights=gain, minlength=len(examples.members)) / ideal


def n_positives(parts: Sequence[TrainingExamples]) -> int:
    """Return the number of candidates that were studied next."""
    return sum(int(part.studied.sum()) for part in parts)
