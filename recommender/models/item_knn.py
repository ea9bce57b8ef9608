"""Item-based nearest neighbours (item kNN)."""

import numpy as np
from scipy.sparse import csr_matrix, diags, vstack

from features.interactions import Interactions
from recommender.linalg.ranges import rows_of
from recommender.linalg.topk import Best, Positions, Scores, positive, top_k
from recommender.models.base import Model

BLOCK_ITEMS = 1_000


class ItemKNN(Model):
    """Items by their similarity to what a member studied (Sarwar et al. 2001, https://doi.org/10.1145/371920.372071).

    Similarity is the cosine of two items' columns, times ``c / (c + shrinkage)`` with ``c`` their dot product, so that
    a few common members do not make items equal. Rows are scaled to length one first: a member who studies everything
    says little about which items belong together.

    Parameters
    ----------
    neighbours : int
        Similar items kept for each item.
    shrinkage : float
        Dot product at which similarity counts half.
    half_life_days : float
        An interaction counts half after this many days.
    """

    def __init__(self, neighbours: int = 100, shrinkage: float = 5.0, half_life_days: float = 90.0) -> None:
        self.neighbours = neighbours
        self.shrinkage = shrinkage
        self.half_life_days = half_life_days

    def _fit(self, interactions: Interactions) -> None:
        weights = interactions.matrix(self.half_life_days)
        length = np.sqrt(np.asarray(weights.multiply(weights).sum(axis=1)).ravel())
        unit = (diags(1.0 / np.where(length > 0, length, 1.0)) @ weights).tocsc()
        norm = np.sqrt(np.asarray(unit.multiply(unit).sum(axis=0)).ravel())
        across = unit.T.tocsr()
        starts = range(0, unit.shape[1], BLOCK_ITEMS)
        self.similarity = vstack(
            [self._nearest(across[start : start + BLOCK_ITEMS] @ unit, norm, start) for start in starts]
        ).tocsr()

    def _nearest(self, common: csr_matrix, norm: np.ndarray, start: int) -> csr_matrix:
        """Return a block of items' similarities to all items, the nearest ones only."""
        dense = common.toarray()
        own_norm = norm[start : start + dense.shape[0]]
        cosine = dense / np.maximum(own_norm[:, None] * norm[None, :], 1e-12)
        similar = cosine * (dense / (dense + self.shrinkage + 1e-12))
        similar[np.arange(dense.shape[0]), np.arange(start, start + dense.shape[0])] = 0.0
        rows, columns, values = top_k(positive(similar), self.neighbours)
        return csr_matrix((values, (rows, columns)), shape=dense.shape)

    def _score(self, interactions: Interactions, rows: Positions) -> Scores:
        weights = rows_of(interactions.matrix(self.half_life_days), rows)
        return positive((weights @ self.similarity).toarray())

    def similar(self, k: int) -> Best:
        """Return each item's ``k`` most similar items as ``(items, similar items, similarities)``, best first."""
        parts = []
        for start in range(0, self.similarity.shape[0], BLOCK_ITEMS):
            dense = self.similarity[start : start + BLOCK_ITEMS].toarray()
            rows, columns, values = top_k(positive(dense), k)
            parts.append((rows + start, columns, values))
        items, similar, values = (np.concatenate(column) for column in zip(*parts, strict=True))
        return items, similar, values
