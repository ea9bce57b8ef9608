"""Content: items like those that a member, and others of its role and industry, study more than everybody."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from content_catalog.taxonomy import Taxonomy
from features.histories import first_studies, studied
from features.interactions import Interactions
from recommender.base import Model
from recommender.freshness import pull
from recommender.languages import Languages
from recommender.likeness import likeness
from recommender.segments import EVERYONE, chain, groups_of, path_of, segments_of
from recommender.topk import Positions, Scores

Floats = NDArray[np.float64]


class Content(Model):
    """Items by the taste for what is like them, times how often an item of their age is begun; serves new items.

    With ``w`` the :func:`likeness <recommender.likeness.likeness>` of two items, ``n`` what somebody studied and ``N``
    its sum, and ``p`` every item's share of what everybody studied, the taste for item ``j`` is

    ``(Σ n_i w_ij / Σ p_i w_ij + s · taste of the group around) / (N + s)``

    and 1 for everybody, but for what members of a language make of items of another one
    (:class:`recommender.languages.Languages`): what is studied around an item over what would be expected, a kernel
    estimate (Nadaraya 1964, https://doi.org/10.1137/1109020) shrunk towards larger groups. The groups are those of
    :func:`recommender.segments.chain`; the smallest one is the member itself. There is no opinion on items of which
    nothing is told, and none for members without history, role and industry.

    Parameters
    ----------
    roles, industries : Taxonomy
        What members' codes and items' targets mean.
    half_life_days : float
        A first study counts half after this many days.
    shrinkage : float
        Items studied at which the taste of a group or member counts half, beside that of the group around it.
    sharpness : float
        Power of the cosines.
    nearest : int
        Like items that count for an item.
    pulled : bool
        Whether scores are tastes times :func:`recommender.freshness.pull`, or tastes alone.
    """

    def __init__(
        self,
        roles: Taxonomy,
        industries: Taxonomy,
        half_life_days: float = 90.0,
        *,
        shrinkage: float = 20.0,
        sharpness: float = 4.0,
        nearest: int = 100,
        pulled: bool = True,
    ) -> None:
        self.roles = roles
        self.industries = industries
        self.half_life_days = half_life_days
        self.shrinkage = shrinkage
        self.sharpness = sharpness
        self.nearest = nearest
        self.pulled = pulled

    def _fit(self, interactions: Interactions) -> None:
        self._alike = interactions.once_of_items(
            ("alike", self.nearest, self.sharpness), lambda: self._likeness(interactions.items)
        )
        self._untold = np.flatnonzero(np.bincount(self._alike.indices, minlength=self._alike.shape[1]) == 0)
        firsts = first_studies(interactions)
        influence = np.zeros(interactions.shape[0])
        influence[firsts.member] = firsts.influence
        self._segments = segments_of(interactions, roles=self.roles, industries=self.industries)
        totals = self._segments.totals(csr_matrix(diags(influence) @ studied(interactions, self.half_life_days)))
        everyone = np.asarray(totals[self._segments.numbers[EVERYONE]].toarray()).ravel()
        self._usual = (everyone / max(everyone.sum(), 1e-12)) @ self._alike
        self._around = csr_matrix(totals @ self._alike)
        self._total = np.asarray(totals.sum(axis=1)).ravel()
        self._pull = pull(interactions, self._alike) if self.pulled else np.ones(interactions.shape[1])
        self._languages = Languages(interactions)
        self._tastes: dict[tuple[str, str, str], Floats] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return what is kept where models are stored: not what was asked for before."""
        return {**super().__getstate__(), "_tastes": {}}

    def _likeness(self, items: pd.DataFrame) -> csr_matrix:
        alike = likeness(items, roles=self.roles, industries=self.industries, nearest=self.nearest)
        return alike.astype(np.float64).power(self.sharpness)

    def _score(self, known: Interactions, rows: Positions) -> Scores:
        which, groups = groups_of(known, rows, "role", "industry", "language")
        group = np.stack([self._taste(*one) for one in groups])[which]
        own = studied(known, self.half_life_days)[rows]
        total = np.asarray(own.sum(axis=1)).ravel()
        taste = self._shrunk((own @ self._alike).toarray(), total[:, None], group)
        scores = (taste * self._pull).astype(np.float32)
        scores[:, self._untold] = -np.inf
        told = np.array([bool(path_of(self.roles, role) or path_of(self.industries, one)) for role, one, _ in groups])
        scores[(total == 0) & ~told[which]] = -np.inf
        return scores

    def _taste(self, role: str, industry: str, language: str) -> Floats:
        """Return the taste of a role, industry and language for every item."""
        key = (role, industry, language)
        if key not in self._tastes:
            taste = np.ones(len(self._usual))
            for segment in chain(path_of(self.roles, role), path_of(self.industries, industry)):
                number = self._segments.numbers.get(segment)
                if number is not None and segment != EVERYONE:
                    taste = self._shrunk(self._around[number].toarray().ravel(), self._total[number], taste)
            self._tastes[key] = taste * self._languages.of(language)
        return self._tastes[key]

    def _shrunk(self, around: Floats, total: Floats, group: Floats) -> Floats:
        """Return the taste of those who studied ``total`` items, ``around`` of them at each item."""
        prior = self.shrinkage * np.maximum(self._usual, 1e-9)
        return np.asarray((around + prior * group) / (total * self._usual + prior))
