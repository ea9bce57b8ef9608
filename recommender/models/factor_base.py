"""Base class of factor models: scores are dot products, and the best items are searched for exactly (MIPS)."""

import os
from abc import abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import get_cached_controller

from features.interactions import Interactions
from recommender.linalg.ranges import cells_of
from recommender.linalg.topk import Best, Positions, Scores, near_top_k, sort_top_k, spread
from recommender.models.base import Eligibility, Model

CACHED_CELLS: Final = 8_000_000
"""Scores held by a thread at once: 32 MB of float32. More do not stay in the cache; fewer multiply more slowly."""

GATHERED_PAIRS: Final = 512
"""Pairs of vectors that are gathered at once: they stay in the cache, so that the products cost half."""

BLOCK_MEMBERS: Final = 8_192
"""Members whose vectors are computed at once."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors of some members and of the scored items.

    Attributes
    ----------
    members : array (n_members, size) of float64
    items : array (n_scored, size) of float64
    served : array (n_members,) of bool
        Whether the member can be scored.
    scored : array (n_scored,)
        Positions of the scored items, in ascending order.
    """

    members: NDArray[np.float64]
    items: NDArray[np.float64]
    served: NDArray[np.bool_]
    scored: Positions


class FactorModel(Model):
    """Model that scores an item for a member by the dot product of their vectors.

    A subclass writes ``_fit(interactions)`` and ``_vectors(interactions, rows)``.
    """

    def _blocks(self, rows: Positions) -> Iterator[Positions]:
        """Yield positions of known members; no block's scores are ever held whole."""
        served = np.flatnonzero(rows >= 0)
        for start in range(0, len(served), BLOCK_MEMBERS):
            yield served[start : start + BLOCK_MEMBERS]

    @abstractmethod
    def _vectors(self, interactions: Interactions, rows: Positions) -> Vectors:
        """Return the vectors of members, by their positions in ``interactions``, and of the scored items."""

    def _score(self, interactions: Interactions, rows: Positions) -> Scores:
        vectors = self._vectors(interactions, rows)
        # In float64, rounded to float32: a member's scores are the same alone and in a block of any size.
        scores = spread(vectors.members @ vectors.items.T, vectors.scored, interactions.shape[1])
        scores[~vectors.served] = -np.inf
        return scores

    def _best(
        self, interactions: Interactions, rows: Positions, eligibility: Eligibility, seen: csr_matrix | None, k: int
    ) -> Best:
        vectors = self._vectors(interactions, rows)
        served = np.flatnonzero(vectors.served)
        groups, group_of = np.unique(eligibility.group_of[served], return_inverse=True)
        own = Eligibility(group_of, eligibility.masks[groups][:, vectors.scored])
        excluded = None if seen is None else seen[served][:, vectors.scored]
        rows, items, values = best_products(vectors.members[served], vectors.items, k, own, excluded)
        return served[rows], vectors.scored[items], values


def best_products(
    members: NDArray[np.float64],
    items: NDArray[np.float64],
    k: int,
    eligibility: Eligibility,
    excluded: csr_matrix | None = None,
) -> Best:
    """Return the best ``k`` products of each member with eligible items, as :func:`recommender.linalg.topk.top_k` does.

    All products are taken in float32, in blocks that stay in the cache. Those that could be among the best within the
    rounding error of float32 are taken again in float64; the values returned are these, rounded. Blocks are shared
    among as many threads as there are cores, which does not change the result.

    Parameters
    ----------
    members : array (n_members, size)
    items : array (n_items, size)
    eligibility : Eligibility
        Items each member may be offered.
    excluded : csr_matrix (n_members, n_items), optional
        Items left out besides.
    """
    search = _Search(members, items, k, eligibility, excluded)
    size = max(1, CACHED_CELLS // max(1, len(items)))
    blocks = [slice(start, start + size) for start in range(0, len(members), size)]
    threads = min(os.cpu_count() or 1, len(blocks))
    if threads < 2:
        best = list(search.run(blocks))
    else:
        # Each thread works on blocks of its own, so BLAS needs no threads of its own.
        with get_cached_controller().limit(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            dealt = [search.run(blocks[number::threads]) for number in range(threads)]
            parts: list[list[Best]] = list(pool.map(list, dealt))
            best = [parts[number % threads][number // threads] for number in range(len(blocks))]
    if not best:
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.float32)
    rows, columns, values = (np.concatenate(column) for column in zip(*best, strict=True))
    return rows, columns, values


class _Search:
    """Search for the best products, block by block."""

    def __init__(
        self,
        members: NDArray[np.float64],
        items: NDArray[np.float64],
        k: int,
        eligibility: Eligibility,
        excluded: csr_matrix | None,
    ) -> None:
        self.members, self.items, self.k, self.excluded = members, items, k, excluded
        self.rough_members, self.rough_items = members.astype(np.float32), items.astype(np.float32)
        self.group_of, self.masked = eligibility.group_of, ~eligibility.masks
        self.masked_for_all = np.flatnonzero(self.masked.all(axis=0))
        self.differ = len(self.masked) > 1 and bool(self.masked.any())
        # A product of vectors of this size in float32 is wrong by at most this times their lengths (Higham 2002,
        # https://doi.org/10.1137/1.9780898718027, section 3.1), the rounding of the vectors to float32 included.
        unit = np.finfo(np.float32).eps / 2
        longest = np.sqrt((items**2).sum(axis=1).max(initial=0.0))
        self.error = 1.01 * (members.shape[1] + 3) * unit * longest * np.sqrt((members**2).sum(axis=1))

    def run(self, blocks: list[slice]) -> Iterator[Best]:
        """Yield the best of blocks of members, one after the other, in the same memory."""
        memory = np.empty((0, 0), dtype=np.float32)
        for block in blocks:
            here = self.rough_members[block]
            if len(memory) < len(here):
                memory = np.empty((len(here), len(self.items)), dtype=np.float32)
            scores = np.matmul(here, self.rough_items.T, out=memory[: len(here)])
            yield self._of(block, scores)

    def _of(self, block: slice, scores: Scores) -> Best:
        if len(self.masked_for_all):
            scores[:, self.masked_for_all] = -np.inf
        if self.differ:
            np.copyto(scores, -np.inf, where=self.masked[self.group_of[block]])
        if self.excluded is not None:
            scores[cells_of(self.excluded[block])] = -np.inf
        # Both sides of a comparison may be wrong, and rounding to float32 may make equal what is not.
        slack = (3 * self.error[block]).astype(np.float32) + np.finfo(np.float32).tiny
        rows, columns = near_top_k(scores, self.k, slack)
        rows, columns, values = sort_top_k(rows, columns, self._exact(rows + block.start, columns), self.k)
        return rows + block.start, columns, values

    def _exact(self, rows: Positions, columns: Positions) -> Scores:
        """Return the products of pairs of members and items in float64, rounded."""
        products = np.empty(len(rows), dtype=np.float32)
        for start in range(0, len(rows), GATHERED_PAIRS):
            pairs = slice(start, start + GATHERED_PAIRS)
            products[pairs] = np.vecdot(self.members[rows[pairs]], self.items[columns[pairs]])
        return products
