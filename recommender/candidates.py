"""Candidates: what the models propose for members, with each model's opinion of every proposal."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from features.interactions import Interactions, rows_of
from recommender.base import Eligibility, Model
from recommender.threads import in_threads
from recommender.topk import Positions, Scores

CACHED_CELLS: Final = 2_000_000
"""Scores of one model held at once. Every model's are, in each thread: 8 MB of float32 times the models."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Proposals for some members, sorted by member and item.

    Attributes
    ----------
    row : array (n,)
        Place of the member in its block.
    item : array (n,)
    values : array (n, n_models) of float32
        Each model's score divided by its best for the member, so that it means the same in a quiet and in a busy month;
        NaN where the model has no opinion.
    ranks : array (n, n_models) of float32
        Rank among the model's own proposals, from 1; NaN where it does not propose the item.
    """

    row: Positions
    item: Positions
    values: Scores
    ranks: Scores


def propose(
    models: Mapping[str, Model], known: Interactions, rows: Positions, *, eligibility: Eligibility, depth: int
) -> Iterator[tuple[Positions, Candidates]]:
    """Yield the union of the models' best ``depth`` eligible items of members, in blocks of members.

    Parameters
    ----------
    rows : array
        Positions of the members in ``known``.
    eligibility : Eligibility
        What each of them may be offered, in the same order; what a member has seen is left out besides.
    """
    size = max(1, CACHED_CELLS // known.shape[1])

    def made(start: int) -> tuple[Positions, Candidates]:
        block = rows[start : start + size]
        masks = eligibility.masks[eligibility.group_of[start : start + size]]
        closed = np.where(masks, np.float32(0.0), np.float32(-np.inf))
        seen = rows_of(known.seen, block)
        closed[np.repeat(np.arange(len(block)), np.diff(seen.indptr)), seen.indices] = -np.inf
        return block, _block(models, known, block, closed, depth)

    yield from in_threads(made, range(0, len(rows), size))


def _block(models: Mapping[str, Model], known: Interactions, rows: Positions, closed: Scores, depth: int) -> Candidates:
    proposed = np.zeros(closed.shape, dtype=bool)
    opinions = [model.opinion(known, rows, closed, depth) for model in models.values()]
    for one in opinions:
        proposed[one.row, one.item] = True
    row, item = np.nonzero(proposed)
    places = np.full(closed.shape, -1, dtype=np.int32)
    places[row, item] = np.arange(len(row))
    valued = np.full((len(row), len(opinions)), np.nan, dtype=np.float32)
    ranks = valued.copy()
    for column, one in enumerate(opinions):
        first = np.searchsorted(one.row, np.arange(len(rows)))
        best = np.full(len(rows), np.nan, dtype=np.float32)
        has = np.bincount(one.row, minlength=len(rows)) > 0
        best[has] = np.maximum(np.abs(one.values[first[has]]), np.float32(1e-30))
        own = one.at(row, item)
        valued[:, column] = np.where(np.isfinite(own), own, np.nan) / best[row]
        ranks[places[one.row, one.item], column] = np.arange(len(one.row)) - first[one.row] + 1
    return Candidates(row, item, valued, ranks)
