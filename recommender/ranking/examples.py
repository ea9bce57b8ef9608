"""Training examples of a ranker: labelled candidates of past cut-offs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from recommender.linalg.ranges import places_within
from recommender.linalg.topk import Positions, Scores

OUTCOMES: Final = ("began", "completed", "passed", "returned")
"""Outcomes of items studied next, from the lowest bit on: begun, as all are; completed, passed, led to a return."""
BEGAN_ALONE: Final[Mapping[str, float]] = {"began": 1.0}
"""Objective of items begun: every item studied next counts alike."""
_BITS: Final = (np.arange(1 << len(OUTCOMES))[:, None] >> np.arange(len(OUTCOMES))) & 1
"""Whether each combination of bits has each outcome: (16, 4)."""
_BEGAN: Final = _BITS[:, 0].astype(np.float64)
COUNTED_ITEMS: Final = 10
"""Ranks that count in NDCG, and positive items of a list that count in its weight."""
MAX_SAMPLED: Final = 5_000
"""Candidates not studied next that are drawn of one list on average: LightGBM refuses lists of more than 10,000."""


@dataclass(frozen=True, slots=True)
class TrainingExamples:
    """Labelled candidates of a past cut-off.

    Attributes
    ----------
    features : array (n, n_features) of float32
    outcomes : array (n,) of uint8
        Outcomes of each candidate as bits, in the order of :data:`OUTCOMES`; 0 where the member did not study it next.
    row : array (n,)
        List of each candidate.
    members : array (n_lists,) of uint64
        Hash of the id of each list's member; of all lists, also those without a candidate studied next.
    n_true : array (n_lists, 16) of int64
        Items each member studied next, by their outcomes.
    """

    features: Scores
    outcomes: NDArray[np.uint8]
    row: Positions
    members: NDArray[np.uint64]
    n_true: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        features: Scores,
        row: Positions,
        outcomes: NDArray[Any],
        n_true: NDArray[np.int64],
        member_ids: NDArray[np.object_],
    ) -> Self:
        """Return all candidates of some lists as examples.

        Parameters
        ----------
        outcomes : array (n,)
            Bits, or only whether a candidate was studied next.
        n_true : array (n_lists, 16) or (n_lists,)
            Items each member studied next, by their outcomes, or all of them begun and no more.
        member_ids : array (n_lists,)
            The member of each list.
        """
        if n_true.ndim == 1:
            n_true = n_true[:, None] * (np.arange(len(_BITS)) == 1)
        return cls(features, outcomes.astype(np.uint8), row, pd.util.hash_array(member_ids), n_true)

    @property
    def studied(self) -> NDArray[np.bool_]:
        """Whether the member studied each candidate next."""
        return self.outcomes > 0

    def sampled(self, sampling_rate: float, *, seed: int | np.random.Generator) -> Self:
        """Return every candidate studied next and a share of the others, of lists with any studied next.

        The others are drawn uniformly from all candidates: drawn from the top of the ranking they would teach that what
        ranks high is not studied. Of a long list, at most :data:`MAX_SAMPLED` are expected.
        """
        has_positive = np.bincount(self.row[self.studied], minlength=len(self.n_true)) > 0
        size = np.bincount(self.row, minlength=len(self.n_true))
        rate = np.minimum(sampling_rate, MAX_SAMPLED / np.maximum(size, 1))
        drawn = np.random.default_rng(seed).random(len(self.row)) < rate[self.row]
        return self.at(has_positive[self.row] & (self.studied | drawn))

    def of_lists(self, max_lists: int, *, seed: int) -> Self:
        """Return all candidates of at most so many lists, drawn uniformly; the lists keep their numbers."""
        if len(self.members) <= max_lists:
            return self
        drawn = np.zeros(len(self.members), dtype=bool)
        drawn[np.random.default_rng(seed).choice(len(drawn), max_lists, replace=False)] = True
        number = np.cumsum(drawn) - 1
        part = self.at(drawn[self.row])
        return replace(part, row=number[part.row], members=self.members[drawn], n_true=self.n_true[drawn])

    def at(self, rows: NDArray[np.bool_]) -> Self:
        """Return some of the candidates; the lists keep their numbers."""
        columns = {name: getattr(self, name)[rows] for name in ("features", "outcomes", "row")}
        return replace(self, **columns)


def concatenated(parts: Sequence[TrainingExamples]) -> TrainingExamples:
    """Return several parts of the same lists as one."""
    columns = ("features", "outcomes", "row")
    return replace(parts[0], **{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns})


def counts_by_outcomes(outcomes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return how many items of each list have each combination of outcomes: (n_lists, 16).

    Parameters
    ----------
    outcomes : array (n_lists, n_items)

    Examples
    --------
    >>> counts_by_outcomes(np.uint8([[0, 1, 3], [1, 0, 1]]))[:, :4].tolist()
    [[0, 1, 0, 1], [0, 2, 0, 0]]
    """
    row, item = np.nonzero(outcomes)
    counts = np.zeros((len(outcomes), len(_BITS)), dtype=np.int64)
    np.add.at(counts, (row, outcomes[row, item]), 1)
    return counts


def gains(parts: Sequence[TrainingExamples], objective: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the gain of an item by its outcomes, for each combination of their bits: (16,).

    An outcome's weight is divided by the share of lists that have it, as a mean over these lists alone is; the gains of
    an item's outcomes add up. Where only items begun count, each gains 1. Without lists the weights are the gains.

    Parameters
    ----------
    objective : mapping
        Weight of each of :data:`OUTCOMES`.

    Examples
    --------
    Of two lists one has an item completed. By equal weights an item begun gains 0.5, one that is completed too
    0.5 + 0.5 · 2.

    >>> n_true = np.zeros((2, 16), dtype=np.int64)
    >>> n_true[0, 0b11], n_true[1, 0b01] = 1, 3
    >>> ids = np.array(["a", "b"], dtype=object)
    >>> examples = TrainingExamples.of(np.zeros((0, 1), np.float32), np.zeros(0, int), np.zeros(0), n_true, ids)
    >>> gains([examples], {"began": 1.0, "completed": 1.0})[[0b00, 0b01, 0b11]].tolist()
    [0.0, 0.5, 1.5]
    """
    weights = np.array([objective.get(name, 0.0) for name in OUTCOMES])
    lists = [part.n_true @ _BITS > 0 for part in parts]
    share = np.concatenate(lists).mean(axis=0) if lists else np.ones(len(OUTCOMES))
    return np.asarray(_BITS @ np.divide(weights / weights.sum(), share, out=np.zeros(len(OUTCOMES)), where=share > 0))


def weight_of_lists(examples: TrainingExamples, gain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weight of each list, the sum of the gains of the outcomes it has: (n_lists,); their mean is 1.

    With an objective of items begun alone every list counts alike.
    """
    return np.asarray((examples.n_true @ _BITS > 0) @ gain[1 << np.arange(len(OUTCOMES))])


def weight_of_items(examples: TrainingExamples, gain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weight of the list shared among its positive items, at most 10 of them: (n_lists,)."""
    return weight_of_lists(examples, gain) / np.clip(examples.n_true @ (gain > 0), 1, COUNTED_ITEMS)


def weight_of_candidates(examples: TrainingExamples, gain: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weight of each candidate: (n,).

    The positive ones of a list weigh by their gains, on average as much as :func:`weight_of_items` says; so much does
    each of the others weigh.

    Examples
    --------
    A list that weighs 1 + 1, for the two outcomes it has, with gains of 3, 1 and 0: its two positive items weigh 1 on
    average.

    >>> gain = np.zeros(16)
    >>> gain[[0b001, 0b010, 0b011]] = 1.0, 1.0, 3.0
    >>> n_true = np.zeros((1, 16), dtype=np.int64)
    >>> n_true[0, [0b001, 0b011]] = 1
    >>> features, ids = np.zeros((3, 1), dtype=np.float32), np.array(["a"], dtype=object)
    >>> examples = TrainingExamples.of(features, np.zeros(3, int), np.uint8([0b011, 0b001, 0]), n_true, ids)
    >>> weight_of_candidates(examples, gain).tolist()
    [1.5, 0.5, 1.0]
    """
    gained, n_lists = gain[examples.outcomes], len(examples.members)
    positives = np.bincount(examples.row, weights=gained > 0, minlength=n_lists)
    mean = np.bincount(examples.row, weights=gained, minlength=n_lists) / np.maximum(positives, 1.0)
    relative = np.divide(gained, mean[examples.row], out=np.ones(len(gained)), where=gained > 0)
    return np.asarray(weight_of_items(examples, gain)[examples.row] * relative)


def ndcg_of_lists(
    score: NDArray[np.float64], examples: TrainingExamples, gain: NDArray[np.float64] = _BEGAN
) -> NDArray[np.float64]:
    """Return the NDCG at 10 of each list when its candidates are ranked by a score; the first of equal ones wins.

    ``examples`` must hold all candidates of its lists: NDCG over a sample of the negatives is inflated and orders
    rankers otherwise (Krichene and Rendle 2020, https://doi.org/10.1145/3394486.3403226).

    Parameters
    ----------
    gain : array (16,), optional
        Gain of an item by its outcomes (:func:`gains`); by default 1 if it was studied next. A list in which no item
        gains anything has NaN.

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
    row, gained = examples.row[order], gain[examples.outcomes[order]]
    rank = 1 + places_within(row)
    discounted = np.where(rank <= COUNTED_ITEMS, gained / np.log2(1.0 + rank), 0.0)
    by_gain = np.argsort(-gain, kind="stable")
    upto = np.minimum(np.cumsum(examples.n_true[:, by_gain], axis=1), COUNTED_ITEMS)
    discounts = np.cumsum([0.0, *(1.0 / np.log2(np.arange(2, COUNTED_ITEMS + 2)))])
    ideal = np.diff(discounts[upto], axis=1, prepend=0.0) @ gain[by_gain]
    dcg = np.bincount(row, weights=discounted, minlength=len(examples.members))
    return np.divide(dcg, ideal, out=np.full(len(ideal), np.nan), where=ideal > 0)


def n_positives(parts: Sequence[TrainingExamples], objective: Mapping[str, float] = BEGAN_ALONE) -> int:
    """Return the number of candidates with an outcome that the objective gives a weight."""
    positive = _BITS @ [objective.get(name, 0.0) for name in OUTCOMES] > 0
    return sum(int(positive[part.outcomes].sum()) for part in parts)
