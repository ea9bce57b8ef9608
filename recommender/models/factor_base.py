"""Models whose scores are products of vectors: exact lists at little more than the price of the matrix product."""

import os
from abc import abstractmethod
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from features.interactions import Interactions
from recommender.linalg.topk import Best, Positions, Scores, contenders, ranked
from recommender.models.base import Eligibility, Model

CACHED_CELLS: Final = 8_000_000
"""Scores that a thread holds at once: 32 MB of float32. More do not stay in the cache; fewer multiply more slowly."""

BLOCK_MEMBERS: Final = 8_192
"""Members whose vectors are made at once."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """What the scores of some members are products of.

    Attributes
    ----------
    members : array (n_members, size) of float64
    items : array (n_known, size) of float64
    served : array (n_members,) of bool
        Whether there is an opinion for the member.
    known : array (n_known,)
        The items on which there is an opinion, in ascending order.
    """

    members: NDArray[np.float64]
    items: NDArray[np.float64]
    served: NDArray[np.bool_]
    known: Positions


class FactorModel(Model):
    """A model that scores an item for a member by the product of their vectors.

    A model writes ``_fit(interactions)`` and ``_vectors(known, rows)``.
    """

    def _blocks(self, rows: Positions) -> Iterator[Positions]:
        """Yield positions of known members; no block's scores are ever held at once."""
        asked = np.flatnonzero(rows >= 0)
        for start in range(0, len(asked), BLOCK_MEMBERS):
            yield asked[start : start + BLOCK_MEMBERS]

    @abstractmethod
    def _vectors(self, known: Interactions, rows: Positions) -> Vectors:
        """Return the vectors of members, by their positions among those of ``known``, and of all items."""

    def _score(self, known: Interactions, rows: Positions) -> Scores:
        vectors = self._vectors(known, rows)
        # In float64, rounded to float32: a member's scores are the same alone and in a block of any size.
        scores = np.full((len(rows), known.shape[1]), -np.inf, dtype=np.float32)
        scores[:, vectors.known] = vectors.members @ vectors.items.T
        scores[~vectors.served] = -np.inf
        return scores

    def _best(
        self, known: Interactions, rows: Positions, eligibility: Eligibility, seen: csr_matrix | None, k: int
    ) -> Best:
        vectors = self._vectors(known, rows)
        served = np.flatnonzero(vectors.served)
        groups, group_of = np.unique(eligibility.group_of[served], return_inverse=True)
        open_to = Eligibility(group_of, eligibility.masks[groups][:, vectors.known])
        left_out = None if seen is None else seen[served][:, vectors.known]
        asked, items, values = best_products(vectors.members[served], vectors.items, k, open_to, left_out)
        return served[asked], vectors.known[items], values


def best_products(
    members: NDArray[np.float64],
    items: NDArray[np.float64],
    k: int,
    eligibility: Eligibility,
    left_out: csr_matrix | None = None,
) -> Best:
    """Return the best ``k`` products of each member with eligible items, as :func:`recommender.linalg.topk.top_k` does.

    All products are taken in float32, in blocks that stay in the cache. Those that, for all that float32 may be wrong
    by, could be among the best are taken again in float64; the values returned are these, rounded. Blocks are shared
    among as many threads as there are cores, which makes no difference to the result.

    Parameters
    ----------
    members : array (n_members, size)
    items : array (n_items, size)
    eligibility : Eligibility
        What each member may be offered.
    left_out : csr_matrix (n_members, n_items), optional
        What is left out besides.
    """
    search = _Search(members, items, k, eligibility, left_out)
    size = max(1, CACHED_CELLS // max(1, len(items)))
    blocks = [slice(start, start + size) for start in range(0, len(members), size)]
    threads = min(os.cpu_count() or 1, len(blocks))
    if threads < 2:
        found = list(search.run(blocks))
    else:
        # Each thread multiplies and reads blocks of its own, so BLAS has none to add.
        with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
            dealt = [search.run(blocks[number::threads]) for number in range(threads)]
            parts: list[list[Best]] = list(pool.map(list, dealt))
            found = [parts[number % threads][number // threads] for number in range(len(blocks))]
    if not found:
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.float32)
    rows, columns, values = (np.concatenate(column) for column in zip(*found, strict=True))
    return rows, columns, values


class _Search:
    """A search for the best products, block by block."""

    def __init__(
        self,
        members: NDArray[np.float64],
        items: NDArray[np.float64],
        k: int,
        eligibility: Eligibility,
        left_out: csr_matrix | None,
    ) -> None:
        self.members, self.items, self.k, self.left_out = members, items, k, left_out
        self.rough_members, self.rough_items = members.astype(np.float32), items.astype(np.float32)
        self.group_of, self.closed = eligibility.group_of, ~eligibility.masks
        self.columns_closed = np.flatnonzero(self.closed.all(axis=0))
        self.differ = len(self.closed) > 1 and bool(self.closed.any())
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
        if len(self.columns_closed):
            scores[:, self.columns_closed] = -np.inf
        if self.differ:
            np.copyto(scores, -np.inf, where=self.closed[self.group_of[block]])
        if self.left_out is not None:
            out = self.left_out[block]
            scores[np.repeat(np.arange(len(scores)), np.diff(out.indptr)), out.indices] = -np.inf
        # Both sides of a comparison may be wrong, and rounding to float32 may make equal what is not.
        slack = (3 * self.error[block]).astype(np.float32) + np.finfo(np.float32).tiny
        rows, columns = contenders(scores, self.k, slack)
        exact = np.vecdot(self.members[block][rows], self.items[columns]).astype(np.float32)
        rows, columns, values = ranked(rows, columns, exact, self.k)
        return rows + block.start, columns, values
