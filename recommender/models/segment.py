"""Segment popularity: popularity among members of the same role and industry."""

from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from content_catalog.taxonomy import Taxonomy
from features.interactions import Interactions
from recommender.content.segments import EVERYONE, Segment, chain, groups_of, path_of, segments_of
from recommender.linalg.cache import BoundedCache
from recommender.linalg.topk import Positions, Scores, positive
from recommender.models.base import Model

CACHED_SEGMENTS: Final = 200
"""Roles and industries whose shares are cached: four bytes an item each."""
CACHED_PARENTS: Final = 50
"""Parent segments whose shares are cached: eight bytes an item each."""


class SegmentPopularity(Model):
    """Items by popularity among members of the same role and industry, shrunk towards coarser segments.

    An item's share of a segment's interaction weight is estimated as ``(n + s · parent's share) / (N + s)`` with ``n``
    the segment's weight for the item, ``N`` for all items, and ``s`` the shrinkage: Dirichlet smoothing (Zhai and
    Lafferty 2004, https://doi.org/10.1145/984321.984322) with the parent as background. The chain of parents climbs
    both taxonomies.

    Parameters
    ----------
    roles, industries : Taxonomy
        Taxonomies of the members' codes; a code that is not in them counts as unknown.
    half_life_days : float
        An interaction counts half after this many days.
    shrinkage : float
        Interaction weight a segment needs before its own figures outweigh its parent's.
    min_members : int
        Fewest members with history that a segment's own figures are of; a smaller one is left to its parent.
    """

    def __init__(
        self,
        roles: Taxonomy,
        industries: Taxonomy,
        half_life_days: float = 14.0,
        shrinkage: float = 20.0,
        min_members: int = 1,
    ) -> None:
        self.roles = roles
        self.industries = industries
        self.half_life_days = half_life_days
        self.shrinkage = shrinkage
        self.min_members = min_members

    def _fit(self, interactions: Interactions) -> None:
        segments = segments_of(interactions, roles=self.roles, industries=self.industries)
        weights = interactions.matrix(self.half_life_days)
        self._numbers = segments.of_at_least(self.min_members, weights)
        self._weights = segments.totals(weights)
        self._scores = BoundedCache[Scores](CACHED_SEGMENTS)
        self._parents = BoundedCache[NDArray[np.float64]](CACHED_PARENTS)

    def _score(self, interactions: Interactions, rows: Positions) -> Scores:
        which, pairs = groups_of(interactions, rows, "role", "industry")
        return np.stack([self._scores.get(pair, partial(self._estimate, *pair)) for pair in pairs])[which]

    def _estimate(self, role: str, industry: str) -> Scores:
        """Return each item's share of a segment's weight; ``-inf`` for items without any interaction."""
        steps = chain(path_of(self.roles, role), path_of(self.industries, industry))
        return positive(self._share(*(segment for segment in steps if segment in self._numbers)))

    def _share(self, *steps: Segment) -> NDArray[np.float64]:
        """Return each item's share of the weight of the last of some segments, shrunk towards those before it."""
        if not steps:
            return np.zeros(self._weights.shape[1])
        *before, segment = steps
        parent = self._parents.get(tuple(before), partial(self._share, *before))
        own = self._weights[self._numbers[segment]]
        shrinkage = 0.0 if segment == EVERYONE else self.shrinkage
        total = own.sum() + shrinkage
        if total <= 0:
            return parent
        share = parent * (shrinkage / total)
        share[own.indices] += own.data / total
        return share
