"""Item-item neighbours: what is studied by those who studied the same."""

import numpy as np
from scipy.sparse import csr_matrix, diags, vstack

from features.interactions import Interactions, rows_of
from recommender.linalg.topk import Positions, Scores, top_k
from recommender.models.base import Model

BLOCK_ITEMS = 1_000


class ItemKNN(Model):
    """Items by their similarity to what a member studied (Sarwar et al. 2001, https://doi.org/10.1145/371920.372071).

    Similarity is the cosine of two items' columns, times ``c / (c + shrinkage)`` with ``c`` the evidence they have in
    common, so that a few shared members do not make twins. Rows are scaled to length one first: whoever studies
    everything says little about what belongs together.

    Parameters
    ----------
    neighbours : int
        Similar items kept for each item.
    shrinkage : float
        Common evidence at which similarity counts half.
    half_life_days : float
        Evidence counts half after this many days.
    """

    def __init__(self, neighbours: int = 100, shrinkage: float = 5.0, half_life_days: float = 90.0) -> None:
        self.neighbours = neighbours
        self.shrinkage = shrinkage
        self.half_life_days = half_life_days

    def _fit(self, interactions: Interactions) -> None:
        evidence = interactions.matrix(self.half_life_days)
        length = np.sqrt(np.asarray(evidence.multiply(evidence).sum(axis=1)).ravel())
        unit = (diags(1.0 / np.where(length > 0, length, 1.0)) @ evidence).tocsc()
        norm = np.sqrt(np.asarray(unit.multiply(unit).sum(axis=0)).ravel())
        across = unit.T.tocsr()
        starts = range(0, unit.shape[1], BLOCK_ITEMS)
        self.similarity = vstack(
            [self._nearest(across[start : start + BLOCK_ITEMS] @ unit, norm, start) for start in starts]
        ).tocsr()

    def _nearest(self, common: csr_matrix, norm: np.ndarray, start: int) -> csr_matrix:
        """Return a block of items' similarities to all items, the nearest ones only."""
        dense = common.toarray()
        here = norm[start : start + dense.shape[0]]
        similar = dense / np.maximum(here[:, None] * norm[None, :], 1e-12) * (dense / (dense + self.shrinkage + 1e-12))
        similar[np.arange(dense.shape[0]), np.arange(start, start + dense.shape[0])] = 0.0
        rows, columns, values = top_k(np.where(similar > 0, similar, -np.inf).astype(np.float32), self.neighbours)
        return csr_matrix((values, (rows, columns)), shape=dense.shape)

    def _score(self, known: Interactions, rows: Positions) -> Scores:
        scores = np.asarray(
            (rows_of(known.matrix(self.half_life_days), rows) @ self.similarity).toarray(), dtype=np.float32
        )
        return np.where(scores > 0, scores, np.float32(-np.inf))

    def similar(self, k: int) -> tuple[Positions, Positions, Scores]:
        """Return each item's ``k`` most similar items as ``(items, similar items, similarities)``, best first."""
        parts = []
        for start in range(0, self.similarity.shape[0], BLOCK_ITEMS):
            dense = self.similarity[start : start + BLOCK_ITEMS].toarray()
            rows, columns, values = top_k(np.where(dense > 0, dense, np.float32(-np.inf)), k)
            parts.append((rows + start, columns, values))
        items, others, values = (np.concatenate(column) for column in zip(*parts, strict=True))
        return items, others, values
