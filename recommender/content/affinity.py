"""Tastes: what somebody, and others of its role and industry, study more than everybody does."""

from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from content_catalog.taxonomy import Taxonomy
from features.histories import first_interactions, studied
from features.interactions import Interactions, rows_of
from recommender.content.item_similarity import likeness
from recommender.content.language_affinity import Languages
from recommender.content.segments import EVERYONE, Segment, chain, groups_of, path_of, segments_of
from recommender.linalg.cache import Answers
from recommender.linalg.topk import Positions

GROUPS_KEPT: Final = 100
"""Roles, industries and languages whose tastes are kept: eight bytes an item each."""
SEGMENTS_KEPT: Final = 50
"""Segments around others whose tastes are kept."""
LAST_KEPT: Final = 4
"""Answers kept of :meth:`Tastes.of`: two models ask for the same, and two threads may be at work."""
Floats = NDArray[np.float64]


class Tastes:
    """Tastes for items, as :class:`recommender.models.content.Content` tells them.

    Attributes
    ----------
    alike : csr_matrix (items, items)
        How alike items are; a column holds what is like its item.
    untold : array (n,)
        Items of which nothing is told.
    """

    def __init__(
        self,
        interactions: Interactions,
        roles: Taxonomy,
        industries: Taxonomy,
        half_life_days: float,
        shrinkage: float,
        sharpness: float,
        nearest: int,
    ) -> None:
        self._roles, self._industries = roles, industries
        self._half_life_days, self._shrinkage = half_life_days, shrinkage

        def likened() -> csr_matrix:
            alike = likeness(interactions.items, roles=roles, industries=industries, nearest=nearest)
            return alike.astype(np.float64).power(sharpness)

        self.alike: csr_matrix = interactions.item_memo(("item similarity", nearest, sharpness), likened)
        self.untold = np.flatnonzero(np.bincount(self.alike.indices, minlength=self.alike.shape[1]) == 0)
        firsts = first_interactions(interactions)
        influence = np.zeros(interactions.shape[0])
        influence[firsts.member] = firsts.influence
        self._segments = segments_of(interactions, roles=roles, industries=industries)
        totals = self._segments.totals(csr_matrix(diags(influence) @ studied(interactions, half_life_days)))
        everyone = np.asarray(totals[self._segments.numbers[EVERYONE]].toarray()).ravel()
        self._usual = (everyone / max(everyone.sum(), 1e-12)) @ self.alike
        self._prior = shrinkage * np.maximum(self._usual, 1e-9)
        self._around = csr_matrix(totals @ self.alike)
        self._total = np.asarray(totals.sum(axis=1)).ravel()
        self._languages = Languages(interactions)
        self._of_groups, self._of_segments = Answers[Floats](GROUPS_KEPT), Answers[Floats](SEGMENTS_KEPT)
        self._last = Answers[tuple[Interactions, Floats, NDArray[np.bool_]]](LAST_KEPT)

    def of(self, known: Interactions, rows: Positions) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the tastes of members at ``rows`` (rows, n_items), and for which of them there is no opinion."""

        def made() -> tuple[Interactions, Floats, NDArray[np.bool_]]:
            which, groups = groups_of(known, rows, "role", "industry", "language")
            tastes = [self._of_groups.once(one, partial(self._of_group, *one)) for one in groups]
            group = tastes[0] if len(tastes) == 1 else np.stack(tastes)[which]
            own = rows_of(studied(known, self._half_life_days), rows)
            total = np.asarray(own.sum(axis=1)).ravel()
            told = np.array([bool(self._path(role, industry)) for role, industry, _ in groups])
            shrunk = self._shrunk((own @ self.alike).toarray(), total[:, None], group)
            return known, shrunk, (total == 0) & ~told[which]

        # What is known is held beside its answer, so that nothing else has its identity.
        _, tastes, silent = self._last.once((id(known), rows.tobytes()), made)
        return tastes, silent

    def _of_group(self, role: str, industry: str, language: str) -> Floats:
        """Return the taste of a role, industry and language for every item."""
        steps = (segment for segment in self._path(role, industry) if segment in self._segments.numbers)
        return np.asarray(self._of_segment(*steps) * self._languages.of(language))

    def _of_segment(self, *steps: Segment) -> Floats:
        """Return the taste of the last of some segments, shrunk towards those before it."""
        if not steps:
            return np.ones(len(self._usual))
        *before, segment = steps
        parent = self._of_segments.once(tuple(before), partial(self._of_segment, *before))
        number = self._segments.numbers[segment]
        return self._shrunk(self._around[number].toarray().ravel(), self._total[number], parent)

    def _path(self, role: str, industry: str) -> list[Segment]:
        """Return the segments of a role and industry, but for everyone."""
        return chain(path_of(self._roles, role), path_of(self._industries, industry))[1:]

    def _shrunk(self, around: Floats, total: Floats, group: Floats) -> Floats:
        """Return the taste of those who studied ``total`` items, ``around`` of them at each item."""
        shrunk = self._prior * group + around
        shrunk /= total * self._usual + self._prior
        return shrunk
