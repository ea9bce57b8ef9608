"""Graph filter: low-pass filter of a history on the item graph, then sharpening (GF-CF, BSPM)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import diags
from sklearn.utils.extmath import randomized_svd

from features.histories import influences, studied
from features.interactions import Interactions
from recommender.linalg.parallel import parallel_map
from recommender.linalg.ranges import rows_of
from recommender.linalg.topk import Positions, Scores
from recommender.models.base import Model

STEPS: Final = 4
"""Order of the sharpening's Taylor polynomial: one step of Runge and Kutta."""

PUBLISHED_RANK: Final = 448
PUBLISHED_SHARPENING: Final = 2.5
"""Settings of sparse logs with many items."""
ITEMS_PER_VECTOR: Final = 4
"""Studied items for each leading vector, at least.

With nearly as many vectors as items a history is not blurred at all, and sharpening takes away what goes with it.
"""
DENSE: Final = 0.002
"""From this share of members' and items' pairs on, logs are dense."""
DENSE_SHARPENING: Final = 0.5

MEMBERS_AT_ONCE: Final = 64
"""Histories filtered together by a thread: few enough to stay in the processor's cache."""


class GraphFilter(Model):
    """Items by linear filters on the graph of members and items.

    With ``N`` the matrix of members and items, rows and columns divided by the roots of their sums, ``P = N'N`` is the
    item graph. A history ``r`` is blurred, ``b = rP + low_pass * r D^-1/2 V V' D^1/2``, where ``V`` are the
    leading right singular vectors of ``N`` and ``D`` the items' sums (Shen et al. 2021,
    https://doi.org/10.1145/3459637.3482264), and sharpened: ``b exp(-sharpening * P)``, the exponential to the fourth
    power of ``P`` (Choi et al. 2023, https://doi.org/10.1145/3539618.3591645).

    Sharpening and rank of sparse logs are those published for Gowalla; the weight of the low-pass was chosen by leaving
    out a fifth of its training part. Those of dense logs were chosen by leaving out the last fifth of each member's
    items of MARS, 365 Data Science and the training part of Canvas Network.

    ``P`` itself, items by items and mostly full, is never made: histories are multiplied by ``N`` and ``N'`` in turn.

    Parameters
    ----------
    low_pass : float
        Weight of the leading singular vectors beside the neighbours.
    sharpening : float, optional
        Time for which the item graph is subtracted again. By default 2.5, and 0.5 where at least a five-hundredth of
        all pairs of studied items and members with history was studied.
    rank : int, optional
        Number of leading singular vectors. By default a quarter of the studied items, at most 448.
    """

    def __init__(self, low_pass: float = 0.3, sharpening: float | None = None, rank: int | None = None) -> None:
        self.low_pass = low_pass
        self.sharpening = sharpening
        self.rank = rank

    def _fit(self, interactions: Interactions) -> None:
        influence = influences(interactions)
        rows = studied(interactions)
        items = np.asarray(rows.T @ influence).ravel()
        n_items, n_members = int((items > 0).sum()), int((influence > 0).sum())
        rank = max(1, min(PUBLISHED_RANK, n_items // ITEMS_PER_VECTOR)) if self.rank is None else self.rank
        is_dense = rows.nnz >= DENSE * n_members * n_items
        chosen = DENSE_SHARPENING if is_dense else PUBLISHED_SHARPENING
        self._sharpening = chosen if self.sharpening is None else self.sharpening
        self._root = np.sqrt(items)
        inverse = np.divide(1.0, self._root, out=np.zeros_like(items), where=items > 0)
        members = np.sqrt(influence / np.maximum(np.diff(rows.indptr), 1))
        self._normal = (diags(members) @ rows @ diags(inverse)).tocsr().astype(np.float32)
        self._across = self._normal.T.tocsr()
        vectors = np.zeros((0, len(items)))
        if self._normal.nnz:
            _, _, vectors = randomized_svd(self._normal, min(rank, *self._normal.shape), random_state=0)
        self._left = (vectors * inverse).T.astype(np.float32)
        self._right = self._sharpened(np.ascontiguousarray((vectors * self._root).T, dtype=np.float32))

    def _sharpened(self, blurred: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return columns (n_items, n) times ``exp(-sharpening * P)``, to the fourth power."""
        total = blurred.copy()
        for step in range(1, STEPS + 1):
            blurred = self._across @ (self._normal @ blurred)
            blurred *= np.float32(-self._sharpening / step)
            total += blurred
        return total

    def _score(self, interactions: Interactions, rows: Positions) -> Scores:
        history = rows_of(studied(interactions), rows)
        scores = np.empty(history.shape, dtype=np.float32)
        # In float64, rounded to float32: a member's scores are the same alone and in a block of any size.
        right = self.low_pass * self._right.T.astype(np.float64)

        def fill(start: int) -> None:
            block = slice(start, start + MEMBERS_AT_ONCE)
            blurred = self._across @ (self._normal @ history[block].T.tocsr()).toarray()
            low = (history[block].astype(np.float64) @ self._left) @ right
            scores[block] = low + self._sharpened(blurred).T

        list(parallel_map(fill, range(0, len(rows), MEMBERS_AT_ONCE)))
        scores[np.diff(history.indptr) == 0] = -np.inf
        scores[:, self._root == 0] = -np.inf
        return scores
