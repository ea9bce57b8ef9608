"""Candidates: what the models propose for members, with each model's opinion of every proposal."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from features.interactions import Interactions
from recommender.base import CommonModel, Eligibility, Model
from recommender.topk import Positions, Scores, first_open, top_k

Made = TypeVar("Made")

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
        shut = ~eligibility.masks[eligibility.group_of[start : start + size]]
        seen = known.seen[block]
        shut[np.repeat(np.arange(len(block)), np.diff(seen.indptr)), seen.indices] = True
        return block, _block(models, known, block, shut, depth)

    yield from in_threads(made, range(0, len(rows), size))


def in_threads(make: Callable[[int], Made], tasks: Sequence[int]) -> Iterator[Made]:
    """Yield what is made of each task, in their order: by as many threads as there are cores, few tasks ahead."""
    threads = min(os.cpu_count() or 1, len(tasks))
    if threads < 2:
        yield from map(make, tasks)
        return
    with ThreadPoolExecutor(threads) as pool:
        ahead = deque(pool.submit(make, task) for task in tasks[:threads])
        for task in tasks[threads:]:
            made = ahead.popleft().result()
            ahead.append(pool.submit(make, task))
            yield made
        for last in ahead:
            yield last.result()


def _block(
    models: Mapping[str, Model], known: Interactions, rows: Positions, shut: NDArray[np.bool_], depth: int
) -> Candidates:
    proposed = np.zeros(shut.shape, dtype=bool)
    opinions = []
    for model in models.values():
        scores, asked, items = _opinion(model, known, rows, shut, depth)
        proposed[asked, items] = True
        opinions.append((scores, asked, items))
    row, item = np.nonzero(proposed)
    places = np.full(shut.shape, -1, dtype=np.int32)
    places[row, item] = np.arange(len(row))
    valued = np.full((len(row), len(opinions)), np.nan, dtype=np.float32)
    ranks = valued.copy()
    for column, (scores, asked, items) in enumerate(opinions):
        first = np.searchsorted(asked, np.arange(len(rows)))
        best = np.full(len(rows), np.nan, dtype=np.float32)
        has = np.bincount(asked, minlength=len(rows)) > 0
        best[has] = np.maximum(np.abs(scores[has, items[first[has]]]), np.float32(1e-30))
        own = scores[row, item]
        valued[:, column] = np.where(np.isfinite(own), own, np.nan) / best[row]
        ranks[places[asked, items], column] = np.arange(len(asked)) - first[asked] + 1
    return Candidates(row, item, valued, ranks)


def _opinion(
    model: Model, known: Interactions, rows: Positions, shut: NDArray[np.bool_], depth: int
) -> tuple[Scores, Positions, Positions]:
    """Return a model's scores of all items and its best ``depth`` for each member, as ``(members, items)``."""
    if isinstance(model, CommonModel):
        order = np.argsort(-model.common, kind="stable")
        order = order[np.isfinite(model.common[order])]
        return np.broadcast_to(model.common, shut.shape), *first_open(order, shut, depth)
    scores = model.scores(known, rows)
    scores[shut] = -np.inf
    asked, items, _ = top_k(scores, depth)
    return scores, asked, items
