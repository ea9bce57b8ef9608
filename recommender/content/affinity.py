"""Affinity: lift of the first interactions of a member, and of its role and industry, over the base rate."""

from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from content_catalog.taxonomy import Taxonomy
from features.histories import influences, studied
from features.interactions import Interactions
from recommender.content.item_similarity import item_similarity
from recommender.content.language_affinity import LanguageAffinity
from recommender.content.segments import EVERYONE, Segment, chain, groups_of, path_of, segments_of
from recommender.linalg.cache import BoundedCache, cache_of
from recommender.linalg.ranges import rows_of
from recommender.linalg.topk import Positions

CACHED_GROUPS: Final = 100
"""Combinations of role, industry and language whose affinities are cached: eight bytes an item each."""
CACHED_SEGMENTS: Final = 50
"""Parent segments whose affinities are cached."""
CACHED_ROWS: Final = 32
"""Members computed at once: what they need stays in the processor's cache."""
Floats = NDArray[np.float64]


class Affinity:
    """Affinities for items, by the formula of :class:`recommender.models.content.Content`.

    Attributes
    ----------
    similarity : csr_matrix (items, items)
        Similarity of items to the given power; a column holds the items similar to its item.
    undescribed : array (n,)
        Items without any description.
    """

    def __init__(
        self,
        interactions: Interactions,
        roles: Taxonomy,
        industries: Taxonomy,
        half_life_days: float,
        shrinkage: float,
        exponent: float,
        nearest: int,
        min_members: int = 1,
    ) -> None:
        self._roles, self._industries = roles, industries
        self._half_life_days = half_life_days

        def similarity() -> csr_matrix:
            cosines = item_similarity(interactions.items, roles=roles, industries=industries, nearest=nearest)
            return cosines.astype(np.float64).power(exponent)

        self.similarity = interactions.item_memo(("item similarity", nearest, exponent), similarity)
        self.undescribed = np.flatnonzero(np.bincount(self.similarity.indices, minlength=self.similarity.shape[1]) == 0)
        segments = segments_of(interactions, roles=roles, industries=industries)
        first_studied = csr_matrix(diags(influences(interactions)) @ studied(interactions, half_life_days))
        self._numbers = segments.of_at_least(min_members, first_studied)
        totals = segments.totals(first_studied)
        everyone = np.asarray(totals[self._numbers[EVERYONE]].toarray()).ravel()
        # In a log that ended long ago all affinities would round to the same number.
        self._is_faded = everyone.sum() < shrinkage * np.finfo(np.float32).eps
        self._base_rate = (everyone / max(everyone.sum(), 1e-12)) @ self.similarity
        self._prior = shrinkage * np.maximum(self._base_rate, 1e-9)
        self._near_items = csr_matrix(totals @ self.similarity)
        self._total = np.asarray(totals.sum(axis=1)).ravel()
        self._languages = LanguageAffinity(interactions)
        self._by_group, self._by_segment = BoundedCache[Floats](CACHED_GROUPS), BoundedCache[Floats](CACHED_SEGMENTS)

    def of(self, interactions: Interactions, rows: Positions) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the affinities of members at ``rows`` (rows, n_items), and which members are not scored."""

        def compute() -> tuple[Floats, NDArray[np.bool_]]:
            which, groups = groups_of(interactions, rows, "role", "industry", "language")
            by_group = np.stack([self._by_group.get(codes, partial(self._of_group, *codes)) for codes in groups])
            own = rows_of(studied(interactions, self._half_life_days), rows)
            total = np.asarray(own.sum(axis=1)).ravel()
            described = np.array([bool(self._path(role, industry)) for role, industry, _ in groups])
            shrunk = np.empty(own.shape)
            for start in range(0, len(rows), CACHED_ROWS):
                part = slice(start, start + CACHED_ROWS)
                near_items = (own[part] @ self.similarity).toarray()
                shrunk[part] = self._shrunk(near_items, total[part, None], by_group[which[part]])
            return shrunk, ((total == 0) & ~described[which]) | self._is_faded

        affinity: tuple[Floats, NDArray[np.bool_]] = cache_of(self, interactions).get(rows.tobytes(), compute)
        return affinity

    def _of_group(self, role: str, industry: str, language: str) -> Floats:
        """Return the affinity of a role, industry and language for every item."""
        steps = (segment for segment in self._path(role, industry) if segment in self._numbers)
        return np.asarray(self._of_segment(*steps) * self._languages.of(language))

    def _of_segment(self, *steps: Segment) -> Floats:
        """Return the affinity of the last of some segments, shrunk towards those before it."""
        if not steps:
            return np.ones(len(self._base_rate))
        *before, segment = steps
        parent = self._by_segment.get(tuple(before), partial(self._of_segment, *before))
        number = self._numbers[segment]
        return self._shrunk(self._near_items[number].toarray().ravel(), self._total[number], parent)

    def _path(self, role: str, industry: str) -> list[Segment]:
        """Return the segments of a role and industry, from the coarsest to the finest, without that of everyone."""
        return chain(path_of(self._roles, role), path_of(self._industries, industry))[1:]

    def _shrunk(self, near_items: Floats, total: Floats, parent: Floats) -> Floats:
        """Return the affinity by ``total`` first interactions, ``near_items`` of them weighed by similarity."""
        shrunk = self._prior * parent + near_items
        shrunk /= total * self._base_rate + self._prior
        return shrunk
